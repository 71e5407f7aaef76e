"""Windows as they are typed, in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runbook.made import estimated, site_plan
from upgrader.errors import UsageError
from upgrader.runbook.times import Opening, opening_of, placed

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def test_an_offset_counts_and_a_length_may_follow() -> None:
    made = opening_of("2026-12-05T22:00+01:00/6h")
    assert made.begins == datetime(2026, 12, 5, 21, tzinfo=UTC)
    assert made.ends == datetime(2026, 12, 6, 3, tzinfo=UTC)
    assert opening_of("2026-12-05T22:00Z/90m").seconds == 5400
    assert opening_of("2026-12-05T22:00Z/1h30").seconds == 5400
    assert opening_of("2026-12-05T22:00Z").ends is None


def test_without_an_offset_the_zone_counts() -> None:
    made = opening_of("2026-07-05T22:00", "Europe/Berlin", 7200)
    assert made.begins == datetime(2026, 7, 5, 20, tzinfo=UTC)
    assert made.told(made.begins) == "2026-07-05 20:00 UTC (22:00 Europe/Berlin)"
    later = made.begins + timedelta(hours=3)
    assert made.told(later) == "2026-07-05 23:00 UTC (2026-07-06 01:00 Europe/Berlin)"
    assert made.clock(later) == "01:00 +1 d"


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("tomorrow", "UTC", "no date and time"),
        ("2026-02-30T10:00", "UTC", "no date and time"),
        ("2026-12-05T22:00/soon", "UTC", "no length"),
        ("2026-12-05T22:00/0h", "UTC", "no length"),
        ("2026-03-29T02:30", "Europe/Berlin", "no such time"),
        ("2026-10-25T02:30", "Europe/Berlin", "there twice"),
        ("9999-12-31T23:00Z/9h", "UTC", "out of every calendar"),
        ("2026-12-05T22:00", "Mars/Olympus", "no time zone"),
    ],
)
def test_what_is_no_window_is_refused(text: str, zone: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        opening_of(text, zone)


@given(
    st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2030, 1, 1)),
    st.sampled_from(ZONES),
    st.integers(1, 48),
)
@settings(max_examples=60)
def test_a_window_is_as_long_as_it_says_whatever_clocks_do(begins: datetime, zone: str, hours: int) -> None:
    made = Opening(begins.replace(second=0, microsecond=0, tzinfo=UTC), hours * 3600, zone)
    assert made.ends is not None
    assert made.ends - made.begins == timedelta(hours=hours)
    local = made.ends.astimezone(ZoneInfo(zone))
    assert made.clock(made.ends).startswith(f"{local:%H:%M}")


def test_stages_follow_one_another_by_their_estimates() -> None:
    made = site_plan("2024.1", "2024.2")
    clock = placed(made.hops[0], estimated(made), opening_of("2026-12-05T22:00Z/6h"))
    assert clock.starts == {
        "backup": "22:00", "upgrade": "22:07", "verify": "22:35", "soak": "22:39", "finalize": "23:09",
    }  # fmt: skip
    assert clock.fits(4 * 3600, 2 * 3600) == "yes"
    assert clock.fits(4 * 3600 + 1, 2 * 3600) == "no"
    assert clock.fits(None, 0) == ""


def test_after_a_stage_of_unknown_length_no_time_is_told() -> None:
    made = site_plan("2024.1", "2024.2")
    known = tuple(one for one in estimated(made) if one.stage != "upgrade")
    assert placed(made.hops[0], known, opening_of("2026-12-05T22:00Z")).starts == {
        "backup": "22:00",
        "upgrade": "22:07",
    }
