"""What the scripts of this package print → values of the model. Pure.

Owns the tolerance: docker and podman name things differently, terminals add carriage returns, and one broken
line must not cost the others. Never decides what an answer means for an upgrade.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrader.model import ContainerFacts, DiskFacts, GaleraFacts, HostFacts, SchemaHead

KEPT_LABELS = frozenset({"kolla_version", "name", "build-date", "org.opencontainers.image.version", "BOOTSTRAP"})
"""Labels worth keeping: `kolla_version` and `name` are set by kolla's own base image (docker/base/Dockerfile.j2);
`BOOTSTRAP` by kolla-ansible on one-shot containers."""


@dataclass
class Sections:
    """The printed sections by name, and what the script says it could not read."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> list[str]:
        return self.lines.get(name, [])


def sections(text: str) -> Sections:
    """Split a script's output at its `@@name` lines; whatever comes before the first one is noise."""
    found = Sections()
    current: list[str] | None = None
    for raw in text.splitlines():
        line = raw.rstrip("\r")
        if line.startswith("@@failed "):
            _, what, words = (*line.split(" ", 2), "")[:3]
            found.failed[what] = words.strip() or "no words were given"
        elif line.startswith("@@"):
            current = found.lines.setdefault(line[2:].strip(), [])
        elif current is not None and line.strip():
            current.append(line)
    return found


def host_facts(name: str, groups: Iterable[str], text: str) -> HostFacts:
    """One reachable host from the output of observe.sh."""
    found = sections(text)
    info = _first_object(found.get("info"))
    containers = tuple(filter(None, (_container(line) for line in found.get("containers"))))
    troubles = [f"{what}: {words}" for what, words in found.failed.items() if what != "disk"]
    if "containers" not in found.lines:
        troubles.append("the host gave no answer about its containers")
    return HostFacts(
        name=name,
        groups=tuple(sorted(groups)),
        error="; ".join(troubles),
        engine=_engine(info),
        engine_version=_engine_version(info),
        os=_os(found.get("os")),
        containers=tuple(sorted(containers, key=lambda container: container.name)),
        disks=tuple(filter(None, (_disk(line) for line in found.get("disks")))),
    )


def unreachable_host(name: str, groups: Iterable[str], message: str) -> HostFacts:
    return HostFacts(name=name, groups=tuple(sorted(groups)), reachable=False, error=message or "unreachable")


def _first_object(lines: Iterable[str]) -> Mapping[str, Any]:
    """The object in these lines: docker prints it on one, podman over many."""
    text = "\n".join(lines)
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _object(line: str) -> dict[str, Any] | None:
    start = line.find("{")
    if start < 0:
        return None
    try:
        found = json.loads(line[start:])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


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
    found = _object(line)
    if not found or not found.get("name"):
        return None
    labels = found.get("labels")
    state = found.get("state")
    state = state if isinstance(state, dict) else {}
    kept = {key: str(value) for key, value in labels.items() if key in KEPT_LABELS} if isinstance(labels, dict) else {}
    return ContainerFacts(
        name=str(found["name"]).lstrip("/"),
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


@dataclass(frozen=True)
class DatabaseAnswer:
    """What one database server said. `error` names what it did not answer."""

    galera: GaleraFacts
    heads: tuple[SchemaHead, ...] | None
    error: str = ""


def database_answer(text: str) -> DatabaseAnswer:
    """One server's answer from the output of database.sh."""
    found = sections(text)
    error = "; ".join(f"{what}: {words}" for what, words in found.failed.items())
    if not found.lines:
        error = error or "no answer"
    readable = "heads" in found.lines and "heads" not in found.failed
    return DatabaseAnswer(
        galera=galera_facts(found.get("galera")),
        heads=schema_heads(found.get("heads")) if readable else None,
        error=error,
    )


def galera_facts(lines: Iterable[str]) -> GaleraFacts:
    values = dict(line.split("\t", 1) for line in lines if "\t" in line)
    size = values.get("wsrep_cluster_size", "0")
    return GaleraFacts(
        size=int(size) if size.isdigit() else 0,
        status=values.get("wsrep_cluster_status", ""),
        state=values.get("wsrep_local_state_comment", ""),
        ready=values.get("wsrep_ready", "").upper() == "ON",
        server_version=values.get("version", ""),
    )


def schema_heads(lines: Iterable[str]) -> tuple[SchemaHead, ...]:
    """Version table rows by database. `migrate_version` counts only where alembic has nothing to say.

    Services that moved to alembic leave their old table behind (heat 2023.1 → 2023.2), so its row is history.
    An alembic table without rows gives no heads: a migration was interrupted before its first step ended.
    """
    alembic: dict[str, set[str]] = {}
    legacy: dict[str, set[str]] = {}
    for line in lines:
        parts = line.split("\t")
        if len(parts) < 2:
            continue
        database, table, value = parts[0], parts[1], parts[2].strip() if len(parts) > 2 else ""
        rows = (alembic if table == "alembic_version" else legacy).setdefault(database, set())
        if value:
            rows.add(value if table == "alembic_version" else f"migrate_version:{value}")
    merged = legacy | alembic
    for database, rows in alembic.items():
        if not rows and legacy.get(database):
            merged[database] = legacy[database]
    return tuple(SchemaHead(database=name, heads=tuple(sorted(rows))) for name, rows in sorted(merged.items()))
