"""What `upgrader demo` needs of the sandbox: a cloud to begin with, its state as a table, a trouble to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upgrader.sandbox import schemas, store, world
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault


@dataclass(frozen=True, slots=True)
class HostState:
    """What runs on one host, read from its files without Ansible."""

    host: str
    releases: tuple[tuple[str, int], ...]
    """(release, number of containers), oldest first; the release is what the image's tag begins with."""
    troubled: tuple[str, ...]
    """Containers that do not run or are unhealthy."""


def demo_cloud(root: Path, release: str = "2024.1") -> Path:
    """A fresh cloud of nine hosts at `root` (an older sandbox there is replaced); returns its site file."""
    return create_sandbox(root, release, fresh=True)


def describe(root: Path) -> tuple[HostState, ...]:
    """Every host with the releases of its containers."""
    found = []
    for name in world.hosts(str(root)):
        host = world.Host(str(root), name)
        counts: dict[str, int] = {}
        troubled = []
        for container in host.containers():
            state = host.container(container)
            if state is None:
                continue
            release = state["image"].rpartition(":")[2].partition("-")[0]
            counts[release] = counts.get(release, 0) + 1
            if state["status"] != "running" or state["health"] == "unhealthy":
                troubled.append(container)
        found.append(HostState(name, tuple(sorted(counts.items())), tuple(troubled)))
    return tuple(found)


def fail_verification(root: Path, release: str) -> str:
    """From now on one container comes up unhealthy whenever it is made from `release`; returns what to expect.

    Going back to another release heals it, as a defect of the new images would.
    """
    container = "nova_api" if world.Host(str(root), "ctl1").container("nova_api") else "keystone"
    add_fault(root, "unhealthy", container=container, host="ctl1", release=release)
    return f"{container} on ctl1 comes up unhealthy at {release}"


def effects(root: Path) -> dict[str, int]:
    """How often each effect happened to this cloud: `restart:HOST:CONTAINER:RELEASE`, `migrate:DATABASE:RELEASE:PART`,
    `schema:ROLE:PART:RELEASE`, `online:DATABASE:RELEASE`, `pull:…`, `stop:…`, `start:…`, `restore:DATABASE`,
    `play:ACTION:RELEASE`, and `overlap:…` for two plays at the same time."""
    return store.effects(str(root))


def migrations(root: Path, database: str) -> list[dict[str, object]]:
    """Every change of a schema's heads, oldest first; kept in the same file as the heads, so it is never wrong."""
    schema = schemas.load(str(root), database) or {"history": []}
    return list(schema["history"])
