"""The windows of a rule, one after the other, and whether work fits into one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice

from upgrader.window.local import readings, zone_of
from upgrader.window.rules import Freeze, WindowRules
from upgrader.window.words import moment, span

FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
"""End of a window that only a freeze would end."""
HORIZON = timedelta(days=800)
"""How far ahead weekly windows are looked for."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which the cloud may be changed: aware, in UTC, freezes cut out; `ends` is the first moment after it."""

    begins: datetime
    ends: datetime

    @property
    def seconds(self) -> int:
        return int((self.ends - self.begins).total_seconds())

    @property
    def endless(self) -> bool:
        """No end is known: a site that has freezes and no window."""
        return self.ends >= FOREVER


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether work may begin at a moment."""

    fits: bool
    open: bool
    """A window is open at the moment."""
    window: Window | None
    """The one that is open, else the next; None: none comes any more."""
    left_seconds: int
    """From the moment to the end of the open window; 0 when none is open."""
    needed_seconds: int
    """The work, and the time that is kept free for the way back."""
    later: Window | None
    """The next window that the work fits into, when it does not fit now; None: none of those to come is long enough."""
    freeze: Freeze | None
    """The freeze that holds at the moment."""
    why: str
    """Why it does not fit, in words, with local time and UTC; empty when it does."""


def windows(rules: WindowRules, now: datetime) -> Iterator[Window]:
    """The window that is open at `now`, and those to come, in order and apart from each other. `now` is aware."""
    if now.tzinfo is None:
        raise ValueError("a moment without a time zone")
    after = now.astimezone(UTC)
    last = after
    for planned in _planned(rules, after):
        for piece in _without(planned, rules.freezes):
            if piece.ends > last:
                yield piece
                last = piece.ends


def next_window(rules: WindowRules, now: datetime) -> Window | None:
    """The window that is open at `now`, else the next one; None: none comes any more."""
    return next(windows(rules, now), None)


def frozen_at(rules: WindowRules, now: datetime) -> Freeze | None:
    """The freeze that holds at `now`: of several the one that lasts longest."""
    held = [freeze for freeze in rules.freezes if freeze.begins <= now < freeze.ends]
    return max(held, key=lambda freeze: freeze.ends, default=None)


def fits(rules: WindowRules, now: datetime, stage_seconds: float, way_back_seconds: float = 0) -> Verdict:
    """Whether work of `stage_seconds` may begin at `now`, and going back from it would still lie within the window."""
    needed = max(0, round(stage_seconds)) + max(0, round(way_back_seconds))
    coming = windows(rules, now)
    first = next(coming, None)
    opened = first is not None and first.begins <= now
    left = int((first.ends - now).total_seconds()) if first and opened else 0
    good = opened and needed <= left
    later = None
    if first and not good:
        wanted = timedelta(seconds=needed)
        if not opened and first.ends - first.begins >= wanted:
            later = first
        else:
            later = next((window for window in islice(coming, 400) if window.ends - window.begins >= wanted), None)
    freeze = None if opened else frozen_at(rules, now)
    why = "" if good else _why(rules, first, later, freeze, opened, left, stage_seconds, way_back_seconds)
    return Verdict(good, opened, first, left, needed, later, freeze, why)


def _why(
    rules: WindowRules,
    first: Window | None,
    later: Window | None,
    freeze: Freeze | None,
    opened: bool,
    left: int,
    stage: float,
    back: float,
) -> str:
    held = ""
    if freeze:
        held = f"a freeze holds until {moment(freeze.ends, rules.zone)}{f': {freeze.why}' if freeze.why else ''}; "
    if first is None:
        over = rules.start.astimezone(UTC) if isinstance(rules.start, datetime) else None
        was = f"the window of {moment(over, rules.zone)} is over" if over else "no window comes in the next two years"
        return f"{held}{was}"
    need = f"about {span(stage)}" + (f" and {span(back)} kept free for the way back" if back > 0 else "")
    if opened:
        begun = f"it needs {need}; {span(left)} are left of the window, which ends {moment(first.ends, rules.zone)}"
    else:
        begun = f"{held}no window is open; the next opens {moment(first.begins, rules.zone)}"
    if later is None:
        return f"{begun}; no window to come is long enough{'' if opened else f' for {need}'}"
    if later is first:
        return begun
    return f"{begun}; the next that is long enough opens {moment(later.begins, rules.zone)}"


def _planned(rules: WindowRules, after: datetime) -> Iterator[Window]:
    """The rule's windows that end after the moment, freezes not regarded."""
    length = timedelta(seconds=rules.length_seconds)
    if rules.start is None:
        yield Window(after, FOREVER)
    elif isinstance(rules.start, datetime):
        yield Window(rules.start, rules.start + length)
    else:
        yield from _weekly(rules, rules.start, length, after)


def _weekly(rules: WindowRules, at: time, length: timedelta, after: datetime) -> Iterator[Window]:
    zone = zone_of(rules.zone)
    day = (after - length).astimezone(zone).date() - timedelta(days=1)
    end = (after + HORIZON).date()
    ended = datetime.min.replace(tzinfo=UTC)
    while day <= end:
        if day.weekday() in rules.days:
            begins = readings(datetime.combine(day, at), zone)[0]
            ends = begins + length
            if ends > ended:
                yield Window(max(begins, ended), ends)
                ended = ends
        day += timedelta(days=1)


def _without(window: Window, freezes: tuple[Freeze, ...]) -> Iterator[Window]:
    begins = window.begins
    for freeze in sorted(freezes, key=lambda one: one.begins):
        if freeze.ends <= begins or freeze.begins >= window.ends:
            continue
        if freeze.begins > begins:
            yield Window(begins, freeze.begins)
        begins = freeze.ends
    if begins < window.ends:
        yield Window(begins, window.ends)
