"""What is told of: what happened, once it is in the journal; what lasts, once it has lasted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upgrader.journal.rows import EventRow
from upgrader.notice_rules import EVENTS
from upgrader.notices.notice import Notice
from upgrader.notices.occasions import Moment, occasions
from upgrader.states import TABLE, Event, State
from upgrader.status import Choice, InFlight, Report, Standing, Verdict
from upgrader.watch.model import Watched

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
HOPS = (("2024.1", "2024.2", "upgrade"), ("2024.2", "2025.1", "pending"))


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


REPORT = Report(
    "prod-fra", Verdict.RUNNING, run="run", hop=1, hops=HOPS, source="2024.1", target="2024.2", state="upgrade",
    since=ago(600), controller="anna", ponr="no", way_back="redeploy", restore_services=("neutron",),
    choices=(Choice("upgrader resume", "go on"),), last_event_at=ago(5),
)  # fmt: skip


def event(kind: str, seq: int = 1, at: str = "", **data: Any) -> EventRow:
    return EventRow(seq, seq, at or ago(1), 0, "boot", 1, "run", 0, "", kind, data, "", "")


def moved(stage: State, by: Event, to: State, **more: Any) -> EventRow:
    return event("hop_moved", **{"from": stage, "event": by, "to": to, "actor": "engine", "reason": "why", **more})


def told(*events: EventRow, report: Report = REPORT, **more: Any) -> tuple[Notice, ...]:
    idle = more.pop("idle", 0.0)
    return occasions(Moment(Watched(NOW.isoformat(), report, **more), events, NOW, idle))


def kinds(*events: EventRow, **more: Any) -> list[str]:
    return [notice.event for notice in told(*events, **more)]


EXPECTED = {State.HOP_DONE: "hop_done", State.ROLLED_BACK: "rolled_back"} | dict.fromkeys(
    (State.FAILED_CLEAN, State.DECIDE, State.DECIDE_BROKER, State.NEEDS_ATTENTION), "failed"
)
FAILING = {Event.FAILED, Event.INCONCLUSIVE, Event.UNKNOWN}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.state}-{row.event}")
def test_every_row_of_the_law(row: Any) -> None:
    """What a person decides is no news to people, and neither is a stage that came right."""
    wanted = EXPECTED.get(row.next, "")
    if wanted == "failed" and row.event not in FAILING:
        wanted = ""
    assert kinds(moved(row.state, row.event, row.next)) == ([wanted] if wanted else [])


def test_the_words_of_a_failure() -> None:
    (notice,) = told(moved(State.UPGRADE, Event.FAILED, State.DECIDE, reason="host ctl2 is unreachable"))
    assert notice.title == "prod-fra: 2024.1→2024.2: upgrade failed"
    assert notice.text.splitlines() == [
        "2024.1→2024.2: upgrade failed.",
        "host ctl2 is unreachable.",
        "The point of no return is not crossed; way back: redeploy.",
        "prod-fra, hop 1 of 2, at 2026-11-22 13:59:59 UTC.",
        "Next:  upgrader resume",
    ]
    assert (notice.level, notice.stage, notice.command, notice.hop) == ("failure", "upgrade", "upgrader resume", 1)
    (clean,) = told(moved(State.PULL, Event.FAILED, State.FAILED_CLEAN))
    assert "pull stopped before any service was changed" in clean.title


def test_the_words_of_a_hop_that_is_done() -> None:
    done = moved(State.FINALIZE, Event.SUCCEEDED, State.HOP_DONE)
    (notice,) = told(done)
    assert "The next one is 2024.2→2025.1." in notice.text and notice.level == "success"
    (notice,) = told(replace(done, hop=1))
    assert "It was the last one of the run." in notice.text and notice.title == "prod-fra: 2024.2→2025.1 is done"


def test_ids_hold_still_and_differ() -> None:
    both = [moved(State.UPGRADE, Event.FAILED, State.DECIDE, seq=n) for n in (5, 9)]
    first, again = told(*both), told(*both, report=replace(REPORT, last_event_at=ago(0), controller=""))
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in first}) == 2


def test_what_hosts_say_is_one_plain_line() -> None:
    (notice,) = told(moved(State.UPGRADE, Event.FAILED, State.DECIDE, reason="a\r\nBcc: x\x1b[2J" + "x" * 900))
    assert len(notice.text.splitlines()) == 5 and notice.text.replace("\n", "").isprintable()
    assert len(notice.text) < 900


def test_the_line_is_told_once_from_two_sources() -> None:
    crossed = event("ponr", **{"from": "no", "to": "crossed", "why": "Neutron's expand began"})
    seen = {"ponr_at": ago(3), "ponr_task": "Neutron's expand"}
    both = told(crossed, **seen)
    assert [one.event for one in both] == ["point_of_no_return"]
    assert [one.id for one in both] == [one.id for one in told(**seen)] == [one.id for one in told(crossed)]
    assert "Way back: restore (neutron)." in both[0].text
    assert kinds(event("ponr", **{"from": "no", "to": "possible", "why": "x"})) == []


def test_what_happened_yesterday_is_no_news() -> None:
    assert kinds(moved(State.UPGRADE, Event.FAILED, State.DECIDE, at=ago(90000))) == []
    assert kinds(ponr_at=ago(90000)) == []


def test_a_hold_that_is_passed_at_once_is_nobodys_business() -> None:
    waiting = replace(REPORT, verdict=Verdict.WAITING, state="hold_upgrade", since=ago(0.5))
    assert kinds(report=waiting) == []
    assert kinds(report=replace(waiting, since=ago(4))) == ["waiting"]
    assert kinds(report=replace(waiting, controller="")) == ["waiting"]


@pytest.mark.parametrize(
    ("state", "words"),
    [("hold_upgrade", "waits for approval of the upgrade"), ("hold_finalize", "to close the way back"),
     ("hold_broker", "a full API outage"), ("hold_verify", "the verification could not tell"),
     ("rehearse", "nothing was rehearsed")],
)  # fmt: skip
def test_what_it_waits_for(state: str, words: str) -> None:
    (notice,) = told(report=replace(REPORT, verdict=Verdict.WAITING, state=state, controller=""))
    assert words in notice.title and notice.event == "waiting"


def test_every_rest_that_waits_has_words() -> None:
    """Also those that are added to the law."""
    for state in State:
        for notice in told(report=replace(REPORT, verdict=Verdict.WAITING, state=state.value, controller="")):
            assert "waits" in notice.title and "hold_" not in notice.title


def test_a_window_that_is_closed() -> None:
    window = Standing("Sundays", "UTC", open=False, why="it opens on Sunday")
    (notice,) = told(report=replace(REPORT, verdict=Verdict.WAITING, state="backup", controller="", window=window))
    assert "waits for its change window before backup" in notice.title and "it opens on Sunday." in notice.text


@pytest.mark.parametrize("verdict", [Verdict.STOPPED, Verdict.INTERRUPTED])
def test_a_run_that_is_left_alone(verdict: Verdict) -> None:
    flying = InFlight("a1", "upgrade", 1, "unknown") if verdict is Verdict.INTERRUPTED else None
    left = replace(REPORT, verdict=verdict, controller="", attempt=flying)
    assert kinds(report=left, idle=59) == []
    (notice,) = told(report=left, idle=61)
    assert notice.event == "unattended" and "obody drives the run" in notice.text
    assert ("was interrupted" in notice.title) == (verdict is Verdict.INTERRUPTED)


def test_a_stage_that_ended_with_nobody_there() -> None:
    left = replace(REPORT, verdict=Verdict.INTERRUPTED, controller="", attempt=InFlight("a1", "upgrade", 1, "finished"))
    (notice,) = told(report=left, idle=61)
    assert "upgrade has ended, and nobody drives the run" in notice.title


@pytest.mark.parametrize("verdict", [one for one in Verdict if one not in (Verdict.WAITING, Verdict.STOPPED,
                                                                           Verdict.INTERRUPTED)])  # fmt: skip
def test_nothing_else_is_left_alone(verdict: Verdict) -> None:
    assert kinds(report=replace(REPORT, verdict=verdict, controller=""), idle=1000) == []


def test_an_earlier_run_is_told_without_todays_commands() -> None:
    earlier = replace(moved(State.FINALIZE, Event.SUCCEEDED, State.HOP_DONE), run="before")
    (notice,) = told(earlier)
    assert notice.command == "upgrader status" and "way back" not in notice.text


def test_every_event_that_can_be_wanted_can_happen() -> None:
    found = set(
        itertools.chain(
            kinds(
                moved(State.UPGRADE, Event.FAILED, State.DECIDE),
                moved(State.VERIFY_OLD, Event.SUCCEEDED, State.ROLLED_BACK),
                moved(State.FINALIZE, Event.SUCCEEDED, State.HOP_DONE),
                event("ponr", to="crossed"),
            ),
            kinds(report=replace(REPORT, verdict=Verdict.WAITING, state="hold_upgrade")),
            kinds(report=replace(REPORT, verdict=Verdict.STOPPED), idle=100),
        )
    )
    assert found == set(EVENTS)
