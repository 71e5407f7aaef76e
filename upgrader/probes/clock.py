"""Do the hosts' clocks agree, and does somebody keep them so?"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from upgrader.model import CloudFacts, Finding
from upgrader.probes.base import failure, good, listed, warning

ID = "clock"
NOTICED = 2.0
"""Seconds of difference that no measuring explains."""
TOO_MUCH = 30.0
"""Half of what makes Nova take a service for dead ([DEFAULT] service_down_time)."""
_SYNC = ("chronyc tracking", "timedatectl status")


def clock(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings about hosts that were reached. Offsets are against the middle of all hosts, so that it shows whether
    a host is wrong or this machine; no finding rests on an offset that could not be measured."""
    hosts = [host for host in facts.hosts if host.reachable]
    offsets = {
        host.name: host.clock.offset_seconds for host in hosts if host.clock and host.clock.offset_seconds is not None
    }
    middle = median(offsets.values()) if offsets else 0.0
    odd = {name: offset - middle for name, offset in offsets.items() if abs(offset - middle) >= NOTICED}
    loose = [host.name for host in hosts if host.clock and host.clock.synchronised is False]
    unknown = [host.name for host in hosts if not host.clock or host.clock.synchronised is None]
    found = (*_odd(odd), *_this_machine(middle), *_loose(loose), *_unknown(unknown))
    return found or ((good(ID, f"the clocks of {len(hosts)} hosts agree and are synchronised"),) if hosts else ())


def _odd(odd: dict[str, float]) -> Iterable[Finding]:
    if not odd:
        return
    told = failure if max(map(abs, odd.values())) >= TOO_MUCH else warning
    yield told(
        "clock-differs",
        f"{listed(odd, 'clock')} at least {min(map(abs, odd.values())):.0f} s off",
        host=", ".join(odd),
        evidence="; ".join(f"{name}: {offset:+.1f} s" for name, offset in odd.items()),
        why="services count as dead, and tokens as not yet or no longer valid",
        fix=_SYNC,
    )


def _this_machine(middle: float) -> Iterable[Finding]:
    if abs(middle) >= NOTICED:
        yield warning(
            "clock-here",
            f"this machine's clock differs from the hosts' by {abs(middle):.0f} s",
            evidence=f"the hosts are at {middle:+.1f} s",
            why="times in the journal and in the hosts' logs do not match",
            fix=_SYNC,
        )


def _loose(names: list[str]) -> Iterable[Finding]:
    if names:
        yield warning(
            "clock-unsynchronised",
            f"{listed(names, 'clock')} not synchronised",
            host=", ".join(names),
            why="kolla-ansible's prechecks refuse such a host unless prechecks_enable_host_ntp_checks is false",
            fix=_SYNC,
        )


def _unknown(names: list[str]) -> Iterable[Finding]:
    if names:
        yield warning(
            "clock-unread",
            f"whether {listed(names, 'clock')} synchronised could not be told",
            host=", ".join(names),
            fix=_SYNC,
        ).model_copy(update={"unknown": True})
