"""The stages of the current hop as a list: what is done, what goes on, what waits, what comes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from upgrader.estimates import BACK, Estimate, of
from upgrader.journal import AttemptRow, HopRow
from upgrader.states import FORWARD, INFO, SKIPPED_BY_ENGINE, AttemptState, State
from upgrader.watch.model import StageLine, StageState
from upgrader.watch.usual import between

_BEFORE: Mapping[State, State] = {
    State.HOLD_HOP: State.PREFLIGHT,
    State.HOLD_BROKER: State.BROKER,
    State.DECIDE_BROKER: State.BROKER,
    State.HOLD_UPGRADE: State.UPGRADE,
    State.DECIDE: State.UPGRADE,
    State.HOLD_VERIFY: State.VERIFY,
    State.HOLD_FINALIZE: State.FINALIZE,
}
"""The stage at which a hop stands that waits."""
_BAD = frozenset({AttemptState.FAILED, AttemptState.CANCELED, AttemptState.UNKNOWN})


def stage_lines(
    hop: HopRow, rows: Sequence[AttemptRow], plan: Mapping[str, Any], found: Iterable[Estimate]
) -> tuple[StageLine, ...]:
    """One line per stage, those of a way back behind them once it was begun. `rows`: the hop's attempts, in order."""
    known = tuple(found)
    tried = {row.stage for row in rows}
    stages = [stage for stage in FORWARD if stage in tried or _planned(stage, hop, plan)]
    stages += [stage for stage in (State(name) for name in BACK) if stage in tried or stage is hop.state]
    back = any(stage.value in BACK for stage in stages)
    return tuple(_line(stage, hop, rows, of(known, hop.name, stage.value), back) for stage in stages)


def _planned(stage: State, hop: HopRow, plan: Mapping[str, Any]) -> bool:
    if stage not in SKIPPED_BY_ENGINE or hop.state in (stage, State.DECIDE_BROKER):
        return True
    hops = plan.get("hops", ())
    broker = hops[hop.index].get("broker", {}) if hop.index < len(hops) else {}
    return bool(broker.get("migration", "no") != "no")


def _line(stage: State, hop: HopRow, rows: Sequence[AttemptRow], estimate: Estimate | None, back: bool) -> StageLine:
    own = [row for row in rows if row.stage is stage and row.state is not AttemptState.VOID]
    last = own[-1] if own else None
    state = _state(stage, hop, last, back)
    seconds = between(last.intended_at, last.finished_at) if last and last.finished_at else None
    return StageLine(
        stage.value,
        state,
        len(own),
        None if seconds is None or state in ("now", "next") else round(seconds, 1),
        float(estimate.seconds) if estimate else None,
    )


def _state(stage: State, hop: HopRow, last: AttemptRow | None, back: bool) -> StageState:
    if last is not None and last.in_flight:
        return "now"
    if hop.state is stage:
        return "waits" if last is None or last.finished_at else "now"
    if last is not None and last.state in _BAD and _at(hop) is not None and _order(_at(hop)) <= _order(stage):
        return "failed"
    if _BEFORE.get(hop.state) is stage:
        return "failed" if last is not None and last.state in _BAD else "waits"
    if last is not None and last.state is AttemptState.SUCCEEDED and not _again(stage, hop):
        return "done"
    if last is not None and last.state in _BAD:
        return "failed"
    over = hop.state is State.HOP_DONE or (_at(hop) is not None and _order(_at(hop)) > _order(stage))
    return "passed" if over or back or INFO[hop.state].kind == "terminal" else "next"


def _at(hop: HopRow) -> State | None:
    return hop.state if hop.state in FORWARD else _BEFORE.get(hop.state)


def _again(stage: State, hop: HopRow) -> bool:
    """Done once, but the hop went back before it: it will be done again."""
    at = _at(hop)
    return at is not None and _order(at) < _order(stage)


def _order(stage: State | None) -> int:
    return FORWARD.index(stage) if stage in FORWARD else -1


def rest_of(lines: Iterable[StageLine]) -> float | None:
    """Estimated seconds of the stages that are still to come; None when one of them has no estimate."""
    coming = [line.estimate for line in lines if line.state in ("next", "waits")]
    return None if None in coming else sum(seconds for seconds in coming if seconds is not None)
