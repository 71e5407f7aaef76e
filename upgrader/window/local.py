"""Local times and moments, with the two hours a year that are missing or come twice.

Zones come from the machine's own database (package tzdata of the system, kept up to date with it); Python's tzdata
package stands in where there is none.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


class UnknownZoneError(ValueError):
    """There is no such time zone on this machine; the text says what there is."""


@cache
def zone_of(name: str) -> ZoneInfo:
    """Raises UnknownZoneError."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # loaded for sites that have windows only

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZoneError(_unknown(name)) from None


def _unknown(name: str) -> str:
    import zoneinfo

    known = zoneinfo.available_timezones()
    if not known:
        return f"{name!r} cannot be looked up: this machine has no time zones (install the package tzdata)"
    from difflib import get_close_matches

    folded = {zone.casefold(): zone for zone in known}
    last = {zone.rpartition("/")[2].casefold(): zone for zone in sorted(known, reverse=True)}
    near = [folded[hit] for hit in get_close_matches(name.casefold(), folded, n=2, cutoff=0.7)]
    near += [last[hit] for hit in get_close_matches(name.casefold(), last, n=1, cutoff=0.7)]
    hint = f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
    return f"{name!r} is no time zone of the IANA database, such as Europe/Berlin{hint}"


def readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last moment (UTC) at which clocks of the zone show `local`; mostly the same.

    A local time that no clock shows, because clocks are put forward over it: twice the moment they are.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first, second) if first <= second else (_change(second, first, zone),) * 2


def exists(local: datetime, zone: ZoneInfo) -> bool:
    """False: clocks of the zone are put forward over this local time."""
    return local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment between the two at which the zone's offset changes, to the second."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
