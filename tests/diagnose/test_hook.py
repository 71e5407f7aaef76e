"""The engine has a diagnosis written when what touches the cloud fails, and is never changed by it."""

from __future__ import annotations

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from tests.test_conduct import Left
from upgrader.conduct import DIAGNOSED, settle
from upgrader.states import STAGES, AttemptState, State

__all__ = ["desk", "forks", "place"]
pytestmark = pytest.mark.usefixtures("forks")


def _settled(desk: Desk, stage: State, verdict: str, answer=(None, "")):
    """(what the hook was called with, what was said, state of the attempt and of the hop at the end)."""
    left = Left(desk, stage)
    left.started()
    left.outcome(verdict)
    snapshot = desk.journal.snapshot()
    conduct = desk.session.conduct(snapshot) if hasattr(desk, "session") else left.conduct()
    asked, said = [], []

    def diagnose(attempt, _stop):
        asked.append((attempt, desk.journal.snapshot().last_attempt.state))
        return answer

    conduct.diagnose = diagnose
    conduct.say = lambda kind, data: said.append((kind, data))
    settle(conduct, snapshot, lambda: False)
    after = desk.journal.snapshot()
    return asked, said, after.last_attempt.state, after.hop.state, left.row.id


def test_a_failed_upgrade_is_diagnosed_once_its_result_is_recorded(desk):
    asked, said, state, hop, attempt = _settled(desk, State.UPGRADE, "failed", (desk.site.file, ""))
    assert asked == [(attempt, AttemptState.FAILED)]
    assert (state, hop) == (AttemptState.FAILED, State.DECIDE)
    assert ("diagnosed", {"file": str(desk.site.file), "why": ""}) in said


@pytest.mark.parametrize(
    ("stage", "verdict"),
    [(State.UPGRADE, "succeeded"), (State.UPGRADE, "canceled"), (State.PREFLIGHT, "failed"), (State.PULL, "failed")],
)
def test_what_went_well_or_touched_nothing_is_not(desk, stage, verdict):
    assert _settled(desk, stage, verdict)[0] == []


def test_a_diagnosis_that_cannot_be_made_is_said_and_changes_nothing(desk):
    asked, said, state, hop, _ = _settled(desk, State.UPGRADE, "failed", (None, "OSError: disk full"))
    assert asked and (state, hop) == (AttemptState.FAILED, State.DECIDE)
    assert ("diagnosed", {"file": "", "why": "OSError: disk full"}) in said


def test_stages_that_are_diagnosed():
    assert DIAGNOSED & set(STAGES) == DIAGNOSED
    assert {State.BROKER, State.UPGRADE, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE, State.VERIFY} <= DIAGNOSED
    assert State.BACKUP not in DIAGNOSED
