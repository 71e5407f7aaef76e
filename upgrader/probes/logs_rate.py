"""Do services log more errors since an upgrade than they did in the hour before it?

A rise is a warning, never a failure: it says where to look, with the most frequent line that is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from upgrader.model import Code, Finding
from upgrader.probes.base import good, unread, warning

RISE, UNREAD, ID = "errors-rise", "errors-unread", "errors"
_SHORTEST = 60.0
"""Seconds that a time counts for at least: a minute of many errors must not stand for an hour of them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one host counted for one service."""

    before: int
    before_seconds: float
    """Of the hour before the hop, from the first line that is there; 0: no line of that time is there."""
    after: int
    after_seconds: float
    new: tuple[tuple[str, int], ...] = ()
    """(line without numbers and secrets, how often) of lines not seen before, most frequent first."""


@dataclass
class Counted:
    """Answers of all hosts. `told`: service → host → counts."""

    told: dict[str, dict[str, Told]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    """Host → what of it could not be read, and why."""
    absent: set[str] = field(default_factory=set)
    """Hosts on which no service keeps logs."""


def logs_rate(counted: Counted, *, least: int, factor: int) -> tuple[Finding, ...]:
    """Findings over all hosts. A service's errors have risen when there are `least` or more since the upgrade, and
    more than `factor` times as many per minute as before."""
    found = [*_unread(counted)]
    for service, hosts in sorted(counted.told.items()):
        found += _service(service, hosts, least, factor)
    if found:
        return tuple(found)
    if not counted.told:
        return (unread(Code.WARNING, UNREAD, "no log of a service was found on any host", "nothing to compare"),)
    without = f"; {len(counted.absent)} hosts keep none" if counted.absent else ""
    return (good(ID, f"no more errors than before in the logs of {len(counted.told)} services{without}"),)


def _service(service: str, hosts: Mapping[str, Told], least: int, factor: int) -> Iterable[Finding]:
    before, after = (sum(getattr(told, name) for told in hosts.values()) for name in ("before", "after"))
    before_seconds = max(told.before_seconds for told in hosts.values())
    after_seconds = max(told.after_seconds for told in hosts.values())
    rate = before / max(before_seconds, _SHORTEST)
    if after < least or after / max(after_seconds, _SHORTEST) <= factor * rate:
        return
    new: dict[str, int] = {}
    for told in hosts.values():
        for line, count in told.new:
            new[line] = new.get(line, 0) + count
    most = max(new.items(), key=lambda row: (row[1], row[0]), default=None)
    then = f"{before} in the {_span(before_seconds)} before" if before_seconds else "nothing at all in the hour before"
    yield warning(
        RISE,
        f"{service} logs more errors than before the hop: {after} in {_span(after_seconds)}, {then}",
        host=", ".join(host for host, told in sorted(hosts.items()) if told.after),
        evidence=f"new, {most[1]} times: {most[0]}" if most else "none of its lines is new",
        next=f"grep -rhE ' (ERROR|CRITICAL) ' /var/log/kolla/{service} on these hosts",
    )


def _unread(counted: Counted) -> Iterable[Finding]:
    if counted.unread:
        evidence = "; ".join(f"{host}: {why}" for host, why in sorted(counted.unread.items())[:8])
        yield unread(
            Code.WARNING,
            UNREAD,
            f"logs of {len(counted.unread)} host{'s' if len(counted.unread) > 1 else ''} could not be read wholly",
            evidence,
            host=", ".join(sorted(counted.unread)),
        )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"
