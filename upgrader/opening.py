"""May this stage of the run begin now? The law of change windows, for one stage at one moment.

- Queue migration and upgrade begin only in an open window, and only when their estimate and the way back from them fit
  into what is left.
- A stage that may run before the window begins at any time; in a freeze only where it puts nothing on the hosts. So
  does the backup: the rehearsal, days before, is on a copy of it. That the upgrade has a fresh one is another rule
  (`[backup] max_age`; `upgrader backup --for-run` in the window).
- What has begun is brought to its end: an upgrade or a queue migration that was started is never held up again, nor is
  anything after the upgrade, forward or back. It is said that it goes on outside the window.
- A person may override it by name, for one stage (`window-upgrade`) or for the rest of the hop (`window`). That is an
  acceptance as any other, in the journal with who and why; it ends with the hop, and never covers the next one.
- No window configured: nothing is held up.

A stage that is under way is never stopped by the end of a window: nobody asks here about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from upgrader.estimates import BACK, Estimate, estimates, of, way_back, way_of
from upgrader.states import INFO, AttemptState, Event, State
from upgrader.window import Verdict, WindowRules, fits, frozen_at, moment, span

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.journal import Acceptance, EventRow, HopRow, Journal, Snapshot

WINDOW = "window"
"""Name under which a person lets a hop, or with `-STAGE` one stage of it, begin outside the window."""
HELD: frozenset[State] = frozenset({State.BROKER, State.UPGRADE})
"""Stages that wait for a window while their hop has changed nothing."""
FROZEN: frozenset[State] = frozenset({State.PULL})
"""Stages before the window that put something on the hosts: not in a freeze."""
BEGINS: Mapping[State, State] = {State.HOLD_BROKER: State.BROKER, State.HOLD_UPGRADE: State.UPGRADE}
"""The stage that an approval of a hold lets begin, where that is one that waits for a window."""
_BACK = (State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE, State.VERIFY_OLD)
CHANGING: frozenset[State] = frozenset({State.BROKER, State.UPGRADE})
"""Of these, the ones that leave the cloud half changed when they do not come to their end."""
_JUMP = timedelta(seconds=60)
"""How far the wall clock may go from the monotonic one within one command before both are asked."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the journal says that counts here."""

    began: bool = False
    """The stage was started on this hop before, did not come to its end, and may have changed something."""
    accepted: tuple[Acceptance, ...] = ()
    """Acceptances by name that were given for this hop."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The moment, and the moment counted on from when this command took the journal, by the monotonic clock."""

    now: datetime
    counted: datetime | None = None
    """None: nothing to count from."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The answer. `why` is empty when the stage may begin."""

    stage: str
    why: str = ""
    verdict: Verdict | None = None
    """None: the stage asks for no window."""
    outside: str = ""
    """It begins, and no window is open for it: why it may all the same."""
    accept: str = ""
    """The name to accept, to begin all the same."""


# ---------------------------------------------------------------- pure


def may_begin(
    rules: WindowRules | None,
    stage: State,
    hop: str,
    memory: Memory,
    found: Sequence[Estimate],
    clocks: Clocks,
    way: str = "restore",
) -> Opening:
    """Whether `stage` of `hop` may begin, by the rules, the journal's memory, the estimates and the clocks.

    `way`: the most that going back from the hop's upgrade can take, `redeploy` or `restore`.
    """
    if rules is None or INFO[stage].kind != "stage":
        return Opening(stage.value)
    if INFO[stage].when == "before" or stage is State.BACKUP:
        return _before(rules, stage, memory, clocks)
    back = reserve(stage, hop, found, way)
    judged = _judged(rules, clocks.now, of(found, hop, stage.value), back)
    if judged.fits and clocks.counted is not None and abs(clocks.now - clocks.counted) > _JUMP:
        by_counting = _judged(rules, clocks.counted, of(found, hop, stage.value), back)
        if not by_counting.fits:
            judged = replace(by_counting, why=_jumped(rules, clocks, by_counting))
    if judged.fits:
        return Opening(stage.value, verdict=judged)
    named = "" if judged.later else "; name another in [window] of upgrader.toml"
    return _held(stage, memory, judged, f"{judged.why}{named}")


def _before(rules: WindowRules, stage: State, memory: Memory, clocks: Clocks) -> Opening:
    freeze = frozen_at(rules, clocks.now)
    if stage not in FROZEN or freeze is None:
        return Opening(stage.value)
    why = f"a freeze holds until {moment(freeze.ends, rules.zone)}{f': {freeze.why}' if freeze.why else ''}"
    return _held(stage, memory, fits(WindowRules(freezes=rules.freezes, zone=rules.zone), clocks.now, 0), why)


def _held(stage: State, memory: Memory, judged: Verdict, why: str) -> Opening:
    """Something stands against it: what outweighs that, or the refusal."""
    if stage not in HELD | FROZEN:
        always = "going back is always allowed" if stage in _BACK else "what has begun is brought to its end"
        return Opening(stage.value, verdict=judged, outside=f"{always} ({why})")
    if memory.began:
        return Opening(
            stage.value, verdict=judged, outside=f"{stage} has begun on this hop and is brought to its end ({why})"
        )
    for row in reversed(memory.accepted):
        if row.name in (WINDOW, f"{WINDOW}-{stage}"):
            told = f"{row.actor} accepted {row.name}: {row.reason} ({why})"
            return Opening(stage.value, verdict=judged, outside=told)
    return Opening(stage.value, why, judged, accept=f"{WINDOW}-{stage}")


def _judged(rules: WindowRules, now: datetime, need: Estimate | None, back: Estimate | None) -> Verdict:
    return fits(rules, now, need.seconds if need else 0, back.seconds if back else 0)


def reserve(stage: State, hop: str, found: Sequence[Estimate], way: str) -> Estimate | None:
    """What is kept free for going back from the stage; None where nothing is to be undone."""
    if stage not in HELD or INFO[stage].way_back == "nothing":
        return None
    return way_back(found, hop, way if stage is State.UPGRADE else INFO[stage].way_back)


def _jumped(rules: WindowRules, clocks: Clocks, by_counting: Verdict) -> str:
    assert clocks.counted is not None  # noqa: S101 - the caller has looked
    jump = (clocks.now - clocks.counted).total_seconds()
    way = "forward" if jump > 0 else "back"
    return (
        f"this machine's clock was put {way} by {span(abs(jump))} while this command ran: it says "
        f"{moment(clocks.now, rules.zone)}, counted on it is {moment(clocks.counted, rules.zone)}, and then "
        f"{by_counting.why}; check the clock (timedatectl), then upgrader resume"
    )


# ---------------------------------------------------------------- from a journal


def remember(journal: Journal, snapshot: Snapshot, hop: HopRow, stage: State) -> Memory:
    """What counts for a stage of this hop. Events are read only where the tables do not say it."""
    tried = [row for row in journal.attempts(hop.run, hop.index, stage) if row.finished_at] if stage in CHANGING else []
    began = any(row.state not in (AttemptState.VOID, AttemptState.UNKNOWN) for row in tried)
    if not began and any(row.state is AttemptState.UNKNOWN for row in tried):
        ended = _events(journal, hop.run, hop.index, "attempt_finished")
        began = any(not _without_trace(event.data) for event in ended if event.data["stage"] == stage)
    accepted = tuple(row for row in snapshot.acceptances if row.name.startswith(WINDOW))
    if accepted and hop.index:
        moves = _events(journal, hop.run, hop.index - 1, "hop_moved")
        since = max((event.seq for event in moves if event.data["to"] == State.HOP_DONE), default=0)
        accepted = tuple(row for row in accepted if row.seq > since)
    return Memory(began, accepted)


def _events(journal: Journal, run: str, hop: int, kind: str) -> Iterator[EventRow]:
    return (event for event in journal.events(kinds=(kind,)) if (event.run, event.hop) == (run, hop))


def _without_trace(data: Mapping[str, Any]) -> bool:
    """The attempt never started, or looking at the cloud showed that it had changed nothing."""
    return bool(data["result"] == AttemptState.VOID or data["event"] == Event.PROBED_UNTOUCHED)


def clocks_of(journal: Journal) -> Clocks:
    """Now, by the journal's own clocks; counted on from when it was entered, where that was on this boot."""
    clock = journal.clock
    now = datetime.fromtimestamp(clock.wall_ns() / 1e9, UTC)
    if journal.epoch < 0:  # it was opened to read
        return Clocks(now)
    entered = [event for event in journal.events(kinds=("entered",)) if event.epoch == journal.epoch]
    if not entered or entered[-1].boot != clock.boot:
        return Clocks(now)
    since = timedelta(microseconds=(clock.mono_ns() - entered[-1].mono) / 1000)
    return Clocks(now, datetime.fromisoformat(entered[-1].at) + since)


def opening(
    site: Site, journal: Journal, snapshot: Snapshot, hop: HopRow, plan: Mapping[str, Any], stage: State | None = None
) -> Opening:
    """Whether the stage that the hop is in (at a hold: the one after it) may begin now. Looks at no cloud."""
    wanted = stage or BEGINS.get(hop.state, hop.state)
    if site.window is None or INFO[wanted].kind != "stage":
        return Opening(wanted.value)
    memory = remember(journal, snapshot, hop, wanted)
    way = way_of(plan["hops"][hop.index])
    found = estimates(site, plan, only=[(hop.name, one) for one in (wanted.value, *BACK)])
    return may_begin(site.window, wanted, hop.name, memory, found, clocks_of(journal), way)
