"""What schema heads say about a release. Pure: the rows of version tables against the release graph's knowledge.

Owns the comparison and its words. Heads name the schema, never the code that runs, and never whether data
migrations are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from upgrader.model import SchemaHead

Heads = Mapping[str, tuple[str, ...]]

DATABASE_SERVICES: Mapping[str, str] = {
    "keystone": "keystone",
    "glance": "glance",
    "placement": "placement",
    "nova": "nova",
    "nova_api": "nova",
    "nova_cell0": "nova",
    "neutron": "neutron",
    "cinder": "cinder",
    "heat": "heat",
    "barbican": "barbican",
    "octavia": "octavia",
}
"""Database → beginning of the names of its service's containers (kolla-ansible, roles/*/defaults/main.yml)."""
_SAME_HEADS_AS = {"nova_cell0": "nova"}


@dataclass(frozen=True, slots=True)
class ReleaseNames:
    """What the release graph knows about naming a release: from an image tag, a kolla major, or schema heads."""

    of_tag: Callable[[str], str | None]
    majors: Mapping[int, str]
    """Major version of kolla (the same as kolla-ansible's) → release."""
    heads: Mapping[str, Heads]
    """Release → database → heads after its complete migration."""
    containers: frozenset[str] = frozenset()
    """Names kolla-ansible gives to containers, in any release."""
    revisions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Database → every revision between the releases: a version row that stays there was left by an unfinished run."""

    unfinished: Callable[[str, tuple[str, ...], frozenset[str]], str] = lambda _database, _heads, _items: ""
    """Database, its version rows, what its structure shows → the words for a script that never ended, or none."""

    def steps(self, database: str) -> frozenset[str]:
        """Revisions that a migration of `database` passes through."""
        return self.revisions.get(database, self.revisions.get(_SAME_HEADS_AS.get(database, database), frozenset()))

    def expected(self, release: str, database: str) -> tuple[str, ...] | None:
        """Heads of `database` in `release`; None when the graph does not know that database."""
        heads = self.heads.get(release, {})
        return heads.get(database, heads.get(_SAME_HEADS_AS.get(database, database)))

    def releases(self, database: str, heads: Iterable[str]) -> tuple[str, ...]:
        """Releases whose complete migration leaves exactly these heads in `database`."""
        seen = tuple(sorted(heads))
        matching = (name for name in self.heads if tuple(sorted(self.expected(name, database) or ())) == seen)
        return tuple(sorted(matching)) if seen else ()


def own_databases(heads: Iterable[SchemaHead], containers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Heads of databases whose service has containers here; a disabled service's old database proves nothing."""
    services = set(containers)
    owned = {}
    for row in heads:
        prefix = DATABASE_SERVICES.get(row.database)
        if prefix and any(name == prefix or name.startswith(f"{prefix}_") for name in services):
            owned[row.database] = row.heads
    return owned


def head_disagreements(release: str, databases: Heads, names: ReleaseNames) -> tuple[str, ...]:
    """Databases whose heads are not those of `release`, each with what its heads mean."""
    told = []
    for database, heads in sorted(databases.items()):
        expected = names.expected(release, database)
        if expected is None or tuple(sorted(expected)) == tuple(sorted(heads)):
            continue
        told.append(f"{database}: {' + '.join(heads) or 'no head'} ({meaning(database, heads, names)})")
    return tuple(told)


def meaning(database: str, heads: Iterable[str], names: ReleaseNames) -> str:
    """What the heads of one database say, in words."""
    heads = tuple(heads)
    releases = names.releases(database, heads)
    if releases:
        return "the schema of " + (releases[0] if len(releases) == 1 else f"{releases[0]} to {releases[-1]}")
    if not heads:
        return "half-migrated: its version table is empty"
    known = {head for release in names.heads for head in names.expected(release, database) or ()}
    known |= names.steps(database)
    if known.issuperset(heads):
        return "half-migrated: a migration was interrupted or is under way"
    return "a revision of no release the graph knows"


def releases_of_heads(databases: Heads, names: ReleaseNames) -> tuple[str, ...]:
    """Releases that fit every database; empty when none does or nothing is known about any."""
    known = {name: heads for name, heads in databases.items() if any(names.expected(r, name) for r in names.heads)}
    if not known:
        return ()
    fitting = [set(names.releases(database, heads)) for database, heads in known.items()]
    return tuple(sorted(set.intersection(*fitting)))
