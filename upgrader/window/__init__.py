"""Change windows: when one is open, whether work fits into what is left of it, and how that is said.

Owns `[window]` of upgrader.toml and all arithmetic about it. Pure: the moment is always an argument, every moment is
aware, and sums are made in UTC, so that a window of four hours is four hours long in the night the clocks change too.
Whether a stage of a run may begin is decided in `upgrader.opening`, which knows stages and overrides.

    read_window(table) -> WindowRules | None     None: no window is configured, nothing is restricted
    next_window(rules, now) -> Window | None     the one that is open at `now`, else the next; None: none comes any more
    windows(rules, now) -> Iterator[Window]      that one and those after it
    fits(rules, now, stage_seconds, way_back_seconds) -> Verdict
    moment(when, zone), span(seconds)            words: `Sat 2026-12-05 22:00 CET (21:00 UTC)`, `1 h 35 min`
"""

from __future__ import annotations

from upgrader.window.openings import Verdict, Window, fits, frozen_at, next_window, windows
from upgrader.window.read import read_window
from upgrader.window.rules import Freeze, WindowRules
from upgrader.window.words import moment, schedule, span

__all__ = [
    "Freeze",
    "Verdict",
    "Window",
    "WindowRules",
    "fits",
    "frozen_at",
    "moment",
    "next_window",
    "read_window",
    "schedule",
    "span",
    "windows",
]
