"""The supervisor: one run per folder, a record whatever happens, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process_kit import is_over, playing, text_of, until, wait_until
from tests.runner_kit import HOSTS, REPO, play
from tests.test_attempts import request
from upgrader import attempts, durable, processes, supervisor
from upgrader.attempts import Judgement, judge
from upgrader.model import AttemptRequest, StageOutcome


def begin(state: Path, stage: str, *arguments: str, env: dict[str, str] | None = None) -> tuple[Path, int]:
    """Create an attempt and start its supervisor detached, the way the engine does."""
    asked = request().model_copy(update={"state_dir": str(state)})
    folder = attempts.create(state, AttemptRequest.model_validate(asked.model_dump()))
    path = {"PYTHONPATH": str(REPO), **(env or {})}
    return folder, attempts.spawn(folder, run=f"tests.attempt_stages:{stage}", env=path)


def test_what_is_carried_is_in_memory_alone(tmp_path: Path) -> None:
    """The operator's variables for programs that fetch secrets: no environment, no file and no open descriptor."""
    asked = request().model_copy(update={"state_dir": str(tmp_path)})
    folder = attempts.create(tmp_path, AttemptRequest.model_validate(asked.model_dump()))
    carry = {"CARRIED": "canary-carried-4711"}
    attempts.spawn(folder, run="tests.attempt_stages:carried_here", env={"PYTHONPATH": str(REPO)}, carry=carry)
    lines: list[dict[str, Any]] = []
    assert judge(attempts.follow(folder, on_progress=lines.append)) is Judgement.FINISHED
    (told,) = [line for line in lines if line["kind"] == "note"]
    wanted = {"length": len(carry["CARRIED"]), "in_environment": False, "descriptor": False, "left_open": 0}
    assert wanted.items() <= told.items()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


def supervise(folder: Path, stage: str = "good", *arguments: str) -> int:
    """Run a supervisor in the foreground; its exit code."""
    command = [sys.executable, "-m", "upgrader.supervisor", str(folder), "--run", f"tests.attempt_stages:{stage}"]
    env = {**os.environ, "PYTHONPATH": str(REPO), processes.ATTEMPT: folder.name}
    with (folder / "foreground.log").open("wb") as log:
        return subprocess.run([*command, *arguments], env=env, stdout=log, stderr=log, check=False).returncode


def begun(folder: Path) -> None:
    """Wait until the stage has said that it works."""
    wait_until((folder / attempts.PROGRESS).exists, "the stage's first step")


def record(folder: Path) -> dict[str, Any]:
    document = durable.read_json(folder / attempts.EXIT).document
    assert document is not None
    return dict(document)


def test_a_stage_runs_and_its_outcome_is_recorded(tmp_path: Path) -> None:
    folder, _ = begin(tmp_path, "good")
    lines: list[dict[str, Any]] = []
    evidence = attempts.follow(folder, on_progress=lines.append)
    assert judge(evidence) is Judgement.FINISHED
    written = record(folder)
    assert StageOutcome.model_validate_json(json.dumps(written["outcome"])).message == "all is well"
    assert written["strays"] == 0 and written["boot_id"] == processes.boot_id()
    assert [line["kind"] for line in lines] == ["step_start"]
    assert evidence.started_document is not None and evidence.started_document["adopts"] is True


def test_a_folder_is_supervised_once(tmp_path: Path) -> None:
    folder, _ = begin(tmp_path, "good")
    attempts.follow(folder)
    before = (folder / attempts.EXIT).read_bytes()
    assert supervise(folder) == supervisor.USED
    (folder / attempts.EXIT).unlink()
    assert supervise(folder) == supervisor.USED, "having started is enough"
    assert (tmp_path / "marks").read_text() == "done\n"
    assert before and not (folder / attempts.EXIT).exists()


def test_two_at_once_run_once(tmp_path: Path) -> None:
    folder, _ = begin(tmp_path, "waits_for_cancel")
    begun(folder)
    assert supervise(folder) == supervisor.BUSY
    assert judge(attempts.evidence(folder)) is Judgement.RUNNING
    attempts.cancel(folder)
    assert judge(attempts.follow(folder)) is Judgement.FINISHED
    assert record(folder)["outcome"]["verdict"] == "canceled"


def test_a_void_attempt_does_not_start(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    assert attempts.void(folder)
    assert supervise(folder) == supervisor.VOIDED
    assert not (folder / attempts.STARTED).exists()


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"attempt": 1}', b"other"])
def test_an_unusable_request_starts_nothing(tmp_path: Path, content: bytes | None) -> None:
    folder = attempts.create(tmp_path, request())
    if content is None:
        (folder / attempts.REQUEST).unlink()
    elif content == b"other":
        (folder / attempts.REQUEST).write_text(json.dumps(request().document()))
    else:
        (folder / attempts.REQUEST).write_bytes(content)
    assert supervise(folder) == supervisor.UNREADABLE
    assert not (folder / attempts.STARTED).exists()
    assert attempts.void(folder)


@pytest.mark.parametrize("stage", ["leaky", "exits", "senseless", "no_such_stage"])
def test_whatever_a_stage_does_there_is_a_record(tmp_path: Path, stage: str) -> None:
    folder, _ = begin(tmp_path, stage)
    assert judge(attempts.follow(folder)) is Judgement.FINISHED
    outcome = StageOutcome.model_validate_json(json.dumps(record(folder)["outcome"]))
    assert outcome.verdict == "failed" and "broke off" in outcome.message
    assert outcome.schema_started is None
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"canary-4711" not in written
    if stage == "leaky":
        assert b"printed ********" in written and b"could not log in with ********" in written


def test_a_log_that_cannot_be_written_costs_no_record(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    command = [sys.executable, "-m", "upgrader.supervisor", str(folder), "--run", "tests.attempt_stages:senseless"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPO)}, stderr=full, check=False)
    assert done.returncode == 0
    assert record(folder)["outcome"]["verdict"] == "failed"


def test_descendants_are_awaited_wherever_they_went(tmp_path: Path) -> None:
    folder, _ = begin(tmp_path, "leaves_children")
    evidence = attempts.follow(folder)
    assert (tmp_path / "marks").read_text() == "late\nlate\n"
    assert judge(evidence) is Judgement.FINISHED
    assert record(folder)["strays"] == 2 and record(folder)["ended_by_us"] == 0


def test_descendants_that_never_end_are_ended(tmp_path: Path) -> None:
    folder = attempts.create(tmp_path, request())
    assert supervise(folder, "lingers", "--patience", "0.2") == 0
    assert record(folder)["strays"] == 1 and record(folder)["ended_by_us"] == 1
    assert not processes.carrying(processes.ATTEMPT, folder.name)


def test_sigterm_is_a_request_to_stop(tmp_path: Path) -> None:
    folder, pid = begin(tmp_path, "waits_for_cancel")
    begun(folder)
    os.kill(pid, signal.SIGHUP)  # first, for the other one ends it
    os.kill(pid, signal.SIGTERM)
    attempts.follow(folder)
    assert record(folder)["outcome"]["verdict"] == "canceled"


def test_it_is_detached_and_gets_nothing_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "canary-4711")
    folder, _ = begin(tmp_path, "environment")
    attempts.follow(folder)
    facts = dict(record(folder)["outcome"]["facts"])
    assert facts["sid"] == facts["pid"]
    assert facts[processes.ATTEMPT] == folder.name
    assert "OS_PASSWORD" not in facts


@pytest.mark.parametrize(
    ("point", "judgement"),
    [
        ("supervisor.locked", Judgement.NEVER_STARTED),
        ("supervisor.started", Judgement.UNKNOWN),
        ("supervisor.stage_done", Judgement.UNKNOWN),
        ("supervisor.waited", Judgement.UNKNOWN),
        ("supervisor.exit_written", Judgement.FINISHED),
    ],
)
def test_killed_at_each_point(tmp_path: Path, point: str, judgement: Judgement) -> None:
    folder, _ = begin(tmp_path, "good", env={durable.FAILPOINT: point})
    assert judge(attempts.follow(folder)) is judgement
    ran = (tmp_path / "marks").exists()
    assert ran == (point not in {"supervisor.locked", "supervisor.started"})
    assert attempts.void(folder) == (judgement is Judgement.NEVER_STARTED)


def _play(tmp_path: Path, tasks: str, **changes: object) -> None:
    durable.write_json(tmp_path / "play.json", play(tmp_path, tasks, **changes).document())


def test_a_stage_with_a_real_play(tmp_path: Path) -> None:
    _play(tmp_path, "- name: Running nova bootstrap\n  debug: msg=canary-4711", watch=("bootstrap",), closing=True)
    folder, _ = begin(tmp_path, "plays")
    lines: list[dict[str, Any]] = []
    evidence = attempts.follow(folder, on_progress=lines.append)
    assert judge(evidence) is Judgement.FINISHED and evidence.contradictions == ()
    written = record(folder)
    assert written["outcome"]["schema_started"] is True
    assert written["plays"][0]["verdict"] is True and sorted(written["plays"][0]["stats"]["ok"]) == sorted(HOSTS)
    assert written["tree"] == attempts.tree_hash(folder)
    assert evidence.watched == ("Running nova bootstrap",)
    assert [line["kind"] for line in lines] == ["play_start", "task_start", "stats", "play_end"]
    assert lines[1]["watched"] is True
    assert b"canary-4711" not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("closing", [True, False])
def test_the_play_outlives_its_supervisor_and_keeps_the_lock(tmp_path: Path, closing: bool) -> None:
    mark, gate = tmp_path / "marks", tmp_path / "gate"
    _play(
        tmp_path,
        f"- name: a\n  shell: 'echo a >> {mark}; {until(gate)}'\n- name: b\n  shell: 'echo b >> {mark}'",
        closing=closing,
    )
    folder, pid = begin(tmp_path, "plays")
    wait_until(lambda: text_of(mark), "the first task")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_over(pid), "the supervisor's death")
    assert judge(attempts.evidence(folder)) is Judgement.RUNNING
    assert supervise(folder) == supervisor.BUSY
    gate.touch()
    evidence = attempts.follow(folder)
    assert mark.read_text() == "a\n" * 3 + "b\n" * 3
    assert judge(evidence) is (Judgement.ARTIFACT if closing else Judgement.UNKNOWN)
    result = evidence.plays[0].result
    assert result is not None and result.verdict


def test_a_play_can_be_canceled_after_its_supervisor_died(tmp_path: Path) -> None:
    mark, gate = tmp_path / "marks", tmp_path / "gate"
    _play(
        tmp_path,
        f"- name: a\n  shell: 'echo a >> {mark}; {until(gate)}'\n- name: b\n  shell: 'echo b >> {mark}'",
        closing=True,
    )
    folder, pid = begin(tmp_path, "plays")
    wait_until(lambda: text_of(mark) == "a\n" * 3, "the first task on every host")
    os.kill(pid, signal.SIGKILL)
    (playbook,) = playing("playbook", processes.ATTEMPT, folder.name)
    attempts.cancel(folder)
    wait_until(lambda: is_over(playbook), "the end of ansible-playbook")
    gate.touch()
    evidence = attempts.follow(folder)
    assert mark.read_text() == "a\n" * 3
    assert judge(evidence) is Judgement.ARTIFACT
    assert evidence.plays[0].result is not None and evidence.plays[0].result.status == "canceled"
