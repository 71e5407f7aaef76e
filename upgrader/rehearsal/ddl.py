"""Which schema statements the migrations carried out, how long they took, and whether writers had to wait for them.

The server's own log says what was run. Whether a statement locks is asked of the server too: the same statement is
tried on an empty table of the structure before, with the condition that nobody is locked out; a refusal says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.throwaway import Server
from upgrader.errors import UpgraderError
from upgrader.rehearsal.report import Change

LONGEST = 400
_SCRATCH = "upgrader_scratch"
_SCHEMA = re.compile(r"Schema: (\S*)")
_TIME = re.compile(r"^# Query_time: ([\d.]+)")
_CHANGE = re.compile(
    r"^\s*(ALTER\s+TABLE|CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|DROP\s+TABLE|RENAME\s+TABLE)\b", re.I
)
_INDEX_ON = re.compile(r"\bON\s+`?(\w+)`?", re.I)
_TABLE = re.compile(r"^\s*(?:ALTER|DROP|RENAME)\s+TABLE\s+(?:IF\s+EXISTS\s+)?`?(\w+)`?", re.I)
_REFUSED = re.compile(r"Reason: (.+?)\.? Try")


@dataclass(frozen=True, slots=True)
class Statement:
    database: str
    text: str
    seconds: float

    @property
    def table(self) -> str:
        match = _TABLE.match(self.text) or _INDEX_ON.search(self.text)
        return match[1] if match else ""


def begin_log(server: Server, path: Path) -> None:
    """From now on the server writes every statement with its time to `path`."""
    server.sql(
        f"SET GLOBAL slow_query_log_file = '{path}', log_output = 'FILE', long_query_time = 0, "
        "log_slow_admin_statements = ON, slow_query_log = ON"
    )


def end_log(server: Server) -> None:
    server.sql("SET GLOBAL slow_query_log = OFF")


def read_log(path: Path) -> tuple[Statement, ...]:
    """Schema statements of the log, in order."""
    if not path.exists():
        return ()
    found: list[Statement] = []
    database, seconds, lines = "", 0.0, list[str]()

    def close() -> None:
        text = " ".join(" ".join(lines).split()).rstrip(";")
        if _CHANGE.match(text):
            found.append(Statement(database, text, seconds))

    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("# "):
                if lines:
                    close()
                    lines = []
                if match := _SCHEMA.search(line):
                    database = match[1]
                if match := _TIME.match(line):
                    seconds = float(match[1])
            elif line.startswith("use ") and line.rstrip().endswith(";"):
                database = line[4:].strip().rstrip(";").strip("`")
            elif not line.startswith("SET timestamp="):
                lines.append(line)
    close()
    return tuple(found)


def judged(
    server: Server, statements: Iterable[Statement], before: Mapping[str, str], rows: Mapping[str, int]
) -> tuple[Change, ...]:
    """The statements with what they do to writers. `before`: structures, `rows`: counts, both by `database.table`."""
    made: set[tuple[str, str]] = set()
    changes = []
    for statement in statements:
        name = f"{statement.database}.{statement.table}"
        locks, why = (False, "the table was empty of readers: it is new") if name not in before else (None, "")
        if name in before:
            locks, why = _tried(server, statement, before[name], made)
        changes.append(
            Change(
                database=statement.database,
                statement=statement.text[:LONGEST],
                seconds=round(statement.seconds, 3),
                rows=rows.get(name),
                locks=locks,
                why=why,
            )
        )
    with suppress(UpgraderError):
        server.sql(f"DROP DATABASE IF EXISTS {_SCRATCH}")
    return tuple(changes)


def _tried(server: Server, statement: Statement, structure: str, made: set[tuple[str, str]]) -> tuple[bool | None, str]:
    key = (statement.database, statement.table)
    prepare = "SET foreign_key_checks = 0; "
    try:
        if key not in made:
            server.sql(
                f"{prepare}CREATE DATABASE IF NOT EXISTS {_SCRATCH}; USE {_SCRATCH}; "
                f"DROP TABLE IF EXISTS `{statement.table}`; {structure};"
            )
            made.add(key)
    except UpgraderError as error:
        return None, error.message
    gentle = _gentle(statement.text)
    if not gentle:
        return True, "the table goes away or gets another name"
    try:
        server.sql(f"{prepare}{gentle}", database=_SCRATCH)
    except UpgraderError as error:
        refused = "is not supported" in error.message or "Try " in error.message
        reason = _REFUSED.search(error.message)
        with suppress(UpgraderError):
            server.sql(f"{prepare}{statement.text}", database=_SCRATCH)  # the next statement builds on it
        return (True, reason[1] if reason else error.message) if refused else (None, error.message)
    return False, "carried out beside readers and writers"


def _gentle(text: str) -> str:
    """The statement with the condition that nobody is locked out; empty when it has no such form."""
    if re.match(r"\s*ALTER\s+TABLE", text, re.I):
        return f"{text}, LOCK=NONE"
    if re.match(r"\s*(CREATE|DROP)\b.*\bINDEX\b", text, re.I):
        return f"{text} LOCK=NONE"
    return ""
