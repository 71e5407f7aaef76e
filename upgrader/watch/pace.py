"""Whether it goes as usual, slowly, or not at all: from estimates and from what tasks took before. Pure.

Without history the limits are wide: a migration of a large database is silent for many minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from upgrader.estimates import Estimate
from upgrader.estimates import left as left_of
from upgrader.watch.model import Pace, TaskLine, Tasks, Tempo

SLOW_SILENCE, STALLED_SILENCE = 300.0, 1200.0
"""Seconds without a sign, for a task that was never seen before."""
_SLOW_LEAST, _STALLED_LEAST = 30.0, 180.0
_SLOW_TIMES, _STALLED_TIMES = 2.0, 5.0
_OVER = {"history": 1.0, "rehearsal": 1.5, "baseline": 2.0}
"""A stage is slow when it has taken this many times the high end of its estimate, by what that rests on."""
_SOURCES = {"history": "earlier runs", "rehearsal": "the rehearsal", "baseline": "the shipped baseline"}


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds by this machine's monotonic clock, so that a clock that is set does not make anything slow."""

    elapsed: float
    silent: float
    task: float | None


def pace(clocks: Clocks | None, tasks: Tasks, estimate: Estimate | None, rest: float | None) -> Pace:
    """The pace of the attempt. `clocks` None: nothing is under way; `rest`: estimate of the stages after this one."""
    if clocks is None:
        return Pace(hop_left=_rounded(rest))
    tempo, why = _tempo(clocks, tasks, estimate)
    fraction, left, source = _fraction(clocks.elapsed, tasks, estimate)
    spread = left_of(estimate, clocks.elapsed) if estimate and left is not None else None
    return Pace(
        tempo=tempo,
        why=why,
        elapsed=round(clocks.elapsed, 1),
        left=_rounded(left),
        left_low=spread.low if spread else None,
        left_high=spread.high if spread else None,
        hop_left=None if left is None or rest is None else round(left + rest),
        fraction=None if fraction is None else round(fraction, 3),
        source=source,
        samples=estimate.samples if estimate else 0,
        silent=round(clocks.silent, 1),
        task=_rounded(clocks.task),
    )


def _tempo(clocks: Clocks, tasks: Tasks, estimate: Estimate | None) -> tuple[Tempo, str]:
    now = tasks.now
    usual = now.usual if now is not None else None
    if now is not None and usual is not None and clocks.task is not None:
        # only silence says that it stands still: a task over many hosts goes on for long and is heard of all the time
        if clocks.silent > max(_STALLED_LEAST, _STALLED_TIMES * usual):
            return "stalled", f"nothing heard for {words(clocks.silent)}; {_task(now)} usually takes {words(usual)}"
        if clocks.task > max(_SLOW_LEAST, _SLOW_TIMES * usual):
            return "slow", f"{_task(now)} has run for {words(clocks.task)}, usually {words(usual)}"
    elif clocks.silent > STALLED_SILENCE:
        return "stalled", f"nothing heard for {words(clocks.silent)}{_where(now)}"
    elif clocks.silent > SLOW_SILENCE and now is not None:
        return "slow", f"nothing heard for {words(clocks.silent)}{_where(now)}, which was never timed here"
    if estimate is not None and clocks.elapsed > _OVER[estimate.source] * estimate.high:
        expected = f"{words(estimate.low)} to {words(estimate.high)}"
        return "slow", f"{words(clocks.elapsed)} gone; {_SOURCES[estimate.source]} made it {expected}"
    if estimate is None and usual is None:
        return "unknown", "nothing to compare with: no earlier run or rehearsal of this stage is known here"
    return "usual", ""


def _fraction(elapsed: float, tasks: Tasks, estimate: Estimate | None) -> tuple[float | None, float | None, str]:
    """(how much is done, seconds left, what that rests on)."""
    counted = min(0.99, tasks.done / tasks.expected) if tasks.expected else None
    if estimate is None:
        return counted, None, "tasks" if counted is not None else ""
    rest = left_of(estimate, elapsed)
    if rest.pace == "overdue":
        return counted, None, estimate.source  # beyond what is known; no figure is better than a wrong one
    if estimate.source == "baseline" and counted is not None:
        return counted, float(rest.seconds), estimate.source  # tasks that were counted here know this cloud better
    whole = elapsed + rest.seconds
    return elapsed / whole if whole else None, float(rest.seconds), estimate.source


def _task(task: TaskLine) -> str:
    return f"{task.role} : {task.name}" if task.role else task.name


def _where(task: TaskLine | None) -> str:
    return f" during {_task(task)}" if task else ""


def words(seconds: float) -> str:
    """`41 s`, `12 min`, `1 h 05`. Coarse on purpose: it stands in sentences that should not change every second."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3570:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value)
