"""The control plane service by service: upstream's order in pieces, each with the services of this cloud in it."""

from __future__ import annotations

from dataclasses import dataclass

from upgrader.graph import ReleaseGraph
from upgrader.model import CloudFacts


@dataclass(frozen=True, slots=True)
class Segment:
    """Roles that are worked on in one run: those that this cloud lacks come along with the next one it has."""

    name: str
    tags: tuple[str, ...]


def segments(graph: ReleaseGraph, release: str, facts: CloudFacts) -> tuple[Segment, ...]:
    """All roles of the release's `site.yml`, in its order, cut after each that has containers on this cloud.

    Together they hold every tag there is, so that nothing new in the release is left out.
    """
    running = {container.name for host in facts.hosts for container in host.containers}
    here = {container.role for container in graph.containers.containers if container.name in running}
    found: list[Segment] = []
    tags: list[str] = []
    for role in graph.service_order(release).roles:
        tags += [tag for tag in role.tags if tag not in tags]
        if role.name in here:
            found.append(Segment(role.name, tuple(tags)))
            tags = []
    if tags:
        found.append(Segment("the rest", tuple(tags)))
    return tuple(found)
