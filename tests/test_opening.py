"""Whether a stage may begin: the law in tables, and the engine over a real journal with clocks that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.engine_kit.desk import Desk, place
from tests.engine_kit.forked import forks
from tests.engine_kit.place import WorldSession, graph
from tests.journal_kit import attempt, walk_to
from upgrader.cli.driving import conclude
from upgrader.cli.verb import Invocation
from upgrader.errors import WaitingError
from upgrader.estimates import BACK, Estimate
from upgrader.journal import Acceptance, acquire, open_journal
from upgrader.journal.commit import Clock
from upgrader.opening import FROZEN, HELD, Clocks, Memory, Opening, may_begin, reserve
from upgrader.states import FORWARD, INFO, STAGES, AttemptState, Event, State
from upgrader.status import Evidence, Report, Verdict, judge_status
from upgrader.status_read import standing
from upgrader.views.page import plain_text
from upgrader.views.status import status_page
from upgrader.window import Freeze, WindowRules

__all__ = ["forks", "place"]

HOP = "2024.1→2024.2"
OPENS = datetime(2026, 12, 5, 21, tzinfo=UTC)
RULES = WindowRules(OPENS, 8 * 3600, "Europe/Berlin")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FOUND = tuple(
    Estimate(HOP, stage, 3600, 1800, 7200, "history", 3) for stage in (*(one.value for one in FORWARD), *BACK)
)


def ask(stage: State, now: datetime, memory: Memory | None = None, counted: datetime | None = None) -> Opening:
    return may_begin(RULES, stage, HOP, memory or Memory(), FOUND, Clocks(now, counted))


def accepted(name: str) -> Memory:
    return Memory(accepted=(Acceptance("run", name, "the board said so", "anna", "2026-12-01T00:00:00+00:00", 7),))


# ---------------------------------------------------------------- the law


@pytest.mark.parametrize("stage", STAGES)
def test_without_windows_nothing_is_held_up(stage: State) -> None:
    assert may_begin(None, stage, HOP, Memory(), FOUND, Clocks(OPENS - HOUR)) == Opening(stage.value)


def test_what_waits_for_a_window() -> None:
    held = {stage for stage in STAGES if ask(stage, OPENS - HOUR).why}
    assert held == {State.BROKER, State.UPGRADE} == HELD
    assert all(INFO[stage].when == "window" for stage in held)
    assert not {stage for stage in STAGES if ask(stage, OPENS).why}


@pytest.mark.parametrize("stage", sorted(HELD))
def test_it_begins_only_while_work_and_way_back_fit(stage: State) -> None:
    back = reserve(stage, HOP, FOUND, "restore")
    need = 3600 + (back.seconds if back else 0)
    assert need == 3 * 3600
    last = OPENS + timedelta(hours=8, seconds=-need)
    assert not ask(stage, last).why
    late = ask(stage, last + timedelta(seconds=1))
    assert "are left of the window" in late.why and late.accept == f"window-{stage}"
    assert "kept free for the way back" in late.why
    assert ask(stage, OPENS - timedelta(seconds=1)).why and not ask(stage, OPENS).why


def test_the_refusal_says_when_it_opens_in_local_time_and_in_utc() -> None:
    why = ask(State.UPGRADE, OPENS - HOUR).why
    assert why == "no window is open; the next opens Sat 2026-12-05 22:00 CET (21:00 UTC)"
    assert ask(State.UPGRADE, OPENS + 9 * HOUR).why == (
        "the window of Sat 2026-12-05 22:00 CET (21:00 UTC) is over; name another in [window] of upgrader.toml"
    )


@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if INFO[stage].when == "window" and stage not in {*HELD, State.BACKUP}]
)
def test_what_has_begun_goes_on_and_the_way_back_is_always_open(stage: State) -> None:
    found = ask(stage, OPENS - HOUR)
    assert not found.why and "no window is open" in found.outside
    assert found.outside.startswith("going back is always allowed") is (stage.value in BACK)
    assert not ask(stage, OPENS).outside


@pytest.mark.parametrize("stage", [State.BROKER, State.UPGRADE])
def test_a_hop_that_has_begun_is_not_held_up(stage: State) -> None:
    found = ask(stage, OPENS - HOUR, Memory(began=True))
    assert not found.why and found.outside.startswith(f"{stage} has begun on this hop and is brought to its end (")


@pytest.mark.parametrize(
    ("name", "stage", "counts"),
    [
        ("window", State.UPGRADE, True),
        ("window", State.BROKER, True),
        ("window-upgrade", State.UPGRADE, True),
        ("window-upgrade", State.BROKER, False),
        ("not-rehearsed", State.UPGRADE, False),
    ],
)
def test_a_person_overrides_it_by_name(name: str, stage: State, counts: bool) -> None:
    found = ask(stage, OPENS - HOUR, accepted(name))
    assert bool(found.why) is not counts
    if counts:
        assert found.outside.startswith(f"anna accepted {name}: the board said so (no window is open")


def test_a_freeze_bars_what_puts_something_on_the_hosts() -> None:
    freeze = Freeze(OPENS - HOUR, OPENS + HOUR, "year end")
    rules = WindowRules(OPENS, 8 * 3600, "Europe/Berlin", freezes=(freeze,))
    barred = {stage for stage in STAGES if may_begin(rules, stage, HOP, Memory(), FOUND, Clocks(OPENS)).why}
    assert barred == {*HELD, *FROZEN} == {State.PULL, State.BROKER, State.UPGRADE}
    why = may_begin(rules, State.PULL, HOP, Memory(), FOUND, Clocks(OPENS)).why
    assert why == "a freeze holds until Sat 2026-12-05 23:00 CET (22:00 UTC): year end"
    assert not may_begin(rules, State.PULL, HOP, accepted("window-pull"), FOUND, Clocks(OPENS)).why
    assert not may_begin(rules, State.PULL, HOP, Memory(), FOUND, Clocks(OPENS + HOUR)).why


# ---------------------------------------------------------------- clocks that jump


def test_a_clock_that_jumps_into_the_window_opens_nothing() -> None:
    found = ask(State.UPGRADE, OPENS + HOUR, counted=OPENS - 5 * HOUR)
    assert "put forward by 6 h" in found.why and "check the clock" in found.why
    back = ask(State.UPGRADE, OPENS, counted=OPENS + 9 * HOUR)
    assert "put back by 9 h" in back.why and "is over" in back.why


def test_a_clock_that_jumps_within_the_window_or_drifts_changes_nothing() -> None:
    assert not ask(State.UPGRADE, OPENS + HOUR, counted=OPENS + 2 * HOUR).why
    assert not ask(State.UPGRADE, OPENS, counted=OPENS - timedelta(seconds=30)).why
    assert "no window is open" in ask(State.UPGRADE, OPENS - HOUR, counted=OPENS).why


# ---------------------------------------------------------------- the engine


class At(Clock):
    """Clocks that a test moves: the wall's and the monotonic one together, or one of them."""

    def __init__(self, wall: datetime) -> None:
        super().__init__()
        self.wall, self.mono = wall, 10**9

    def wall_ns(self) -> int:
        return int(self.wall.timestamp()) * 10**9

    def mono_ns(self) -> int:
        return self.mono

    def go(self, span: timedelta) -> None:
        self.wall += span
        self.mono += int(span.total_seconds()) * 10**9


@contextmanager
def at_desk(folder: Path, clock: At, rules: WindowRules | None = RULES) -> Iterator[Desk]:
    desk = Desk(folder, window=rules)
    with acquire(desk.site.state_dir, "run") as lease, open_journal(desk.site.state_dir, clock=clock) as journal:
        journal.enter(lease)
        desk.session = WorldSession(desk.site, graph(), journal, "anna", lambda *said: desk.said.append(said))
        yield desk


@pytest.mark.usefixtures("forks")
def test_a_run_waits_for_its_window_and_goes_on_in_it(place: Path) -> None:
    clock = At(OPENS - HOUR)
    with at_desk(place, clock) as desk:
        desk.begin()
        ending = desk.drive()
        assert (ending.kind, ending.wants) == ("waiting", "window")
        assert "the next opens Sat 2026-12-05 22:00 CET (21:00 UTC)" in ending.message
        assert desk.stages() == [f"{name} succeeded" for name in ("preflight", "backup", "pull", "rehearse")]
        assert desk.drive() == ending
        clock.go(HOUR)
        assert desk.drive().kind == "done"
        assert not desk.words("outside")


@pytest.mark.usefixtures("forks")
def test_the_upgrade_waits_before_its_approval(place: Path) -> None:
    clock = At(OPENS - HOUR)
    with at_desk(place, clock) as desk:
        desk.begin()
        ending = desk.drive()
        assert (ending.kind, ending.wants, desk.hop.state) == ("waiting", "window", State.HOLD_UPGRADE)
        assert desk.stages()[-1] == "rehearse succeeded"
        desk.journal.move(0, Event.APPROVE, "anna", "go")
        assert desk.drive().wants == "window", "an approval does not open a window"
        desk.journal.accept("window-upgrade", "the board said so", "anna")
        assert desk.drive().kind == "done"
        notes = [event.data for event in desk.journal.events(kinds=["note.outside_window"])]
        assert [note["stage"] for note in notes] == ["upgrade", "verify", "soak", "finalize"]
        assert notes[0]["why"].startswith("anna accepted window-upgrade: the board said so")


@pytest.mark.usefixtures("forks")
def test_an_override_does_not_reach_the_next_hop(place: Path) -> None:
    with at_desk(place, At(OPENS - HOUR)) as desk:
        desk.begin(hops=2)
        desk.journal.accept("window", "the board said so", "anna")
        ending = desk.drive()
        assert (ending.kind, ending.wants) == ("waiting", "window")
        assert desk.hop.index == 1 and desk.hop.state is State.HOLD_UPGRADE


@pytest.mark.usefixtures("forks")
def test_after_a_queue_migration_the_upgrade_waits_for_its_own_window(place: Path) -> None:
    with at_desk(place, At(OPENS - HOUR)) as desk:
        desk.begin(queues=True)
        desk.journal.accept("window-broker", "the board said so", "anna")
        ending = desk.drive()
        assert (ending.wants, desk.hop.state) == ("window", State.HOLD_UPGRADE)
        assert desk.stages()[-1] == "broker succeeded"
        assert "about" not in ending.message and "upgrade waits" in ending.message


@pytest.mark.usefixtures("forks")
def test_a_queue_migration_that_no_plan_foresaw_needs_its_time_too(place: Path) -> None:
    with at_desk(place, At(OPENS + 7 * HOUR + 50 * MINUTE)) as desk:
        desk.begin()
        desk.journal.begin_hop(0)
        walk_to(desk.journal, State.HOLD_BROKER)
        snapshot = desk.journal.snapshot()
        found = desk.session.conduct(snapshot).opening(snapshot, desk.hop, State.BROKER)
        assert found.verdict and found.verdict.needed_seconds > 1000 and "10 min are left" in found.why


@pytest.mark.usefixtures("forks")
def test_a_clock_put_forward_while_the_run_is_driven(place: Path) -> None:
    clock = At(OPENS - HOUR)
    with at_desk(place, clock) as desk:
        desk.begin()
        desk.drive()
        clock.wall += 2 * HOUR
        assert "put forward by 2 h" in desk.drive().message
    with at_desk(place, clock) as desk:
        assert desk.drive().kind == "done", "the next command takes the clock as it is"


# ---------------------------------------------------------------- what people are told


@pytest.mark.usefixtures("forks")
def test_status_and_the_ending_say_when_and_what_to_type(place: Path) -> None:
    clock = At(OPENS - HOUR)
    with at_desk(place, clock) as desk:
        desk.begin()
        desk.drive()
        desk.journal.move(0, Event.APPROVE, "anna", "go")
        ending = desk.drive()
        report = judged(desk)
        assert report.verdict is Verdict.WAITING and report.window is not None
        assert report.window.schedule == "Sat 2026-12-05 22:00 CET (21:00 UTC) for 8 h"
        assert (report.window.stage, report.window.open, report.window.opens) == (
            "upgrade", False, "2026-12-05T21:00:00+00:00",
        )  # fmt: skip
        assert [(one.command, one.what) for one in report.choices][:2] == [
            ("upgrader resume", "from Sat 2026-12-05 22:00 CET (21:00 UTC) on"),
            ('upgrader approve --accept window-upgrade --reason "WHY"', "let upgrade begin outside the window"),
        ]
        said = plain_text(status_page(report))
        assert (
            "Change window: Sat 2026-12-05 22:00 CET (21:00 UTC) for 8 h" in said and "! upgrade waits: no win" in said
        )
        clock.go(9 * HOUR)
        assert judged(desk).choices[0].command.startswith("upgrader approve --accept window-upgrade")
        clock.go(-8 * HOUR)
        assert judged(desk).verdict is Verdict.STOPPED
        assert "upgrade fits into what is left of it" in plain_text(status_page(judged(desk)))
    assert ending.wants == "window"


def judged(desk: Desk) -> Report:
    snapshot = desk.journal.snapshot()
    plan = desk.journal.plan(snapshot.run.id) if snapshot.run else {}
    return judge_status(
        desk.site, snapshot, Evidence(plan=plan, window=standing(desk.site, desk.journal, snapshot, plan))
    )


@pytest.mark.usefixtures("forks")
def test_the_ending_has_the_exit_code_of_waiting(place: Path) -> None:
    with at_desk(place, At(OPENS - HOUR)) as desk:
        desk.begin()
        desk.drive()
        desk.journal.move(0, Event.APPROVE, "anna", "go")
        ending = desk.drive()
    with pytest.raises(WaitingError, match=r"upgrade waits for its change window: no window is open") as error:
        conclude(ending, desk.site, Invocation())
    assert error.value.exit_code == 9 and error.value.next_command == "upgrader resume"
    assert any("--accept window-upgrade" in line for line in error.value.details)


@pytest.mark.usefixtures("forks")
def test_a_lost_upgrade_goes_on_and_goes_back_outside_the_window(place: Path) -> None:
    clock = At(OPENS)
    with at_desk(place, clock) as desk:
        desk.begin()
        desk.journal.begin_hop(0)
        walk_to(desk.journal, State.UPGRADE)
        attempt(desk.journal, State.UPGRADE, AttemptState.UNKNOWN, schema_started=True)
        clock.go(20 * HOUR)
        desk.journal.move(0, Event.RETRY, "anna", "again")
        snapshot = desk.journal.snapshot()
        found = desk.session.conduct(snapshot).opening(snapshot, desk.hop, State.UPGRADE)
        assert not found.why and found.outside.startswith("upgrade has begun on this hop")
        for stage in (State.ROLLBACK_RESTORE, State.ROLLBACK_REDEPLOY, State.VERIFY_OLD, State.VERIFY):
            assert not desk.session.conduct(snapshot).opening(snapshot, desk.hop, stage).why


def test_an_upgrade_that_provably_changed_nothing_waits_again(place: Path) -> None:
    clock = At(OPENS)
    with at_desk(place, clock) as desk:
        desk.begin()
        desk.journal.begin_hop(0)
        walk_to(desk.journal, State.UPGRADE)
        attempt(desk.journal, State.UPGRADE, AttemptState.VOID, None)
        attempt(desk.journal, State.UPGRADE, AttemptState.UNKNOWN, Event.PROBED_UNTOUCHED, schema_started=False)
        clock.go(20 * HOUR)
        snapshot = desk.journal.snapshot()
        assert desk.session.conduct(snapshot).opening(snapshot, desk.hop, State.UPGRADE).why
