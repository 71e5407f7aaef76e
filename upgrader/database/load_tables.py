"""Load a backup set into a throwaway server, fast: tables side by side, secondary indexes built over finished tables.

Owns the order (tables and rows, keys, foreign keys, then triggers, routines, events and views) and what stops it: an
error of the server, a dump without an end, a disk that runs full. Measured against one client reading the same dump
(benchmarks/restore.py): rows go in by primary key only, and an index is built by sorting instead of row by row.
mydumper's own loader is not used: it builds every index row by row, and was no faster than one client.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from upgrader.database.contents import schema_of
from upgrader.database.dump_split import definition, pieces
from upgrader.database.load_bulk import Bulk, charset_in, fields, fit, header_in, read_as
from upgrader.database.load_client import CHECKS, Client, Stopped, must_have_space, quoted
from upgrader.database.load_files import MydumperTable, mydumper_plan, statements
from upgrader.database.throwaway import Server
from upgrader.database.unpacked import DumpDamaged, opened
from upgrader.errors import EnvironmentMissingError

_LOOK_SECONDS = 0.3
_SMALL_BYTES = 128 * 1024
"""Of a table with less text than this the keys are made at once: building them apart costs more than it saves."""


@dataclass(frozen=True)
class Loaded:
    """What was loaded."""

    tables: int
    bytes: int
    """Of tables and rows as statements, uncompressed."""
    seconds: float
    workers: int
    texts: Mapping[str, str] = field(default_factory=dict)
    """Table → SHA-256 of its rows' text as the dump has it; empty for mydumper's, whose files have no one order."""
    definitions: Mapping[str, str] = field(default_factory=dict)
    """Table → the statement that makes it in the dump."""


@dataclass
class _Table:
    """A table on its way: its rows are held back until it is known whether they are many."""

    schema: str
    name: str
    statement: bytes
    charset: bytes = b""
    """Of the dump's text; empty: not known, or its files say it themselves."""
    quote: bytes = b"'"
    digest: hashlib._Hash | None = None
    """Of its rows' text; None where files of rows have no one order."""
    open: bool = False
    first: list[bytes] = field(default_factory=list)
    held: int = 0
    keys: bytes = b""
    bulk: Bulk | None = None
    before: bytes = b""
    header: bytes = b""

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"


class Load:
    """One restore, shared by its workers: threads that feed a client each."""

    def __init__(self, server: Server, workers: int) -> None:
        self.server, self.workers = server, workers
        self.bytes = 0
        self.texts: dict[str, hashlib._Hash] = {}
        self.definitions: dict[str, str] = {}
        self._foreign: list[bytes] = []
        self._rest: dict[Path, list[bytes]] = {}
        self._claimed: set[str] = set()
        self._keys: queue.Queue[bytes | None] = queue.Queue()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._clients: list[Client] = []
        self._busy = 0

    def mariadb_dump(self, files: list[Path]) -> None:
        ordered = sorted(files, key=lambda path: path.stat().st_size, reverse=True)
        self._say(_drop(name) for name in map(schema_of, ordered) if name)
        # each begins with another file, so that two seldom read the same one to find its tables taken
        turns = [ordered[at:] + ordered[:at] for at in range(len(ordered))]
        self._all(lambda client, number: self._files(client, turns[number % len(turns)]))
        self._say(self._foreign)
        self._say(text for path in sorted(self._rest) for text in self._rest[path])

    def mydumper(self, files: list[Path]) -> None:
        plan = mydumper_plan(files)
        self._say(_drop(schema) + _read(path) for schema, path in plan.schemas)
        self._all(lambda client, _: self._mydumper_tables(client, plan.tables))
        self._say(self._foreign)
        self._say(
            b"USE %s;\nDELIMITER ;;\n%s\n;;\nDELIMITER ;\n" % (quoted(schema), statement)
            for schema, path in plan.last
            for statement in statements(_read(path))
        )

    def _say(self, texts: object) -> None:
        """Statements in one client, one after the other."""
        with Client(self.server, self._stop) as client:
            for text in texts:  # type: ignore[attr-defined]
                client.write(text)
            client.finish()

    # ------------------------------------------------------------ threads

    def _all(self, work: Callable[[Client, int], None]) -> None:
        """`work` in every worker, then the keys that are left to build. Raises the first trouble of any of them."""
        self._busy = self.workers
        threads = [threading.Thread(target=self._worker, args=(work, number)) for number in range(self.workers)]
        watch = threading.Thread(target=self._watch)
        for thread in (*threads, watch):
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            # after an interruption from the keyboard they still live: they end with their clients
            self._stop.set()
            watch.join()
            for thread in threads:
                thread.join()
        if self._errors:
            raise next((error for error in self._errors if not isinstance(error, Stopped)), self._errors[0])
        self._stop.clear()

    def _worker(self, work: Callable[[Client, int], None], number: int) -> None:
        counted = False
        try:
            with Client(self.server, self._stop) as client:
                self._clients.append(client)
                work(client, number)
                counted = self._tables_done()
                while (statement := self._keys.get()) is not None:
                    client.write(statement)
                    client.settle()
                client.finish()
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()
            if not counted:
                self._tables_done()

    def _tables_done(self) -> bool:
        with self._lock:
            self._busy -= 1
            if self._busy == 0:
                for _ in range(self.workers):
                    self._keys.put(None)
        return True

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                must_have_space(self.server.folder)
            except EnvironmentMissingError as error:
                self._errors.insert(0, error)
                self._stop.set()
        for client in self._clients:
            client.kill()

    # ------------------------------------------------------------ tables

    def _claim(self, what: str) -> bool:
        with self._lock:
            taken = what in self._claimed
            self._claimed.add(what)
        return not taken

    def _files(self, client: Client, files: list[Path]) -> None:
        for path in files:
            with opened(path, fast=True) as stream:
                self._file(client, path, stream)

    def _file(self, client: Client, path: Path, stream: IO[bytes]) -> None:
        """One dump: this worker takes the tables nobody has taken, and all the rest if it is the first one here."""
        first = self._claim(f"file {path}")
        rest = self._rest.setdefault(path, [CHECKS]) if first else []
        schema, ended = schema_of(path), False
        table: _Table | None = None
        charset = b""
        for piece in pieces(stream):
            if self._stop.is_set():
                raise Stopped
            if piece.kind == "rows":
                if table is not None:
                    self._rows(client, table, piece.text)
                continue
            if table is not None and piece.kind != "session":
                self._close(client, table)
                table = None
            if piece.kind in ("session", "database"):
                schema = piece.name or schema
                charset = charset_in(piece.text) or charset
                client.write(piece.text)
                rest.append(piece.text)
            elif piece.kind == "table":
                mine = self._claim(f"table {schema}.{piece.name}")
                made = _Table(schema, piece.name, piece.text, charset, digest=hashlib.sha256())
                table = self._begin(made) if mine else None
            elif piece.kind == "rest":
                rest.append(piece.text)
            ended = piece.kind == "end"
        if not ended:
            raise DumpDamaged(f"{path.name} ends too early: it is cut off, or no dump of mariadb-dump")

    def _mydumper_tables(self, client: Client, tables: list[MydumperTable]) -> None:
        # its files say nothing of it: a row numbered 0 would get the next number
        client.write(b"SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';\n")
        for given in tables:
            if not self._claim(f"table {given.schema}.{given.name}"):
                continue
            client.write(b"USE %s;\n" % quoted(given.schema))
            with opened(given.definition, fast=True) as stream:
                made = [piece for piece in pieces(stream) if piece.kind in ("table", "session")]
            client.write(b"".join(piece.text for piece in made if piece.kind == "session"))
            text = next((piece.text for piece in made if piece.kind == "table"), b"")
            if not text:
                raise DumpDamaged(f"{given.definition.name} defines no table")
            table = self._begin(_Table(given.schema, given.name, text, quote=b'"'))
            for path in given.rows:
                with opened(path, fast=True) as stream:
                    while lines := stream.readlines(_SMALL_BYTES * 8):
                        if self._stop.is_set():
                            raise Stopped
                        self._rows(client, table, b"".join(lines))
            self._close(client, table)

    def _begin(self, table: _Table) -> _Table:
        with self._lock:
            self.definitions[table.full] = table.statement.decode(errors="replace")
            if table.digest is not None:
                self.texts[table.full] = table.digest
        return table

    def _rows(self, client: Client, table: _Table, text: bytes) -> None:
        if table.digest is not None:
            table.digest.update(text)
        if table.open:
            self._send(client, table, text)
            return
        table.first.append(text)
        table.held += len(text)
        if table.held >= _SMALL_BYTES:
            self._open(client, table, small=False)

    def _open(self, client: Client, table: _Table, *, small: bool) -> None:
        """Make the table and send the rows held back; a small one gets its keys at once."""
        cut = definition(table.statement)
        table.open = True
        held = b"".join(table.first)
        table.first.clear()
        client.write(cut.keyed if small else cut.early)
        if not small and fit(table.statement):
            self._begin_bulk(client, table, held)
        self._send(client, table, held)
        name = quoted(table.schema, table.name)
        if not small:
            adds = b", ".join(b"ADD " + key for key in cut.keys)
            keys = b"ALTER TABLE %s %s;\n" % (name, adds) if adds else b""
            # its statistics are of an empty table, and nothing counts again while rows go in
            table.keys = b"%s%sANALYZE TABLE %s;\n" % (CHECKS, keys, name)
        if cut.foreign:
            adds = b", ".join(b"ADD " + key for key in cut.foreign)
            self._foreign.append(b"USE %s;\n%sALTER TABLE %s %s;\n" % (quoted(table.schema), CHECKS, name, adds))

    def _begin_bulk(self, client: Client, table: _Table, held: bytes) -> None:
        before, header = header_in(held, table.name)
        charset = read_as(charset_in(before) or table.charset, table.statement)
        if header and charset:
            client.write(before)
            table.before, table.header = before, header
            name = quoted(table.schema, table.name)
            table.bulk = Bulk(client, self.server.folder, name, table.quote, charset)

    def _close(self, client: Client, table: _Table) -> None:
        if not table.open:
            self._open(client, table, small=True)
        if table.bulk is not None:
            table.bulk.close()
        if table.keys:
            # another client may build them: the rows have to be there by then
            client.settle()
            self._keys.put(table.keys)

    def _send(self, client: Client, table: _Table, text: bytes) -> None:
        if table.bulk is not None:
            lines = fields(text.removeprefix(table.before), table.header)
            if lines is None:
                table.bulk.close()
                table.bulk = None
            else:
                table.bulk.write(lines)
        if table.bulk is None:
            client.write(text)
        with self._lock:
            self.bytes += len(text)


def _drop(schema: str) -> bytes:
    return b"DROP DATABASE IF EXISTS %s;\n" % quoted(schema)


def _read(path: Path) -> bytes:
    with opened(path, fast=True) as stream:
        return stream.read()
