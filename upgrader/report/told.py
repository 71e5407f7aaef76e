"""The events of one run, put in order: what was attempted, decided, accepted, and who drove it. Pure.

Reads the events alone, never the journal's tables: what the hash chain vouches for is what is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from upgrader.errors import UsageError
from upgrader.journal.rows import EventRow
from upgrader.states import RUN_ENDED, AttemptState, Event, Ponr, RunState, State

ENGINE = "engine"
_SITE_WIDE = ""


@dataclass
class AttemptTold:
    """An attempt out of its events."""

    id: str
    hop: int
    stage: str
    number: int
    intended: EventRow
    after_interrupt: bool = False
    launched: EventRow | None = None
    finished: EventRow | None = None
    steps: list[EventRow] = field(default_factory=list)

    @property
    def result(self) -> str:
        return str(self.finished.data["result"]) if self.finished else "under way"

    @property
    def evidence(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.finished.data.get("evidence") or {}) if self.finished else {}
        return found

    @property
    def seconds(self) -> float | None:
        """From launch to recorded end."""
        return between(self.launched, self.finished) if self.launched and self.finished else None


@dataclass
class HopTold:
    """A hop out of its events."""

    index: int
    source: str
    target: str
    state: str = State.PENDING.value
    began: str = ""
    ended: str = ""
    ponr: str = Ponr.NO.value
    ponr_at: str = ""
    ponr_why: str = ""
    reason: str = ""
    skipped: dict[str, str] = field(default_factory=dict)
    """Stage → why it was passed by."""
    facts: dict[str, str] = field(default_factory=dict)
    attempts: list[AttemptTold] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.source}→{self.target}"


@dataclass
class RunTold:
    """Everything about one run."""

    begun: EventRow
    hops: list[HopTold]
    state: str = RunState.PLANNED.value
    ended: str = ""
    last: EventRow | None = None
    """Its own last event."""
    moves: list[EventRow] = field(default_factory=list)
    """Decisions of people."""
    accepted: list[EventRow] = field(default_factory=list)
    entered: list[tuple[EventRow, EventRow | None, str]] = field(default_factory=list)
    """(controller, the dead one it replaced, what it found under way)."""
    flags: dict[str, str] = field(default_factory=dict)
    notes: list[EventRow] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.begun.run

    @property
    def plan(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.begun.data["plan"]
        return found

    @property
    def over(self) -> bool:
        return self.state in {state.value for state in RUN_ENDED}


def between(first: EventRow, last: EventRow) -> float:
    """Seconds from one event to a later one: by the monotonic clock where both are of one boot, else by the wall's."""
    if first.boot == last.boot:
        return max(0.0, (last.mono - first.mono) / 1e9)
    return max(0.0, (moment(last.at) - moment(first.at)).total_seconds())


def moment(text: str) -> datetime:
    """A time of the journal."""
    return datetime.fromisoformat(text)


def choose(begun: Iterable[EventRow], wanted: str) -> EventRow:
    """The `run_begun` event of the run whose id begins with `wanted`; default: the newest. Raises UsageError."""
    runs = list(begun)
    fitting = [event for event in runs if event.run.startswith(wanted)] if wanted else runs[-1:]
    if len(fitting) == 1:
        return fitting[0]
    known = [
        f"{event.run[:8]}  begun {event.at[:19]} UTC, plan {event.data['plan_sha256'][:12]}" for event in runs[-8:]
    ]
    if not runs:
        raise UsageError(
            "There is no run to report on: the journal holds none.",
            cloud="Not touched by a run of this tool.",
            next_command="upgrader status",
            reason="no-run",
        )
    how = "No run" if not fitting else f"{len(fitting)} runs"
    raise UsageError(
        f"{how} of this journal {'begin' if len(fitting) > 1 else 'begins'} with {wanted!r}.",
        cloud="Nothing was changed.",
        details=known,
        next_command="upgrader report",
        reason="no-such-run",
    )


def tell(events: Iterable[EventRow], begun: EventRow) -> RunTold:
    """The run that began with `begun`, out of all events of its journal, oldest first."""
    hops = [HopTold(at, source, target) for at, (source, target) in enumerate(begun.data["hops"])]
    told = RunTold(begun, hops)
    attempts: dict[str, AttemptTold] = {}
    waiting: EventRow | None = None
    for event in events:
        if event.kind == "entered" and not told.over:
            if event.seq < begun.seq:
                waiting = event
            else:
                told.entered.append((event, None, _under_way(told)))
        elif event.kind == "taken_over" and told.entered and not told.over:
            entered, _, found = told.entered[-1]
            told.entered[-1] = (entered, event, found)
        elif event.run == begun.run and event.seq >= begun.seq:
            if event.seq == begun.seq and waiting is not None:
                told.entered.append((waiting, None, ""))
            told.last = event
            _take(told, attempts, event)
        elif event.kind == "accepted" and event.run == _SITE_WIDE and not told.over:
            told.accepted.append(event)
    return told


def _under_way(told: RunTold) -> str:
    """What a controller finds that enters now."""
    open_ = next((one for hop in told.hops for one in hop.attempts if one.finished is None), None)
    if open_ is not None:
        return f"attempt {open_.number} of {open_.stage} had no result yet"
    hop = next((hop for hop in told.hops if hop.began and not hop.ended), None)
    return f"{hop.name} was at {hop.state}" if hop else ""


def _take(told: RunTold, attempts: dict[str, AttemptTold], event: EventRow) -> None:
    data, hop = event.data, told.hops[event.hop] if event.hop is not None else None
    if event.kind == "run_moved":
        told.state = str(data["to"])
        told.ended = event.at if told.over else ""
    elif event.kind == "accepted":
        told.accepted.append(event)
    elif event.kind == "flag_set":
        told.flags[str(data["name"])] = str(data["value"])
    elif event.kind == "flag_cleared":
        told.flags.pop(str(data["name"]), None)
    elif event.kind.startswith("note."):
        told.notes.append(event)
    elif hop is not None:
        _take_hop(told, hop, attempts, event)


def _take_hop(told: RunTold, hop: HopTold, attempts: dict[str, AttemptTold], event: EventRow) -> None:
    data = event.data
    if event.kind == "hop_moved":
        _moved(told, hop, event)
    elif event.kind == "ponr":
        hop.ponr, hop.ponr_at, hop.ponr_why = str(data["to"]), event.at, str(data["why"])
    elif event.kind == "backup_replaced":
        hop.facts |= {str(name): str(value) for name, value in data["facts"].items()}
    elif event.kind == "attempt_intended":
        made = AttemptTold(
            event.attempt, hop.index, str(data["stage"]), int(data["number"]), event, bool(data["after_interrupt"])
        )
        attempts[event.attempt] = made
        hop.attempts.append(made)
    elif event.attempt in attempts:
        one = attempts[event.attempt]
        if event.kind == "attempt_launched":
            one.launched = event
        elif event.kind == "attempt_step":
            one.steps.append(event)
        elif event.kind == "attempt_finished":
            one.finished = event
            hop.facts |= {str(name): str(value) for name, value in data["facts"].items()}


_ENDED = frozenset({State.HOP_DONE.value, State.ROLLED_BACK.value, State.ABORTED.value, State.SUPERSEDED.value})


def _moved(told: RunTold, hop: HopTold, event: EventRow) -> None:
    data = event.data
    if data["event"] == Event.START:
        hop.began = event.at
    if data["event"] == Event.SKIP:
        hop.skipped[str(data["from"]).removeprefix("hold_")] = str(data["reason"])
    hop.state, hop.reason = str(data["to"]), str(data["reason"])
    if hop.state in _ENDED and hop.began:
        hop.ended = event.at
    if data["actor"] != ENGINE and not (data.get("data") or {}).get("follows"):
        told.moves.append(event)


def lost_ends(told: RunTold) -> list[AttemptTold]:
    """Attempts whose end nobody recorded, or that were stopped."""
    cut = {AttemptState.UNKNOWN.value, AttemptState.CANCELED.value, AttemptState.VOID.value}
    return [one for hop in told.hops for one in hop.attempts if one.result in cut]
