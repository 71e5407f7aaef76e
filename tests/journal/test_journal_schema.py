"""Migration: backup first, one transaction, never under an attempt; a kill anywhere loses nothing.

There is one version so far, so the older one here is made up: version 0 lacks the table `flags`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.journal_kit import REQUEST, Crash, begin, entered
from upgrader import durable
from upgrader.errors import RefusedError
from upgrader.journal import JournalError, acquire, open_journal, schema
from upgrader.states import State

MIGRATE = schema.migrate


def add_flags(connection):
    connection.execute("CREATE TABLE flags (name TEXT PRIMARY KEY, value TEXT NOT NULL)")


@pytest.fixture
def old(tmp_path, monkeypatch):
    with entered(tmp_path) as journal:
        begin(journal)
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE flags")
        connection.execute("PRAGMA user_version=0")
    steps = {0: add_flags}
    monkeypatch.setattr(schema, "migrate", lambda connection, path: MIGRATE(connection, path, migrations=steps))
    return tmp_path


def version(folder):
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def test_an_older_journal_is_migrated_by_its_next_owner(old):
    with entered(old) as journal:
        assert journal.snapshot().run is not None
        assert journal.verify() == ()
        assert journal.rebuild() == ()
        assert list(journal.events(kinds=["entered"]))[-1].data["migrated_from"].endswith("journal.db.v0")
    assert version(old) == 1
    with closing(sqlite3.connect(old / "journal.db.v0")) as backup:
        assert backup.execute("PRAGMA user_version").fetchone()[0] == 0
        assert backup.execute("SELECT count(*) FROM events").fetchone()[0] >= 4
    assert (old / "journal.db.v0").stat().st_mode & 0o777 == 0o600


def test_an_older_journal_cannot_be_read_only(old):
    with pytest.raises(JournalError) as caught:
        open_journal(old, readonly=True)
    assert caught.value.reason == "journal-from-older-version"


def test_not_under_an_attempt(old):
    with closing(sqlite3.connect(old / "journal.db", isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO attempts SELECT 'a', run, idx, 'preflight', 1, 'k', 'r', 'launched', 1, 'b', 1, 0, 'no', "
            "'', 0, '', '', '', '', 9, 0 FROM hops WHERE idx = 0"
        )
    with pytest.raises(RefusedError) as caught, entered(old):
        pass
    assert caught.value.reason == "attempt-in-flight"
    assert version(old) == 0


def test_without_a_way_from_there(tmp_path):
    with entered(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version=0")
    with pytest.raises(JournalError) as caught, entered(tmp_path):
        pass
    assert caught.value.reason == "journal-too-old"


@pytest.mark.parametrize("point", ["backed_up", "step", "before_commit", "after_commit"])
def test_a_crash_at_every_point(old, point):
    def stop(name):
        if name == f"journal.migrate.{point}":
            raise Crash

    with pytest.raises(Crash), durable.failpoints(stop), entered(old):
        pass
    assert version(old) == (1 if point == "after_commit" else 0)
    with entered(old) as journal:
        assert journal.verify() == ()
        row = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
        journal.set_flag("paused")
        assert journal.snapshot().attempt.id == row.id
    assert version(old) == 1


def test_a_failing_step_leaves_the_old_journal(old, monkeypatch):
    def fail(connection):
        connection.execute("CREATE TABLE half (x)")
        connection.execute("CREATE TABLE half (x)")

    monkeypatch.setattr(schema, "migrate", lambda connection, path: MIGRATE(connection, path, migrations={0: fail}))
    with pytest.raises(JournalError), entered(old):
        pass
    assert version(old) == 0
    with closing(sqlite3.connect(old / "journal.db")) as connection:
        assert not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0]


def test_two_processes_may_make_the_journal_at_once(tmp_path):
    with open_journal(tmp_path) as one, open_journal(tmp_path) as two:
        assert one.snapshot().lineage == two.snapshot().lineage
    with acquire(tmp_path, "run") as lease, open_journal(tmp_path) as journal:
        journal.enter(lease)
        assert journal.verify() == ()
