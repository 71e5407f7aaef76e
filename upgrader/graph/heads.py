"""Which release a cloud's databases are at, read from the rows of their version tables.

A head says which schema a database has, not which code uses it, and never whether rows still wait for an online data
migration. Most services keep one schema over several releases, so only the intersection of all of them is telling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from upgrader.graph.graph import ReleaseGraph
from upgrader.graph.schema import DatabaseHeads
from upgrader.model import SchemaHead
from upgrader.value import Value

if TYPE_CHECKING:
    from upgrader.graph.marks import DatabaseMarks

LEGACY = "migrate_version:"
"""Front of a row of the old version table, which stays behind after the move to alembic (heat)."""
GO_ON = "run the remaining migrations of {release} to their end, or restore the backup taken before"
RESTORE = "restore the backup taken before; a migration that was interrupted inside a script fails at every further try"
NEVER_STAMP = "never write the version row by hand: it would hide what is missing"

Kind = Literal["complete", "half-migrated", "foreign", "empty"]
_NO_ROWS = "its version table is empty"


class Structure(Value):
    """What is known of a database besides its version rows."""

    tables: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    """`table`, `table.column`, `table/index`; empty when the structure was not looked at."""
    versioned: bool = True
    """It has a version table."""


class DatabaseReading(Value):
    """What one database's rows say.

    `complete`: exactly the heads of `releases`, and nothing of a later script. `half-migrated`: rows of several
    releases, not all rows of one, no rows though tables are there, or something of a script whose row is not: a
    migration was interrupted or is under way. `foreign`: a revision this data does not know. `empty`: no rows.
    """

    database: str
    service: str
    schema_name: str = ""
    """Name that the graph gives to databases of this kind."""
    heads: tuple[str, ...] = ()
    kind: Kind
    releases: tuple[str, ...] = ()
    note: str
    way_out: str = ""


class HeadsReading(Value):
    """What all databases say together; `releases` are those that fit every complete database, in order.

    `agree`: at least one release fits all. `disagree`: each is complete, but no release fits all (an upgrade is under
    way). `half-migrated` and `foreign`: as for a database, the worst counts. `nothing`: no known database was seen.
    """

    kind: Literal["agree", "disagree", "half-migrated", "foreign", "nothing"]
    releases: tuple[str, ...] = ()
    databases: tuple[DatabaseReading, ...] = ()
    ignored: tuple[str, ...] = ()
    """Databases of which no heads are known."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """One line for each database."""
        return tuple(f"{reading.database}: {reading.note}" for reading in self.databases)


def release_of_heads(
    graph: ReleaseGraph, observed: Iterable[SchemaHead], structures: Mapping[str, Structure] | None = None
) -> HeadsReading:
    """Reads the release from observed version rows, and from structures where they are known.

    Databases are known by their revisions, then by their tables, then by their names: a copy may be called anything.
    """
    readings: list[DatabaseReading] = []
    ignored: list[str] = []
    for head in observed:
        structure = (structures or {}).get(head.database, Structure())
        known = _known(graph, head, structure)
        if known is None:
            ignored.append(head.database)
        else:
            readings.append(_judged(graph, _read(head, known), head, structure))
    complete = [reading for reading in readings if reading.kind == "complete"]
    fitting = tuple(
        release for release in graph.ids if complete and all(release in reading.releases for reading in complete)
    )
    return HeadsReading(
        kind=_kind(readings, fitting), releases=fitting, databases=tuple(readings), ignored=tuple(sorted(ignored))
    )


def _kind(
    readings: list[DatabaseReading], fitting: tuple[str, ...]
) -> Literal["agree", "disagree", "half-migrated", "foreign", "nothing"]:
    kinds = {reading.kind for reading in readings}
    if "half-migrated" in kinds:
        return "half-migrated"
    if "foreign" in kinds:
        return "foreign"
    if "complete" not in kinds:
        return "nothing"
    return "agree" if fitting else "disagree"


def _known(graph: ReleaseGraph, head: SchemaHead, structure: Structure) -> DatabaseHeads | None:
    """Whose database it is: by its revisions; where several or none know them, by its tables; last by its name."""
    rows = set(head.heads)
    fitting = [known for known in graph.databases if rows & _revisions(known)]
    if len(fitting) == 1:
        return fitting[0]
    by_tables = {marks.database for marks in graph.marks if structure.tables.issuperset(marks.tables)}
    among = fitting or list(graph.databases)
    told = [known for known in among if known.database in by_tables] if structure.tables else []
    if len(told) == 1:
        return told[0]
    return next((known for known in among if head.database in known.names), None)


def _read(head: SchemaHead, known: DatabaseHeads) -> DatabaseReading:
    alembic = tuple(sorted(row for row in head.heads if not row.startswith(LEGACY)))
    rows = alembic or tuple(sorted(head.heads))
    reading = DatabaseReading(
        database=head.database,
        service=known.service,
        schema_name=known.database,
        heads=rows,
        kind="empty",
        note="has no version rows",
    )
    if not rows:
        return reading
    releases = tuple(release for release, heads in known.heads.items() if tuple(sorted(heads)) == rows)
    shown = " + ".join(rows)
    if releases:
        note = f"{shown} is the schema of {span(releases)}"
        return reading.model_copy(update={"kind": "complete", "releases": releases, "note": note})
    unknown = sorted(set(rows) - _revisions(known))
    if unknown:
        note = f"{shown}: {', '.join(unknown)} is not a revision of any known release"
        return reading.model_copy(update={"kind": "foreign", "note": note})
    reached = _newest(known, rows)
    note = f"half-migrated: holds {shown}, complete at {reached} would be {' + '.join(known.heads[reached])}"
    way_out = f"{GO_ON.format(release=reached)}; {NEVER_STAMP}"
    return reading.model_copy(update={"kind": "half-migrated", "note": note, "way_out": way_out})


def _judged(graph: ReleaseGraph, reading: DatabaseReading, head: SchemaHead, structure: Structure) -> DatabaseReading:
    """The reading of the rows, against what the structure shows of scripts that never ended."""
    marks = next((known for known in graph.marks if known.database == reading.schema_name), None)
    found = ""
    if reading.kind == "empty":
        others = structure.tables - {"alembic_version", "migrate_version"}
        if others and structure.versioned:
            found = f"half-migrated: {_NO_ROWS}, but {len(others)} table{'' if len(others) == 1 else 's'} are there"
    elif marks is not None and structure.items and reading.kind != "foreign":
        found = unfinished(marks, head.heads, structure)
    if not found:
        return reading
    update = {"kind": "half-migrated", "releases": (), "note": found, "way_out": f"{RESTORE}; {NEVER_STAMP}"}
    return reading.model_copy(update=update)


def unfinished(marks: DatabaseMarks, heads: Iterable[str], structure: Structure) -> str:
    """What of the structure contradicts the version rows; empty when nothing does.

    A server's schema statements are not undone when a script fails or is killed, and its row is only written at its
    end: what it made stays, and the rows say that it was never begun.
    """
    rows = tuple(heads)
    applied = marks.applied(rows)
    shown = " + ".join(row for row in rows if not row.startswith(LEGACY)) or " + ".join(rows)
    whole = structure.tables.issuperset(marks.tables)
    for revision in marks.revisions:
        here = [item for item in revision.adds if item in structure.items]
        if revision.id in applied:
            # an operator may have dropped an index
            lost = [
                item for item in revision.adds if item not in here and "/" not in item and _looked_at(item, structure)
            ]
            if whole and lost and not _dropped_later(marks, revision.id, applied, lost[0]):
                return (
                    f"half-migrated: holds {shown}, but lacks {_thing(lost[0])}, which {revision.id} makes: "
                    "the row was written by hand, or tables are missing"
                )
            continue
        gone = [item for item in revision.drops if item not in structure.items and _looked_at(item, structure)]
        if here or gone:
            told = (
                f"{_thing(here[0])} of {revision.id} is there" if here else f"{revision.id} dropped {_thing(gone[0])}"
            )
            return f"half-migrated: {told} already, but the version row is {shown}: that script was interrupted"
    return ""


def _looked_at(item: str, structure: Structure) -> bool:
    """The table that holds the item is there; a table itself counts when there are tables at all."""
    table = item.partition("/")[0].partition(".")[0]
    return table in structure.tables or (table == item and bool(structure.tables))


def _dropped_later(marks: DatabaseMarks, after: str, applied: frozenset[str], item: str) -> bool:
    later = False
    for revision in marks.revisions:
        if later and revision.id in applied and item in revision.drops:
            return True
        later = later or revision.id == after
    return False


def _thing(item: str) -> str:
    """`table.column` in words."""
    table, slash, index = item.partition("/")
    if slash:
        return f"index {index} of {table}"
    table, dot, column = item.partition(".")
    return f"column {column} of {table}" if dot else f"table {table}"


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
