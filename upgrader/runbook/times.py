"""When things happen: a window that was named, and the clock times of stages in it. No clock is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from upgrader.errors import UsageError
from upgrader.estimates import Estimate
from upgrader.estimates.value import of
from upgrader.model import HopPlan

_LENGTH = re.compile(r"^(?:(\d+)h)?(?:(\d+)(?:m|min)?)?$")
_EXAMPLE = "--window 2026-12-05T22:00+01:00/6h"


@dataclass(frozen=True, slots=True)
class Opening:
    """A change window: when it opens, how long it is (0: not said), and the zone its times are shown in."""

    begins: datetime
    seconds: int = 0
    zone: str = "UTC"

    @property
    def ends(self) -> datetime | None:
        return self.begins + timedelta(seconds=self.seconds) if self.seconds else None

    def told(self, at: datetime) -> str:
        """`2026-12-05 21:00 UTC (22:00 Europe/Berlin)`."""
        utc = at.astimezone(UTC)
        words = f"{utc:%Y-%m-%d %H:%M} UTC"
        if self.zone == "UTC":
            return words
        local = at.astimezone(_zone(self.zone))
        day = "" if local.date() == utc.date() else f"{local:%Y-%m-%d} "
        return f"{words} ({day}{local:%H:%M} {self.zone})"

    def clock(self, at: datetime) -> str:
        """`22:17` in the zone, with the day where it is another one than the window's first."""
        first, local = self.begins.astimezone(_zone(self.zone)), at.astimezone(_zone(self.zone))
        days = (local.date() - first.date()).days
        return f"{local:%H:%M}" + (f" +{days} d" if days else "")


@dataclass(frozen=True, slots=True)
class Clock:
    """The times of one hop; empty where no window was named."""

    opens: str = ""
    closes: str = ""
    starts: Mapping[str, str] | None = None
    seconds: int = 0

    def fits(self, wanted: float | None, reserved: float) -> str:
        """Whether stages and way back fit, by the long end of the estimate: `yes`, `no`, or empty."""
        if not self.seconds or not wanted:
            return ""
        return "yes" if wanted + reserved <= self.seconds else "no"


def placed(hop: HopPlan, found: Sequence[Estimate], opening: Opening | None) -> Clock:
    """Clock times of the stages in the window, by their estimates; a stage after one of unknown length has none."""
    if opening is None:
        return Clock()
    starts: dict[str, str] = {}
    at: datetime | None = opening.begins
    for stage in hop.stages:
        if stage.when != "window":
            continue
        if at is None:
            break
        starts[stage.name] = opening.clock(at)
        known = of(found, hop.name, stage.name)
        at = at + timedelta(seconds=known.seconds) if known else None
    ends = opening.ends
    return Clock(opening.told(opening.begins), opening.told(ends) if ends else "", starts, opening.seconds)


def opening_of(text: str, zone: str = "UTC", seconds: int = 0) -> Opening:
    """`2026-12-05T22:00+01:00/6h`; without an offset it is local time in `zone`, without a length `seconds` hold.

    Raises UsageError, also for a local time that does not exist or is there twice.
    """
    moment, _, length = text.partition("/")
    try:
        begins = datetime.fromisoformat(moment)
    except ValueError:
        raise _wrong(text, "it is no date and time") from None
    if length:
        seconds = _seconds(length) or 0
        if not seconds:
            raise _wrong(text, f"{length!r} is no length")
    if begins.tzinfo is None:
        begins = _local(begins, zone, text)
    try:
        begins.astimezone(UTC) + timedelta(seconds=seconds, days=30)
    except OverflowError:
        raise _wrong(text, "it is out of every calendar") from None
    return Opening(begins, seconds, zone)


def _local(begins: datetime, zone: str, text: str) -> datetime:
    known = _zone(zone)
    first, second = (begins.replace(tzinfo=known, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        there = first.astimezone(UTC).astimezone(known).replace(tzinfo=None) == begins
        raise _wrong(text, f"that time is there twice in {zone}" if there else f"there is no such time in {zone}")
    return first


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"{name!r} is no time zone.", next_command=_EXAMPLE, reason="no-such-zone") from None


def _seconds(text: str) -> int:
    found = _LENGTH.match(text)
    if not found or not any(found.groups()):
        return 0
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(
        f"--window {text!r}: {why}.", cloud="Nothing was written.", next_command=_EXAMPLE, reason="no-such-window"
    )
