"""A middle and a range from a few durations, in logarithms: times are stretched, not shifted, by what disturbs them.

The middle is the median, so that one bad night moves it little; the spread comes from the median distance to it (MAD),
which an outlier does not widen. Few samples say little about their own spread: it is mixed with an assumed one that
weighs as much as three samples, and a range from one sample is wider than one from ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MAD_TO_SIGMA = 1.4826
"""Of normally distributed values the standard deviation is this many MADs."""
_EIGHT_OF_TEN = 1.2816
"""Standard deviations within which eight of ten normally distributed values lie."""
ASSUMED = 0.35
"""Standard deviation of the logarithm where nothing is known: about 0.6 to 1.6 times the middle for eight of ten."""
_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Spread:
    middle: float
    low: float
    high: float


def robust(seconds: Sequence[float], *, doubt: float = 0.0) -> Spread:
    """Median and the range of eight of ten. `doubt`: standard deviation (of logarithms) to add, for samples of
    something else than what is asked for. Raises ValueError without samples."""
    if not seconds:
        raise ValueError("no samples")
    logs = sorted(math.log(max(0.1, value)) for value in seconds)
    middle = _median(logs)
    count = len(logs)
    own = _MAD_TO_SIGMA * _median(sorted(abs(value - middle) for value in logs))
    variance = (count * own**2 + _WEIGHT * ASSUMED**2) / (count + _WEIGHT)
    sigma = math.sqrt(variance * (1 + 1 / count) + doubt**2)
    reach = _EIGHT_OF_TEN * sigma
    return Spread(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))


def _median(values: Sequence[float]) -> float:
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
