"""What the folder of an attempt tells, also of one that was killed, torn, or is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.diagnose_kit import ATTEMPT, events
from upgrader import attempts
from upgrader.diagnose.story import BEFORE, WORDS, story_of
from upgrader.journal.rows import AttemptRow, HopRow
from upgrader.runner.base import Play, PlayResult
from upgrader.states import AttemptState, Ponr, State

HOP = HopRow("run", 0, "2024.1", "2024.2", State.DECIDE, "", Ponr.NO, True, False, 1, "")


def row(state: AttemptState = AttemptState.FAILED, **changes) -> AttemptRow:
    values = {
        "id": ATTEMPT, "run": "run", "hop": 0, "stage": State.UPGRADE, "number": 2, "key": "", "request_sha256": "",
        "state": state, "epoch": 1, "boot": "", "pid": 1, "after_interrupt": False, "step": "ground", "steps": 1,
        "message": "upgrade: ctl1 failed", "intended_at": "2026-11-22T03:00:00Z",
        "launched_at": "2026-11-22T03:00:01Z", "finished_at": "2026-11-22T03:20:00Z",
    }  # fmt: skip
    return AttemptRow(**{**values, **changes})


TASKS = [{"kind": "play_start", "play": "Apply role keystone"}]
for _number in range(20):
    TASKS += [
        {"kind": "task_start", "role": "keystone", "task": f"keystone : task {_number}"},
        {"kind": "host_ok", "host": "ctl1", "task": f"keystone : task {_number}"},
    ]
TASKS += [
    {"kind": "task_start", "role": "keystone", "task": "keystone : rescued"},
    {"kind": "host_failed", "host": "ctl3", "task": "keystone : rescued", "message": "rescued later"},
    {"kind": "task_start", "role": "keystone", "task": "keystone : Bootstrap"},
    {
        "kind": "host_failed", "host": "ctl1", "role": "keystone", "play": "Apply role keystone",
        "task": "keystone : Bootstrap", "message": "it broke", "module": "kolla_container", "path": "/r/x.yml:2",
    },
]  # fmt: skip
STATS = {
    "kind": "stats",
    "stats": {
        "ok": {"ctl1": 20}, "changed": {}, "failures": {"ctl1": 1}, "dark": {}, "processed": {"ctl1": 1, "ctl3": 1},
        "skipped": {}, "rescued": {"ctl3": 1}, "ignored": {},
    },
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an attempt whose play failed on ctl1."""
    place = tmp_path / ATTEMPT
    play = place / "plays" / "01-upgrade"
    play.mkdir(parents=True)
    document = Play("upgrade", Path("/t"), Path("/p.yml"), (), expected_hosts=("ctl1", "ctl3")).document()
    (play / "play.json").write_text(json.dumps({"play": document, "ident": "i"}))
    (play / "events.jsonl").write_text(events(*TASKS, STATS))
    result = {
        "changed": False,
        "msg": "it broke",
        "rc": 1,
        "stderr": "Traceback\nDBError: x",
        "stdout": "",
        "stderr_lines": [],
    }
    (play / "output.log").write_text(
        f"TASK [keystone : Bootstrap]\nfatal: [ctl1 -> ctl2]: FAILED! => {json.dumps(result)}\n"
        "fatal: [ctl9]: FAILED! => {}\n"
    )
    (play / "result.json").write_text(json.dumps({**PlayResult("upgrade", "failed", 2).document(), "ident": "i"}))
    for name in ("request.json", "started.json"):
        (place / name).write_text(json.dumps({"attempt": ATTEMPT, "boot_id": "b"}))
    steps = [{"name": "ground", "code": "success"}, {"name": "kolla-ansible upgrade", "code": "failure"}]
    finding = {"id": "galera", "code": "failure", "message": "not Synced", "next": "wait"}
    outcome = {"verdict": "failed", "message": "upgrade: ctl1 failed", "steps": steps, "findings": [finding]}
    (place / "exit.json").write_text(json.dumps({"attempt": ATTEMPT, "outcome": outcome}))
    return place


def test_the_failure_with_everything_it_said(folder):
    told = story_of(row(), HOP, 3, folder)
    (failed,) = told.failures
    assert (failed.host, failed.module, failed.path, failed.play) == (
        "ctl1",
        "kolla_container",
        "/r/x.yml:2",
        "Apply role keystone",
    )
    assert "rc: 1" in failed.words and "DBError: x" in failed.words
    assert (told.step, told.play, told.hop_number, told.hops) == ("kolla-ansible upgrade", "upgrade", 1, 3)
    assert told.moment == failed.at and told.moment_how == "the time of the failed task"
    assert told.findings == (("galera", "not Synced", "wait"),)


def test_a_failure_that_was_rescued_is_none(folder):
    assert [one.host for one in story_of(row(), HOP, 3, folder).failures] == ["ctl1"]


def test_the_tasks_before_it(folder):
    before = story_of(row(), HOP, 3, folder).before
    assert len(before) == BEFORE
    assert before[-1].task == "keystone : Bootstrap" and before[-1].result == "failed 1"
    assert before[-3].task == "keystone : task 19" and before[-3].result == "ok 1"


def test_a_play_that_was_killed_tells_its_last_task(folder):
    play = folder / "plays" / "01-upgrade"
    (play / "result.json").unlink()
    (play / "events.jsonl").write_text(events(*TASKS[:11]) + '{"counter": 99, "ki')
    (folder / "exit.json").unlink()
    told = story_of(row(AttemptState.LAUNCHED, message="", finished_at=""), HOP, 3, folder)
    assert told.verdict == "interrupted" and told.failures == ()
    assert told.before[-1].task == "keystone : task 4"
    assert told.moment_how == "the last thing its play reported"


def test_long_words_keep_their_end(folder):
    play = folder / "plays" / "01-upgrade"
    said = json.dumps({"msg": "x" * 30_000 + "THE END"})
    (play / "output.log").write_text(f"fatal: [ctl1]: FAILED! => {said}\n")
    words = story_of(row(), HOP, 3, folder).failures[0].words
    assert words.endswith("THE END") and len(words) < WORDS + 100


@pytest.mark.parametrize("line", ["fatal: [ctl1]: FAILED! => {broken", "no fatal line", "fatal: [ctl1]: FAILED! => []"])
def test_an_output_that_is_not_as_expected_is_no_trouble(folder, line):
    (folder / "plays/01-upgrade/output.log").write_text(line)
    assert story_of(row(), HOP, 3, folder).failures[0].message == "it broke"


def test_torn_files_and_a_missing_folder(folder, tmp_path):
    for name in ("exit.json", "request.json", "started.json"):
        (folder / name).write_text("{")
    assert story_of(row(), HOP, 3, folder).failures
    told = story_of(row(), HOP, 3, tmp_path / "gone")
    assert told.moment == "2026-11-22T03:20:00Z" and told.message == "upgrade: ctl1 failed"


def test_an_attempt_without_a_play_has_the_time_of_its_last_word(folder):
    import shutil

    shutil.rmtree(folder / "plays")
    line = {"at": "2026-11-22T03:11:00.000+00:00", "kind": "step_start", "step": "ground"}
    (folder / attempts.PROGRESS).write_text(json.dumps(line) + "\n")
    assert story_of(row(), HOP, 3, folder).moment == "2026-11-22T03:11:00.000+00:00"


def test_several_hosts_are_told_in_the_order_they_failed(folder):
    many = [
        {"kind": "host_unreachable", "host": f"cmp{number}", "task": "x", "message": "timed out"} for number in range(8)
    ]
    stats = {**STATS, "stats": {**STATS["stats"], "failures": {}, "dark": {f"cmp{n}": 1 for n in range(8)}}}
    (folder / "plays/01-upgrade/events.jsonl").write_text(events(*TASKS, *many, stats))
    told = story_of(row(), HOP, 3, folder)
    assert [one.host for one in told.failures] == ["cmp0", "cmp1", "cmp2", "cmp3", "cmp4"]
    assert told.more_failures == 3 and all(one.unreachable for one in told.failures)
