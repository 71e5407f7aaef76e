"""The cloud as a whole, from what each host and database server said. Pure.

Owns when a sum over hosts may be told: only if every host was read, because one that is missing may be the very one
that matters. What hosts say of an excess (legacy rules, leftovers) is told in any case where it is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from upgrader.facts.server import DatabaseAnswer
from upgrader.model import HostFacts
from upgrader.observed import DatabaseFacts, GaleraFacts

_SYSTEMS = {
    "debian-11": "debian-bullseye",
    "debian-12": "debian-bookworm",
    "debian-13": "debian-trixie",
    "ubuntu-20.04": "ubuntu-focal",
    "ubuntu-22.04": "ubuntu-jammy",
    "ubuntu-24.04": "ubuntu-noble",
    "centos-9": "centos-stream9",
    "centos-10": "centos-stream10",
}
"""ID and VERSION_ID of os-release → the name in the release graph."""


def host_system(os: str) -> str:
    """`debian-12` → `debian-bookworm`; of other systems the major version: `rocky-9.4` → `rocky-9`."""
    return _SYSTEMS.get(os) or (os if os.startswith("openEuler") else os.split(".", maxsplit=1)[0])


def observed_hosts(hosts: tuple[HostFacts, ...]) -> dict[str, Any]:
    """Fields of Observed that are sums over hosts."""
    values = {
        "host_systems": _every(hosts, lambda host: (host_system(host.os),) if host.os else None),
        "containers": _every(hosts, _containers),
        "images": _every(hosts, lambda host: host.images),
        "volumes": _every(hosts, lambda host: host.volumes),
        "legacy_iptables": _legacy(hosts),
    }
    return {name: value for name, value in values.items() if value is not None}


def _containers(host: HostFacts) -> tuple[str, ...] | None:
    return None if host.error else tuple(container.name for container in host.containers)


def _every(hosts: Iterable[HostFacts], tell: Callable[[HostFacts], Iterable[str] | None]) -> tuple[str, ...] | None:
    """Distinct values over all hosts; None when one of them could not tell."""
    found: set[str] = set()
    for host in hosts:
        said = tell(host) if host.reachable else None
        if said is None:
            return None
        found.update(said)
    return tuple(sorted(found))


def _legacy(hosts: Iterable[HostFacts]) -> tuple[str, ...] | None:
    hosts = tuple(hosts)
    holding = tuple(host.name for host in hosts if host.legacy_iptables)
    return holding if holding or all(host.legacy_iptables is not None for host in hosts) else None


def observed_database(hosts: tuple[HostFacts, ...], answers: Mapping[str, DatabaseAnswer]) -> DatabaseFacts | None:
    """The Galera cluster from every server's own answer; None when the inventory has no server."""
    servers = tuple(host for host in hosts if "mariadb" in host.groups)
    if not servers:
        return None
    silent = tuple(host.name for host in servers if _state(host) is None)
    told = tuple(state for host in servers if (state := _state(host)) is not None)
    troubles = [f"{name}: {_why(name, hosts, answers)}" for name in silent]
    paused = [state.flow_control_paused for state in told if state.flow_control_paused is not None]
    lost = tuple(f"{host.name}: {line}" for host in servers for line in _leftovers(host))
    return DatabaseFacts(
        error="; ".join(troubles),
        version=oldest(state.server_version for state in told),
        expected=len(servers),
        size=min((state.size for state in told), default=None),
        synced=sum(1 for state in told if state.status == "Primary" and state.state == "Synced") if told else None,
        flow_control_paused=max(paused, default=None),
        lost_settings=lost if lost or _all_told(servers) else None,
    )


def _state(host: HostFacts) -> GaleraFacts | None:
    seen = host.galera
    return seen if seen and (seen.size or seen.status or seen.server_version) else None


def _why(name: str, hosts: Iterable[HostFacts], answers: Mapping[str, DatabaseAnswer]) -> str:
    error = next((host.error for host in hosts if host.name == name and host.error), "")
    return error or (answers[name].error if name in answers else "") or "the database server did not answer"


def _leftovers(host: HostFacts) -> Iterable[str]:
    """A server's own settings, and a container that forms a cluster of its own at its next start: the role's recovery
    makes it with BOOTSTRAP_ARGS and such a label (ansible/roles/mariadb/handlers/main.yml)."""
    yield from (host.galera.lost_settings or ()) if host.galera else ()
    for container in host.containers:
        if container.name == "mariadb" and "BOOTSTRAP" in dict(container.labels):
            yield "wsrep_new_cluster=ON"


def _all_told(servers: Iterable[HostFacts]) -> bool:
    return all(host.galera is not None and host.galera.lost_settings is not None for host in servers)


def oldest(versions: Iterable[str]) -> str | None:
    """`10.11.13` of `10.11.13-MariaDB-log`, the lowest of several; None when there is none that can be compared."""
    bare = [text.partition("-")[0].split(".") for text in versions]
    found = [tuple(map(int, parts)) for parts in bare if all(part.isdecimal() for part in parts)]
    return ".".join(map(str, min(found))) if found else None
