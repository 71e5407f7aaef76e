"""The files of a probe: what is written is read, and what a crash left is passed over."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.availability.records import (
    Answer,
    Api,
    Header,
    Mark,
    answer_line,
    folder_of,
    items,
    probe_works,
    segments,
)
from upgrader.availability.writer import Writer, tidy

HEAD = Header("b", 1000.0, 10.0, 5.0, (Api("a", "http://a/", 0.5), Api("b", "http://b/", 5.0)))


@given(
    st.integers(0, 1), st.integers(0, 10**9), st.integers(0, 60_000), st.sampled_from([True, False, None]),
    st.text(max_size=300),
)  # fmt: skip
def test_an_answer_is_read_as_it_was_written(api: int, asked: int, took: int, up: bool | None, words: str) -> None:
    answer = Answer(api, 10.0 + asked / 1000, 10.0 + (asked + took) / 1000, up, words)
    line = answer_line(answer, 10.0)
    assert line.count("\n") == 1 and len(line) < 260 * 4
    from upgrader.availability.records import _item

    found = _item(line, 10.0, 2)
    assert isinstance(found, Answer)
    assert (found.api, found.up, found.words) == (api, up, " ".join(words.split())[:200].rstrip())
    assert found.asked == pytest.approx(answer.asked, abs=0.001)
    assert found.answered == pytest.approx(answer.answered, abs=0.002)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_passed_over(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes, cut: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    line = answer_line(Answer(1, 11.0, 11.5, False, "refused x"), 10.0).encode()
    whole = HEAD.line().encode() + line * 3
    (folder / "answers-0001.log").write_bytes(whole[: len(whole) - cut] if cut < len(whole) else b"")
    (folder / "answers-0002.log").write_bytes(HEAD.line().encode() + line + rubbish.replace(b"#", b".") + b"\n" + line)
    found = [item for item in items(folder) if isinstance(item, Answer)]
    assert found.count(Answer(1, 11.0, 11.5, False, "refused x")) >= 2
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_run_is_no_path() -> None:
    for name in ("../x", "", ".", "a/b", "a\nb", ".hidden"):
        with pytest.raises(ValueError, match="not the name of a run"):
            folder_of(Path("/state"), name)


def write(folder: Path, count: int, largest: int = 1000) -> Writer:
    clock = iter(range(10_000))
    writer = Writer(folder, 5.0, clock=lambda: float(next(clock)), wall=lambda: 1000.0, largest=largest)
    writer.begin(HEAD.apis)
    for number in range(count):
        writer.answer(Answer(number % 2, float(number), number + 0.004, True))
        writer.flush()
    return writer


def test_files_are_changed_and_packed_and_nothing_is_lost(tmp_path: Path) -> None:
    writer = write(tmp_path, 400)
    writer.close()
    assert len(segments(tmp_path)) > 3
    before = list(items(tmp_path))
    assert sum(isinstance(item, Answer) for item in before) == 400
    assert tidy(tmp_path) < 10_000
    assert [path.suffix for path in segments(tmp_path)][-2:] == [".gz", ".log"]
    assert list(items(tmp_path)) == before
    assert {path.stat().st_mode & 0o777 for path in segments(tmp_path)} == {0o600}


def test_killed_while_packing(tmp_path: Path) -> None:
    write(tmp_path, 100).close()
    before = list(items(tmp_path))
    first = segments(tmp_path)[0]
    Path(f"{first}.gz").write_bytes(gzip.compress(first.read_bytes()))
    Path(f"{first}.gz.tmp").write_bytes(b"half")
    assert list(items(tmp_path)) == before, "the plain file and its packed form are one"
    Writer(tmp_path, 5.0)
    assert not list(tmp_path.glob("*.tmp"))
    second = segments(tmp_path)[1]
    Path(f"{second}.gz").write_bytes(gzip.compress(second.read_bytes())[:-9])
    second.unlink()
    assert [item for item in items(tmp_path) if isinstance(item, Answer)]


def test_a_full_disk_costs_nothing_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    writer = write(tmp_path, 1, largest=10**6)
    real, full = os.write, [True]

    def scarce(descriptor: int, data: bytes) -> int:
        if full[0]:
            if len(data) > 8:
                return real(descriptor, data[:8])
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", scarce)
    for number in range(1, 6):
        writer.answer(Answer(0, float(number), number + 0.004, True))
        writer.flush()
    assert "No space left" in writer.trouble
    full[0] = False
    writer.flush()
    assert writer.trouble == ""
    writer.close()
    found = [item.asked for item in items(tmp_path) if isinstance(item, Answer)]
    assert found == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_wall_clock_is_noted_when_it_is_set(tmp_path: Path) -> None:
    wall = [1000.0]
    writer = Writer(tmp_path, 5.0, clock=lambda: 50.0, wall=lambda: wall[0])
    writer.begin(HEAD.apis)
    assert writer.watch_clock() is None
    wall[0] += 0.1
    assert writer.watch_clock() is None
    wall[0] -= 3600
    assert writer.watch_clock() == Mark("clock", 50.0, wall[0], "the wall clock was set")
    assert writer.watch_clock() is None
    writer.close()
    assert [item.at for item in items(tmp_path) if isinstance(item, Mark)] == [pytest.approx(wall[0])]


def test_nobody_works_where_nothing_is(tmp_path: Path) -> None:
    assert not probe_works(tmp_path) and not probe_works(tmp_path / "nowhere")
