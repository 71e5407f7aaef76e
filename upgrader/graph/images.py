"""What image tags and container names say, before any registry or database is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from upgrader.graph.graph import ReleaseGraph

_TAG = re.compile(r"(20[0-9]{2}\.[12])(?:-[A-Za-z0-9_.-]+)?")
"""`openstack_release`, then distribution, its version and `openstack_tag_suffix`, each after a hyphen."""


def image_tag_release(tag: str) -> str | None:
    """Release that an image tag names: `2025.1`, `2025.1-debian-bookworm`, `2025.1-rocky-9-local` → `2025.1`.

    None for every other form (digests, private tags, `master`): those are resolved by label or heads, never guessed.
    Whether the graph knows the release is the caller's question.
    """
    match = _TAG.fullmatch(tag)
    return match.group(1) if match else None


def services_of(graph: ReleaseGraph, containers: Iterable[str]) -> frozenset[str]:
    """Names under which `way_back` looks for what is enabled, from the names of running containers.

    For each container its role, the service the role belongs to (`nova-cell` → `nova`), and its own name with hyphens.
    """
    roles = {container.name: container.role for container in graph.containers.containers}
    services = {task.role: task.service for release in graph.ids for task in graph.schema_tasks(release)}
    names: set[str] = set()
    for container in containers:
        names.add(container.replace("_", "-"))
        role = roles.get(container)
        if role:
            names |= {role, services.get(role, role)}
    return frozenset(names)
