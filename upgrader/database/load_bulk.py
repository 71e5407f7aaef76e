"""A large table's rows by LOAD DATA through a pipe: the server reads fields instead of parsing statements.

Owns which tables and which text are fit for it. A block of a dump that is laid out in any other way ends the pipe, and
the rest goes in as statements. Measured on MariaDB 10.11 (benchmarks/restore.py): half the time of the same rows as
statements, because nothing is parsed as SQL and rows go into an empty table page by page, without undo records.
"""

from __future__ import annotations

import errno
import os
import re
import select
import tempfile
import time
from pathlib import Path

from upgrader.database.load_client import Client, quoted
from upgrader.database.unpacked import widen

_PLAIN = re.compile(
    rb"(?:tiny|small|medium|big)?int\b|decimal\b|float\b|double\b|(?:var)?char\b|(?:tiny|medium|long)?text\b"
    rb"|datetime\b|timestamp\b|date\b|time\b|year\b|enum\b|set\b",
)
"""Types whose values stand in a dump as a number, a quoted text or NULL. Others come as 0x… or with a prefix."""
_COLUMN = re.compile(rb"`(?:[^`]|``)+` (.+)")
_KEY = re.compile(rb"(?:PRIMARY|UNIQUE|FULLTEXT|SPATIAL|KEY|CONSTRAINT|PERIOD|CHECK)\b")
_COMPUTED = re.compile(rb"\b(?:GENERATED|INVISIBLE|PERSISTENT|VIRTUAL|STORED|WITHOUT SYSTEM)\b")
_NAMES = re.compile(rb"\bSET NAMES (\w+)")
_TABLE_CHARSET = re.compile(rb" CHARSET=(utf8(?:mb[34])?)\b")
_TRY_SECONDS, _LOOK_SECONDS = 0.002, 0.3
_MODE = b"STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
"""A field that does not fit is an error, not a warning; what a server once took, as 0000-00-00, still goes in."""


def fit(statement: bytes) -> bool:
    """Whether every column of a CREATE TABLE, one on a line, has a plain type and takes a value from the dump."""
    for line in statement.splitlines()[1:]:
        text = line.strip()
        if text.startswith(b")"):
            return True
        if _KEY.match(text):
            continue
        column = _COLUMN.match(text)
        if column is None or not _PLAIN.match(column[1]) or _COMPUTED.search(column[1]):
            return False
    return False


def fields(block: bytes, header: bytes) -> bytes | None:
    """Lines `(…),` of a block of whole lines, its INSERT headers left out; None when it is laid out otherwise.

    A dump writes line feeds within a text as two characters, so a line is a row.
    """
    text = block.removeprefix(header).replace(b");\n" + header, b"),\n")
    if text.endswith(b");\n"):
        text = text[:-3] + b"),\n"
    rows = text.count(b"\n")
    if rows == text.count(b"),\n") == text.startswith(b"(") + text.count(b"\n("):
        return text
    return None


def charset_in(text: bytes) -> bytes:
    """The character set that a session's statements say their texts have; empty when they do not."""
    found = _NAMES.findall(text)
    return bytes(found[-1]) if found else b""


def read_as(charset: bytes, statement: bytes) -> bytes:
    """The character set to read a table's fields in: its own where that says the same, so that nothing is converted.

    MariaDB's utf8mb3 is utf8mb4 without what its columns cannot hold anyway.
    """
    options = statement.rpartition(b"\n)")[2]
    own = _TABLE_CHARSET.search(options)
    same = charset == b"utf8mb4" and own is not None and b"CHARACTER SET" not in statement.removesuffix(options)
    return bytes(own[1]) if own is not None and same else charset


def header_in(text: bytes, table: str) -> tuple[bytes, bytes]:
    """The session's lines before the first INSERT, and its header; empty when it is not one line without columns."""
    wanted = b"INSERT INTO %s VALUES\n" % quoted(table)
    at = text.find(wanted)
    before = text[:at]
    if at < 0 or not all(line.startswith(b"/*!") and line.endswith(b";") for line in before.splitlines() if line):
        return b"", b""
    return before, wanted


class Bulk:
    """One table's rows on their way through a pipe. Any call raises what the client raises, or Stopped."""

    def __init__(self, client: Client, folder: Path, table: bytes, quote: bytes, charset: bytes) -> None:
        self._client, self._out = client, -1
        place = Path(tempfile.mkdtemp(prefix="rows-", dir=folder))
        pipe = place / "pipe"
        os.mkfifo(pipe, 0o600)
        client.write(
            b"SET @upgrader_mode = @@sql_mode, sql_mode = '%s';\n"
            b"LOAD DATA INFILE '%s' INTO TABLE %s CHARACTER SET %s FIELDS TERMINATED BY ','"
            b" OPTIONALLY ENCLOSED BY '%s' ESCAPED BY '\\\\' LINES STARTING BY '(' TERMINATED BY '),\\n';\n"
            b"SET sql_mode = @upgrader_mode;\n" % (_MODE, _literal(pipe), table, charset, b"\\" + quote)
        )
        client.at_end(self.close)
        try:
            while self._out < 0:
                self._open(pipe)
        finally:
            # who has it open keeps it
            pipe.unlink()
            place.rmdir()

    def _open(self, pipe: Path) -> None:
        """Take the writing end once the server reads; it never does when it refuses the statement."""
        try:
            self._out = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            widen(self._out)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            self._client.must_live()
            time.sleep(_TRY_SECONDS)

    def write(self, text: bytes) -> None:
        view = memoryview(text)
        while view:
            try:
                view = view[os.write(self._out, view) :]
            except BlockingIOError:
                # a server that met a full disk stays, and reads no more
                select.select([], [self._out], [], _LOOK_SECONDS)
                self._client.must_live()
            except BrokenPipeError:
                self.close()
                self._client.settle()
                raise

    def close(self) -> None:
        """All rows were written; statements that follow wait until they are in."""
        if self._out >= 0:
            os.close(self._out)
            self._out = -1


def _literal(path: Path) -> bytes:
    return os.fsencode(path).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
