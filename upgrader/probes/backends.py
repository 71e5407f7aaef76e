"""Do the load balancers see their servers: APIs behind HAProxy, the database behind ProxySQL?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import BackendFacts
from upgrader.probes.base import failure, good, hosts_with, said_by, unread, warning

_SHOWN = 12


def backends(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings for each kind of load balancer; none for one that does not run."""
    return tuple(
        finding
        for name, seen in (("haproxy", facts.observed.haproxy), ("proxysql", facts.observed.proxysql))
        for finding in _kind(name, seen, hosts_with(facts, name))
    )


def _kind(name: str, seen: BackendFacts | None, where: tuple[str, ...]) -> Iterable[Finding]:
    if seen is None:
        if where:
            yield unread(Code.WARNING, f"{name}-unread", f"{name} was not asked", ", ".join(where))
        return
    found = (*_unread(name, seen), *_servers(name, seen))
    yield from found or (good(f"{name}-backends", f"{name}: {seen.total} servers take requests"),)


def _unread(name: str, seen: BackendFacts) -> Iterable[Finding]:
    if seen.down is None:
        yield unread(Code.FAILURE, f"{name}-unread", f"{name} told nothing", seen.error)
    elif seen.error:
        hosts = said_by(seen.error)
        yield unread(Code.WARNING, f"{name}-unread", f"{name} was read only in part", seen.error, host=hosts)
    elif seen.total == 0:
        yield unread(Code.WARNING, f"{name}-unread", f"{name} has no server at all", "its table is empty")


def _servers(name: str, seen: BackendFacts) -> Iterable[Finding]:
    dead = {line.partition(" (")[0] for line in seen.dead or ()}
    if seen.dead:
        yield failure(
            "backend-dead",
            f"{name}: {len(dead)} backend{'s have' if len(dead) > 1 else ' has'} no server that takes requests",
            evidence=_listed(seen.dead),
            why="this service is away already, and the hop's own checks go through it",
        )
    down = tuple(line for line in seen.down or () if line.partition("/")[0] not in dead)
    if down:
        yield warning(
            "backend-down",
            f"{name}: {len(down)} server{'s take' if len(down) > 1 else ' takes'} no requests",
            evidence=_listed(down),
            why="an upgrade restarts the others one by one, so the one that is left has to work",
            next=f"look at the service there; {name} names who says so in brackets",
        )


def _listed(lines: tuple[str, ...]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
