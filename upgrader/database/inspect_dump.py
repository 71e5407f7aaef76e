"""Which release the databases in a dump are at, from the dump alone: one pass, constant memory, nothing is loaded.

Owns what may be named (files, standard input, folders of dumps, mydumper's folders, backup sets) and the verdict.
The release graph says what version rows and structures mean.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from upgrader.database.dump_files import CharsetError, DamagedError, ForeignError, open_path, opened
from upgrader.database.dump_scan import SYSTEM, DumpScan, SeenDatabase
from upgrader.durable import read_json
from upgrader.errors import ConfigError
from upgrader.facts.server import schema_heads
from upgrader.graph import ReleaseGraph, release_of_heads
from upgrader.graph.heads import DatabaseReading, HeadsReading, Structure
from upgrader.model import SchemaHead
from upgrader.value import Value

Verdict = Literal["release", "mixed", "half-migrated", "unknown head", "no release"]
_VERDICTS: dict[str, Verdict] = {
    "agree": "release",
    "disagree": "mixed",
    "half-migrated": "half-migrated",
    "foreign": "unknown head",
    "nothing": "no release",
}
_CHARSETS = frozenset({"utf8mb4", "utf8mb3", "utf8", "binary"})
_DUMP = re.compile(r"\.sql(\.gz|\.zst)?$")
_MYDUMPER = re.compile(
    r"^(?P<database>.+?)(?:-schema-create|-schema-post|\.(?P<table>.+?)"
    r"(?:-(?P<schema>schema)(?:-view|-triggers)?|\.\d+(?:\.\d+)*)?)\.sql(?:\.gz|\.zst)?$"
)
_VERSIONS = frozenset({"alembic_version", "migrate_version"})
_GRANTS = re.compile(r"^grants\.sql(\.gz|\.zst)?$")


class Trouble(Value):
    """Why a dump is not one that a cloud could be brought back from, or could not be read."""

    source: str
    kind: Literal[
        "truncated", "foreign", "charset", "empty", "accounts-only", "structure-only", "no-version-table",
        "no-dump", "physical", "incomplete-set",
    ]  # fmt: skip
    message: str


class Source(Value):
    """One file, folder or stream that was read."""

    name: str
    format: Literal["dump", "mydumper"] = "dump"
    compression: str = ""
    bytes: int = 0
    """Of text that was read."""
    server_version: str = ""
    databases: tuple[str, ...] = ()


class Inspection(Value):
    """What dumps say. `releases`: those that fit every database, in order; several where only code tells them apart."""

    schema_version: Literal[1] = 1
    kind: Literal["inspection"] = "inspection"
    verdict: Verdict
    releases: tuple[str, ...] = ()
    databases: tuple[DatabaseReading, ...] = ()
    ignored: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def sound(self) -> bool:
        return self.verdict == "release" and not self.troubles


@dataclass
class _Found:
    """What one source gave."""

    source: Source
    databases: dict[str, SeenDatabase] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    whole: bool = True
    """Nothing is missing at its end, so that what was not seen is not there."""
    has_rows: bool = True

    def trouble(self, kind: str, message: str) -> None:
        self.troubles.append(Trouble.model_validate({"source": self.source.name, "kind": kind, "message": message}))


def inspect(paths: Sequence[str], graph: ReleaseGraph, stdin: IO[bytes] | None = None) -> Inspection:
    """Read everything that `paths` name (`-` is standard input) and say what it holds.

    Raises ConfigError for a path that is not there or cannot be read, EnvironmentMissingError where a program that
    unpacks is missing. Damage and everything else that is wrong with a dump is a trouble of the inspection.
    """
    wanted = frozenset(item for marks in graph.marks for item in marks.items)
    found: list[_Found] = []
    for name in paths:
        if name == "-":
            found.append(_dump("standard input", stdin or sys.stdin.buffer, wanted))
        else:
            found += _of_path(Path(name), wanted)
    return _judged(graph, found)


# ---------------------------------------------------------------- what is named


def _of_path(path: Path, wanted: frozenset[str]) -> list[_Found]:
    try:
        if path.is_dir():
            return _folder(path, wanted)
        return [_file(path, wanted)]
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}.",
            next_command="upgrader inspect FILE",
            reason="dump-unreadable",
        ) from None


def _file(path: Path, wanted: frozenset[str]) -> _Found:
    named = _MYDUMPER.match(path.name)
    with open_path(path) as stream:
        return _dump(str(path), stream, wanted, named["database"] if named else _DUMP.sub("", path.name))


def _folder(path: Path, wanted: frozenset[str]) -> list[_Found]:
    manifest = read_json(path / "manifest.json")
    if manifest.state != "missing":
        return _set(path, manifest.document or {}, wanted)
    if _is_mydumper(path):
        return [_mydumper(path, wanted)]
    found = [_file(file, wanted) for file in sorted(path.iterdir()) if _DUMP.search(file.name) and file.is_file()]
    for inner in sorted(path.iterdir()):
        if inner.is_dir() and not inner.name.startswith("."):
            found += [one for one in _folder(inner, wanted) if not _only(one, "no-dump")]
    if not found:
        nothing = _Found(Source(name=str(path)))
        nothing.trouble("no-dump", "the folder holds no dump (*.sql, *.sql.gz, *.sql.zst, or a folder of mydumper)")
        return [nothing]
    return found


def _only(found: _Found, kind: str) -> bool:
    return [trouble.kind for trouble in found.troubles] == [kind]


def _set(path: Path, manifest: Mapping[str, object], wanted: frozenset[str]) -> list[_Found]:
    """A backup set: its databases; its accounts and keys say nothing of a release."""
    whole = _Found(Source(name=str(path)))
    state = manifest.get("state", "")
    if not manifest:
        whole.trouble("incomplete-set", "the set's manifest is damaged")
    elif state in {"in-progress", "incomplete"}:
        whole.trouble("incomplete-set", f"the set is {state}")
    databases = path / "database"
    found = []
    if databases.is_dir():
        found = [one for one in _folder(databases, wanted) if not _GRANTS.match(Path(one.source.name).name)]
    physical = next((file for file in path.rglob("*") if "mariabackup" in file.name), None)
    if physical is not None:
        whole.trouble("physical", "the databases are a physical backup: the heads lie in its data files, load it")
    elif not found:
        whole.trouble("no-dump", "the set holds no databases")
    return [*found, *([whole] if whole.troubles else [])]


def _is_mydumper(path: Path) -> bool:
    return any((path / name).exists() for name in ("metadata", "metadata.partial")) or any(
        path.glob("*-schema-create.sql*")
    )


def _mydumper(path: Path, wanted: frozenset[str]) -> _Found:
    """A folder of mydumper: names of files say the tables; only version tables and marked structures are read."""
    found = _Found(Source(name=str(path), format="mydumper"), has_rows=False)
    tables = {item.partition("/")[0].partition(".")[0] for item in wanted}
    size = 0
    for file in sorted(path.iterdir()):
        named = _MYDUMPER.match(file.name)
        if named is None or named["database"] in SYSTEM:
            continue
        seen = found.databases.setdefault(named["database"], SeenDatabase(named["database"]))
        table = named["table"]
        if not table or file.name.find("-schema-view.") > 0:
            continue
        found.has_rows = found.has_rows or not named["schema"]
        if table in _VERSIONS or (named["schema"] and table in tables):
            one = _file(file, wanted)
            size += one.source.bytes
            found.troubles += [trouble for trouble in one.troubles if trouble.kind != "structure-only"]
            found.whole = found.whole and one.whole
            for inner in one.databases.values():
                seen.rows += inner.rows
                seen.items |= inner.items
        seen.tables.add(table)
        seen.items.add(table)
    if not (path / "metadata").exists():
        found.whole = False
        found.trouble("truncated", "mydumper did not finish: it writes the file `metadata` at its end")
    found.source = found.source.model_copy(update={"bytes": size, "databases": tuple(sorted(found.databases))})
    return found


def _dump(name: str, stream: IO[bytes], wanted: frozenset[str], database: str = "") -> _Found:
    scan = DumpScan(wanted, database)
    found = _Found(Source(name=name))
    compression = ""
    try:
        with opened(stream) as text:
            compression = text.compression
            for piece in text.pieces:
                scan.feed(piece)
    except DamagedError as error:
        found.whole = False
        found.trouble("truncated", error.message)
    except ForeignError as error:
        found.trouble("foreign", error.message)
    except CharsetError as error:
        found.trouble("charset", error.message)
    scan.close()
    found.databases = {known: seen for known, seen in scan.databases.items() if known not in SYSTEM}
    found.has_rows = scan.any_rows
    found.source = found.source.model_copy(
        update={
            "compression": compression,
            "bytes": scan.bytes,
            "server_version": scan.server,
            "databases": tuple(sorted(found.databases)),
        }
    )
    if not found.troubles:
        _check(found, scan)
    return found


def _check(found: _Found, scan: DumpScan) -> None:
    """What is wrong with text that could be read to its end."""
    if scan.bytes == 0 or not scan.text:
        found.trouble("empty", "it holds nothing")
    elif scan.postgres:
        found.trouble("foreign", "it is a dump of PostgreSQL")
    elif not scan.statements and not scan.any_rows:
        found.trouble("foreign", "no statement of a dump was found in it")
    elif scan.headers > scan.trailers or scan.cut or (not scan.headers and not scan.ended):
        found.whole = False
        found.trouble("truncated", "it ends in the middle: the dump's last line (`-- Dump completed`) is missing")
    strange = sorted(scan.charsets - _CHARSETS)
    if strange:
        found.trouble(
            "charset",
            f"it was written as {strange[0]}: characters that {strange[0]} lacks were lost; take it as utf8mb4",
        )
    if not found.databases and scan.accounts:
        found.trouble("accounts-only", "it holds accounts and rights, but no database of a service")


# ---------------------------------------------------------------- what it means


def _judged(graph: ReleaseGraph, found: list[_Found]) -> Inspection:
    heads: list[SchemaHead] = []
    structures: dict[str, Structure] = {}
    troubles: list[Trouble] = []
    counts: dict[str, int] = {}
    for one in found:
        for name in one.databases:
            counts[name] = counts.get(name, 0) + 1
    some = bool(counts)
    for one in found:
        troubles += [trouble for trouble in one.troubles if not (trouble.kind == "accounts-only" and some)]
        if one.databases and not one.has_rows and one.whole:
            message = "it holds structures without rows (--no-data): the heads are not in it"
            troubles.append(Trouble(source=one.source.name, kind="structure-only", message=message))
            continue
        for name, seen in one.databases.items():
            label = name if counts[name] == 1 and name else f"{name or 'a database'} ({one.source.name})"
            if not seen.rows and not seen.tables:
                continue
            heads.append(_head(label, seen))
            structures[label] = _structure(seen, one.whole)
    reading = release_of_heads(graph, heads, structures)
    troubles += _unversioned(reading, structures)
    return Inspection(
        verdict=_VERDICTS[reading.kind],
        releases=reading.releases,
        databases=tuple(sorted(reading.databases, key=lambda known: (known.schema_name, known.database))),
        ignored=reading.ignored,
        sources=tuple(one.source for one in found if one.source.bytes or one.source.databases or one.troubles),
        troubles=tuple(troubles),
    )


def _head(label: str, seen: SeenDatabase) -> SchemaHead:
    lines = [f"{label}\t{table}\t{value}" for table, value in seen.rows]
    known = schema_heads(lines)
    return known[0] if known else SchemaHead(database=label, heads=())


def _structure(seen: SeenDatabase, whole: bool) -> Structure:
    """What was not seen is only known to be missing where nothing is cut off."""
    return Structure(
        tables=frozenset(seen.tables),
        items=frozenset(seen.items) if whole and seen.tables else frozenset(),
        versioned=seen.versioned and whole,
    )


def _unversioned(reading: HeadsReading, structures: dict[str, Structure]) -> Iterator[Trouble]:
    for known in reading.databases:
        if known.kind == "empty" and not structures[known.database].versioned:
            message = f"the version table of {known.service}'s database is not in it"
            yield Trouble(source=known.database, kind="no-version-table", message=message)
