"""Half-migrated databases of a copy: version rows held against what the structure shows."""

from __future__ import annotations

# ruff: noqa: S608 - the names are the release graph's own data, and quoted
from collections.abc import Iterable

from upgrader.database import questions
from upgrader.database.questions import literals
from upgrader.database.throwaway import Server
from upgrader.graph import ReleaseGraph, release_of_heads
from upgrader.graph.heads import DatabaseReading, HeadsReading, Structure
from upgrader.model import SchemaHead


def read_copy(server: Server, graph: ReleaseGraph) -> HeadsReading:
    """Which release the copy's databases are at, from rows and structure."""
    names = questions.databases(server)
    heads = questions.heads(server, names)
    structures = _structures(server, names, graph)
    return release_of_heads(graph, [SchemaHead(database=name, heads=heads.get(name, ())) for name in names], structures)


def half_migrated(server: Server, graph: ReleaseGraph) -> tuple[DatabaseReading, ...]:
    """Databases of the copy in which a migration was interrupted or is under way."""
    return tuple(reading for reading in read_copy(server, graph).databases if reading.kind == "half-migrated")


def _structures(server: Server, names: Iterable[str], graph: ReleaseGraph) -> dict[str, Structure]:
    """Tables, and of columns and indexes those that say something."""
    wanted = {item for marks in graph.marks for item in marks.items}
    tables: dict[str, set[str]] = {name: set() for name in names}
    for name, table in questions.tables(server, tables):
        tables[name].add(table)
    items = {name: set(found) for name, found in tables.items()}
    marked = sorted({item.partition("/")[0].partition(".")[0] for item in wanted})
    rows = server.sql(
        "SELECT table_schema, CONCAT(table_name, '.', column_name) FROM information_schema.columns "
        f"WHERE table_name IN ({literals(marked)}) "
        "UNION SELECT table_schema, CONCAT(table_name, '/', index_name) FROM information_schema.statistics "
        f"WHERE table_name IN ({literals(marked)})"
    )
    for name, item in rows:
        if name in items and item in wanted:
            items[name].add(item)
    return {
        name: Structure(
            tables=frozenset(found),
            items=frozenset(items[name]),
            versioned=bool(found & {"alembic_version", "migrate_version"}),
        )
        for name, found in tables.items()
    }
