"""Questions to a server that holds a copy: databases, tables, heads and rows. Proofs and rehearsals ask them alike."""

from __future__ import annotations

# ruff: noqa: S608 - every name in a statement is quoted by identifier or literals
from collections.abc import Iterable

from upgrader.database.throwaway import Server
from upgrader.facts.server import schema_heads

_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys", "PERCONA_SCHEMA")
_HEADS = """
SELECT CONCAT('SELECT ', QUOTE(table_schema), ', ', QUOTE(table_name), ', COALESCE(',
  IF(table_name = 'alembic_version', 'v.version_num', 'CONCAT(v.repository_id, '':'', v.version)'),
  ', '''') FROM (SELECT 1) AS one LEFT JOIN `', table_schema, '`.`', table_name, '` AS v ON TRUE;')
FROM information_schema.tables
WHERE table_name IN ('alembic_version', 'migrate_version') AND table_type = 'BASE TABLE' AND table_schema IN ({names})
"""
_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN ({names}) ORDER BY table_schema, table_name
"""


def literals(names: Iterable[str]) -> str:
    """The names as SQL strings, parted by commas; never nothing, for `IN ()` is an error."""
    return ", ".join("'" + name.replace("\\", "\\\\").replace("'", "''") + "'" for name in names) or "''"


def identifier(*names: str) -> str:
    """A database, `database.table` or column, quoted."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def databases(server: Server) -> tuple[str, ...]:
    """Every database of the services, sorted."""
    rows = server.sql("SELECT schema_name FROM information_schema.schemata ORDER BY 1")
    return tuple(row[0] for row in rows if row[0] not in _SYSTEM and not row[0].startswith("#"))


def tables(server: Server, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(database, table), sorted."""
    return tuple((row[0], row[1]) for row in server.sql(_TABLES.format(names=literals(names))))


def heads(server: Server, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Database → rows of its version table, sorted; without an entry where there is no version table."""
    statements = server.sql(_HEADS.format(names=literals(names)))
    if not statements:
        return {}
    rows = server.sql("\n".join(row[0] for row in statements))
    return {head.database: head.heads for head in schema_heads("\t".join(row) for row in rows)}


def row_counts(server: Server, names: Iterable[str], *, seconds: float = 600) -> dict[str, int]:
    """`database.table` → rows, counted within the time."""
    found = tables(server, names)
    if not found:
        return {}
    text = "".join(f"SELECT COUNT(*) FROM {identifier(*table)};\n" for table in found)
    counted = server.sql(text, seconds=seconds)
    return {".".join(table): int(row[0]) for table, row in zip(found, counted, strict=True)}
