"""One pass over the text of a dump: version rows, tables, and whether it is whole. Constant memory, any line length.

A statement begins at the beginning of a line: the programs that write dumps escape every newline of the data
(mariadb-dump and mydumper, through mysql_real_escape_string). So nothing is read but lines' beginnings, found by one
regular expression, and the few statements that matter, each up to a limit; a line of rows is never built.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys", "PERCONA_SCHEMA"})
_STATEMENT_LIMIT = 1024 * 1024
"""The largest CREATE TABLE of the services has 12 kB; a version table has two rows."""
_LOOK_AHEAD = 512
"""Longer than what the expression below can match: matches that begin in a chunk's last bytes wait for the next."""
_NAME = rb"[`\"]?([^`\"\n\s.(;]{1,64})[`\"]?"
_ROWS = re.compile(
    rb"\n(?P<rows>(?i:INSERT|REPLACE) +(?i:IGNORE +|DELAYED +)?(?i:INTO) +"
    rb"(?:[`\"]?(?P<rows_of>[^`\"\n\s.(;]{1,64})[`\"]?\.)?[`\"]?(?P<versions>alembic_version|migrate_version)"
    rb"[`\"]?(?=[\s(]))"
)
_VERSION_TABLES = (b"alembic_version", b"migrate_version")
_BEGINNING = re.compile(
    # the first letter is looked at before anything else: most lines are rows
    rb"\n(?=[CUGADScugads/-])(?:"
    rb"(?P<table>(?i:CREATE +TABLE) +(?i:IF +NOT +EXISTS +)?)"
    rb"|(?P<use>(?i:USE) +" + _NAME.replace(b"(", b"(?P<used>", 1) + rb" *;)"
    rb"|(?P<made>(?i:CREATE +(?:DATABASE|SCHEMA)) +(?:/\*[^*\n]{0,40}\*/ *|(?i:IF +NOT +EXISTS +))?"
    + _NAME.replace(b"(", b"(?P<made_name>", 1)
    + rb")"
    rb"|(?P<head>-- (?:Host|MariaDB dump|MySQL dump|Current Database): *[^\n]{0,300})"
    rb"|(?P<version>-- (?:MariaDB|MySQL) dump [^\n]{0,200}|-- Server version[ \t]+[^\n]{0,100})"
    rb"|(?P<trailer>-- Dump completed)"
    rb"|(?P<postgres>-- PostgreSQL database )"
    rb"|(?P<names>(?:/\*!\d{5} )?(?i:SET +NAMES) +(?P<charset>[\w]{1,30}))"
    rb"|(?P<account>(?i:CREATE +(?:OR +REPLACE +)?USER|GRANT|ALTER +USER)\b)"
    rb"|(?P<comment>/\*(?![!M]))"
    rb"|(?P<routine>(?i:DELIMITER) +(?!;[\r\n])\S)"
    rb")"
)
_COMMENT_END, _ROUTINE_END = re.compile(rb"\*/"), re.compile(rb"\n(?i:DELIMITER) +;\r?(?=\n)")
_ANY_ROWS = re.compile(rb"\n(?i:INSERT|REPLACE) ")
_DATABASE = re.compile(rb"Database: *[`\"]?([^`\"\n\s]{1,64})")
_SERVER = re.compile(rb"Server version\s+(\S+)|Distrib (\S+?),?\s")
_TABLE_NAME = re.compile(rb"\s*(?:[`\"]?([^`\"\n\s.(]{1,64})[`\"]?\.)?" + _NAME)
_COLUMN = re.compile(rb"\n\s*[`\"]([^`\"\n]{1,64})[`\"] ")
_INDEX = re.compile(rb"\n\s*(?:UNIQUE |FULLTEXT )?KEY [`\"]([^`\"\n]{1,64})[`\"]")
_VALUES = re.compile(rb"(?i:VALUES?)\s*")
_COLUMNS = re.compile(rb"^\s*\(([^)]*)\)\s*(?=(?i:VALUES?))")
_TOKEN = re.compile(
    rb"(?P<open>\()|(?P<close>\))|'(?P<single>(?:[^'\\]|\\.|'')*)'|\"(?P<double>(?:[^\"\\]|\\.|\"\")*)\""
    rb"|(?:0x|[xX]')(?P<hex>[0-9A-Fa-f]+)'?|(?P<plain>[\w.+-]+)|(?P<end>;)",
    re.DOTALL,
)
_MIGRATE_COLUMNS = ("repository_id", "repository_path", "version")


@dataclass
class SeenDatabase:
    """What a dump shows of one database. `rows` are in the form of `facts.server.schema_heads`."""

    name: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    """(version table, value); an empty value where the table is there and has no row."""
    tables: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)

    @property
    def versioned(self) -> bool:
        return bool(self.tables & {"alembic_version", "migrate_version"}) or bool(self.rows)


class DumpScan:
    """Fed with the text in pieces of any size; holds only what it found, the piece, and at most one statement."""

    def __init__(self, wanted: Collection[str], database: str = "") -> None:
        """`wanted`: the `table.column` and `table/index` that matter. `database`: its name until the text says one."""
        self.databases: dict[str, SeenDatabase] = {}
        self.bytes = 0
        self.server = ""
        self.charsets: set[str] = set()
        self.accounts = False
        self.any_rows = False
        self.postgres = False
        self.text = False
        """Something besides blanks was seen."""
        self.headers = self.trailers = 0
        self.statements = 0
        self.cut = False
        """A statement that matters had no end."""
        self._wanted = frozenset(wanted)
        self._wanted_tables = frozenset(item.partition("/")[0].partition(".")[0] for item in wanted)
        self._current = database
        self._rest = b"\n"
        self._before = b""
        self._statement: bytearray | None = None
        self._kind: tuple[str, str] = ("", "")
        self._skip_to: re.Pattern[bytes] | None = None
        self._last = b""

    def feed(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self.text = self.text or bool(piece.strip())
        self._last = (self._last + piece)[-64:] if len(piece) < 64 else piece[-64:]
        text = self._rest + piece
        if not self.any_rows:
            self.any_rows = _ANY_ROWS.search(text) is not None
        rest = self._walk(text, max(0, len(text) - _LOOK_AHEAD))
        seen = len(text) - len(rest)
        self._before = (
            (self._before + text[:seen])[-_LOOK_AHEAD:] if seen < _LOOK_AHEAD else text[seen - _LOOK_AHEAD : seen]
        )
        self._rest = rest

    def close(self) -> None:
        """No more text comes."""
        self._walk(self._rest + b"\n", len(self._rest) + 1)
        if self._statement is not None:
            self._end(bytes(self._statement), whole=False)

    @property
    def ended(self) -> bool:
        """The text's last visible character ends a statement or a comment, or belongs to a comment's line."""
        last = self._last.rstrip()
        return last.endswith((b";", b"*/")) or b"-- " in last.rpartition(b"\n")[2]

    # ------------------------------------------------------------ walking

    def _walk(self, text: bytes, limit: int) -> bytes:
        """Read what begins before `limit`; returns what has to be seen again together with the next piece."""
        at = 0
        while True:
            if self._statement is not None:
                at = self._collect(text, at)
                if self._statement is not None:
                    return b""
            if self._skip_to is not None:
                found = self._skip_to.search(text, at)
                if found is None:
                    return text[max(at, len(text) - 32) :]
                at, self._skip_to = found.end(), None
            match = _BEGINNING.search(text, at)
            rows = self._version_rows_from(text, at, match.start() if match else len(text))
            match = rows or match
            if match is None:
                return text[max(at, limit) :]
            if match.start() >= limit:
                return text[match.start() :]
            at = self._rows_begun(match) if rows else self._begun(match)

    def _version_rows_from(self, text: bytes, at: int, end: int) -> re.Match[bytes] | None:
        """The first INSERT into a version table from `at` to `end`: its name is looked for, not every INSERT."""
        found: re.Match[bytes] | None = None
        for table in _VERSION_TABLES:
            place = text.find(table, at, end + _LOOK_AHEAD)
            while place >= 0:
                line = text.rfind(b"\n", max(at, place - _LOOK_AHEAD), place)
                match = _ROWS.match(text, line) if line >= 0 else None
                if match is not None and line < end and _may_begin(self._before, text, line):
                    found = match if found is None or match.start() < found.start() else found
                    break
                place = text.find(table, place + 1, end + _LOOK_AHEAD)
        return found

    def _rows_begun(self, match: re.Match[bytes]) -> int:
        self.statements += 1
        self._kind = (_text(match["versions"]), _text(match["rows_of"] or b"") or self._current)
        self._statement = bytearray()
        return match.end()

    def _begun(self, match: re.Match[bytes]) -> int:
        kind = match.lastgroup or ""
        self.statements += kind not in {"head", "version", "comment"}
        if match["table"]:
            self._kind = ("table", self._current)
            self._statement = bytearray()
        elif match["use"] or match["made"]:
            self._current = _text(match["used"] or match["made_name"])
            self._seen(self._current)
        elif match["head"] or match["version"]:
            self._header(match[0])
        elif match["trailer"]:
            self.trailers += 1
        elif match["postgres"]:
            self.postgres = True
        elif match["names"]:
            self.charsets.add(_text(match["charset"]).lower())
        elif match["account"]:
            self.accounts = True
        elif match["comment"]:
            self._skip_to = _COMMENT_END
        elif match["routine"]:
            self._skip_to = _ROUTINE_END
        return match.end()

    def _header(self, line: bytes) -> None:
        if line.startswith(b"\n-- Current Database"):
            named = _DATABASE.search(line)
        else:
            self.headers += b" dump " in line
            named = _DATABASE.search(line) if b"Host:" in line else None
            server = _SERVER.search(line)
            if server:
                self.server = _text(server[1] or server[2])
        if named:
            self._current = _text(named[1])

    def _seen(self, name: str) -> SeenDatabase:
        return self.databases.setdefault(name, SeenDatabase(name))

    # ------------------------------------------------------------ statements

    def _collect(self, text: bytes, at: int) -> int:
        """Add to the statement up to its end; returns where to read on."""
        assert self._statement is not None  # noqa: S101 - only called while one is open
        known = len(self._statement)
        room = _STATEMENT_LIMIT - known
        self._statement += text[at : at + room]
        end = self._statement.find(b";\n", max(0, known - 1))
        if end < 0:
            end = self._statement.find(b";\r\n", max(0, known - 2))
        if end < 0 and len(self._statement) < _STATEMENT_LIMIT:
            return len(text)
        if end < 0:
            self._end(bytes(self._statement), whole=False)
            return at + max(0, room)
        self._end(bytes(self._statement[: end + 1]), whole=True)
        # the newline is the next beginning's
        return at + end + 1 - known

    def _end(self, statement: bytes, *, whole: bool) -> None:
        self._statement = None
        what, database = self._kind
        whole = whole or statement.rstrip().endswith(b";")
        self.cut = self.cut or not whole
        if what == "table":
            self._table(statement, database)
        elif database not in SYSTEM:
            rows = version_rows(what, statement)
            self._seen(database).rows += [(what, value) for value in rows]

    def _table(self, statement: bytes, database: str) -> None:
        name = _TABLE_NAME.match(statement)
        if name is None:
            return
        database, table = _text(name[1] or b"") or database, _text(name[2])
        if database in SYSTEM:
            return
        seen = self._seen(database)
        seen.tables.add(table)
        seen.items.add(table)
        if table in {"alembic_version", "migrate_version"}:
            seen.rows.append((table, ""))
        if table in self._wanted_tables:
            inside = {f"{table}.{_text(column)}" for column in _COLUMN.findall(statement)}
            inside |= {f"{table}/{_text(index)}" for index in _INDEX.findall(statement)}
            seen.items |= inside & self._wanted


def version_rows(table: str, statement: bytes) -> list[str]:
    """Rows of an INSERT into a version table, after the table's name: revisions, or `repository:version`."""
    named = _COLUMNS.match(statement)
    columns = [_text(name.strip(b' `"\n')) for name in named[1].split(b",")] if named else []
    values = _VALUES.search(statement, named.end() if named else 0)
    found: list[str] = []
    row: list[str] | None = None
    for token in _TOKEN.finditer(statement, values.end() if values else len(statement)):
        if token["open"]:
            row = []
        elif token["close"]:
            if row:
                found.append(_value(table, columns, row))
            row = None
        elif token["end"]:
            break
        elif row is not None:
            row.append(_literal(token))
    return [value for value in found if value]


def _value(table: str, columns: list[str], row: list[str]) -> str:
    if table == "alembic_version":
        known = dict(zip(columns or ["version_num"], row, strict=False))
        return known.get("version_num", "")
    known = dict(zip(columns or _MIGRATE_COLUMNS, row, strict=False))
    repository, version = known.get("repository_id", ""), known.get("version", "")
    return f"{repository}:{version}" if repository and version else ""


def _literal(token: re.Match[bytes]) -> str:
    if token["hex"]:
        return bytes.fromhex(_text(token["hex"]).rjust(len(token["hex"]) + len(token["hex"]) % 2, "0")).decode(
            "utf-8", "replace"
        )
    if token["plain"]:
        return "" if token["plain"].upper() == b"NULL" else _text(token["plain"])
    return _text(token["single"] if token["single"] is not None else token["double"] or b"")


def _may_begin(earlier: bytes, text: bytes, at: int) -> bool:
    """What stands before the line ends a statement or is a comment; else the line is in the middle of something."""
    before = (text[at - _LOOK_AHEAD : at] if at >= _LOOK_AHEAD else earlier + text[:at]).rstrip()
    if not before or before.endswith((b";", b"*/")):
        return True
    line = before.rpartition(b"\n")[2].lstrip()
    return line.startswith((b"--", b"#"))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
