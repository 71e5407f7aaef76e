"""`[verify]` of upgrader.toml: how far a cloud is tried out after a hop, and for how long it is waited for.

Light: the site file is read by `status` too. Holds no secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from upgrader.config_table import Table

SECTION = "verify"
FULL, READ_ONLY, OFF = "full", "read-only", "off"
_DURATION = re.compile(r"^(\d+)\s*(s|min|h)$")
_UNITS = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class VerifyRules:
    """What `verify` does beside looking. Times in seconds."""

    smoke: str = FULL
    """`full`: things are made and removed again, as a member user; `read-only`: only asked; `off`: neither."""
    settle: int = 180
    """How long services may take after the upgrade until they are healthy and report; asked again until then."""
    limit: int = 600
    """For the whole trial of the APIs, its removing included."""
    server: int = 180
    """For one server to become active, and again for it to go away."""
    flavor: str = ""
    """Flavor of the trial server; empty: one of the trial's own, 64 MB and one processor."""
    logs: bool = True
    """Compare the services' errors since the upgrade with the hour before the hop."""
    error_count: int = 10
    """Fewer new errors of a service than this are no rise, whatever there was before."""
    error_factor: int = 3
    """A rise is this many times the errors per minute of the hour before."""


def verify_rules(table: Table) -> VerifyRules:
    """The section's rules; faults are collected in the table."""
    plain = VerifyRules()
    return VerifyRules(
        smoke=_smoke(table, plain.smoke),
        settle=_seconds(table, "settle", plain.settle, 0, 3600),
        limit=_seconds(table, "limit", plain.limit, 10, 3600),
        server=_seconds(table, "server", plain.server, 5, 3600),
        flavor=table.text(SECTION, "flavor", plain.flavor),
        logs=table.flag(SECTION, "logs", plain.logs),
        error_count=_count(table, "error_count", plain.error_count),
        error_factor=_count(table, "error_factor", plain.error_factor),
    )


def _smoke(table: Table, default: str) -> str:
    table.seen.add((SECTION, "smoke"))
    found = table.section(SECTION).get("smoke", default)
    if found is True or found is False:
        return FULL if found else OFF
    if found not in (FULL, READ_ONLY):
        table.faults.append(f'[{SECTION}] smoke: wants true, false or "{READ_ONLY}", has {found!r}')
        return default
    return str(found)


def _count(table: Table, key: str, default: int) -> int:
    found = table.parsed(SECTION, key, int, default, "a whole number")
    if found < 1:
        table.faults.append(f"[{SECTION}] {key}: wants a whole number from 1 on, has {found}")
        return default
    return found


def _seconds(table: Table, key: str, default: int, least: int, most: int) -> int:
    found = table.value(SECTION, key, default)
    match = _DURATION.match(found.strip()) if isinstance(found, str) else None
    number = int(match[1]) * _UNITS[match[2]] if match else found if isinstance(found, int) else -1
    if not least <= number <= most:
        table.faults.append(f"[{SECTION}] {key}: {found!r} is no duration from {least} s to {most} s")
        return default
    return number
