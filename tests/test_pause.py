"""The rest between two hops: asked for by the site or by whoever runs, kept in the journal, ended by a person only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.desk import Desk, desk, place
from tests.engine_kit.forked import forks
from tests.engine_kit.place import opened
from tests.journal_kit.history import broken_laws
from upgrader.cli.abort_cmd import told
from upgrader.cli.closing import what_is_lost
from upgrader.cli.resume_cmd import go_on
from upgrader.cli.rollback_cmd import _hop
from upgrader.conduct import ABORT_REQUEST
from upgrader.engine import Ending
from upgrader.errors import RefusedError
from upgrader.hop_rules import PAUSE, HopRules, pause_words, pauses
from upgrader.journal import open_journal
from upgrader.journal.errors import InvariantError
from upgrader.states import Event, RunState, State
from upgrader.status import Evidence, Verdict, choices, judge_status
from upgrader.views.status import status_page
from upgrader.views.terminal import plain_text

__all__ = ["desk", "forks", "place"]

pytestmark = pytest.mark.usefixtures("forks")
QUIET: Any = lambda _kind, _data: None  # noqa: E731
HOP = ("preflight", "backup", "pull", "rehearse", "upgrade", "verify", "soak", "finalize")


def asked(desk: Desk, wanted: bool = True) -> None:
    run = desk.journal.snapshot().run
    assert run is not None
    desk.session.pause_between_hops(wanted, run.plan_sha256)


def resume(desk: Desk) -> Ending:
    """As the verb does it."""
    return go_on(desk.session, QUIET, desk.drive)


def rests(desk: Desk) -> list[tuple[int | None, str, str]]:
    moves = [event for event in desk.journal.events(kinds=["hop_moved"]) if State.HOLD_HOP in event.data.values()]
    return [(event.hop, event.data["event"], event.data["actor"]) for event in moves]


def test_a_run_rests_after_a_hop_whatever_was_approved_in_advance(desk: Desk) -> None:
    desk.begin(hops=2)
    asked(desk)
    first = desk.drive(auto_approve=True)
    assert (first.kind, first.wants) == ("waiting", "hold_hop")
    assert first.message == ("2024.1→2024.2 is done; the run rests, and 2024.2→2025.1 waits for a word to begin.")
    assert desk.drive(auto_approve=True) == first, "asking again changes nothing"
    assert desk.stages() == [f"{stage} succeeded" for stage in HOP]
    assert [choice.command for choice in choices(Verdict.WAITING, desk.hop)] == [
        "upgrader resume", "upgrader approve", "upgrader abort",
    ]  # fmt: skip
    desk.journal.move(1, Event.APPROVE, "anna", "after the weekend")
    assert desk.hop.state is State.PREFLIGHT
    assert desk.drive().kind == "done"
    assert desk.stages() == [f"{stage} succeeded" for stage in HOP] * 2
    assert rests(desk) == [(1, "pause", "engine"), (1, "approve", "anna")]


def test_resume_is_the_word_to_go_on_and_each_rest_wants_its_own(desk: Desk) -> None:
    desk.begin(hops=3)
    asked(desk)
    for hop in (1, 2):
        assert resume(desk).wants == "hold_hop"
        assert (desk.hop.index, desk.hop.state) == (hop, State.HOLD_HOP)
    assert resume(desk).kind == "done"
    assert rests(desk) == [
        (hop, event, who) for hop in (1, 2) for event, who in (("pause", "engine"), ("approve", "anna"))
    ]
    assert set(desk.world.at("host").values()) == {"2025.2"}


def test_a_command_that_was_given_before_the_rest_is_no_word_to_end_it(desk: Desk) -> None:
    """Stopped (or killed) with the hop done and the rest not yet come: `resume` comes to the rest and no further."""
    desk.begin(hops=2)
    asked(desk)
    assert desk.drive(stop_wanted=lambda: desk.hop.state is State.PENDING and desk.hop.index == 1).kind == "stopped"
    assert (desk.hop.index, desk.hop.state) == (1, State.PENDING)
    assert resume(desk).wants == "hold_hop"
    assert resume(desk).kind == "done"


def test_the_sites_rule_holds_unless_whoever_runs_says_otherwise(place: Path) -> None:
    desk = Desk(place, hops=HopRules(pause_between_hops=True))
    with opened(desk.site) as desk.session:
        desk.begin(hops=2)
        assert desk.drive().wants == "hold_hop"
        asked(desk, wanted=False)
        assert desk.drive().wants == "hold_hop", "a rest that came is ended by a person"
        assert not desk.session._pauses(desk.journal.snapshot()), "no second one would come"
        assert resume(desk).kind == "done"
        assert broken_laws(desk.journal.events()) == []


def test_nobody_rests_unasked_and_no_word_is_for_another_plan() -> None:
    said = {PAUSE: pause_words(True, "a" * 64)}
    assert pauses(HopRules(), said, "a" * 64)
    assert not pauses(HopRules(), said, "b" * 64)
    assert not pauses(HopRules(), {}, "a" * 64)
    assert not pauses(HopRules(True), {PAUSE: pause_words(False, "a" * 64)}, "a" * 64)
    assert pauses(HopRules(True), {PAUSE: pause_words(False, "a" * 64)}, "b" * 64)


def test_status_says_what_it_waits_for_and_what_is_over(desk: Desk) -> None:
    desk.begin(hops=2)
    asked(desk)
    desk.drive()
    with open_journal(desk.site.state_dir, readonly=True) as journal:
        shot = journal.snapshot()
        report = judge_status(desk.site, shot, Evidence(plan=journal.plan(shot.run.id if shot.run else "")))
    said = plain_text(status_page(report), width=100)
    assert "WAITING for you in hop 2 of 2 (2024.2 → 2025.1), stage hold_hop" in said
    assert "nothing to undo on this hop; nothing leads back to 2024.1 any more" in said
    assert "begin 2024.2→2025.1 now" in said


def test_whoever_asks_for_a_way_back_in_a_rest_hears_who_closed_it_and_what_is_lost(desk: Desk) -> None:
    desk.begin(hops=2)
    asked(desk)
    desk.drive(auto_approve=False)
    desk.journal.move(0, Event.APPROVE, "anna", "the window is open")
    final = desk.drive(auto_approve=False)
    assert final.message.endswith("closes the way back to 2024.1 for good: no redeploy and no restore after it.")
    assert choices(Verdict.WAITING, desk.hop)[0].what == "close the way back to 2024.1 for good, and finish the hop"
    desk.journal.move(0, Event.APPROVE, "ben", "all is well")
    desk.drive()
    with pytest.raises(RefusedError, match=r"2024\.2 is finalized: its way back is closed") as refused:
        _hop(desk.session)
    told = "\n".join(refused.value.details)
    assert "finalize was approved by ben at " in told and "all is well" in told
    assert "neither a redeploy nor a restore" in told and "/backups/" in told
    assert "images" not in told.lower()
    pruning = replace(desk.site, hops=HopRules(prune_images=True))
    assert "prune_images" in what_is_lost(desk.journal.snapshot().hops[0], pruning)[-1]


def test_a_run_is_ended_in_its_rest(desk: Desk) -> None:
    desk.begin(hops=3)
    asked(desk)
    desk.drive()
    (desk.site.state_dir / ABORT_REQUEST).write_text("")
    assert desk.drive().kind == "aborted"
    shot = desk.journal.snapshot()
    assert shot.run is not None and shot.run.state is RunState.ABORTED
    assert [hop.state for hop in shot.hops] == [State.HOP_DONE, State.ABORTED, State.ABORTED]
    assert told(shot.hops) == (
        "Aborted. No running service was changed on this hop (2024.2→2025.1). "
        "The cloud stays on 2024.2: 2024.1→2024.2 done before."
    )
    assert set(desk.world.at("host").values()) == {"2024.2"}


def test_the_law_keeps_the_rest_between_hops(desk: Desk) -> None:
    desk.begin(hops=2)
    with pytest.raises(InvariantError, match="a hop before it"):
        desk.journal.move(0, Event.PAUSE, "engine", "no hop was before")
    with pytest.raises(RefusedError, match="cannot begin"):
        desk.journal.move(1, Event.PAUSE, "engine", "the first is not done")
    asked(desk)
    desk.drive()
    with pytest.raises(RefusedError, match="belongs to the operator"):
        desk.journal.move(1, Event.APPROVE, "engine", "by itself")
