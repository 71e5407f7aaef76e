"""What is left of a stage that is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from upgrader.estimates.value import Estimate


@dataclass(frozen=True, slots=True)
class Left:
    """About how long the stage goes on, and whether it takes longer than such stages did."""

    seconds: int
    low: int
    high: int
    """0 once it has taken longer than its estimate's range: nothing is known about it any more."""
    pace: Literal["usual", "slow", "overdue"]
    """slow: past the middle; overdue: past nine of ten."""


def left(estimate: Estimate, gone_seconds: float) -> Left:
    """Of a stage that has been going for `gone_seconds`.

    Up to the middle it is the middle less what is gone. After that it is half of what is left to the high end: of the
    attempts that took that long, about as many ended before as after it.
    """
    gone = max(0, round(gone_seconds))
    low, high = max(0, estimate.low - gone), max(0, estimate.high - gone)
    half = high // 2
    if gone <= estimate.seconds:
        return Left(max(estimate.seconds - gone, min(half, estimate.seconds // 10)), low, high, "usual")
    return Left(half, low, high, "slow" if gone <= estimate.high else "overdue")
