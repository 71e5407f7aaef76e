"""`[window]` of upgrader.toml → WindowRules, every fault with its key.

    [window]
    start = "2026-12-05 22:00"        once; or "22:00" with days (none: every day), or "sat 22:00"
    days = ["sat"]
    length = "8h"
    timezone = "Europe/Berlin"        none: UTC
    freeze = [{ from = "2026-12-18", to = "2027-01-06", why = "end of year" }]

A freeze's days count whole, both of them. Without `start` there are only freezes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from upgrader.config_table import Table
from upgrader.window.local import UnknownZoneError, exists, readings, zone_of
from upgrader.window.rules import DAYS, Freeze, WindowRules

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECTION = "window"
KEYS = ("start", "days", "length", "timezone", "freeze")
_LENGTH = re.compile(r"^\s*(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*min)?\s*(?:(\d+)\s*s)?\s*$", re.IGNORECASE)
_NAMED = re.compile(r"^(daily|[a-z]{3,9}(?:\s*,\s*[a-z]{3,9})*)\s+(\d.*)$", re.IGNORECASE)
_CLOCK = timedelta(hours=1)
"""What the change of the clocks can take from the time between two windows."""
_LONGEST = 31 * 86400
_FIRST, _LAST = 2000, 2200


def read_window(table: Table) -> WindowRules | None:
    """The rules of the section, None where it says nothing; faults go to the table."""
    part = table.section(SECTION)
    table.seen.update((SECTION, key) for key in KEYS)
    if not part or not any(part.get(key) not in ("", None, []) for key in KEYS if key != "timezone"):
        return None
    before = len(table.faults)
    try:
        zone = zone_of(str(part.get("timezone", "UTC")))
    except UnknownZoneError as error:
        table.faults.append(f"[{SECTION}] timezone: {error}")
        return None
    reader = _Reader(table, part, zone)
    start, days = reader.start()
    length = reader.length(start)
    freezes = reader.freezes()
    if len(table.faults) > before:
        return None
    reader.apart(days, length)
    return WindowRules(start, length, zone.key, days, freezes)


@dataclass
class _Reader:
    table: Table
    part: Mapping[str, Any]
    zone: ZoneInfo

    def fault(self, key: str, text: str) -> None:
        self.table.faults.append(f"[{SECTION}] {key}: {text}")

    # ------------------------------------------------------------ start, days, length

    def start(self) -> tuple[datetime | time | None, tuple[int, ...]]:
        found = self.part.get("start", "")
        if found == "":
            for key in ("days", "length"):
                if key in self.part and self.part[key] not in ("", []):
                    self.fault("start", f"missing, and there is {key}")
                    break
            return None, ()
        days = self._days(self.part.get("days", []))
        if isinstance(found, str) and (named := _NAMED.match(found.strip())):
            days, found = self._named(named[1], days), named[2]
        begins = None if _whole_day(found) else self._moment(found)
        if begins is None:
            self.fault(
                "start", f'{found!r} is neither a date and time ("2026-12-05 22:00") nor a time of day ("22:00")'
            )
            return None, ()
        if isinstance(begins, time):
            return begins, days or tuple(range(len(DAYS)))
        if self.part.get("days") or days:
            self.fault("days", f"start {found} is one day of its own; give it as a time of day, or leave days out")
        return self._once("start", begins), ()

    def _days(self, found: Any) -> tuple[int, ...]:
        if not isinstance(found, list) or not all(isinstance(day, str) for day in found):
            self.fault("days", f'wants a list such as ["sat", "sun"], has {found!r}')
            return ()
        indices = []
        for day in found:
            hits = [index for index, name in enumerate(DAYS) if day.strip().casefold().startswith(name)]
            if not hits or not _full(day, hits[0]):
                self.fault("days", f"{day!r} is none of {', '.join(DAYS)}")
            else:
                indices.append(hits[0])
        return tuple(sorted(set(indices)))

    def _named(self, words: str, days: tuple[int, ...]) -> tuple[int, ...]:
        if words.casefold() == "daily":
            return days or tuple(range(len(DAYS)))
        return tuple(sorted({*days, *self._days([word.strip() for word in words.split(",")])}))

    def _once(self, key: str, begins: datetime) -> datetime | None:
        """A moment that is meant by exactly one local time."""
        if not _FIRST <= begins.year <= _LAST:
            self.fault(key, f"{begins} is not within the years {_FIRST} to {_LAST}")
            return None
        if begins.tzinfo is not None:
            return begins.astimezone(UTC)
        first, last = readings(begins, self.zone)
        if not exists(begins, self.zone):
            after = first.astimezone(self.zone)
            text = f"{begins} does not exist in {self.zone.key}: clocks are put forward to {after:%H:%M} over it"
            self.fault(key, f'{text}; write "{after:%Y-%m-%d %H:%M}"')
        elif first != last:
            early, late = (moment.astimezone(self.zone).isoformat(" ", "minutes") for moment in (first, last))
            text = f"{begins} comes twice in {self.zone.key}, for clocks are put back that night"
            self.fault(key, f'{text}; write "{early}" or "{late}"')
        return first

    def length(self, start: datetime | time | None) -> int:
        found = self.part.get("length", "")
        if start is None:
            return 0
        if found == "":
            self.fault("length", 'missing; such as "8h"')
            return 0
        match = _LENGTH.match(found) if isinstance(found, str) else None
        if match is None or not any(match.groups()):
            self.fault("length", f'{found!r} is not a duration such as "8h" or "1h 30min"')
            return 0
        days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if total == 0:
            self.fault("length", f"{found!r}: a window without length never opens")
        elif total > _LONGEST:
            self.fault("length", f"{found!r} is longer than 31 days; leave [window] out where there is none")
        return total

    def apart(self, days: tuple[int, ...], length: int) -> None:
        """Windows of a week must not run into each other."""
        if not days:
            return
        following = (*days[1:], days[0] + 7)
        gap = min(second - first for first, second in zip(days, following, strict=True)) * timedelta(days=1)
        if timedelta(seconds=length) > gap - _CLOCK:
            most = int((gap - _CLOCK).total_seconds() // 3600)
            text = f"{self.part.get('length')!r} reaches into the next window; at most {most}h fits between them"
            self.fault("length", f"{text} (an hour is for the night the clocks change)")

    # ------------------------------------------------------------ freezes

    def freezes(self) -> tuple[Freeze, ...]:
        found = self.part.get("freeze", [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            self.fault("freeze", 'wants a list such as [{ from = "2026-12-18", to = "2027-01-06", why = "…" }]')
            return ()
        read = [self._freeze(number, one) for number, one in enumerate(found, start=1)]
        return tuple(sorted((one for one in read if one), key=lambda one: (one.begins, one.ends, one.why)))

    def _freeze(self, number: int, found: Mapping[str, Any]) -> Freeze | None:
        key = f"freeze {number}"
        for name in found:
            if name not in ("from", "to", "why"):
                self.fault(key, f"no such key {name!r}; it has from, to and why")
        why = found.get("why", "")
        if not isinstance(why, str) or "\n" in why:
            self.fault(key, f"why: wants one line of text, has {why!r}")
            why = ""
        ends = [self._edge(key, name, found) for name in ("from", "to")]
        if ends[0] is None or ends[1] is None:
            return None
        if ends[1] <= ends[0]:
            self.fault(key, f"it ends ({found['to']}) before it begins ({found['from']})")
        return Freeze(ends[0], ends[1], why)

    def _edge(self, key: str, name: str, found: Mapping[str, Any]) -> datetime | None:
        """First moment of a freeze, or first after it: of a doubtful hour the reading that makes it longer."""
        edge = self._moment(found.get(name, ""))
        if edge is None or isinstance(edge, time):
            self.fault(key, f'{name}: wants a day ("2026-12-18") or a date and time, has {found.get(name)!r}')
            return None
        if not _FIRST <= edge.year <= _LAST:
            self.fault(key, f"{name}: {found[name]} is not within the years {_FIRST} to {_LAST}")
            return None
        if edge.tzinfo is not None:
            return edge.astimezone(UTC)
        if name == "to" and _whole_day(found[name]):
            edge += timedelta(days=1)
        return readings(edge, self.zone)[0 if name == "from" else 1]

    def _moment(self, found: Any) -> datetime | time | None:
        """What TOML or text gives: a local date and time, one with an offset, or a time of day."""
        if isinstance(found, datetime | time):
            return found if isinstance(found, datetime) or found.tzinfo is None else None
        if isinstance(found, date):
            return datetime.combine(found, time())
        if not isinstance(found, str):
            return None
        text = found.strip()
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
        try:
            read = time.fromisoformat(text) if ":" in text else None
        except ValueError:
            return None
        return read if read is None or read.tzinfo is None else None


def _whole_day(found: Any) -> bool:
    return (isinstance(found, date) and not isinstance(found, datetime)) or (
        isinstance(found, str) and ":" not in found
    )


def _full(day: str, index: int) -> bool:
    """`sat`, `saturday`, not `saturnalia`."""
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    return names[index].startswith(day.strip().casefold())
