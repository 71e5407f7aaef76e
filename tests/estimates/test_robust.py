"""The middle and the range of a few durations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.estimates.robust import robust

durations = st.lists(st.floats(1, 1e5), min_size=1, max_size=20)


@settings(max_examples=80, deadline=None)
@given(durations, st.randoms())
def test_it_lies_within_what_was_seen_and_the_order_does_not_matter(seconds: list[float], random: object) -> None:
    found = robust(seconds)
    assert min(seconds) * 0.999 <= found.middle <= max(seconds) * 1.001
    assert 0 < found.low < found.middle < found.high
    assert robust(sorted(seconds, reverse=True)) == found


@settings(max_examples=60, deadline=None)
@given(durations, st.floats(0.01, 100))
def test_slower_machines_stretch_all_alike(seconds: list[float], factor: float) -> None:
    slow = [value * factor for value in seconds]
    if min(slow) < 1:
        return
    found, stretched = robust(seconds), robust(slow)
    assert stretched.middle == pytest.approx(found.middle * factor)
    assert stretched.high / stretched.low == pytest.approx(found.high / found.low)


def width(seconds: list[float], doubt: float = 0.0) -> float:
    found = robust(seconds, doubt=doubt)
    return found.high / found.low


def test_few_samples_widen_and_doubt_does() -> None:
    widths = [width([1000.0] * count) for count in (1, 2, 4, 8, 16)]
    assert widths == sorted(widths, reverse=True) and widths[0] > 3 and widths[-1] < 1.6
    assert width([1000.0], 0.3) > width([1000.0])
    assert width([500, 1000, 2000, 1000, 4000.0]) > width([1000.0] * 5)


def test_one_bad_night_moves_it_little() -> None:
    usual = [1000.0, 1040, 980, 1010, 1020]
    found, bad = robust(usual), robust([*usual, 40_000])
    assert bad.middle < found.middle * 1.05
    assert bad.high < found.high * 1.1


def test_without_samples() -> None:
    with pytest.raises(ValueError, match="no samples"):
        robust([])
