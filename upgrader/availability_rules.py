"""`[availability]` of upgrader.toml: which APIs are asked during a hop, how often, and when to give up waiting.

Light: the site file is read by `status` too. Holds no secret; the account's password stays in passwords.yml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from upgrader.config_table import Table

SECTION = "availability"
_ENDPOINTS = f"{SECTION}.endpoints"
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)$")
_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")


@dataclass(frozen=True, slots=True)
class AvailabilityRules:
    """How the public APIs are asked while a hop is under way. Times in seconds."""

    enabled: bool = True
    interval: float = 0.5
    """Between two questions to one API."""
    timeout: float = 5.0
    """An API that has not answered after this long counts as away."""
    token_interval: float = 5.0
    """Between two requests for a token while they succeed: each costs Keystone a password hash. While they fail, it
    is asked every `interval`."""
    limit: float = 24 * 3600
    """The probe ends by itself after this long, whatever the run does."""
    keystone: str = ""
    """Public address of Keystone; empty: as the cloud's own database says."""
    token: bool = True
    """Ask for tokens and validate one, as the site's administrator; False: version documents only."""
    catalogue: bool = True
    """Ask the version document of every service in the catalogue."""
    region: str = ""
    """Region whose public endpoints are asked; empty: the site's own (openstack_region_name)."""
    endpoints: tuple[tuple[str, str], ...] = ()
    """(name, URL) of further addresses to ask; one with a catalogue's name stands in for it."""
    ca_file: Path | None = None
    insecure: bool = False
    """Do not check certificates."""


def availability_rules(table: Table) -> AvailabilityRules:
    """The section's rules; faults are collected in the table."""
    plain = AvailabilityRules()
    return AvailabilityRules(
        enabled=table.flag(SECTION, "enabled", plain.enabled),
        interval=_seconds(table, "interval", plain.interval, 0.1, 60),
        timeout=_seconds(table, "timeout", plain.timeout, 0.1, 60),
        token_interval=_seconds(table, "token_interval", plain.token_interval, 0.1, 600),
        limit=_seconds(table, "limit", plain.limit, 1, 14 * 86400),
        keystone=_url(table, "keystone", table.text(SECTION, "keystone", "")),
        token=table.flag(SECTION, "token", plain.token),
        catalogue=table.flag(SECTION, "catalogue", plain.catalogue),
        region=table.text(SECTION, "region", ""),
        endpoints=_endpoints(table),
        ca_file=table.path(SECTION, "ca_file", None),
        insecure=table.flag(SECTION, "insecure", plain.insecure),
    )


def _seconds(table: Table, key: str, default: float, least: float, most: float) -> float:
    found = table.value(SECTION, key, None)
    if found is None:
        return default
    match = _DURATION.match(found.strip()) if isinstance(found, str) else None
    number = float(match[1]) * _UNITS[match[2]] if match else found if isinstance(found, int | float) else -1.0
    if not least <= number <= most:
        table.faults.append(f"[{SECTION}] {key}: {found!r} is no duration from {_words(least)} to {_words(most)}")
        return default
    return float(number)


def _words(seconds: float) -> str:
    for unit in ("d", "h", "min", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g} {unit}"
    return f"{seconds * 1000:g} ms"


def _endpoints(table: Table) -> tuple[tuple[str, str], ...]:
    table.seen.add((_ENDPOINTS, ""))
    found = []
    for name, url in table.section(_ENDPOINTS).items():
        table.seen.add((_ENDPOINTS, name))
        if not _NAME.match(name):
            table.faults.append(f"[{_ENDPOINTS}] {name!r}: has characters other than letters, digits, space . _ -")
        elif not isinstance(url, str):
            table.faults.append(f"[{_ENDPOINTS}] {name}: wants an address, has {url!r}")
        else:
            found.append((name, _url(table, f"endpoints {name}", url)))
    return tuple(found)


def _url(table: Table, key: str, text: str) -> str:
    """The address as it is; a login in it is a fault, for addresses are shown and recorded."""
    if not text:
        return text
    if fault := fault_of(text):
        table.faults.append(f"[{SECTION}] {key}: {fault}")
        return ""
    return text


def fault_of(url: str) -> str:
    """Why an address cannot be asked; empty when it can. Never repeats one that holds a login."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is no address ({error})"
    if parts.username is not None or parts.password is not None:
        return "an address with a login in it would be recorded: leave the login out"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{url!r} is no http:// or https:// address"
    if port == 0 or not url.isprintable() or not url.isascii() or " " in url:
        return f"{url!r} is no address that can be asked"
    return ""
