"""What the sandbox's services keep in their databases, part by part as facts/records.sh asks for it.

The question's own lines say which parts there are, so that the two cannot drift apart. What containers show (services,
agents, versions) follows from them; everything else is a small cloud in good order, unless `<root>/services.json`
says otherwise below `records` (see faults.damage_answer): a list of rows, or null for a part that fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from upgrader.sandbox import schemas, store, world

OVERRIDES = "services.json"
DATABASES = ("cinder", "heat", "ironic", "magnum", "neutron", "nova", "nova_api", "nova_cell0", "octavia")
_NOVA = {"nova_scheduler": "nova-scheduler", "nova_conductor": "nova-conductor", "nova_compute": "nova-compute"}
_CINDER = {"cinder_scheduler": "cinder-scheduler", "cinder_volume": "cinder-volume", "cinder_backup": "cinder-backup"}
AGENTS = {
    "neutron_openvswitch_agent": "Open vSwitch agent",
    "neutron_dhcp_agent": "DHCP agent",
    "neutron_l3_agent": "L3 agent",
    "neutron_metadata_agent": "Metadata agent",
}
_SERVICE_VERSIONS = {
    "2023.1": 66, "2023.2": 66, "2024.1": 67, "2024.2": 67, "2025.1": 68, "2025.2": 70, "2026.1": 72,
}  # fmt: skip
"""SERVICE_VERSION in nova/objects/service.py, openstack/nova 27.1.0 to 33.0.2."""
BACKEND = "lvm-1"
SILENT = 90
"""Seconds for which a service that does not run counts as silent."""
_INTERRUPTED = "Query execution was interrupted (max_statement_time exceeded)"


def service_version(release: str) -> int:
    """Nova's service version of a release; 0 for one that is not known here."""
    return _SERVICE_VERSIONS.get(release, 0)


def answer(root: str, question: Iterable[str]) -> Iterator[str]:
    """Lines of the answer to the tagged question. Raises SqlError with the line of a part that is to fail."""
    planted: dict[str, Any] = (store.read_if_there(f"{root}/{OVERRIDES}") or {}).get("records", {}).get("", {})
    known = set(schemas.schemas(root))
    services, switched = _services(root), _switched(root)
    yield from (f"@database\t{name}" for name in DATABASES if name in known)
    # the tag was line 1 and has been read
    for number, line in enumerate(question, 2):
        if not line.startswith("/* "):
            continue
        name = line.split(" ", 2)[1]
        if name in planted:
            rows = planted[name]
            if rows is None:
                yield f"!ERROR 1969 (70100) at line {number}: {_INTERRUPTED}"
                continue
        elif name.partition(".")[0] not in known:
            yield f"@lacks\t{name} {name.partition('.')[0]}.all.columns"
            continue
        else:
            rows = _disabled(name, services, switched) or _rows(name, services)
        yield from (f"{name}\t{row}" for row in rows)
        yield f"@read\t{name}"


_Service = tuple[str, str, bool, str]
"""Container, host, whether it runs, the release of its image."""


def _switched(root: str) -> dict[str, dict[str, Any]]:
    """Nova's own word on its computes, by the name it has for a host: see nova.py."""
    found: dict[str, dict[str, Any]] = (store.read_if_there(f"{root}/nova.json") or {}).get("services", {})
    return found


def _disabled(name: str, services: list[_Service], switched: dict[str, dict[str, Any]]) -> list[str]:
    if name not in ("nova.services_disabled", "nova.left_disabled"):
        return []
    computes = {host for container, host, _, _ in services if container == "nova_compute"}
    return [
        f"{host}: nova-compute"
        for host, about in sorted(switched.items())
        if host in computes
        and about.get("disabled")
        and (name == "nova.services_disabled" or str(about.get("reason")).startswith("upgrader"))
    ]


def _services(root: str) -> list[_Service]:
    found = []
    for name in world.hosts(root):
        host = world.Host(root, name)
        for container in (*_NOVA, *_CINDER, *AGENTS):
            seen = host.container(container)
            if seen:
                release = str(seen["image"]).rpartition(":")[2].partition("-")[0]
                found.append((container, name, seen["status"] == "running", release))
    return found


def _rows(name: str, services: list[_Service]) -> Sequence[object]:  # noqa: PLR0912 - a table
    match name:
        case "nova.services_down":
            return _down(services, _NOVA)
        case "nova.computes":
            return [host for container, host, _, _ in services if container == "nova_compute"]
        case "nova.hypervisors":
            return ["qemu"] if any(container == "nova_compute" for container, *_ in services) else []
        case "nova.oldest_service_version":
            versions = [
                _SERVICE_VERSIONS.get(release) for container, _, _, release in services if container == "nova_compute"
            ]
            return [min(version for version in versions if version)] if any(versions) else []
        case "nova.vif_types":
            return ["ovs"]
        case "nova.silence":
            return _silent(services, _NOVA)
        case "nova.versions":
            return [
                f"{host}: {_NOVA[container]}: {_SERVICE_VERSIONS[release]}"
                for container, host, _, release in services
                if container in _NOVA and release in _SERVICE_VERSIONS
            ]
        case "neutron.agents_down":
            return _down(services, {container: container.replace("_", "-") for container in AGENTS})
        case "neutron.silence":
            return _silent(services, {container: container.replace("_", "-") for container in AGENTS})
        case "neutron.agent_types":
            return sorted({AGENTS[container] for container, *_ in services if container in AGENTS})
        case "cinder.services_down":
            return _down(services, _CINDER)
        case "cinder.silence":
            return _silent(services, _CINDER)
        case "cinder.backends":
            return [BACKEND] if any(container == "cinder_volume" for container, *_ in services) else []
        case "nova.soft_deleted" | "heat.busy" | "octavia.busy" | "ironic.nodes":
            return [0]
    return []


def _down(services: list[_Service], names: dict[str, str]) -> Sequence[object]:
    return [
        f"{host}{f'@{BACKEND}' if container == 'cinder_volume' else ''}: {names[container]}"
        for container, host, runs, _ in services
        if container in names and not runs
    ]


def _silent(services: list[_Service], names: dict[str, str]) -> Sequence[object]:
    """How long a stopped service has been so is not kept: long enough to be called down, and no longer."""
    return [f"{row}: {SILENT}" for row in _down(services, names)]
