"""What stages took, out of journals: only attempts that did the whole of their stage's work and succeeded.

No samples: attempts that failed, were canceled, or whose end was lost; work on a cloud that an earlier attempt had left
half done; a rehearsal that a person let pass. Durations are those of the monotonic clock: the supervisor's own, or the
journal's where both ends are of one boot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.errors import UpgraderError
from upgrader.estimates.model import Size
from upgrader.estimates.size import size_of
from upgrader.states import INFO, AttemptState, State

if TYPE_CHECKING:
    from upgrader.journal import EventRow, Journal

RUNS = 12
"""Runs that are looked at, the newest: older ones were of another tool and other hardware."""
_NOT_REHEARSED = "not-rehearsed"
_UNTIMED = frozenset({State.SOAK.value})
"""What takes as long as is configured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One attempt that counts."""

    hop: str
    stage: str
    seconds: float
    size: Size
    attempt: str
    """Its folder's name."""


def samples(state_dir: Path, *, forks: int) -> tuple[Sample, ...]:
    """The samples of a site's journal, the oldest first; none where there is no journal, or it cannot be read."""
    from upgrader.journal import open_journal
    from upgrader.journal.place import exists

    if not exists(state_dir):
        return ()
    try:
        with open_journal(state_dir, readonly=True) as journal:
            return tuple(_samples(journal, forks))
    except UpgraderError:
        return ()  # status and history say what is wrong with it; an estimate is no place to fail


def _samples(journal: Journal, forks: int) -> Iterator[Sample]:
    launched: dict[str, EventRow] = {}
    spoilt: set[tuple[str, int | None, str]] = set()
    whole: dict[str, list[tuple[EventRow, float]]] = {}
    for event in journal.events(kinds=("attempt_launched", "attempt_finished")):
        if event.kind == "attempt_launched":
            launched[event.attempt] = event
            continue
        stage, result = str(event.data["stage"]), event.data["result"]
        place = (event.run, event.hop, stage)
        if result == AttemptState.SUCCEEDED:
            seconds = _seconds(event, launched.get(event.attempt))
            if seconds and place not in spoilt and stage not in _UNTIMED:
                whole.setdefault(event.run, []).append((event, seconds))
        elif result != AttemptState.VOID and INFO[State(stage)].touches_cloud:
            spoilt.add(place)
    for run in list(whole)[-RUNS:]:
        try:
            yield from _of_run(journal, run, whole[run], forks)
        except (KeyError, IndexError, TypeError):
            continue  # a plan of a version that this one does not know


def _of_run(journal: Journal, run: str, whole: list[tuple[EventRow, float]], forks: int) -> list[Sample]:
    plan = journal.plan(run)
    let_pass = any(row.name == _NOT_REHEARSED for row in journal.acceptances(run))
    sizes = [size_of(plan, hop, forks=forks, soak=0) for hop in plan["hops"]]
    found = []
    for event, seconds in whole:
        stage = str(event.data["stage"])
        if event.hop is None or (let_pass and stage == State.REHEARSE):
            continue
        hop = plan["hops"][event.hop]
        found.append(Sample(f"{hop['from']}→{hop['to']}", stage, seconds, sizes[event.hop], event.attempt))
    return found


def _seconds(finished: EventRow, launched: EventRow | None) -> float:
    evidence: Mapping[str, Any] = finished.data.get("evidence", {})
    told = evidence.get("seconds")
    if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
        return float(told)
    if launched is not None and launched.boot == finished.boot and finished.mono > launched.mono:
        return (finished.mono - launched.mono) / 1e9
    return 0.0
