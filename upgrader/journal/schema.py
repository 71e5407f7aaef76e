"""The journal's tables, and how an older journal becomes a present one.

`events` is the truth; everything else is a projection that `projection.py` can make again from it. The rules that
cost nothing are in the database itself, so that no defect of the code above can break them: events are only
appended, one attempt is in flight, one run is open, a terminal state stays, a crossed line stays crossed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from upgrader import durable
from upgrader.errors import RefusedError
from upgrader.journal.chain import GENESIS
from upgrader.journal.errors import JournalError
from upgrader.states import TERMINAL

VERSION = 1
"""`user_version` of the database. Grows with every change of the tables; older ones are migrated, newer refused."""

_ENDED = ", ".join(sorted(f"'{state}'" for state in TERMINAL))

EVENTS = f"""
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, txn INTEGER NOT NULL, at TEXT NOT NULL, mono INTEGER NOT NULL, boot TEXT NOT NULL,
  epoch INTEGER NOT NULL, run TEXT NOT NULL, hop INTEGER, attempt TEXT NOT NULL, kind TEXT NOT NULL,
  data TEXT NOT NULL, prev TEXT NOT NULL, h TEXT NOT NULL UNIQUE
);
CREATE TRIGGER events_keep_their_order BEFORE INSERT ON events
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events)
  OR NEW.prev <> coalesce((SELECT h FROM events ORDER BY seq DESC LIMIT 1), '{GENESIS}')
BEGIN SELECT RAISE(ABORT, 'an event must follow the last one'); END;
CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events never change'); END;
CREATE TRIGGER events_never_go BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events never go'); END;
"""  # noqa: S608 - a constant is put in

PROJECTION = f"""
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1), lineage TEXT NOT NULL, serial INTEGER NOT NULL, epoch INTEGER NOT NULL,
  last_seq INTEGER NOT NULL, last_at TEXT NOT NULL, head TEXT NOT NULL
);
CREATE TABLE runs (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, plan_sha256 TEXT NOT NULL, base_serial INTEGER NOT NULL,
  actor TEXT NOT NULL, engine_version TEXT NOT NULL, table_hash TEXT NOT NULL,
  begun_at TEXT NOT NULL, begun_seq INTEGER NOT NULL, ended_at TEXT NOT NULL
);
CREATE UNIQUE INDEX one_open_run ON runs ((1)) WHERE ended_at = '';
CREATE TABLE plans (run TEXT PRIMARY KEY REFERENCES runs (id), document TEXT NOT NULL);
CREATE TABLE hops (
  run TEXT NOT NULL REFERENCES runs (id), idx INTEGER NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  state TEXT NOT NULL, since TEXT NOT NULL, reason TEXT NOT NULL, ponr TEXT NOT NULL,
  interrupted INTEGER NOT NULL, closed INTEGER NOT NULL, unattended INTEGER NOT NULL,
  moved_seq INTEGER NOT NULL, preflight_seq INTEGER NOT NULL, decided_seq INTEGER NOT NULL,
  attended_seq INTEGER NOT NULL, PRIMARY KEY (run, idx)
);
CREATE TRIGGER hops_end_once BEFORE UPDATE OF state ON hops
WHEN OLD.state IN ({_ENDED}) AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'a terminal state never changes'); END;
CREATE TRIGGER hops_stay_crossed BEFORE UPDATE OF ponr ON hops
WHEN OLD.ponr = 'crossed' AND NEW.ponr <> 'crossed'
BEGIN SELECT RAISE(ABORT, 'a crossed point of no return stays crossed'); END;
CREATE TABLE attempts (
  id TEXT PRIMARY KEY, run TEXT NOT NULL, hop INTEGER NOT NULL, stage TEXT NOT NULL, number INTEGER NOT NULL,
  key TEXT NOT NULL UNIQUE, request_sha256 TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL,
  boot TEXT NOT NULL, pid INTEGER NOT NULL, after_interrupt INTEGER NOT NULL, ponr_before TEXT NOT NULL,
  step TEXT NOT NULL, steps INTEGER NOT NULL, message TEXT NOT NULL, intended_at TEXT NOT NULL,
  launched_at TEXT NOT NULL, finished_at TEXT NOT NULL, intended_seq INTEGER NOT NULL, finished_seq INTEGER NOT NULL,
  UNIQUE (run, hop, stage, number), FOREIGN KEY (run, hop) REFERENCES hops (run, idx)
);
CREATE UNIQUE INDEX one_attempt_in_flight ON attempts ((1)) WHERE finished_seq = 0;
CREATE INDEX attempts_by_order ON attempts (run, intended_seq);
CREATE TABLE facts (
  run TEXT NOT NULL, hop INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, hop, name)
);
CREATE TABLE acceptances (
  seq INTEGER PRIMARY KEY, run TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,
  at TEXT NOT NULL
);
CREATE TABLE flags (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

TABLES = ("facts", "acceptances", "flags", "attempts", "hops", "plans", "runs", "meta")
"""The projection, in an order in which it can be emptied."""

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: Mapping[int, Migration] = {}
"""For each older version the step to the next one. Version 1 is the first; there is nothing to migrate yet."""


def version_of(connection: sqlite3.Connection) -> int:
    """`user_version`; -1 for a database that holds nothing at all yet."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return -1
    return version


def refuse_newer(version: int, path: Path, *, present: int = VERSION) -> None:
    """Raise JournalError when a newer tool wrote this journal."""
    if version > present:
        raise JournalError(
            f"the journal {path} is of version {version}, written by a newer upgrader; this one knows up to {present}",
            cloud="not known from here; nothing was changed",
            next_command="install the upgrader that wrote it, then: upgrader status",
            reason="journal-from-newer-version",
        )


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, inside the caller's transaction."""
    for statement in _statements(EVENTS + PROJECTION):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION}")


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    present: int = VERSION,
) -> Path | None:
    """Bring an older journal to the present version: backup first, then every step in one transaction.

    Returns the backup's path, None when there was nothing to do. Raises RefusedError while an attempt is in
    flight, JournalError when a step is missing. The caller holds the lease.
    """
    before = version_of(connection)
    refuse_newer(before, path, present=present)
    if before in (-1, present):
        return None
    missing = [number for number in range(before, present) if number not in migrations]
    if missing:
        raise JournalError(
            f"the journal {path} is of version {before}, and this upgrader has no way from {missing[0]} on",
            cloud="nothing was changed",
            next_command="use an upgrader between the two versions first",
            reason="journal-too-old",
        )
    backup = path.with_name(f"{path.name}.v{before}")
    _copy(connection, backup)
    durable.failpoint("journal.migrate.backed_up")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _in_flight(connection):
            raise RefusedError(
                "an attempt is in flight; a journal is not migrated under it",
                cloud="as the attempt leaves it",
                next_command="finish it with the upgrader that began it: upgrader resume",
                reason="attempt-in-flight",
            )
        for number in range(before, present):
            migrations[number](connection)
            durable.failpoint("journal.migrate.step")
        connection.execute(f"PRAGMA user_version={present}")
        durable.failpoint("journal.migrate.before_commit")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    durable.failpoint("journal.migrate.after_commit")
    return backup


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy through SQLite's own backup; a half one of an earlier try is written over."""
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    unfinished.chmod(0o600)
    unfinished.replace(target)
    durable.sync_dir(target.parent)


def _in_flight(connection: sqlite3.Connection) -> bool:
    known = connection.execute("SELECT count(*) FROM sqlite_master WHERE type='table' AND name='attempts'").fetchone()
    if not known[0]:
        return False
    query = "SELECT count(*) FROM attempts WHERE state IN ('intended', 'launched')"
    return bool(connection.execute(query).fetchone()[0])


def _statements(script: str) -> list[str]:
    """Single statements of a script, for `executescript` would commit the transaction it runs in."""
    found, current = [], ""
    for line in script.strip().splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
