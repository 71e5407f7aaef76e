"""What one host said of itself (observe.sh) → HostFacts. Pure.

Owns the differences between docker and podman, and which silence costs what: without its containers a host counts
as unreadable; anything else that it did not say is only not known, with the reason in `unread`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from upgrader.facts import clock
from upgrader.facts.parse import Sections, clean, first_object, object_of, pairs, sections
from upgrader.model import ContainerFacts, DiskFacts, HostFacts

KEPT_LABELS = frozenset({"kolla_version", "name", "build-date", "org.opencontainers.image.version", "BOOTSTRAP"})
"""Labels worth keeping: `kolla_version` and `name` are set by kolla's own base image (docker/base/Dockerfile.j2);
`BOOTSTRAP` by kolla-ansible on one-shot containers."""
_DECISIVE = ("engine", "containers", "inspect")
_LONGEST_LABEL = 200
_LEGACY = re.compile(r"^\d+$")


def host_facts(name: str, groups: Iterable[str], text: str, *, heard: str = "") -> HostFacts:
    """One reachable host from the output of observe.sh.

    `heard` is this machine's time when the answer was in (ISO 8601, UTC), for the clock; without it only a host that
    is behind can be told.
    """
    found = sections(text)
    info = first_object(found.get("info"))
    engine = _engine(info)
    troubles = [f"{what}: {found.failed[what]}" for what in found.failed if what in _DECISIVE]
    if "containers" not in found.lines:
        troubles.append("the host gave no answer about its containers")
    containers = tuple(filter(None, (_container(line) for line in found.get("containers"))))
    return HostFacts(
        name=name,
        groups=tuple(sorted(groups)),
        error="; ".join(troubles),
        engine=engine,
        engine_version=_engine_version(info),
        os=_os(found.get("os")),
        containers=tuple(sorted(containers, key=lambda container: container.name)),
        disks=tuple(filter(None, (_disk(line) for line in found.get("disks")))),
        kernel=next(iter(found.get("kernel")), "").strip(),
        sdk_version=pairs(found.get("sdk")).get(engine, ""),
        clock=clock.clock_facts(found, heard),
        addresses=_addresses(found),
        volumes=_names(found, "volumes"),
        images=_names(found, "images"),
        legacy_iptables=_legacy_rules(found),
        unread=tuple(sorted((what, why) for what, why in found.failed.items() if what not in _DECISIVE)),
    )


def unreachable_host(name: str, groups: Iterable[str], message: str) -> HostFacts:
    return HostFacts(name=name, groups=tuple(sorted(groups)), reachable=False, error=message or "unreachable")


def _engine(info: Mapping[str, Any]) -> str:
    if "store" in info:
        return "podman"
    return "docker" if "DockerRootDir" in info else ""


def _engine_version(info: Mapping[str, Any]) -> str:
    version = info.get("version")
    if isinstance(version, dict):
        return str(version.get("Version", ""))
    return str(info.get("ServerVersion", ""))


def _os(lines: Iterable[str]) -> str:
    """`debian-12` of an os-release: the form in which host systems are named in the release graph."""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    parts = (values.get(key, "").strip().strip("\"'") for key in ("ID", "VERSION_ID"))
    return "-".join(part for part in parts if part)


def _container(line: str) -> ContainerFacts | None:
    found = object_of(line)
    if not found or not found.get("name"):
        return None
    labels = found.get("labels")
    state = found.get("state")
    state = state if isinstance(state, dict) else {}
    known = labels if isinstance(labels, dict) else {}
    kept = {key: clean(str(value))[:_LONGEST_LABEL] for key, value in known.items() if key in KEPT_LABELS}
    return ContainerFacts(
        name=clean(str(found["name"])).lstrip("/"),
        image=str(found.get("image") or ""),
        image_id=_digest(str(found.get("image_id") or "")),
        labels=tuple(sorted(kept.items())),
        state=str(state.get("Status") or ("running" if state.get("Running") else "unknown")).lower(),
        health=_health(state),
        started_at=str(state.get("StartedAt") or ""),
    )


def _digest(image_id: str) -> str:
    """podman prints the bare digest, docker says which kind it is."""
    bare = len(image_id) == 64 and all(letter in "0123456789abcdef" for letter in image_id)
    return f"sha256:{image_id}" if bare else image_id


def _health(state: Mapping[str, Any]) -> str:
    for key in ("Health", "Healthcheck"):
        health = state.get(key)
        if isinstance(health, dict) and health.get("Status"):
            status = str(health["Status"]).lower()
            return "" if status == "none" else status
    return ""


def _disk(line: str) -> DiskFacts | None:
    """`PATH<TAB>FILESYSTEM BLOCKS USED AVAILABLE CAPACITY MOUNT`, in blocks of 1024 bytes (`df -P -k`)."""
    path, _, rest = line.partition("\t")
    numbers = [word for word in rest.split() if word.isdigit()]
    if not path or len(numbers) < 3:
        return None
    total, _used, free = (int(word) * 1024 for word in numbers[:3])
    return DiskFacts(path=path, total_bytes=total, free_bytes=free)


def _names(found: Sections, section: str) -> tuple[str, ...] | None:
    """One name on each line; `<none>` is what engines print for an image without one."""
    if not found.read(section):
        return None
    return tuple(sorted({line.strip() for line in found.get(section) if "<none>" not in line}))


def _addresses(found: Sections) -> tuple[tuple[str, str], ...] | None:
    """From `ip -o addr`: `2: eth0    inet 10.0.0.11/24 brd … scope global eth0`."""
    if not found.read("addresses"):
        return None
    rows = set()
    for line in found.get("addresses"):
        words = line.split()
        if len(words) >= 4 and words[2] in ("inet", "inet6"):
            rows.add((words[1].partition("@")[0].rstrip(":"), words[3].partition("/")[0]))
    return tuple(sorted(rows))


def _legacy_rules(found: Sections) -> int | None:
    """Rules in the legacy tables of the host's own network namespace."""
    counts = [line.strip() for line in found.get("iptables") if _LEGACY.match(line.strip())]
    return sum(map(int, counts)) if found.read("iptables") and counts else None
