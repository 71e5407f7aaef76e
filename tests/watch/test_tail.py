"""A growing file, read on: nothing twice, nothing half, bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.watch.tail import Tail


def lines(*numbers: int) -> bytes:
    return b"".join(json.dumps({"n": number}).encode() + b"\n" for number in numbers)


def read(tail: Tail) -> list[int]:
    return [line["n"] for line in tail.lines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_only_what_was_added(file: Path):
    tail = Tail(file)
    assert read(tail) == []
    file.write_bytes(lines(1, 2) + b'{"n": ')
    assert read(tail) == [1, 2]
    with file.open("ab") as stream:
        stream.write(b"3}\n")
    assert read(tail) == [3]
    assert read(tail) == []


def test_what_is_no_line_of_ours_is_passed_over(file: Path):
    file.write_bytes(lines(1) + b"\xff\xfe\n[1]\n{torn\n" + b"[" * 5000 + b"\n" + lines(2))
    assert read(Tail(file)) == [1, 2]


def test_a_file_that_begins_anew(file: Path):
    tail = Tail(file)
    file.write_bytes(lines(1, 2, 3))
    assert read(tail) == [1, 2, 3]
    file.write_bytes(lines(4))
    assert read(tail) == [4]


def test_the_newest_when_there_is_too_much(file: Path):
    file.write_bytes(lines(*range(1000)))
    tail = Tail(file, skip=True, bite=100)
    seen = read(tail)
    assert seen == list(range(1000 - len(seen), 1000)) and 5 < len(seen) < 15
    assert tail.skipped > 0
    with file.open("ab") as stream:
        stream.write(lines(1000))
    assert read(tail) == [1000]


def test_a_line_longer_than_a_bite(file: Path):
    file.write_bytes(b'{"n": "' + b"x" * 500 + b'"}\n' + lines(1, 2))
    assert [line["n"] for line in Tail(file, bite=100).all() if line["n"] != "x"] == [1, 2]


@given(
    numbers=st.lists(st.integers(0, 10**6), max_size=40), cuts=st.lists(st.integers(0, 400)), bite=st.integers(30, 90)
)
def test_however_it_grows_all_of_it_once(tmp_path_factory: pytest.TempPathFactory, numbers, cuts, bite):
    file = tmp_path_factory.mktemp("tail") / "f"
    data = lines(*numbers)
    tail, seen, before = Tail(file, bite=bite), [], 0
    for cut in [*sorted(cuts), len(data)]:
        with file.open("ab") as stream:
            stream.write(data[before:cut])
        before = max(before, min(cut, len(data)))
        seen += [line["n"] for line in tail.all()]
    assert seen == numbers
