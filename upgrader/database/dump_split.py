"""The text of a dump cut into what can be loaded side by side: definitions of tables, their rows, and all the rest.

Knows mariadb-dump's layout (a table's rows stand between LOCK TABLES and UNLOCK TABLES, and no raw line feed is within
a row) and what of a table's definition may wait until its rows are there. Pure but for reading the stream.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

Kind = Literal["session", "database", "table", "rows", "rest", "end"]
_BLOCK = 1024 * 1024
_UNLOCK = b"UNLOCK TABLES;\n"
_KEYS_SWITCH = b"/*!40000 ALTER TABLE"
_END = b"-- Dump completed"
_SANDBOX = b"/*M!999999"
"""First line of newer dumps; understood by the client, which is told so anyway (`load`)."""
_SESSION = re.compile(rb"^(?:/\*!\d+ )?SET [^;]*;\s*$")
_NAME = re.compile(rb"`((?:[^`]|``)+)`")


@dataclass(frozen=True)
class Piece:
    """A part of the dump. `name` is the schema (`database`) or the table (`table`, `rows`)."""

    kind: Kind
    text: bytes
    name: str = ""


def pieces(stream: IO[bytes]) -> Iterator[Piece]:
    """The dump in pieces, in order. `rows` come in blocks of whole statements or lines, about a megabyte each.

    The last piece is `end`, and it is there only when the dump is closed by its trailer.
    """
    lines = _Lines(stream)
    table = ""
    while line := lines.next():
        if line.startswith(b"DELIMITER "):
            yield Piece("rest", line + lines.through(b"DELIMITER ;"))
        elif line.startswith(b"LOCK TABLES "):
            table = name_in(line)
            for block in lines.rows():
                yield Piece("rows", block, table)
        elif line.startswith(b"INSERT "):
            yield Piece("rows", line if line.endswith(b";\n") else line + lines.statement(), table)
        elif line.startswith(b"CREATE TABLE "):
            table = name_in(line)
            yield Piece("table", line if line.endswith(b";\n") else line + lines.statement(), table)
        elif line.startswith(_END):
            yield Piece("end", b"")
        elif line.startswith((b"CREATE DATABASE ", b"USE ")):
            yield Piece("database", line, name_in(line))
        elif _SESSION.match(line):
            yield Piece("session", line)
        elif not line.strip() or line.startswith((b"--", _KEYS_SWITCH, _SANDBOX, b"UNLOCK", b"DROP TABLE IF EXISTS")):
            continue
        else:
            yield Piece("rest", line)


def name_in(line: bytes) -> str:
    """The first quoted name of a statement."""
    found = _NAME.search(line)
    return found[1].replace(b"``", b"`").decode(errors="surrogateescape") if found else ""


class _Lines:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._read: deque[bytes] = deque()

    def next(self) -> bytes:
        if self._read:
            return self._read.popleft()
        return self._stream.readline()

    def statement(self) -> bytes:
        """The lines up to the one that ends with a semicolon."""
        found = []
        while line := self.next():
            found.append(line)
            if line.endswith(b";\n"):
                break
        return b"".join(found)

    def through(self, closing: bytes) -> bytes:
        found = []
        while line := self.next():
            found.append(line)
            if line.rstrip() == closing:
                break
        return b"".join(found)

    def rows(self) -> Iterator[bytes]:
        """Blocks of lines up to UNLOCK TABLES, which is left out like the switches of keys around the rows."""
        while lines := ([*self._read] or self._stream.readlines(_BLOCK)):
            self._read.clear()
            last = lines.index(_UNLOCK) if _UNLOCK in lines else len(lines)
            self._read.extend(lines[last + 1 :])
            kept = [line for line in lines[:last] if not line.startswith(_KEYS_SWITCH)]
            if kept:
                yield b"".join(kept)
            if last < len(lines):
                return


@dataclass(frozen=True)
class Definition:
    """A table's statement in three: what is needed to take rows, keys to build over them, foreign keys at the end."""

    early: bytes
    keyed: bytes
    """With the keys, still without the foreign ones."""
    keys: tuple[bytes, ...]
    foreign: tuple[bytes, ...]


_LATER = re.compile(rb"(?:UNIQUE )?KEY ")
_FOREIGN = re.compile(rb"CONSTRAINT .* FOREIGN KEY ")
_AUTO = re.compile(rb"(`(?:[^`]|``)+`) .*\bAUTO_INCREMENT\b")


def definition(statement: bytes) -> Definition:
    """Cut a CREATE TABLE as the server writes it, one column or key on a line.

    A key that the table cannot do without stays: its primary key, unique ones where it has none, the key over a
    counter, and full text, of which a server builds only one at a time.
    """
    head, *body = statement.splitlines()
    closing = next((at for at, line in enumerate(body) if line.startswith(b")")), len(body))
    lines = [line.strip().rstrip(b",") for line in body[:closing]]
    tail = body[closing:]
    primary = any(line.startswith(b"PRIMARY KEY") for line in lines)
    counter = next((found[1] for line in lines if (found := _AUTO.match(line))), b"")
    foreign = tuple(line for line in lines if _FOREIGN.match(line))
    kept = [line for line in lines if line not in foreign]
    keys = tuple(line for line in kept if _LATER.match(line) and not _needed(line, primary, counter))

    def text(chosen: list[bytes]) -> bytes:
        return b"\n".join((head, b",\n".join(b"  " + line for line in chosen), *tail)) + b"\n"

    if not lines:
        return Definition(statement, statement, (), ())
    return Definition(text([line for line in kept if line not in keys]), text(kept), keys, foreign)


def _needed(key: bytes, primary: bool, counter: bytes) -> bool:
    unique_instead = key.startswith(b"UNIQUE") and not primary
    return unique_instead or (bool(counter) and b"(" + counter in key)
