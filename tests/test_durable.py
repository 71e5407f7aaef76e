"""The order of writes, and what is left when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from upgrader import durable
from upgrader.durable import Operation


def test_a_file_is_whole_and_safe_before_it_has_its_name(tmp_path: Path) -> None:
    seen: list[Operation] = []
    with durable.recorded(seen.append):
        durable.write_atomic(tmp_path / "f", "new")
    assert [operation.kind for operation in seen] == ["create", "write", "fsync", "rename", "fsync_dir"]
    assert seen[3].target == tmp_path / "f" and seen[0].path == seen[2].path == seen[3].path
    assert seen[4].path == tmp_path
    assert (tmp_path / "f").read_text() == "new"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["create", "write", "fsync", "rename"])
def test_when_a_step_fails_the_old_content_is_there_and_no_rest(tmp_path: Path, kind: str) -> None:
    (tmp_path / "f").write_text("old")

    def refuse(operation: Operation) -> None:
        if operation.kind == kind:
            raise OSError(28, "No space left on device")

    with durable.recorded(refuse), pytest.raises(OSError, match="No space"):
        durable.write_atomic(tmp_path / "f", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_lines_are_one_each_and_the_name_is_safe(tmp_path: Path) -> None:
    seen: list[Operation] = []
    with durable.recorded(seen.append):
        durable.append_line(tmp_path / "log", {"a": "two\nlines"})
        durable.append_line(tmp_path / "log", "plain\ntext", fsync=True)
    assert (tmp_path / "log").read_text() == '{"a":"two\\nlines"}\nplain text\n'
    assert [operation.kind for operation in seen] == ["create", "write", "fsync_dir", "write", "fsync"]


def test_folders(tmp_path: Path) -> None:
    seen: list[Operation] = []
    with durable.recorded(seen.append):
        durable.make_dir(tmp_path / "a" / "b")
    assert [(operation.kind, operation.path.name) for operation in seen] == [
        ("mkdir", "a"), ("fsync_dir", tmp_path.name), ("mkdir", "b"), ("fsync_dir", "a"),
    ]  # fmt: skip
    with pytest.raises(FileExistsError):
        durable.make_dir(tmp_path / "a" / "b")
    durable.make_dir(tmp_path / "a" / "b", exist_ok=True)
    durable.remove(tmp_path / "a" / "nothing")


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (None, "missing"),
        (b"", "torn"),
        (b'{"a": 1', "torn"),
        (b'{"a": 1}{"a": 1}', "torn"),
        (b"[1]", "torn"),
        (b"\0\0\0\0", "torn"),
        (b"\xff\xfe{}", "torn"),
        (b"[" * 100_000, "torn"),
        (b'{"a": 1}\n', "whole"),
    ],
    ids=["missing", "empty", "cut", "doubled", "list", "zeros", "not utf-8", "deep", "whole"],
)
def test_reading_what_a_crash_left(tmp_path: Path, data: bytes | None, state: str) -> None:
    if data is not None:
        (tmp_path / "f").write_bytes(data)
    reading = durable.read_json(tmp_path / "f")
    assert reading.state == state
    assert (reading.document is not None) == (state == "whole")


def _die(
    point: str, code: str = "for _ in range(3): durable.failpoint('a:b'); print('passed', flush=True)"
) -> tuple[int, str]:
    env = {**os.environ, durable.FAILPOINT: point}
    done = subprocess.run(
        [sys.executable, "-c", f"from upgrader import durable\n{code}"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("point", "passings"), [("a:b", 0), ("a:b:3", 2), ("x,a:b:2", 1), ("a:b:4", 3), ("", 3), ("a", 3)]
)
def test_failpoints_kill_at_the_named_passing(point: str, passings: int) -> None:
    code, out = _die(point)
    assert out == "passed\n" * passings
    assert code == (0 if passings == 3 else -signal.SIGKILL)


def test_failpoints_can_be_listed_and_hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(durable.FAILPOINT_LOG, str(tmp_path / "log"))
    seen: list[str] = []
    note: Callable[[str], None] = seen.append
    with durable.failpoints(note):
        durable.failpoint("test.one")
        durable.failpoint("test.two")
    assert seen == ["test.one", "test.two"]
    assert (tmp_path / "log").read_text() == "test.one:1\ntest.two:1\n"
