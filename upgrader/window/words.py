"""How moments and spans are said: in the operator's own time, and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, time

from upgrader.window.local import zone_of
from upgrader.window.rules import DAYS, WindowRules


def moment(when: datetime, zone: str) -> str:
    """`Sat 2026-12-05 22:00 CET (21:00 UTC)`; the UTC date too where it is another one."""
    there, utc = (when.replace(microsecond=0).astimezone(place) for place in (zone_of(zone), UTC))
    local = f"{there:%a %Y-%m-%d %H:%M}"
    if there.utcoffset() == utc.utcoffset():
        return f"{local} UTC"
    name = there.tzname() or ""
    shown = name if name.isalpha() else f"UTC{there.isoformat()[19:25]}"
    form = "%H:%M" if there.date() == utc.date() else "%Y-%m-%d %H:%M"
    return f"{local} {shown} ({utc.strftime(form)} UTC)"


def span(seconds: float) -> str:
    """`45 s`, `41 min`, `1 h 35 min`, `3 days 2 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, over = divmod(hours, 24)
    return f"{days} days {over} h" if over else f"{days} days"


def schedule(rules: WindowRules) -> str:
    """The rule itself: `every Sat and Sun 22:00 for 8 h, Europe/Berlin`."""
    if rules.start is None:
        return f"always, but for freezes ({rules.zone})"
    length = span(rules.length_seconds)
    if isinstance(rules.start, time):
        names = [DAYS[day].capitalize() for day in rules.days]
        which = "day" if len(names) == len(DAYS) else " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        return f"every {which} {rules.start:%H:%M} for {length}, {rules.zone}"
    return f"{moment(rules.start, rules.zone)} for {length}"
