"""A host's clock against this machine's. Pure.

Both ends of the question are timed: `asked` just before Ansible connects and `heard` when the answer is in, by this
machine; `begun` and `ended` in between, by the host. The true difference d satisfies asked + d <= begun and
ended <= heard + d, so that it lies between ended - heard and begun - asked. Of that interval the value nearest to
zero is told: how far the clocks differ at least, however long connecting took.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from upgrader.facts.parse import Sections, pairs
from upgrader.observed import ClockFacts

_SYNCHRONISED = {"yes": True, "normal": True, "no": False, "not synchronised": False}
"""`timedatectl show --property=NTPSynchronized`, and the leap status that closes `chronyc -c tracking`."""


def clock_facts(found: Sections, heard: str = "") -> ClockFacts | None:
    """None when the host told no time at all. `heard` is ISO 8601, UTC."""
    values = pairs(found.get("clock"))
    begun = _seconds(values, "begun")
    if begun is None:
        return None
    return ClockFacts(
        synchronised=_SYNCHRONISED.get(values.get("synchronised", "").strip().lower()),
        offset_seconds=_offset(begun, _seconds(values, "ended"), _seconds(values, "asked"), _moment(heard)),
    )


def _offset(begun: float, ended: float | None, asked: float | None, heard: float | None) -> float | None:
    if asked is None:
        return None
    most = begun - asked
    if heard is None or ended is None:
        # how much of a positive difference is the way there cannot be told
        return round(most, 3) if most < 0 else None
    least = ended - heard
    return round(min(max(0.0, least), most) if least <= most else (least + most) / 2, 3)


def _seconds(values: Mapping[str, str], name: str) -> float | None:
    try:
        found = float(values.get(name, ""))
    except ValueError:
        return None
    return found if 0 < found < 1e11 else None


def _moment(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
