"""What `resume` decides when the engine does not go on by itself: every such rest leads somewhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from upgrader.cli.resume_cmd import decide, go_on
from upgrader.engine import Ending
from upgrader.states import Event, State

__all__ = ["desk", "forks", "place"]

pytestmark = pytest.mark.usefixtures("forks")
QUIET: Any = lambda _kind, _data: None  # noqa: E731


def resume(desk: Desk) -> Ending:
    """As the verb does it."""
    return go_on(desk.session, QUIET, desk.drive)


@pytest.mark.parametrize(
    "stage",
    [
        "preflight",
        "upgrade",
        "finalize",
        *(pytest.param(stage, marks=pytest.mark.slow) for stage in ("backup", "pull", "rehearse", "verify", "soak")),
    ],
)
def test_a_stage_that_was_tried_too_often(desk: Desk, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Its supervisors die of something that a person then mends. `resume` is that person's word to try again."""
    desk.begin()

    def heard(kind: str, data: dict[str, Any]) -> None:
        if kind == "attempt" and data["stage"] == stage:
            monkeypatch.setenv("UPGRADER_FAILPOINT", "supervisor.started")

    desk.session.say = heard
    assert desk.drive().kind == "attention"
    assert desk.hop.state.value == stage
    desk.session.say = QUIET
    monkeypatch.delenv("UPGRADER_FAILPOINT")
    assert desk.drive().kind == "attention", "the engine alone does not go on"
    ending = resume(desk)
    assert ending.kind == "done"


@pytest.mark.parametrize("stage", ["rollback_redeploy", "verify_old"])
def test_a_way_back_that_was_tried_too_often(desk: Desk, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    desk.world.script({"upgrade": ["fail_early"]})
    desk.begin()
    desk.drive()
    desk.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)

    def heard(kind: str, data: dict[str, Any]) -> None:
        if kind == "attempt" and data["stage"] == stage:
            monkeypatch.setenv("UPGRADER_FAILPOINT", "supervisor.started")

    desk.session.say = heard
    assert desk.drive().kind == "attention"
    desk.session.say = QUIET
    monkeypatch.delenv("UPGRADER_FAILPOINT")
    assert resume(desk).kind == "rolled_back"


def test_a_stop_is_not_a_stage_that_was_tried_too_often(desk: Desk) -> None:
    desk.begin()
    assert desk.drive(stop_wanted=lambda: desk.hop.state is State.PULL).kind == "stopped"
    assert not decide(desk.session, QUIET)
    assert desk.hop.state is State.PULL


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ({"pull": ["fail"]}, ["failed_clean", "done"]),
        ({"upgrade": ["fail"]}, ["decide", "done"]),
        ({"verify": ["inconclusive"]}, ["waiting", "done"]),
        ({"finalize": ["fail"]}, ["attention", "done"]),
        ({"upgrade": ["fail", "fail"]}, ["decide", "decide", "done"]),
    ],
)
def test_one_decision_per_command(desk: Desk, script: dict[str, list[str]], kinds: list[str]) -> None:
    desk.world.script(script)
    desk.begin()
    assert [desk.drive().kind, *(resume(desk).kind for _ in kinds[1:])] == kinds


def test_what_fails_under_the_command_comes_back_to_the_operator(desk: Desk) -> None:
    """Approved, then resumed: the upgrade fails once, and is not tried again without another word."""
    desk.world.script({"upgrade": ["fail"]})
    desk.begin()
    assert desk.drive(stop_wanted=lambda: desk.hop.state is State.UPGRADE).kind == "stopped"
    assert resume(desk).kind == "decide"
    assert len(desk.journal.attempts(desk.hop.run, 0, State.UPGRADE)) == 1
    assert resume(desk).kind == "done"


def test_the_mend_a_failed_check_names_is_what_the_operator_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming first would fail in the same place again."""
    from types import SimpleNamespace

    from upgrader.cli import driving

    finding = {"code": "failure", "next": "upgrader toolchain build 2025.2"}
    other = {"code": "warning", "next": "upgrader nonsense"}
    rows = [
        SimpleNamespace(kind="attempt_finished", seq=7, data={"evidence": {"findings": [finding, other, finding]}}),
        SimpleNamespace(kind="attempt_finished", seq=3, data={"evidence": {"findings": [other | {"code": "failure"}]}}),
        SimpleNamespace(kind="hop_moved", seq=8, data={}),
    ]
    desk.begin()
    monkeypatch.setattr("upgrader.journal.Journal.snapshot", lambda _self, recent=10: SimpleNamespace(recent=rows))
    assert driving._mends(desk.session.site) == ["upgrader toolchain build 2025.2"]
