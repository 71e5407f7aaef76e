"""The sandbox's databases: schemas as JSON documents, dumped and loaded as SQL text, changed by migrations.

A cluster has one set of schemas, `<root>/database/<schema>.json`: what Galera would replicate. A document is
`{"tables": {name: {"columns": [...], "rows": [[...]]}}, "history": [...]}`; `history` notes every migration that
changed heads, survives a restore, and is what proves that none was run twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from upgrader.sandbox import store, world

Schema = dict[str, Any]
_CONTROLS = {"\n": "n", "\r": "r", "\0": "0"}
"""Characters that would end a line on the way, and the letter they are written with behind a backslash."""
_NAMES = {name: raw for raw, name in _CONTROLS.items()}
VERSION_TABLES = ("alembic_version", "migrate_version")


class SqlError(Exception):
    """What the client prints, with the server's error number."""


def folder(root: str) -> str:
    return f"{root}/database"


def schemas(root: str) -> list[str]:
    return [name for name in store.names(folder(root)) if name != "accounts"]


def load(root: str, name: str) -> Schema | None:
    found: Schema | None = store.read_if_there(f"{folder(root)}/{name}.json")
    return found


def save(root: str, name: str, schema: Schema) -> None:
    store.write(f"{folder(root)}/{name}.json", schema)


def drop(root: str, name: str) -> None:
    try:
        os.unlink(f"{folder(root)}/{name}.json")  # noqa: PTH108
    except FileNotFoundError:
        raise SqlError(f"ERROR 1008 (HY000) at line 1: Can't drop database '{name}'; database doesn't exist") from None


def new_schema(heads: list[str], tables: dict[str, dict[str, Any]]) -> Schema:
    version = {"columns": ["version_num"], "rows": [[head] for head in heads]}
    return {"tables": {"alembic_version": version, **tables}, "history": []}


def heads_of(schema: Schema) -> list[str]:
    table = schema["tables"].get("alembic_version", {"rows": []})
    return [row[0] for row in table["rows"]]


def set_heads(root: str, name: str, heads: list[str], **history: str) -> None:
    """Write the version rows of a schema and, if `history` is given, note it as a migration, in one step."""
    schema = load(root, name) or new_schema([], {})
    entry = [{"from": heads_of(schema), "to": heads, "at": world.now(), **history}] if history else []
    schema["tables"]["alembic_version"]["rows"] = [[head] for head in heads]
    schema["history"] = [*schema["history"], *entry]
    save(root, name, schema)


# ---------------------------------------------------------------- what the client asks


def head_rows(root: str) -> Iterator[tuple[str, str, str]]:
    for name in schemas(root):
        tables = (load(root, name) or {"tables": {}})["tables"]
        for table in VERSION_TABLES:
            if table in tables:
                rows = tables[table]["rows"] or [[""]]
                yield from ((name, table, str(row[0])) for row in rows)


def tables(root: str) -> Iterator[tuple[str, str]]:
    for name in schemas(root):
        yield from ((name, table) for table in sorted((load(root, name) or {"tables": {}})["tables"]))


def row_counts(root: str) -> Iterator[tuple[str, str, int]]:
    for name in schemas(root):
        tables = (load(root, name) or {"tables": {}})["tables"]
        yield from ((name, table, len(data["rows"])) for table, data in sorted(tables.items()) if not _version(table))


def _version(table: str) -> bool:
    return table in VERSION_TABLES


# ---------------------------------------------------------------- what is written after a backup

_MADE = {
    "instances": ("nova", "instances"), "volumes": ("cinder", "volumes"), "images": ("glance", "images"),
    "networks": ("neutron", "networks"), "subnets": ("neutron", "subnets"), "ports": ("neutron", "ports"),
    "routers": ("neutron", "routers"), "users": ("keystone", "user"), "stacks": ("heat", "stack"),
}  # fmt: skip
"""Question of database/losses.sh → schema and table, where the sandbox has the table."""


def add_row(root: str, name: str, table: str, row: list[Any], at: str = "") -> None:
    """Write a row as a service would, with the time it was made (UTC): id first, then its name."""
    schema = load(root, name) or new_schema([], {})
    schema["tables"][table]["rows"].append(row)
    made = schema.setdefault("made", {}).setdefault(table, {})
    made[str(row[0])] = at or world.now().replace("T", " ").rstrip("Z")
    save(root, name, schema)


def written_since(root: str, kind: str, since: str) -> Iterator[tuple[str, ...]]:
    """How many rows were made after `since`, and the first of them. Raises SqlError where the table is not there.

    Nothing here is ever changed or deleted in place, and of what has no table here there is none.
    """
    if kind not in _MADE:
        yield ("count", "0")
        return
    name, table = _MADE[kind]
    schema = load(root, name)
    if schema is None or table not in schema["tables"]:
        raise SqlError(f"ERROR 1146 (42S02) at line 3: Table '{name}.{table}' doesn't exist")
    names = {str(row[0]): str(row[1]) for row in schema["tables"][table]["rows"]}
    made = schema.get("made", {}).get(table, {})
    new = sorted((at, key) for key, at in made.items() if at > since and key in names)
    yield ("count", str(len(new)))
    yield from (("row", key, names[key], at) for at, key in new[:5])


# ---------------------------------------------------------------- dump and load


def dump(root: str, name: str, server: str) -> Iterator[str]:
    """SQL text of one schema in the shape of mariadb-dump's. Raises SqlError for an unknown schema."""
    schema = load(root, name)
    if schema is None:
        raise SqlError(f"mariadb-dump: Got error: 1049: \"Unknown database '{name}'\" when selecting the database")
    yield f"-- MariaDB dump 10.19  Distrib {server}, for debian-linux-gnu (x86_64)\n--\n"
    yield f"-- Host: localhost    Database: {name}\n-- ------------------------------------------------------\n"
    yield f"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `{name}`;\n\nUSE `{name}`;\n\n"
    for table, data in sorted(schema["tables"].items()):
        columns = ",\n".join(f"  `{column}` text DEFAULT NULL" for column in data["columns"])
        yield f"DROP TABLE IF EXISTS `{table}`;\nCREATE TABLE `{table}` (\n{columns}\n) ENGINE=InnoDB;\n"
        for row in data["rows"]:
            yield f"INSERT INTO `{table}` VALUES ({','.join(map(_literal, row))});\n"  # noqa: S608 - no server reads it
    yield f"-- Dump completed on {world.now()}\n"


def restore(root: str, name: str, lines: Iterator[str]) -> None:
    """Replace schema `name` by what a dump of it says. Raises SqlError and changes nothing if it is not whole."""
    tables: dict[str, dict[str, Any]] = {}
    current, complete = "", False
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        if line.startswith("CREATE TABLE `"):
            current = line.split("`")[1]
            tables[current] = {"columns": [], "rows": []}
        elif line.startswith("  `") and current:
            tables[current]["columns"].append(line.split("`")[1])
        elif line.startswith("INSERT INTO `"):
            table = line.split("`")[1]
            if table not in tables:
                raise SqlError(f"ERROR 1146 (42S02) at line {number}: Table '{name}.{table}' doesn't exist")
            tables[table]["rows"].append(_values(line, number))
        elif line.startswith("-- Dump completed"):
            complete = True
    if not complete:
        raise SqlError(f"ERROR 2013 (HY000) at line {number if tables else 1}: the dump of '{name}' ends too early")
    before = load(root, name) or {"history": []}
    save(root, name, {"tables": tables, "history": before["history"]})


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    for raw, name in _CONTROLS.items():
        text = text.replace(raw, f"\\{name}")
    return f"'{text}'"


def _values(line: str, number: int) -> list[Any]:
    """The values of one single-row INSERT as `_literal` wrote them."""
    text = line[line.index("VALUES (") + 8 : line.rindex(")")]
    values: list[Any] = []
    at = 0
    while at < len(text):
        if text[at] == "'":
            value, at = _quoted(text, at + 1, number)
            values.append(value)
        else:
            end = text.find(",", at)
            word = text[at : end if end >= 0 else len(text)]
            values.append(None if word == "NULL" else int(word))
            at += len(word)
        at += 1  # the comma
    return values


def _quoted(text: str, at: int, number: int) -> tuple[str, int]:
    found: list[str] = []
    while at < len(text):
        if text[at] == "'":
            return "".join(found), at + 1
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
            found.append(_NAMES.get(text[at], text[at]))
        else:
            found.append(text[at])
        at += 1
    raise SqlError(f"ERROR 1064 (42000) at line {number}: a text does not end")


# ---------------------------------------------------------------- accounts


def password_hash(password: str) -> str:
    """The server's own `mysql_native_password` form of a password."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def accounts(root: str) -> dict[str, dict[str, Any]]:
    """`user@host` → {"hash": ..., "grants": [...]}; system accounts are those without grants to show."""
    found: dict[str, dict[str, Any]] = store.read(f"{folder(root)}/accounts.json")
    return found


def login(root: str, user: str, password: str) -> None:
    """Raises SqlError when the password is not that of `user`."""
    wanted = {entry["hash"] for name, entry in accounts(root).items() if name.split("@")[0] == user}
    if password_hash(password) not in wanted:
        using = "YES" if password else "NO"
        raise SqlError(f"ERROR 1045 (28000): Access denied for user '{user}'@'localhost' (using password: {using})")


def account_lines(root: str) -> Iterator[str]:
    """SQL that would make the service accounts anew, without semicolons."""
    for name, entry in sorted(accounts(root).items()):
        if entry["grants"]:
            quoted = _account(name)
            yield f"CREATE USER {quoted} IDENTIFIED BY PASSWORD '{entry['hash']}'"
            yield from (f"{grant} TO {quoted}" for grant in entry["grants"])


def grant_statements(root: str) -> Iterator[str]:
    for name, entry in sorted(accounts(root).items()):
        if entry["grants"]:
            user, _, host = name.partition("@")
            yield f"SHOW CREATE USER '{user}'@'{host}'; SHOW GRANTS FOR '{user}'@'{host}';"


def restore_accounts(root: str, statements: Iterator[str]) -> None:
    """Replace the accounts that `statements` create. Raises SqlError for a statement it does not know."""
    known = accounts(root)
    fresh: dict[str, dict[str, Any]] = {}
    for statement in statements:
        words = statement.strip().rstrip(";").replace("`", "'")
        if not words or words.startswith("--"):
            continue
        if words.startswith("CREATE"):
            fresh[_name(words.split(" USER ")[1])] = {"hash": words.rsplit("'", 2)[1], "grants": []}
        elif words.startswith("GRANT") and " TO " in words:
            grant, _, to = words.rpartition(" TO ")
            fresh.setdefault(_name(to), {"hash": "", "grants": []})["grants"].append(grant.replace("'", "`"))
        elif not words.startswith("FLUSH"):
            raise SqlError(f"ERROR 1064 (42000): the sandbox does not know: {words.split()[0]}")
    store.write(f"{folder(root)}/accounts.json", {**known, **fresh})


def _account(name: str) -> str:
    user, _, host = name.partition("@")
    return f"`{user}`@`{host}`"


def _name(text: str) -> str:
    parts = text.split("'")
    return f"{parts[1]}@{parts[3]}"
