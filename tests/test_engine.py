"""The engine over a real journal and real supervisors: how each ending comes about, and what stands in the journal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from tests.engine_kit.place import opened
from upgrader import attempts
from upgrader.conduct import ABORT_REQUEST
from upgrader.engine import NOT_REHEARSED, Engine
from upgrader.errors import RefusedError
from upgrader.journal import StaleEpochError, acquire
from upgrader.machine import BEFORE_PAUSES, BEFORE_QUEUES
from upgrader.model import BROKER_DUE, BROKER_WHY
from upgrader.states import HOP_BUDGET, INFO, Event, Ponr, RunState, State

__all__ = ["desk", "forks", "place"]

pytestmark = pytest.mark.usefixtures("forks")


UNDISTURBED = [
    f"{stage} succeeded"
    for stage in ("preflight", "backup", "pull", "rehearse", "upgrade", "verify", "soak", "finalize")
]


def test_a_whole_hop(desk: Desk) -> None:
    desk.begin()
    ending = desk.drive()
    assert ending.kind == "done"
    assert desk.stages() == UNDISTURBED
    shot = desk.journal.snapshot()
    assert shot.run is not None and shot.run.state is RunState.DONE
    assert desk.hop.state is State.HOP_DONE and desk.hop.ponr is Ponr.CROSSED
    assert Path(desk.hop.facts["backup_set"]).is_dir()
    assert set(desk.world.at("host").values()) == {"2024.2"}
    assert shot.serial == len(UNDISTURBED)


def test_what_is_said_while_it_goes_on(desk: Desk) -> None:
    desk.begin()
    desk.drive()
    assert [data["stage"] for data in desk.words("attempt")] == [line.split()[0] for line in UNDISTURBED]
    assert [data["stage"] for data in desk.words("result")] == [line.split()[0] for line in UNDISTURBED]
    assert len(desk.words("ponr")) == 1 and len(desk.words("approved")) == 2
    steps = [event.data["name"] for event in desk.journal.events(kinds=["attempt_step"])]
    assert steps == [data["step"] for data in desk.words("progress") if data["kind"] == "step_end"]


def test_hops_one_after_the_other(desk: Desk) -> None:
    desk.begin(hops=2)
    assert desk.drive().kind == "done"
    assert desk.stages() == UNDISTURBED * 2
    assert [hop.state for hop in desk.journal.snapshot().hops] == [State.HOP_DONE] * 2
    assert set(desk.world.at("host").values()) == {"2025.1"}
    assert [data["index"] for data in desk.words("hop")] == [0, 1]


def test_no_run(desk: Desk) -> None:
    desk.begin()
    conduct = desk.session.conduct(desk.journal.snapshot())
    desk.journal.end_run(RunState.ABORTED, "anna", "changed my mind")
    assert Engine(conduct, "anna").drive().kind == "aborted"


# ---------------------------------------------------------------- waiting


def test_it_waits_for_both_approvals(desk: Desk) -> None:
    desk.begin()
    first = desk.drive(auto_approve=False)
    assert (first.kind, first.wants) == ("waiting", "hold_upgrade")
    assert not desk.world.effects(), "nothing is changed before the approval"
    assert desk.drive(auto_approve=False) == first, "asking again changes nothing"
    desk.journal.move(0, Event.APPROVE, "anna", "the window is open")
    second = desk.drive(auto_approve=False)
    assert (second.kind, second.wants) == ("waiting", "hold_finalize")
    desk.journal.move(0, Event.APPROVE, "anna", "all is well")
    assert desk.drive(auto_approve=False).kind == "done"
    assert desk.stages() == UNDISTURBED


@pytest.mark.parametrize("staged", [False, True])
def test_a_hop_that_was_rehearsed_nowhere_has_to_be_accepted(place: Path, staged: bool) -> None:
    desk = Desk(place, **({} if staged else {"staging": None, "mariadb_programs": place}))
    with opened(desk.site) as desk.session:
        desk.begin()
        ending = desk.drive()
        if staged:
            assert ending.kind == "done"
            return
        assert (ending.kind, ending.wants) == ("waiting", NOT_REHEARSED)
        assert desk.stages() == UNDISTURBED[:3]
        desk.journal.accept("something-else", "why not", "anna")
        assert desk.drive().wants == NOT_REHEARSED
        desk.journal.accept(NOT_REHEARSED, "no staging cloud", "anna")
        assert desk.drive().kind == "done"
        request = (attempts.folder_of(desk.site.state_dir, _last(desk, State.UPGRADE)) / attempts.REQUEST).read_text()
        assert "no staging cloud" in request, "attempts know what was accepted"


def test_a_hop_that_can_be_rehearsed_on_a_copy_needs_no_acceptance(place: Path) -> None:
    (place / "mariadbd").write_text("")
    (place / "mariadbd").chmod(0o755)
    desk = Desk(place, staging=None, mariadb_programs=place)
    with opened(desk.site) as desk.session:
        desk.begin()
        assert desk.drive().kind == "done"


def _last(desk: Desk, stage: State) -> str:
    run = desk.journal.snapshot().run
    assert run is not None
    return desk.journal.attempts(run.id, 0, stage)[-1].id


def test_the_operator_stops_after_an_attempt(desk: Desk) -> None:
    desk.begin()
    stop = {"now": False}

    def heard(kind: str, data: dict[str, Any]) -> None:
        stop["now"] = stop["now"] or (kind == "attempt" and data["stage"] == "backup")

    desk.session.say = heard
    ending = desk.drive(stop_wanted=lambda: stop["now"])
    assert ending.kind == "stopped" and "pull" in ending.message
    assert desk.stages() == UNDISTURBED[:2]
    assert desk.drive().kind == "done"


def test_the_operator_lets_go_and_comes_back(desk: Desk) -> None:
    desk.world.script({"backup": ["wait"]})
    desk.begin()
    let_go = {"now": False}

    def heard(kind: str, data: dict[str, Any]) -> None:
        let_go["now"] = let_go["now"] or (kind == "progress" and data["kind"] == "step_start" and _in(desk, "backup"))

    desk.session.say = heard
    ending = desk.drive(detach_wanted=lambda: let_go["now"])
    assert ending.kind == "detached" and "backup goes on" in ending.message
    shot = desk.journal.snapshot()
    assert shot.attempt is not None and attempts.running(attempts.folder_of(desk.site.state_dir, shot.attempt.id))
    attempts.cancel(attempts.folder_of(desk.site.state_dir, shot.attempt.id))
    assert desk.drive().kind == "failed_clean"
    assert desk.stages() == ["preflight succeeded", "backup canceled"]


def _in(desk: Desk, stage: str) -> bool:
    attempt = desk.journal.snapshot().attempt
    return attempt is not None and attempt.stage.value == stage


def test_a_run_of_another_law_is_not_gone_on_with(desk: Desk) -> None:
    desk.begin()
    shot = desk.journal.snapshot()
    assert shot.run is not None
    for law, goes in ((BEFORE_QUEUES, True), (BEFORE_PAUSES, True), ("0" * 64, False)):
        old = dataclasses.replace(shot, run=dataclasses.replace(shot.run, table_hash=law))
        if goes:
            assert desk.session.conduct(old)
            continue
        with pytest.raises(RefusedError, match="begun by another upgrader"):
            desk.session.conduct(old)
    assert desk.drive().kind == "done"


# ---------------------------------------------------------------- queues


MIGRATED = [*UNDISTURBED[:4], "broker succeeded", *UNDISTURBED[4:]]


def test_a_hop_without_a_migration_says_why_it_passes_the_stage_by(desk: Desk) -> None:
    desk.begin()
    desk.drive()
    assert desk.words("skipped") == [
        {"hop": "2024.1→2024.2", "stage": "broker", "why": "the plan says nothing of RabbitMQ"}
    ]
    moved = [event for event in desk.journal.events(kinds=["hop_moved"]) if event.data["event"] == "skip"]
    assert [(event.data["actor"], event.data["reason"]) for event in moved] == [
        ("engine", "the plan says nothing of RabbitMQ")
    ]
    assert desk.world.at("queues") == {"broker": "classic"}


def test_queues_are_migrated_once_a_person_approved_the_outage(desk: Desk) -> None:
    desk.begin(queues=True)
    first = desk.drive(auto_approve=False)
    assert (first.kind, first.wants) == ("waiting", "hold_broker")
    assert "full API outage" in first.message and "34 reply or fanout queues are classic" in first.message
    assert not desk.world.effects()
    desk.journal.move(0, Event.APPROVE, "anna", "the window is open")
    assert desk.drive(auto_approve=False).wants == "hold_upgrade"
    assert desk.world.at("queues") == {"broker": "durable"} and set(desk.world.at("host").values()) == {"2024.1"}
    assert desk.hop.ponr is Ponr.NO and not desk.hop.broker_open
    assert desk.drive().kind == "done"
    assert desk.stages() == MIGRATED


@pytest.mark.parametrize(
    ("planned", "seen", "auto", "wants"),
    [
        (True, "", True, ""),
        (True, "no", False, "hold_upgrade"),
        (True, "unknown", True, ""),
        (False, "yes", True, "hold_broker"),
        (False, "unknown", True, "hold_broker"),
        (False, "no", False, "hold_upgrade"),
    ],
)
def test_what_the_checks_saw_counts_and_approval_in_advance_covers_what_was_planned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, planned: bool, seen: str, auto: bool, wants: str
) -> None:
    desk.begin(queues=planned)
    facts = {BROKER_DUE: seen, BROKER_WHY: "so it was seen"} if seen else {}
    real = desk.journal.finish

    def finish(attempt: str, *args: Any, **more: Any) -> Any:
        return real(attempt, *args, **{**more, "facts": {**more.get("facts", {}), **facts}})

    monkeypatch.setattr(desk.journal, "finish", finish)
    ending = desk.drive(auto_approve=auto)
    assert ending.wants == wants
    assert wants != "hold_broker" or "so it was seen" in ending.message


@pytest.mark.parametrize("deed", ["fail", "fail_early", "inconclusive", "break"])
def test_a_migration_that_fails_wants_its_own_decision(desk: Desk, deed: str) -> None:
    desk.world.script({"broker": [deed]})
    desk.begin(queues=True)
    ending = desk.drive()
    assert ending.kind == "decide" and "the queue migration needs a decision" in ending.message
    assert desk.hop.state is State.DECIDE_BROKER and desk.hop.broker_open and desk.hop.ponr is Ponr.NO
    assert desk.drive() == ending, "nothing is repeated without a decision"
    desk.journal.move(0, Event.RETRY, "anna", "again")
    assert desk.drive().kind == "done"
    assert desk.stages() == [*UNDISTURBED[:4], "broker failed", *MIGRATED[4:]]


def test_a_migration_is_taken_back_with_the_old_queues(desk: Desk) -> None:
    desk.world.script({"broker": ["fail"]})
    desk.begin(queues=True)
    desk.drive()
    shot = desk.journal.snapshot()
    found = desk.session.ways(shot, desk.hop, desk.session.conduct(shot).plan)
    assert (found.redeploy, found.restore) == (True, False)
    desk.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)
    assert desk.drive().kind == "rolled_back"
    assert desk.world.at("queues") == {"broker": "durable"}, "the fake says it failed at its end, after the new queues"


def test_attention_about_a_migration_leads_back_to_its_decision_and_nowhere_past_it(desk: Desk) -> None:
    desk.world.script({"broker": ["fail"], "rollback_redeploy": ["fail"]})
    desk.begin(queues=True)
    desk.drive()
    desk.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)
    assert desk.drive().kind == "attention"
    for event in (Event.RECONSIDER, Event.RECHECK, Event.REOPEN):
        with pytest.raises(RefusedError):
            desk.journal.move(0, event, "anna", "past it")
    desk.journal.move(0, Event.RECONSIDER_BROKER, "anna", "looked at")
    desk.journal.move(0, Event.RETRY, "anna", "forward after all")
    assert desk.drive().kind == "done"


def test_abort_in_mid_migration_is_not_an_end(desk: Desk) -> None:
    desk.begin(queues=True)
    desk.drive(auto_approve=False)
    desk.journal.move(0, Event.APPROVE, "anna", "go")
    (desk.site.state_dir / ABORT_REQUEST).touch()
    assert desk.drive().kind == "decide"
    assert desk.hop.state is State.DECIDE_BROKER and desk.hop.broker_open


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("stage", ["preflight", "backup", "pull", "rehearse"])
@pytest.mark.parametrize("deed", ["fail", "inconclusive", "break"])
def test_before_the_upgrade_a_failure_is_clean(desk: Desk, stage: str, deed: str) -> None:
    desk.world.script({stage: [deed]})
    desk.begin()
    ending = desk.drive()
    assert ending.kind == "failed_clean" and "before any running service was changed" in ending.message
    assert desk.hop.state is State.FAILED_CLEAN and not desk.world.effects()
    assert desk.stages()[-1] == f"{stage} failed"
    desk.journal.move(0, Event.RETRY, "anna", "again")
    assert desk.hop.state is State.PREFLIGHT


def test_after_a_clean_failure_the_hop_starts_anew(desk: Desk) -> None:
    desk.world.script({"pull": ["fail"]})
    desk.begin()
    desk.drive()
    desk.journal.move(0, Event.RETRY, "anna", "again")
    assert desk.drive().kind == "done"
    assert desk.stages() == ["preflight succeeded", "backup succeeded", "pull failed", *UNDISTURBED]


@pytest.mark.parametrize(
    ("stage", "deed", "kind", "ponr"),
    [
        ("upgrade", "fail_early", "decide", Ponr.NO),
        ("upgrade", "inconclusive", "decide", Ponr.NO),
        ("upgrade", "fail", "decide", Ponr.CROSSED),
        ("upgrade", "break", "decide", Ponr.CROSSED),
        ("verify", "fail", "decide", Ponr.CROSSED),
        ("verify", "inconclusive", "waiting", Ponr.CROSSED),
        ("soak", "fail", "decide", Ponr.CROSSED),
        ("finalize", "fail", "attention", Ponr.CROSSED),
    ],
)
def test_from_the_upgrade_on_a_failure_wants_a_decision(
    desk: Desk, stage: str, deed: str, kind: str, ponr: Ponr
) -> None:
    desk.world.script({stage: [deed]})
    desk.begin()
    ending = desk.drive()
    assert (ending.kind, desk.hop.ponr) == (kind, ponr)
    assert desk.drive() == ending, "nothing is repeated without a decision"
    assert ending.wants == ("hold_verify" if kind == "waiting" else "")


def test_rolling_forward(desk: Desk) -> None:
    desk.world.script({"upgrade": ["fail"]})
    desk.begin()
    assert desk.drive().kind == "decide"
    desk.journal.move(0, Event.RETRY, "anna", "repaired")
    assert desk.drive().kind == "done"
    last = desk.journal.attempts(desk.hop.run, 0, State.UPGRADE)[-1]
    assert (last.number, last.after_interrupt) == (2, True)


@pytest.mark.parametrize(("deed", "event"), [("fail_early", Event.REDEPLOY), ("fail", Event.RESTORE)])
def test_going_back(desk: Desk, deed: str, event: Event) -> None:
    desk.world.script({"upgrade": [deed]})
    desk.begin()
    desk.drive()
    shot = desk.journal.snapshot()
    found = desk.session.ways(shot, desk.hop, desk.session.conduct(shot).plan)
    assert found.redeploy == (event is Event.REDEPLOY) and found.restore
    desk.journal.move(0, event, "anna", "back", redeploy_allowed=found.redeploy, restore_possible=found.restore)
    ending = desk.drive()
    assert ending.kind == "rolled_back" and "2024.1→2024.2" in ending.message
    assert set(desk.world.at("host").values()) | set(desk.world.at("schema").values()) == {"2024.1"}
    assert desk.world.at("settings") == {"globals": "2024.1"}


def test_a_way_back_that_fails_stops_everything(desk: Desk) -> None:
    desk.world.script({"upgrade": ["fail_early"], "rollback_redeploy": ["fail"]})
    desk.begin()
    desk.drive()
    desk.journal.move(0, Event.REDEPLOY, "anna", "back", redeploy_allowed=True)
    ending = desk.drive()
    assert ending.kind == "attention"
    shot = desk.journal.snapshot()
    assert shot.run is not None and shot.run.state is RunState.NEEDS_ATTENTION and "inconsistent" in shot.flags
    desk.journal.move(0, Event.RECONSIDER, "anna", "looked at")
    desk.journal.move(0, Event.REDEPLOY, "anna", "once more", redeploy_allowed=True)
    assert desk.drive().kind == "rolled_back"
    assert "inconsistent" not in desk.journal.snapshot().flags


# ---------------------------------------------------------------- aborting


def test_abort_is_asked_for_while_a_stage_runs(desk: Desk) -> None:
    desk.world.script({"pull": ["wait"]})
    desk.begin()
    request = desk.site.state_dir / ABORT_REQUEST

    def heard(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["kind"] == "step_start" and _in(desk, "pull"):
            request.touch()

    desk.session.say = heard
    ending = desk.drive()
    assert ending.kind == "aborted"
    assert desk.stages() == ["preflight succeeded", "backup succeeded", "pull canceled"]
    assert not request.exists() and not desk.world.effects()


@pytest.mark.parametrize("at", ["pending", "rehearse", "hold_upgrade", "failed_clean"])
def test_abort_is_asked_for_at_rest(place: Path, at: str) -> None:
    desk = Desk(place, **({"staging": None, "mariadb_programs": place} if at == "rehearse" else {}))
    desk.world.script({"preflight": ["fail"]} if at == "failed_clean" else {})
    with opened(desk.site) as desk.session:
        desk.begin()
        if at != "pending":
            desk.drive(auto_approve=False)
        assert desk.hop.state.value == at
        (desk.site.state_dir / ABORT_REQUEST).touch()
        assert desk.drive().kind == "aborted"


def test_abort_after_the_upgrade_began_is_not_an_end(desk: Desk) -> None:
    """It takes the hop back to where a person decides; a half-done upgrade is never left as if it were nothing."""
    desk.begin()
    desk.drive(auto_approve=False)
    desk.journal.move(0, Event.APPROVE, "anna", "go")
    desk.drive(auto_approve=False)
    assert desk.hop.state is State.HOLD_FINALIZE
    (desk.site.state_dir / ABORT_REQUEST).touch()
    assert desk.drive().kind == "decide"
    assert not (desk.site.state_dir / ABORT_REQUEST).exists()


# ---------------------------------------------------------------- limits and owners


def test_a_stage_that_dies_again_and_again_is_not_started_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPGRADER_FAILPOINT", "supervisor.started")
    desk.begin()
    ending = desk.drive()
    assert ending.kind == "attention" and "preflight was tried 3 times" in ending.message
    assert desk.stages() == ["preflight unknown"] * INFO[State.PREFLIGHT].budget
    assert len(desk.words("lost")) == 3
    assert HOP_BUDGET > 3


def test_an_upgrade_that_never_came_to_anything_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at the cloud shows that nothing was changed; twice, and a person has to look."""
    desk.begin()
    desk.drive(auto_approve=False)
    desk.journal.move(0, Event.APPROVE, "anna", "go")
    monkeypatch.setenv("UPGRADER_FAILPOINT", "supervisor.started")
    ending = desk.drive()
    assert ending.kind == "attention"
    assert [data["event"] for data in desk.words("lost")] == ["probed_untouched"] * 2
    assert desk.hop.ponr is Ponr.NO and not desk.world.effects()


def test_an_owner_that_was_replaced_writes_nothing(desk: Desk) -> None:
    desk.begin()
    desk.drive(auto_approve=False)
    before = desk.journal.snapshot().last_seq
    lease = desk.session.journal
    old = dataclasses.replace(desk.session.conduct(desk.journal.snapshot()))
    lease._connection.execute("UPDATE meta SET epoch = epoch + 1")
    try:
        with pytest.raises(StaleEpochError, match="replaced"):
            Engine(old, "anna", auto_approve=True).drive()
        assert desk.journal.snapshot().last_seq == before
    finally:
        lease._connection.execute("UPDATE meta SET epoch = epoch - 1")


def test_a_second_owner_is_refused_while_the_first_lives(desk: Desk) -> None:
    from upgrader.errors import LockedError

    with pytest.raises(LockedError, match="another upgrader is at work"):
        acquire(desk.site.state_dir, "run")
