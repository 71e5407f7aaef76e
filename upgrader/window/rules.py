"""What an operator says about change windows, checked once and frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As they are written in upgrader.toml; their index is Python's weekday."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is put on the cloud. Aware, in UTC; `ends` is the first moment after it."""

    begins: datetime
    ends: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """When the cloud may be changed."""

    start: datetime | time | None = None
    """Aware (UTC): a window that comes once. A local time of day: it comes on every day of `days`. None: open always,
    but for the freezes."""
    length_seconds: int = 0
    """Elapsed time, not what a clock on the wall shows in the night it is changed."""
    zone: str = "UTC"
    """Name in the IANA database."""
    days: tuple[int, ...] = ()
    """Weekdays on which a window begins, 0 is Monday."""
    freezes: tuple[Freeze, ...] = ()
