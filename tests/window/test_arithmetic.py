"""Windows over all time zones: what is true of them whatever the rule, and against minutes counted one by one."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.window import Freeze, WindowRules, fits, frozen_at, next_window, windows
from upgrader.window.local import exists, readings

ZONES = sorted(available_timezones())
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FIRST, LAST = datetime(2005, 1, 1), datetime(2037, 1, 1)

zones = st.one_of(
    st.sampled_from(ZONES),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia",
                     "Africa/Casablanca", "America/Santiago"]),
)  # fmt: skip
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@st.composite
def rules(draw: st.DrawFn) -> tuple[WindowRules, datetime]:
    """A rule, and a moment near some of its edges."""
    now = draw(moments).replace(second=0, microsecond=0)
    freezes = tuple(
        Freeze(now + timedelta(minutes=begin), now + timedelta(minutes=begin + length), f"freeze {begin}")
        for begin, length in draw(
            st.lists(st.tuples(st.integers(-20000, 20000), st.integers(1, 15000)), max_size=3)
        )
    )  # fmt: skip
    zone = draw(zones)
    if draw(st.booleans()):
        start = now + timedelta(minutes=draw(st.integers(-3000, 3000)))
        return WindowRules(start, draw(st.integers(1, 48)) * 3600, zone, freezes=freezes), now
    days = tuple(sorted(draw(st.sets(st.integers(0, 6), min_size=1))))
    gap = min(b - a for a, b in pairwise((*days, days[0] + 7)))
    length = draw(st.integers(1, (gap * 24 - 1) * 60)) * 60
    return WindowRules(draw(times), length, zone, days, freezes), now


@settings(max_examples=60, deadline=None)
@given(rules())
def test_windows_are_apart_in_order_and_free_of_freezes(made: tuple[WindowRules, datetime]) -> None:
    rule, now = made
    found = list(islice(windows(rule, now), 6))
    for window in found:
        assert now < window.ends and window.begins < window.ends
        assert window.begins.utcoffset() == window.ends.utcoffset() == timedelta()
        assert 0 < window.seconds <= rule.length_seconds
        for freeze in rule.freezes:
            assert freeze.ends <= window.begins or window.ends <= freeze.begins
    assert all(first.ends <= second.begins for first, second in pairwise(found))
    opened = bool(found) and found[0].begins <= now
    assert not (opened and frozen_at(rule, now))


@settings(max_examples=60, deadline=None)
@given(rules(), st.floats(0, 1))
def test_a_window_is_the_same_from_wherever_in_it_one_looks(made: tuple[WindowRules, datetime], part: float) -> None:
    rule, now = made
    for window in islice(windows(rule, now), 3):
        inside = window.begins + (window.ends - window.begins) * min(part, 0.999)
        assert next_window(rule, inside) == window
        after = next_window(rule, window.ends)
        assert after is None or after.begins >= window.ends


@settings(max_examples=30, deadline=None)
@given(rules())
def test_against_minutes_counted_one_by_one(made: tuple[WindowRules, datetime]) -> None:
    """Open means: clocks of the zone have come to the start of such a day, and not more than the length ago."""
    rule, now = made
    if not isinstance(rule.start, time):
        return
    zone, length = ZoneInfo(rule.zone), timedelta(seconds=rule.length_seconds)
    begins = []
    back = now - length - timedelta(days=2)
    shown = back.astimezone(zone).replace(tzinfo=None)
    seen = {shown.date()}
    for step in range(1, int((now - back) / MINUTE) + 1):
        moment = back + step * MINUTE
        local = moment.astimezone(zone).replace(tzinfo=None)
        day = local.date()
        for date in {day, day - timedelta(days=1)}:
            if date not in seen and local >= datetime.combine(date, rule.start):
                seen.add(date)
                if date.weekday() in rule.days:
                    begins.append(moment)
    first_day = shown.date()
    opened = any(begin <= now < begin + length for begin in begins) and not frozen_at(rule, now)
    window = next_window(rule, now)
    told = window is not None and window.begins <= now
    assert told is opened, (begins, first_day)


@settings(max_examples=70, deadline=None)
@given(rules(), st.integers(0, 200_000), st.integers(0, 50_000), st.integers(0, 50_000))
def test_what_fits(made: tuple[WindowRules, datetime], stage: int, back: int, less: int) -> None:
    rule, now = made
    found = fits(rule, now, stage, back)
    assert found.needed_seconds == stage + back
    assert found.fits is (found.open and found.left_seconds >= stage + back) is (found.why == "")
    if found.fits:
        assert found.window and found.window.begins <= now
        assert now + timedelta(seconds=stage + back) <= found.window.ends
        assert fits(rule, now, max(0, stage - less), back).fits, "less work fits too"
    elif found.later:
        start = max(now, found.later.begins)
        assert fits(rule, start, stage, back).fits, "it does fit into the window that is named"
        assert found.later.begins > now


@settings(max_examples=90, deadline=None)
@given(st.datetimes(FIRST, LAST), zones)
def test_readings_of_a_local_time(local: datetime, name: str) -> None:
    local, zone = local.replace(second=0, microsecond=0), ZoneInfo(name)
    first, last = readings(local, zone)
    assert first <= last <= first + timedelta(hours=25)

    def shown(moment: datetime) -> datetime:
        return moment.astimezone(zone).replace(tzinfo=None)

    if exists(local, zone):
        assert shown(first) == shown(last) == local
    else:
        assert first == last and shown(first) > local
        assert shown(first - timedelta(seconds=1)) < local, "the very moment clocks are put forward"


# ---------------------------------------------------------------- the nights of the change


BERLIN = WindowRules(time(22), 8 * 3600, "Europe/Berlin", (5,))


@pytest.mark.parametrize(
    ("day", "begins", "ends"),
    [
        ("2026-10-24", "2026-10-24T22:00:00+02:00", "2026-10-25T05:00:00+01:00"),
        ("2026-03-28", "2026-03-28T22:00:00+01:00", "2026-03-29T07:00:00+02:00"),
        ("2026-06-06", "2026-06-06T22:00:00+02:00", "2026-06-07T06:00:00+02:00"),
    ],
)
def test_eight_hours_are_eight_hours_in_every_night(day: str, begins: str, ends: str) -> None:
    window = next_window(BERLIN, datetime.fromisoformat(day).replace(tzinfo=UTC))
    assert window is not None and window.seconds == 8 * 3600
    zone = ZoneInfo("Europe/Berlin")
    assert (window.begins.astimezone(zone).isoformat(), window.ends.astimezone(zone).isoformat()) == (begins, ends)


def test_a_window_of_days_is_found_from_its_last_hour() -> None:
    rule = WindowRules(time(22), 160 * 3600, "Europe/Berlin", (0,))
    window = next_window(rule, datetime(2026, 11, 23, 23, tzinfo=UTC))
    assert window is not None
    assert all(next_window(rule, window.begins + part * HOUR) == window for part in (0, 40, 100, 159))


def test_a_weekly_start_that_does_not_exist_or_comes_twice() -> None:
    nightly = WindowRules(time(2, 30), 3600, "Europe/Berlin", tuple(range(7)))
    spring = next_window(nightly, datetime(2026, 3, 29, tzinfo=UTC))
    autumn = next_window(nightly, datetime(2026, 10, 25, tzinfo=UTC))
    assert spring and spring.begins == datetime(2026, 3, 29, 1, tzinfo=UTC), "clocks go from 02:00 to 03:00"
    assert autumn and autumn.begins == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of the two"


def test_a_moment_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        next_window(BERLIN, datetime(2026, 1, 1))


def test_freezes_alone() -> None:
    now = datetime(2026, 12, 20, tzinfo=UTC)
    rule = WindowRules(freezes=(Freeze(now, now + HOUR, "x"),))
    found = fits(rule, now, 60)
    assert not found.open and found.later and found.later.begins == now + HOUR and found.later.endless
    assert fits(rule, now + HOUR, 10**7).fits
    before = fits(rule, now - HOUR, 2 * 3600)
    assert before.open and not before.fits and before.left_seconds == 3600
