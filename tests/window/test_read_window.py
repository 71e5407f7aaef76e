"""`[window]` of upgrader.toml: what is understood, and what is said of everything else."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from upgrader.config_table import Table
from upgrader.window import WindowRules, moment, read_window, schedule, span

SATURDAY = datetime(2026, 12, 5, 21, tzinfo=UTC)


def read(text: str) -> tuple[WindowRules | None, list[str]]:
    table = Table(Path("upgrader.toml"), tomllib.loads(f"[window]\n{text}"))
    return read_window(table), table.faults


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("", None),
        ('timezone = "Europe/Berlin"', None),
        ('start = ""\nlength = ""', None),
        ('start = "22:00"\nlength = "4h"', WindowRules(time(22), 4 * 3600, "UTC", tuple(range(7)))),
        ('start = 22:00:00\nlength = "4h"\ndays = ["sat"]', WindowRules(time(22), 4 * 3600, "UTC", (5,))),
        ('start = "Sat, Sunday 22:00"\nlength = "90min"', WindowRules(time(22), 5400, "UTC", (5, 6))),
        ('start = "daily 22:00"\nlength = "1h 30 min"', WindowRules(time(22), 5400, "UTC", tuple(range(7)))),
        ('start = "2026-12-05 21:00"\nlength = "8h"', WindowRules(SATURDAY, 8 * 3600)),
        ('start = "2026-12-05T22:00+01:00"\nlength = "8h"', WindowRules(SATURDAY, 8 * 3600)),
        ('start = 2026-12-05T22:00:00\nlength = "8h"\ntimezone = "Europe/Berlin"',
         WindowRules(SATURDAY, 8 * 3600, "Europe/Berlin")),
        ('start = "2026-10-25 02:30+01:00"\nlength = "1d"\ntimezone = "Europe/Berlin"',
         WindowRules(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 86400, "Europe/Berlin")),
    ],
)  # fmt: skip
def test_understood(text: str, rules: WindowRules | None) -> None:
    assert read(text) == (rules, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('start = "22:00"', "length: missing"),
        ('length = "4h"', "start: missing, and there is length"),
        ('days = ["sat"]', "start: missing, and there is days"),
        ('start = "sat"\nlength = "4h"', "start: 'sat' is neither a date and time"),
        ('start = "2026-12-05"\nlength = "4h"', "start: '2026-12-05' is neither"),
        ('start = "22:00+01:00"\nlength = "4h"', "start: '22:00+01:00' is neither"),
        ('start = true\nlength = "4h"', "start: True is neither"),
        ('start = "1999-12-05 22:00"\nlength = "4h"', "start: 1999-12-05 22:00:00 is not within the years"),
        ('start = "9999-12-31 23:00"\nlength = "4h"', "is not within the years"),
        ('start = "22:00"\nlength = "0h"', "length: '0h': a window without length never opens"),
        ('start = "22:00"\nlength = 4', "length: 4 is not a duration"),
        ('start = "22:00"\nlength = "99999999999999999999d"', "is longer than 31 days"),
        ('start = "22:00"\nlength = "24h"', "length: '24h' reaches into the next window; at most 23h"),
        ('start = "22:00"\nlength = "48h"\ndays = ["sat", "sun"]', "at most 23h"),
        ('start = "22:00"\nlength = "4h"\ndays = ["saturnalia"]', "days: 'saturnalia' is none of mon, tue"),
        ('start = "22:00"\nlength = "4h"\ndays = "sat"', "days: wants a list"),
        ('start = "2026-12-05 22:00"\nlength = "4h"\ndays = ["sat"]', "days: start 2026-12-05 22:00 is one day"),
        ('start = "22:00"\nlength = "4h"\ntimezone = "Berlin"', "did you mean Europe/Berlin?"),
        ('start = "22:00"\nlength = "4h"\ntimezone = "../etc/passwd"', "is no time zone of the IANA database"),
        ('start = "22:00"\nlength = "4h"\ntimezone = 1', "'1' is no time zone"),
        ('start = "2026-03-29 02:30"\nlength = "4h"\ntimezone = "Europe/Berlin"',
         'does not exist in Europe/Berlin: clocks are put forward to 03:00 over it; write "2026-03-29 03:00"'),
        ('start = "2026-10-25 02:30"\nlength = "4h"\ntimezone = "Europe/Berlin"',
         'comes twice in Europe/Berlin, for clocks are put back that night; write "2026-10-25 02:30+02:00" or '
         '"2026-10-25 02:30+01:00"'),
        ('freeze = "2026-12-18"', "freeze: wants a list such as"),
        ('freeze = [{ from = "2026-12-18" }]', "freeze 1: to: wants a day"),
        ('freeze = [{ from = "2027-01-06", to = "2026-12-18" }]', "it ends (2026-12-18) before it begins (2027-01-06)"),
        ('freeze = [{ from = "2026-12-18", to = "2026-12-20", whi = "x" }]', "freeze 1: no such key 'whi'"),
        ('freeze = [{ from = "2026-12-18", to = "9999-12-31" }]', "is not within the years"),
        ('freeze = [{ from = "2026-12-18", to = "2026-12-20", why = "a\\nb" }]', "why: wants one line of text"),
    ],
)  # fmt: skip
def test_not_understood(text: str, said: str) -> None:
    rules, faults = read(text)
    assert any(said in fault for fault in faults), faults
    assert all(fault.startswith("[window] ") for fault in faults)
    assert rules is None or "at most 23h" in said


def test_the_days_of_a_freeze_count_whole_and_doubtful_hours_make_it_longer() -> None:
    rules, _ = read('timezone = "Europe/Berlin"\nfreeze = [{ from = "2026-12-18", to = 2026-12-20, why = "x" }]')
    assert rules and rules.start is None
    (freeze,) = rules.freezes
    assert freeze.begins == datetime(2026, 12, 17, 23, tzinfo=UTC)
    assert freeze.ends == datetime(2026, 12, 20, 23, tzinfo=UTC)
    twice, _ = read(
        'timezone = "Europe/Berlin"\nfreeze = [{ from = "2026-10-25 02:30", to = "2026-10-25 02:30+01:00" }]'
    )
    assert twice and twice.freezes[0].begins == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert twice.freezes[0].ends == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_machine_without_zones_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    assert "this machine has no time zones (install the package tzdata)" in str(
        read('start = "22:00"\nlength = "4h"\ntimezone = "Nowhere/Here"')[1]
    )


@pytest.mark.parametrize(
    ("when", "zone", "words"),
    [
        (SATURDAY, "Europe/Berlin", "Sat 2026-12-05 22:00 CET (21:00 UTC)"),
        (SATURDAY, "UTC", "Sat 2026-12-05 21:00 UTC"),
        (SATURDAY, "Asia/Kathmandu", "Sun 2026-12-06 02:45 UTC+05:45 (2026-12-05 21:00 UTC)"),
        (SATURDAY, "America/Sao_Paulo", "Sat 2026-12-05 18:00 UTC-03:00 (21:00 UTC)"),
    ],
)
def test_moments_in_words(when: datetime, zone: str, words: str) -> None:
    assert moment(when, zone) == words


def test_spans_and_schedules_in_words() -> None:
    told = [span(seconds) for seconds in (0, 59, 60, 3599, 3600, 5700, 47 * 3600, 50 * 3600)]
    assert told == ["0 s", "59 s", "1 min", "1 h", "1 h", "1 h 35 min", "47 h", "2 days 2 h"]
    weekly = WindowRules(time(22), 8 * 3600, "Europe/Berlin", (4, 5, 6))
    assert schedule(weekly) == "every Fri, Sat and Sun 22:00 for 8 h, Europe/Berlin"
    assert schedule(WindowRules(SATURDAY, 3600, "UTC")) == "Sat 2026-12-05 21:00 UTC for 1 h"
