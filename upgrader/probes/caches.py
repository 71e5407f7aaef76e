"""Do memcached, Redis and Valkey answer on every host that runs them, and do the latter two have one master?"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import CacheFacts
from upgrader.probes.base import failure, good, hosts_with, unread, warning

_CONTAINERS = {"memcached": "memcached", "redis": "redis", "valkey": "valkey_server"}


def caches(facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings for each kind; none for one that does not run."""
    return tuple(
        finding
        for kind, container in _CONTAINERS.items()
        for finding in _kind(kind, getattr(facts.observed, kind), hosts_with(facts, container))
    )


def _kind(kind: str, seen: CacheFacts | None, where: tuple[str, ...]) -> Iterable[Finding]:
    if seen is None:
        if where:
            yield unread(Code.WARNING, f"{kind}-unread", f"{kind} was not asked", ", ".join(where))
        return
    found = (*_down(kind, seen), *_master(kind, seen))
    yield from found or (good(kind, f"{kind} {seen.version or ''} answers on {len(seen.hosts or ())} hosts"),)


def _down(kind: str, seen: CacheFacts) -> Iterable[Finding]:
    if not seen.down:
        return
    hosts = ", ".join(seen.down)
    if len(seen.down) == len(seen.hosts or ()):
        yield failure(f"{kind}-down", f"{kind} answers on no host", host=hosts, evidence=seen.error)
    else:
        yield warning(
            f"{kind}-down",
            f"{kind} does not answer on {hosts}",
            host=hosts,
            evidence=seen.error,
            why="services wait for it on every request that would use it",
        )


def _master(kind: str, seen: CacheFacts) -> Iterable[Finding]:
    if seen.master is None or len(seen.hosts or ()) < 2:
        return
    if len(seen.master) != 1:
        yield failure(
            f"{kind}-master",
            f"{kind} has {len(seen.master) or 'no'} master{'s' if len(seen.master) > 1 else ''}",
            host=", ".join(seen.master),
            why="its data are copied from the one master; with none or several, what is written is lost",
            next=f"look at the sentinels: docker exec {_CONTAINERS[kind].partition('_')[0]}_sentinel",
        )
    if seen.unlinked:
        yield warning(
            f"{kind}-unlinked",
            f"{kind}: a replica has lost its master",
            host=", ".join(seen.unlinked),
            why="it would take over with old data",
        )
