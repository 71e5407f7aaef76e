"""What the release graph knows about naming a release, in the form an observation wants."""

from __future__ import annotations

from upgrader.facts.heads import ReleaseNames
from upgrader.graph import ReleaseGraph, image_tag_release
from upgrader.graph.heads import Structure, unfinished


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
        unfinished=lambda database, heads, items: _unfinished(graph, database, heads, items),
        containers=frozenset(container.name for container in graph.containers.containers),
    )


def _known_tag(graph: ReleaseGraph, tag: str) -> str | None:
    release = image_tag_release(tag)
    return release if release in graph.ids else None


def _unfinished(graph: ReleaseGraph, database: str, heads: tuple[str, ...], items: frozenset[str]) -> str:
    """Only rows that are complete are doubted; what else is wrong with them has its own words."""
    known = next((one for one in graph.databases if database in one.names), None)
    if known is None or not items or tuple(sorted(heads)) not in {tuple(sorted(rows)) for rows in known.heads.values()}:
        return ""
    marks = next((one for one in graph.marks if one.database == known.database), None)
    structure = Structure(tables=frozenset(item for item in items if "." not in item), items=items)
    return unfinished(marks, heads, structure) if marks else ""
