"""The structure of a copy, and what changed of it. And taking production's addresses out of it.

Owns what counts as an address that must not stay: whatever names another machine than this one, in the columns in
which services keep URLs. Nothing is run against a copy while one remains.
"""

from __future__ import annotations

# ruff: noqa: S608 - every name in a statement is quoted by identifier or literals
import re
from collections.abc import Iterable, Mapping

from upgrader.database.questions import identifier, literals, tables
from upgrader.database.throwaway import Server
from upgrader.errors import RefusedError

_ADDRESS_COLUMNS = """
SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns AS c
JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema IN ({names})
  AND c.data_type IN ('varchar', 'char', 'text', 'tinytext', 'mediumtext', 'longtext')
  AND (c.column_name REGEXP '(url|uri|connection|endpoint|href|address_of|transport)'
       OR (c.table_name = 'image_locations' AND c.column_name = 'value'))
  AND c.generation_expression IS NULL
ORDER BY 1, 2, 3
"""
# scheme://user:secret@host:port,user:secret@host:port/… - every host after :// or after a comma before the next slash
_HOST = r"(://|,)([^/@,[:space:]]*@)?(\\[[^]]*\\]|[^/:,@?#[:space:]]+)"
_AUTO_INCREMENT = re.compile(r" AUTO_INCREMENT=\d+")


def structure(server: Server, names: Iterable[str]) -> dict[str, str]:
    """`database.table` → the statement that makes it, without its counter."""
    found = tables(server, names)
    rows = server.sql("".join(f"SHOW CREATE TABLE {identifier(*table)};\n" for table in found)) if found else []
    texts = (row[1].replace("\\n", "\n").replace("\\t", "\t") for row in rows)
    return {".".join(table): _AUTO_INCREMENT.sub("", text) for table, text in zip(found, texts, strict=True)}


def structure_difference(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each table or line of a table that came, went or changed."""
    lines = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table), after.get(table)
        if old is None:
            lines.append(f"+ {table}")
        elif new is None:
            lines.append(f"- {table}")
        elif old != new:
            was, now = _parts(old), _parts(new)
            lines += [f"- {table}: {part}" for part in was if part not in now]
            lines += [f"+ {table}: {part}" for part in now if part not in was]
    return tuple(lines)


def _parts(statement: str) -> list[str]:
    return [line.strip().rstrip(",") for line in statement.splitlines()[1:]]


# ---------------------------------------------------------------- addresses


def sanitise(server: Server, names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Replace every address in the copy that names another machine; returns (column, rows changed).

    Nova's cells get this server's own databases and a message bus that leads nowhere, because its programs connect
    by those rows. Raises RefusedError when an address remains: then nothing may be run against the copy.
    """
    names = tuple(names)
    changed: list[tuple[str, int]] = []
    if "nova_api" in names and ("nova_api", "cell_mappings") in tables(server, ["nova_api"]):
        cell0, cell = server.url("nova_cell0"), server.url("nova")
        rows = server.sql(
            "UPDATE nova_api.cell_mappings SET transport_url = 'none:///', database_connection = "
            f"IF(uuid = '00000000-0000-0000-0000-000000000000', '{cell0}', '{cell}'); SELECT ROW_COUNT()"
        )
        changed.append(("nova_api.cell_mappings", int(rows[-1][0])))
    for column in _address_columns(server, names):
        database, table, name = column
        where, what = identifier(database, table), identifier(name)
        update = (
            f"UPDATE IGNORE {where} SET {what} = REGEXP_REPLACE({what}, '{_HOST}', "
            rf"'\\1\\2localhost') WHERE {what} LIKE '%://%' AND {_foreign(name)}; SELECT ROW_COUNT()"
        )
        rows = server.sql(update)
        if int(rows[-1][0]):
            changed.append((".".join(column), int(rows[-1][0])))
    remaining = foreign_addresses(server, names)
    if remaining:
        told = [f"{column}: {count} row{'' if count == 1 else 's'}" for column, count in remaining]
        raise RefusedError(
            f"The copy still names other machines ({told[0]}), so nothing is run against it.",
            cloud="Only the copy was touched.",
            details=told,
            reason="not-sanitised",
        )
    return tuple(changed)


def foreign_addresses(server: Server, names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """(column, rows) of addresses in the copy that name another machine than this one."""
    found = []
    for database, table, name in _address_columns(server, tuple(names)):
        where, what = identifier(database, table), identifier(name)
        rows = server.sql(f"SELECT COUNT(*) FROM {where} WHERE {what} LIKE '%://%' AND {_foreign(name)}")
        if int(rows[0][0]):
            found.append((f"{database}.{table}.{name}", int(rows[0][0])))
    return tuple(found)


def _address_columns(server: Server, names: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    rows = server.sql(_ADDRESS_COLUMNS.format(names=literals(names)))
    return tuple((row[0], row[1], row[2]) for row in rows)


def _foreign(name: str) -> str:
    """SQL: after all local hosts are taken out, a host is left between `://` or a comma and the path."""
    stripped = (
        f"REGEXP_REPLACE({identifier(name)}, "
        r"'(://|,)([^/@,[:space:]]*@)?(127\\.[0-9.]+|localhost|\\[::1\\])(:[0-9]*)?(?=[/,?#]|$)', '\\1')"
    )
    return f"{stripped} REGEXP '://[^/?#]*[^/?#,]'"
