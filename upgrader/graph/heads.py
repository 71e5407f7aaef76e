"""Which release a cloud's databases are at, read from the rows of their version tables.

A head says which schema a database has, not which code uses it, and never whether rows still wait for an online data
migration. Most services keep one schema over several releases, so only the intersection of all of them is telling.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from upgrader.graph.graph import ReleaseGraph
from upgrader.graph.schema import DatabaseHeads
from upgrader.model import SchemaHead
from upgrader.value import Value

LEGACY = "migrate_version:"
"""Front of a row of the old version table, which stays behind after the move to alembic (heat)."""


class DatabaseReading(Value):
    """What one database's rows say.

    `complete`: exactly the heads of `releases`. `partly`: rows of several releases, or not all rows of one: a
    migration was interrupted or is under way. `foreign`: a revision this data does not know. `empty`: no rows.
    """

    database: str
    service: str
    kind: Literal["complete", "partly", "foreign", "empty"]
    releases: tuple[str, ...] = ()
    note: str


class HeadsReading(Value):
    """What all databases say together; `releases` are those that fit every complete database, in order.

    `agree`: at least one release fits all. `disagree`: each is complete, but no release fits all (an upgrade is under
    way). `partly` and `foreign`: as for a database, the worst counts. `nothing`: no known database was seen.
    """

    kind: Literal["agree", "disagree", "partly", "foreign", "nothing"]
    releases: tuple[str, ...] = ()
    databases: tuple[DatabaseReading, ...] = ()
    ignored: tuple[str, ...] = ()
    """Databases of which no heads are known."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """One line for each database."""
        return tuple(f"{reading.database}: {reading.note}" for reading in self.databases)


def release_of_heads(graph: ReleaseGraph, observed: Iterable[SchemaHead]) -> HeadsReading:
    """Reads the release from observed version rows. Databases are known by name, or by their revisions if renamed."""
    readings: list[DatabaseReading] = []
    ignored: list[str] = []
    for head in observed:
        known = _known(graph, head)
        if known is None:
            ignored.append(head.database)
        else:
            readings.append(_read(head, known))
    complete = [reading for reading in readings if reading.kind == "complete"]
    fitting = tuple(
        release for release in graph.ids if complete and all(release in reading.releases for reading in complete)
    )
    return HeadsReading(
        kind=_kind(readings, fitting), releases=fitting, databases=tuple(readings), ignored=tuple(sorted(ignored))
    )


def _kind(
    readings: list[DatabaseReading], fitting: tuple[str, ...]
) -> Literal["agree", "disagree", "partly", "foreign", "nothing"]:
    kinds = {reading.kind for reading in readings}
    if "partly" in kinds:
        return "partly"
    if "foreign" in kinds:
        return "foreign"
    if "complete" not in kinds:
        return "nothing"
    return "agree" if fitting else "disagree"


def _known(graph: ReleaseGraph, head: SchemaHead) -> DatabaseHeads | None:
    for known in graph.databases:
        if head.database in known.names:
            return known
    rows = set(head.heads)
    return next((known for known in graph.databases if rows and rows <= _revisions(known)), None)


def _read(head: SchemaHead, known: DatabaseHeads) -> DatabaseReading:
    alembic = tuple(sorted(row for row in head.heads if not row.startswith(LEGACY)))
    rows = alembic or tuple(sorted(head.heads))
    if not rows:
        return DatabaseReading(database=head.database, service=known.service, kind="empty", note="has no version rows")
    releases = tuple(release for release, heads in known.heads.items() if tuple(sorted(heads)) == rows)
    shown = " + ".join(rows)
    if releases:
        return DatabaseReading(
            database=head.database,
            service=known.service,
            kind="complete",
            releases=releases,
            note=f"{shown} is the schema of {span(releases)}",
        )
    unknown = sorted(set(rows) - _revisions(known))
    if unknown:
        note = f"{shown}: {', '.join(unknown)} is not a revision of any known release"
        return DatabaseReading(database=head.database, service=known.service, kind="foreign", note=note)
    reached = _newest(known, rows)
    note = f"partly migrated: holds {shown}, complete at {reached} would be {' + '.join(known.heads[reached])}"
    return DatabaseReading(database=head.database, service=known.service, kind="partly", note=note)


def _newest(known: DatabaseHeads, rows: tuple[str, ...]) -> str:
    """The newest release that brought one of the rows."""
    earlier: set[str] = set()
    newest = min(known.heads)
    for release in sorted(known.heads):
        brought = {*known.heads[release], *known.new_revisions.get(release, ())} - earlier
        if brought & set(rows):
            newest = release
        earlier |= brought
    return newest


def _revisions(known: DatabaseHeads) -> set[str]:
    rows = {row for heads in known.heads.values() for row in heads}
    return rows | {row for added in known.new_revisions.values() for row in added}


def span(releases: tuple[str, ...]) -> str:
    """`2024.1`, or `2024.1 to 2025.2` for several."""
    return releases[0] if len(releases) == 1 else f"{releases[0]} to {releases[-1]}"
