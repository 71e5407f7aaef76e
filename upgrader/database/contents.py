"""What a dump holds, read from its own text in one pass: tables, rows, a digest of each table, schema heads.

So the numbers are of the dump's own moment, whatever the cloud wrote meanwhile. Memory does not grow with the dump:
one line is held at a time. Knows the text of mariadb-dump and of mydumper, with any compression of theirs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from upgrader.database.manifest import DumpFormat, TableContent
from upgrader.database.unpacked import DumpDamaged, opened
from upgrader.facts.server import schema_heads

GRANTS = "grants"
MYDUMPER = "mydumper"
"""Folder of a mydumper dump inside of a set's `database`."""
_SUFFIXES = (".zst", ".gz")
_INSERT = re.compile(rb"INSERT (?:IGNORE )?INTO `((?:[^`]|``)+)`(?: \([^)]*\))? VALUES")
_TABLE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` ?\(")
_ROW = re.compile(rb"""\((?:[^'"()]|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")*\)""", re.DOTALL)
_TEXT = re.compile(rb"""^\(['"]([^'"]*)['"]""")
_REPOSITORY = re.compile(rb"""^\(['"]([^'"]*)['"],.*,(\d+)\)$""", re.DOTALL)
_END = b"-- Dump completed"
_MODULUS = 1 << 256
_VERSIONS = frozenset({"alembic_version", "migrate_version"})


@dataclass
class Contents:
    """Tables by `database.table`, and heads by database, as `schema_heads` orders them."""

    tables: dict[str, TableContent] = field(default_factory=dict)
    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def schema_of(path: Path) -> str:
    """The schema a file of a mariadb-dump set holds; empty for a file of another kind."""
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name.removesuffix(".sql") if name.endswith(".sql") else ""


def read_contents(dump_format: DumpFormat, files: Iterable[Path]) -> Contents:
    """What the files of part `databases` hold. Raises DumpDamaged naming the first file that is not whole.

    Nothing can be read this way from the stream of mariabackup: that is restored first.
    """
    if dump_format == "mariabackup":
        return Contents()
    counts: dict[str, _Count] = {}
    lines: list[str] = []
    ordered = sorted(files)
    views = {_view(path) for path in ordered} - {""}
    for path in ordered:
        if dump_format == "mydumper":
            _read_mydumper(path, views, counts, lines)
        else:
            _read_schema(path, counts, lines)
    tables = {
        name: TableContent(name=name, rows=one.rows, digest=f"{one.sum % _MODULUS:064x}")
        for name, one in counts.items()
    }
    heads = {row.database: tuple(sorted(row.heads)) for row in schema_heads(lines)}
    return Contents(dict(sorted(tables.items())), heads)


@dataclass
class _Count:
    rows: int = 0
    sum: int = 0

    def add(self, text: bytes) -> None:
        self.rows += 1
        self.sum += int.from_bytes(hashlib.sha256(text).digest(), "big")


def _read_schema(path: Path, counts: dict[str, _Count], lines: list[str]) -> None:
    """One schema as mariadb-dump writes it; it has to be closed by its trailer."""
    schema = schema_of(path)
    if not schema or schema == GRANTS:
        raise DumpDamaged(f"{path.name} is not a file of a dump")
    last = b""

    def watched(stream: IO[bytes]) -> Iterator[bytes]:
        nonlocal last
        for line in stream:
            if line != b"\n":
                last = line
            yield line

    with opened(path) as stream:
        _read(watched(stream), schema, counts, lines)
    if not last.startswith(_END):
        raise DumpDamaged(f"{path.name} has no end")


def _read_mydumper(path: Path, views: set[str], counts: dict[str, _Count], lines: list[str]) -> None:
    schema, _, rest = path.name.partition(".")
    if path.name == "metadata":
        if "Finished dump at" not in path.read_text(errors="replace"):
            raise DumpDamaged("the dump was not finished: its metadata says so")
        return
    with opened(path) as stream:
        if path.name.startswith(f"{schema}.") and rest.partition(".sql")[0] in views:
            schema = ""  # a view's stand-in is written as a table
        _read(stream, "" if "-schema-" in path.name else schema, counts, lines)


def _view(path: Path) -> str:
    """Name of the file that holds the stand-in of a view, without database and suffix."""
    name = path.name.partition(".")[2].partition(".sql")[0]
    return f"{name.removesuffix('-schema-view')}-schema" if name.endswith("-schema-view") else ""


def _read(stream: Iterable[bytes], schema: str, counts: dict[str, _Count], lines: list[str]) -> None:
    """Count what is inserted. Newlines in data are escaped by both programs, so a row never spans two lines."""
    count = _Count()
    table = ""
    inside = routine = False
    for line in stream:
        if inside and line[:1] in (b"(", b","):
            text = line.rstrip(b",;\r\n").lstrip(b",")
            count.add(text)
            if table in _VERSIONS:
                _head(schema, table, text, lines)
            inside = not line.endswith((b";\n", b";\r\n", b";"))
            continue
        inside = False
        if line.startswith(b"DELIMITER "):
            routine = line[10:].strip() != b";"
        elif routine or not schema:
            continue
        elif found := _INSERT.match(line):
            table = _name(found[1])
            count = counts.setdefault(f"{schema}.{table}", _Count())
            for row in _ROW.finditer(line, found.end()):
                count.add(row[0])
                _head(schema, table, row[0], lines)
            inside = line.rstrip(b"\r\n")[-1:] != b";"
        elif found := _TABLE.match(line):
            counts.setdefault(f"{schema}.{_name(found[1])}", _Count())
            if _name(found[1]) == "alembic_version":
                lines.append(f"{schema}\talembic_version\t")


def _name(quoted: bytes) -> str:
    return quoted.replace(b"``", b"`").decode(errors="replace")


def _head(schema: str, table: str, row: bytes, lines: list[str]) -> None:
    """Rows of the version tables as the question `heads` gives them."""
    if table == "alembic_version":
        found = _TEXT.match(row)
        lines.append(f"{schema}\t{table}\t{found[1].decode(errors='replace') if found else ''}")
    elif table == "migrate_version":
        found = _REPOSITORY.match(row)
        if found:
            lines.append(f"{schema}\t{table}\t{found[1].decode(errors='replace')}:{found[2].decode()}")


def head_differences(
    before: Mapping[str, Sequence[str]], dumped: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Where heads moved while the databases were dumped, one line each; then the dump is of no one release."""
    found = []
    for database in sorted({*before, *dumped, *after}):
        seen = [tuple(sorted(of.get(database, ()))) for of in (before, dumped, after)]
        if len(set(seen)) > 1:
            words = [" + ".join(heads) or "nothing" for heads in seen]
            found.append(f"{database} was at {words[0]} before, at {words[1]} in the dump, at {words[2]} after it")
    return tuple(found)
