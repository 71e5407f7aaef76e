"""After a hop: do Nova's, Neutron's and Cinder's services report, and at the version they should have?

Stricter than the probes of a cloud that is yet to be touched: what fell silent since the hop began is a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import CinderFacts, NeutronFacts, NovaFacts
from upgrader.probes.base import failure, good, hosts_with, listed, unread, warning

COVERED = frozenset({"nova-service-down", "neutron-agent-down", "cinder-service-down"})
"""Findings of the services' own probes that are judged here instead."""
SILENT, VERSION, LEFT_DISABLED, UNREAD = "service-silent", "nova-service-version", "nova-left-disabled", "agents-unread"
_APIS = (("nova", "nova_api"), ("neutron", "neutron_server"), ("cinder", "cinder_api"))
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Expected:
    """What the services are held against."""

    release: str
    service_version: int | None = None
    """Nova's own number at `release`; None: its versions are not judged."""
    oldest: int | None = None
    """Lowest number of a compute that the new control services work with."""
    since: float | None = None
    """Seconds since the hop began to change the cloud; None: not known, so that every silence is of the hop."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Host → release, for hosts that are meant to stay behind."""

    def left_behind(self, host: str) -> bool:
        """By inventory name; a service may call its host by the full or the short name, and name a backend."""
        return _short(host) in {_short(name) for name in self.left}


def agents(facts: CloudFacts, expected: Expected) -> tuple[Finding, ...]:
    """Findings about those of the three that run here. What was not read is a FAILURE marked unknown."""
    found: list[Finding] = []
    told: list[str] = []
    for name, container in _APIS:
        if not hosts_with(facts, container):
            continue
        seen: NovaFacts | NeutronFacts | CinderFacts | None = getattr(facts.observed, name)
        bad = [*_silent(name, seen, expected)]
        if isinstance(seen, NovaFacts):
            bad += [*_versions(seen, expected), *_left_disabled(seen)]
        found += bad
        if not any(finding.code is Code.FAILURE for finding in bad):
            told.append(name)
    if told:
        found.append(good("agents", f"every service of {', '.join(told)} that should report does"))
    return tuple(found)


def _silent(name: str, seen: NovaFacts | NeutronFacts | CinderFacts | None, expected: Expected) -> Iterable[Finding]:
    if seen is None or seen.silence is None:
        why = (seen.error if seen else "") or "its records were not read"
        yield unread(Code.FAILURE, UNREAD, f"whether {name}'s services report is not known", why)
        return
    rows = [_row(text) for text in seen.silence]
    fresh = [row for row in rows if expected.since is None or row.number <= expected.since]
    meant = [row for row in fresh if expected.left_behind(row.host)]
    bad = [row for row in fresh if row not in meant]
    if bad:
        yield failure(
            SILENT,
            f"{listed(bad, f'{name} service')} silent since the hop: {_named(bad)}",
            host=_hosts(bad),
            evidence="; ".join(f"{row}: for {row.number} s" for row in bad),
            next=f"look at the service's log in /var/log/kolla/{name} there",
        )
    if meant:
        yield warning(
            SILENT,
            f"{listed(meant, f'{name} service')} silent on hosts left behind: {_named(meant)}",
            host=_hosts(meant),
        )
    before = [row for row in rows if row not in fresh]
    if before:
        yield warning(
            f"{name}-silent-before",
            f"{listed(before, f'{name} service')} silent since before the hop: {_named(before)}",
            host=_hosts(before),
            why="the hop did not do that; what is gone for good keeps rows and versions back",
        )


def _versions(seen: NovaFacts, expected: Expected) -> Iterable[Finding]:
    if expected.service_version is None:
        return
    if seen.versions is None:
        yield unread(Code.FAILURE, UNREAD, "the versions of Nova's services are not known", seen.error)
        return
    silent = {str(_row(text)) for text in seen.silence or ()}
    rows = [row for row in map(_row, seen.versions) if str(row) not in silent]
    behind = [row for row in rows if row.number < expected.service_version]
    bad = [row for row in behind if not expected.left_behind(row.host)]
    meant = [row for row in behind if row not in bad]
    if bad:
        yield failure(
            VERSION,
            f"{listed(bad, 'Nova service')} older than {expected.release}: {_named(bad)}",
            host=_hosts(bad),
            evidence="; ".join(f"{row}: version {row.number}" for row in bad)
            + f"; {expected.release} has {expected.service_version}",
            why="the process that runs there is not the one of the new image",
        )
    beyond = [row for row in meant if expected.oldest is not None and row.number < expected.oldest]
    if beyond:
        yield failure(
            VERSION,
            f"{listed(beyond, 'Nova service')} too old to be left behind: {_named(beyond)}",
            host=_hosts(beyond),
            evidence=f"the oldest that {expected.release} works with is {expected.oldest}",
        )
    elif meant:
        yield warning(VERSION, f"{listed(meant, 'Nova service')} left behind: {_named(meant)}", host=_hosts(meant))


def _left_disabled(seen: NovaFacts) -> Iterable[Finding]:
    if seen.left_disabled:
        rows = [_row(f"{text}: 0") for text in seen.left_disabled]
        yield failure(
            LEFT_DISABLED,
            f"{listed(rows, 'Nova service')} still disabled by this tool: {_named(rows)}",
            host=_hosts(rows),
            why="nothing is scheduled to them",
            fix=tuple(f"openstack compute service set --enable {row.host} {row.binary}" for row in rows[:_SHOWN]),
        )


# ---------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class _Row:
    host: str
    binary: str
    number: int

    def __str__(self) -> str:
        return f"{self.host}: {self.binary}"


def _row(text: str) -> _Row:
    """`host: binary: number`; a host's name may hold anything but a blank."""
    front, _, number = text.rpartition(": ")
    host, _, binary = front.rpartition(": ")
    return _Row(host, binary, int(number) if number.lstrip("-").isdecimal() else 0)


def _short(host: str) -> str:
    return host.partition("@")[0].partition(".")[0].lower()


def _hosts(rows: Iterable[_Row]) -> str:
    return ", ".join(dict.fromkeys(row.host.partition("@")[0] for row in rows))


def _named(rows: Sequence[_Row]) -> str:
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(f"{row.binary} on {row.host}" for row in rows[:_SHOWN]) + more
