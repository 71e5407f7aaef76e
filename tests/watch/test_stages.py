"""Every stage of the hop says whether it is done, goes on, waits, or is not needed any more."""

from __future__ import annotations

from pathlib import Path

from tests.watch_kit import Going, going
from upgrader.states import AttemptState, Event, State
from upgrader.watch.sample import Watcher


def states(run: Going) -> dict[str, str]:
    return {line.name: line.state for line in Watcher(run.site).sample().stages}


def test_before_a_stage_begins_it_waits(tmp_path: Path):
    with going(tmp_path) as run:
        found = states(run)
    assert found == {
        "preflight": "done", "backup": "done", "pull": "done", "rehearse": "done", "upgrade": "waits",
        "verify": "next", "soak": "next", "finalize": "next",
    }  # fmt: skip
    assert "broker" not in found, "this hop migrates no queue"


def test_a_hold_belongs_to_the_stage_behind_it(tmp_path: Path):
    with going(tmp_path, State.HOLD_BROKER) as run:
        found = states(run)
    assert found["rehearse"] == "done" and found["upgrade"] == "next"


def test_tried_again(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.end(AttemptState.FAILED, Event.FAILED)
        assert states(run)["upgrade"] == "failed"
        run.journal.move(0, Event.RETRY, "anna", "once more")
        run.begin()
        with run.locked():
            line = next(line for line in Watcher(run.site).sample().stages if line.name == "upgrade")
            assert (line.state, line.attempts, line.seconds) == ("now", 2, None)
        run.end()
        assert states(run)["upgrade"] == "done" and states(run)["verify"] == "waits"


def test_the_way_back_stands_behind_them(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
        run.end(AttemptState.FAILED, Event.FAILED)
        run.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)
        found = states(run)
        assert (found["upgrade"], found["verify"], found["rollback_redeploy"]) == ("failed", "passed", "waits")
        run.stage = State.ROLLBACK_REDEPLOY
        run.begin()
        with run.locked():
            assert states(run)["rollback_redeploy"] == "now"


def test_work_that_died_is_interrupted(tmp_path: Path):
    with going(tmp_path) as run:
        run.begin()
    assert states(run)["upgrade"] == "interrupted"
