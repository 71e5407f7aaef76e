"""Looks at a lab without changing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from upgrader.lab.engine import Docker, status
from upgrader.lab.folder import LabFolder


@dataclass(frozen=True)
class Container:
    name: str
    image: str
    status: str


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    state: str
    containers: tuple[Container, ...]


@dataclass(frozen=True)
class LabStatus:
    """What is there. `state`: absent, cached (only images kept), stopped, incomplete, up."""

    dir: str
    state: str
    release: str
    also: str
    controllers: int
    computes: int
    api: str
    docker_host: str
    registry: str
    services: dict[str, bool]
    nodes: tuple[Node, ...]
    timings: dict[str, float]
    next_command: str


def _containers(docker: Docker, node: str) -> tuple[Container, ...]:
    asked = docker.attempt("exec", node, "docker", "ps", "--all", "--format", "{{json .}}")
    rows = [json.loads(line) for line in asked.stdout.splitlines() if line.startswith("{")]
    found = (Container(row["Names"], row["Image"], row["Status"]) for row in rows)
    return tuple(sorted(found, key=lambda container: container.name))


def inspect(dir: Path) -> LabStatus:  # noqa: A002 - the word of the command line
    """The state of the lab in a folder; needs the right to speak to its engine."""
    folder = LabFolder(dir.resolve())
    record = folder.read_record()
    again = f"upgrader lab up --dir {folder.root}"
    if record is None:
        state = "cached" if (folder.cache / "registry").is_dir() else "absent"
        return LabStatus(str(folder.root), state, "", "", 0, 0, "", "", "", {}, (), {}, again)
    services = status(folder, record)
    docker = Docker(folder)
    nodes = []
    for number, name in enumerate(record.nodes):
        asked = docker.attempt("inspect", "--format", "{{.State.Status}}", name) if services["dockerd"] else None
        found = asked.stdout.strip() if asked and asked.returncode == 0 else "absent"
        inside = _containers(docker, name) if found == "running" else ()
        nodes.append(Node(name, record.node_address(number), found, inside))
    whole = all(services.values()) and all(node.state == "running" for node in nodes)
    if whole and (folder.root / "deployed").exists():
        state, following = "up", f"upgrader plan --site {folder.site}/upgrader.toml --to {record.also}"
    else:
        state, following = ("incomplete" if any(services.values()) else "stopped"), again
    try:
        timings = json.loads(folder.timings.read_text())
    except (OSError, ValueError):
        timings = {}
    return LabStatus(
        str(folder.root), state, record.release, record.also, record.controllers, record.computes,
        f"http://{record.vip}:5000", folder.docker_host, record.registry, services, tuple(nodes), timings, following,
    )  # fmt: skip
