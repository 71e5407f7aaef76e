"""The script around mydumper, with programs in its place that misbehave as mydumper was seen to."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from upgrader.database import take_mydumper


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "mydumper"


def _run(program: Path, out: Path, body: str) -> int:
    program.write_text(f'#!/bin/sh\n[ "$1" = --help ] && exit 0\n{body}\n')
    program.chmod(0o755)
    return take_mydumper.main([str(out), "192.0.2.1", "3306", "root", "keystone"], io.StringIO("canary-word\n"))


def test_one_that_hangs_is_ended_and_leaves_nothing(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(take_mydumper, "STALL_SECONDS", 0.5)
    assert _run(program, tmp_path / "out", "exec sleep 600") == take_mydumper.ANOTHER_MAY
    assert not (tmp_path / "out").exists()
    assert "wrote nothing for" in capfd.readouterr().err


def test_its_last_words_are_told_without_the_password(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = "echo option parsing failed: canary-word; exit 1"
    assert _run(program, tmp_path / "out", body) == take_mydumper.ANOTHER_MAY
    assert not (tmp_path / "out").exists()
    assert capfd.readouterr().err == "option parsing failed: ***\n"


@pytest.mark.parametrize("way", ["Error connecting to database", "Failed to connect to database"])
def test_no_way_to_the_server_lets_another_program_try(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], way: str
) -> None:
    """Its main process and its threads say the same in different words."""
    words = f"** (mydumper:1): CRITICAL **: 19:55:04.905: {way}: Lost connection to server"
    assert _run(program, tmp_path / "out", f"echo '{words}'; exit 1") == take_mydumper.ANOTHER_MAY
    assert capfd.readouterr().err == f"{way}: Lost connection to server\n"


def test_one_that_ends_well_with_errors_did_not_dump(program: Path, tmp_path: Path) -> None:
    assert _run(program, tmp_path / "out", "echo '** CRITICAL **: Could not read data from nova.instances'") != 0
    assert not (tmp_path / "out").exists()
