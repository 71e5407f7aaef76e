"""What the release graph knows about naming a release, in the form an observation wants."""

from __future__ import annotations

from upgrader.facts.heads import ReleaseNames
from upgrader.graph import ReleaseGraph, image_tag_release


def release_names(graph: ReleaseGraph) -> ReleaseNames:
    """What the graph knows about naming a release, in the form the observation wants."""
    return ReleaseNames(
        of_tag=lambda tag: _known_tag(graph, tag),
        majors={release.kolla_ansible.major: release.id for release in graph.releases},
        heads={release: graph.heads(release) for release in graph.ids},
        revisions={
            name: frozenset(row for rows in known.new_revisions.values() for row in rows)
            for known in graph.databases
            for name in known.names
        },
        containers=frozenset(container.name for container in graph.containers.containers),
    )


def _known_tag(graph: ReleaseGraph, tag: str) -> str | None:
    release = image_tag_release(tag)
    return release if release in graph.ids else None
