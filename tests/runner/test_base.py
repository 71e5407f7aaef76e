"""The verdict of a play and its words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from upgrader.runner.base import HostTrouble, Play, PlayResult
from upgrader.runner.recording import RecordingRunner, done, failed

PLAY = Play("upgrade", Path("/t"), Path("/p.yml"), (Path("/i"),), expected_hosts=("a", "b"))


def test_done_is_done() -> None:
    result = done(PLAY)
    assert result.verdict
    assert result.message == "upgrade: done on 2 hosts"


@pytest.mark.parametrize(
    "change",
    [
        {"rc": 2},
        {"rc": None},
        {"stats": None},
        {"status": "canceled"},
        {"status": "failed"},
        {"status": "error"},
        {"status": "lost"},
        {"hosts_seen": ()},
        {"missing": ("b",)},
        {"failed": (HostTrouble("b"),)},
        {"unreachable": (HostTrouble("b"),)},
    ],
    ids=str,
)
def test_each_thing_alone_is_enough_to_spoil_it(change: dict[str, object]) -> None:
    result = replace(done(PLAY), **change)  # type: ignore[arg-type]
    assert not result.verdict
    assert result.message.startswith("upgrade: ") and len(result.message) > len("upgrade: ")


def test_many_troubles_are_counted_not_listed() -> None:
    result = replace(done(PLAY), failed=tuple(HostTrouble(f"h{n}", "pull", "no space") for n in range(9)))
    assert "h0 failed in task 'pull': no space" in result.message
    assert "6 more hosts in trouble" in result.message


def test_documents_come_back_as_they_were() -> None:
    play = replace(PLAY, extra_vars=(("a", {"b": [1, "2025.1", None]}),), vault_password_file=Path("/v"), closing=True)
    assert Play.from_document(play.document()) == play
    result = failed(PLAY, "b", "restart", "no such image")
    assert PlayResult.from_document(result.document()) == result


def test_the_recording_runner_answers_by_name_and_refuses_a_used_folder(tmp_path: Path) -> None:
    runner = RecordingRunner({"upgrade": lambda play: failed(play, "b", "restart", "no such image")})
    assert "no such image" in runner.run(PLAY, tmp_path / "1").message
    assert runner.run(replace(PLAY, name="pull"), tmp_path / "2").verdict
    assert [play.name for play in runner.plays] == ["upgrade", "pull"]
    with pytest.raises(FileExistsError):
        runner.run(PLAY, tmp_path / "1")
    assert runner.run(PLAY, tmp_path / "3", cancelled=lambda: True).status == "canceled"
