"""What a sandbox's database does when production's databases are put on a staging cloud: the rows of addresses.

Does on the documents of the schemas what `upgrader/staging/sanitise.sh` has a real server do.
"""

from __future__ import annotations

import re

from upgrader.sandbox import schemas, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_COLUMN = re.compile(r"(url|uri|connection|endpoint|href|address_of|transport)")
_HOST = re.compile(r"(://|,)([^/@,\s]*@)?(\[[^\]]*\]|[^/:,@?#\s]+)")
_KEPT = "staging-cells"
_CELLS = ("nova_api", "cell_mappings")


def answer(root: str, word: str, address: str) -> Iterator[str]:
    """Lines of the server's answer to one of the statements of the script."""
    if word == "columns":
        yield from ("\t".join(column) for column in _columns(root))
    elif word == "keep":
        if not _kept(root):
            store.write(f"{root}/{_KEPT}.json", _cells(root))
        yield from (str(row[0]) for row in _kept(root))
    elif word == "rewrite":
        yield from _rewrite(root, address)
        store.note(root, "staging-rewrite")
    elif word == "remaining":
        kept = [row[1:] for row in _kept(root)]
        if _cells(root):
            yield f"nova_api.cell_mappings\t{sum(row[1:] not in kept for row in _cells(root))}"
        for schema, table, column in _plain(root):
            count = sum(_foreign(text, address) for text in _values(root, schema, table, column))
            yield f"{schema}.{table}.{column}\t{count}"
    elif word == "drop":
        store.write(f"{root}/{_KEPT}.json", [])


def _kept(root: str) -> list[list[Any]]:
    return store.read_if_there(f"{root}/{_KEPT}.json") or []


def _cells(root: str) -> list[list[Any]]:
    tables = (schemas.load(root, _CELLS[0]) or {"tables": {}})["tables"]
    rows: list[list[Any]] = tables.get(_CELLS[1], {"rows": []})["rows"]
    return rows


def _columns(root: str) -> Iterator[tuple[str, str, str]]:
    for schema in schemas.schemas(root):
        for table, data in sorted((schemas.load(root, schema) or {"tables": {}})["tables"].items()):
            yield from ((schema, table, column) for column in sorted(data["columns"]) if _COLUMN.search(column))


def _plain(root: str) -> Iterator[tuple[str, str, str]]:
    return (column for column in _columns(root) if column[:2] != _CELLS)


def _values(root: str, schema: str, table: str, column: str) -> list[str]:
    data = (schemas.load(root, schema) or {})["tables"][table]
    at = data["columns"].index(column)
    return [str(row[at]) for row in data["rows"]]


def _foreign(text: str, address: str) -> bool:
    return any(match[3] not in (address, "localhost", "127.0.0.1") for match in _HOST.finditer(text))


def _rewrite(root: str, address: str) -> Iterator[str]:
    document = schemas.load(root, _CELLS[0])
    if document and _CELLS[1] in document["tables"]:
        kept = {row[0]: row for row in _kept(root)}
        rows = document["tables"][_CELLS[1]]["rows"]
        document["tables"][_CELLS[1]]["rows"] = [kept.get(row[0], row) for row in rows]
        schemas.save(root, _CELLS[0], document)
    for schema, table, column in list(_plain(root)):
        document = schemas.load(root, schema) or {}
        data = document["tables"][table]
        at, changed = data["columns"].index(column), 0
        for row in data["rows"]:
            if _foreign(str(row[at]), address):
                row[at] = _HOST.sub(rf"\1\g<2>{address}", str(row[at]))
                changed += 1
        schemas.save(root, schema, document)
        yield f"{schema}.{table}.{column}\t{changed}"
