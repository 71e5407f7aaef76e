"""Every change, deletion, insertion, reordering and cut of the history is found; honest crashes are not faults."""

from __future__ import annotations

import random
import shutil
import sqlite3
from dataclasses import replace

import pytest

from tests.journal_kit import Crash, attempt, begin, entered, ram_folder, walk_to
from upgrader import durable
from upgrader.journal import open_journal, reading
from upgrader.journal.chain import event_hash
from upgrader.journal.commit import insert_event
from upgrader.journal.reading import event_row
from upgrader.states import AttemptState, State

EVENTS = 200
TRIGGERS = ("events_keep_their_order", "events_never_change", "events_never_go")


@pytest.fixture(scope="module")
def original():
    with ram_folder() as folder:
        with entered(folder / "o") as journal:
            begin(journal)
            walk_to(journal, State.UPGRADE)
            attempt(journal, State.UPGRADE, AttemptState.FAILED)
            while journal.snapshot().last_seq < EVENTS:
                journal.note("filler", {"n": journal.snapshot().last_seq})
        yield folder / "o"


@pytest.fixture
def copied(original):
    with ram_folder() as folder:
        shutil.copytree(original, folder / "c")
        yield folder / "c"


def tamper(folder, change):
    """`change(connection)` with all protection taken off, as somebody with the file in hand can."""
    connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    for trigger in TRIGGERS:
        connection.execute(f"DROP TRIGGER {trigger}")
    change(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def faults(folder):
    with open_journal(folder, readonly=True) as journal:
        return journal.verify()


def read(connection, seq):
    return event_row(connection.execute("SELECT * FROM events WHERE seq = ?", (seq,)).fetchone())


def test_an_untouched_history_has_no_faults(copied):
    assert faults(copied) == ()


@pytest.fixture(params=[pytest.param(4, id="every fourth"), pytest.param(1, id="all", marks=pytest.mark.slow)])
def sweep(request, original):
    """Apply a change to each event in turn and return those for which nothing was noticed."""
    return lambda change: _sweep(original, change, request.param)


def _sweep(original, change, stride):
    """Each `change(connection, seq)` happens on the same database, in a transaction that is rolled back."""
    with ram_folder() as folder:
        shutil.copytree(original, folder / "c")
        tamper(folder / "c", lambda connection: None)
        with open_journal(folder / "c") as journal:
            connection = journal._connection
            assert reading.faults(connection, journal._audit) == ()
            missed = []
            for seq in {*range(1, EVENTS + 1, stride), EVENTS}:
                connection.execute("SAVEPOINT s")
                change(connection, seq)
                if not reading.faults(connection, journal._audit):
                    missed.append(seq)
                connection.execute("ROLLBACK TO s")
                connection.execute("RELEASE s")
    return missed


def test_every_changed_event_is_found(sweep):
    columns = ("at", "mono", "boot", "epoch", "run", "hop", "attempt", "kind", "data", "prev", "h", "txn")
    generator = random.Random(12)  # noqa: S311 - the same choice every time

    def change(connection, seq):
        column = generator.choice(columns)
        values = {"mono": 1, "epoch": 99, "hop": 7, "txn": 0, "data": '{"n": "other"}'}
        connection.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (values.get(column, "x" * 64), seq))

    assert sweep(change) == []


@pytest.mark.parametrize("column", ["at", "mono", "boot", "epoch", "run", "hop", "attempt", "kind", "data", "txn"])
def test_every_column_is_covered_by_the_hash(copied, column):
    tamper(copied, lambda c: c.execute(f"UPDATE events SET {column} = 12345 WHERE seq = 100"))
    assert any("event 100: was changed" in fault for fault in faults(copied))


def test_the_hash_covers_the_one_before(copied):
    with open_journal(copied, readonly=True) as journal:
        event = next(journal.events(after=99))
    assert event_hash(event) == event.h
    assert event_hash(replace(event, prev="1" * 64)) != event.h


def test_an_event_inside_a_commit_is_missed_by_number_and_by_chain(copied):
    """audit.log pins the last event of a commit; what is before it in the same commit hangs on the chain alone."""
    with open_journal(copied, readonly=True) as journal:
        inside = next(event for event in journal.events() if event.kind == "attempt_finished").seq
    tamper(copied, lambda connection: connection.execute("DELETE FROM events WHERE seq = ?", (inside,)))
    assert faults(copied) == (
        f"event {inside}: missing (the next is {inside + 1})",
        f"event {inside + 1}: does not follow the one before it",
    )


def test_every_deleted_event_is_found(sweep):
    assert sweep(lambda c, seq: c.execute("DELETE FROM events WHERE seq = ?", (seq,))) == []


def test_every_deleted_and_renumbered_event_is_found(sweep):
    def close_up(connection, seq):
        connection.execute("DELETE FROM events WHERE seq = ?", (seq,))
        for later in range(seq + 1, EVENTS + 1):
            connection.execute("UPDATE events SET seq = seq - 1 WHERE seq = ?", (later,))

    assert sweep(close_up) == []


def test_every_inserted_event_is_found(sweep):
    def insert(connection, seq):
        for later in range(EVENTS, seq - 1, -1):
            connection.execute("UPDATE events SET seq = seq + 1 WHERE seq = ?", (later,))
        connection.execute(
            "INSERT INTO events SELECT ?, ?, at, mono, boot, epoch, run, hop, attempt, kind, data, prev, 'forged' "
            "FROM events WHERE seq = ?",
            (seq, seq, seq + 1),
        )

    assert sweep(insert) == []


def test_every_reordered_pair_is_found(sweep):
    def swap(connection, seq):
        other = seq % EVENTS + 1
        connection.execute("UPDATE events SET seq = -1 WHERE seq = ?", (seq,))
        connection.execute("UPDATE events SET seq = ? WHERE seq = ?", (seq, other))
        connection.execute("UPDATE events SET seq = ? WHERE seq = -1", (other,))

    assert sweep(swap) == []


def test_every_cut_tail_is_found(sweep):
    """Even where the tables were made to agree with what is left, as a restored older copy would."""

    def cut(connection, seq):
        connection.execute("DELETE FROM events WHERE seq >= ?", (seq,))
        last = connection.execute("SELECT seq, h FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        if last:
            connection.execute("UPDATE meta SET last_seq = ?, head = ?", tuple(last))

    assert sweep(cut) == []


def rechain(connection, first):
    """Make the chain whole again from `first` on, as somebody who knows how it is made would."""
    prev = read(connection, first - 1).h
    for seq in range(first, EVENTS + 1):
        connection.execute("UPDATE events SET prev = ? WHERE seq = ?", (prev, seq))
        prev = event_hash(read(connection, seq))
        connection.execute("UPDATE events SET h = ? WHERE seq = ?", (prev, seq))
    connection.execute("UPDATE meta SET head = ?", (prev,))


def test_a_history_with_a_new_chain_does_not_fit_the_pinned_heads(copied):
    def rewrite(connection):
        connection.execute("UPDATE events SET data = '{\"n\": -1}' WHERE seq = 150")
        rechain(connection, 150)

    tamper(copied, rewrite)
    found = faults(copied)
    assert any("audit.log does not know" in fault for fault in found)
    assert not any("was changed" in fault for fault in found), "the chain itself is whole"


def test_an_event_that_was_put_at_the_end_is_found_and_stays_found(copied):
    def append(connection):
        last = read(connection, EVENTS)
        forged = replace(last, seq=EVENTS + 1, txn=EVENTS + 1, prev=last.h, kind="note.forged", h="")
        forged = replace(forged, h=event_hash(forged))
        insert_event(connection, forged, '{"n":199}')
        connection.execute("UPDATE meta SET last_seq = ?, head = ?", (forged.seq, forged.h))

    tamper(copied, append)
    assert faults(copied) == (f"event {EVENTS + 1}: audit.log does not know this commit",)
    connection = sqlite3.connect(copied / "journal.db")
    connection.close()
    with entered(copied) as journal:
        journal.note("honest", {})
        assert journal.verify() == (f"event {EVENTS + 1}: audit.log does not know this commit",)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("~ 150 ", "~ 151 "),
        lambda text: text.replace("= 150 ", "= 1500 "),
        lambda text: "\n".join(text.split("\n")[3:]),
        lambda text: text.replace("~ 60 ", "? 60 "),
        lambda text: text + "= 9999 " + "a" * 64 + "\n",
    ],
)
def test_a_changed_audit_file_is_found(copied, change):
    file = copied / "audit.log"
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before
    assert faults(copied)


def test_a_missing_audit_file_is_found(copied):
    (copied / "audit.log").unlink()
    assert "audit.log is missing" in faults(copied)


def test_a_line_that_a_crash_cut_is_repaired_and_is_no_fault(copied):
    """Power went while the line of a commit was written: the commit never happened, the line is half there."""
    file = copied / "audit.log"
    whole = file.read_bytes()
    for length in range(1, 40):
        file.write_bytes(whole + f"~ {EVENTS + 1} {'ab' * 32}"[:length].encode())
        assert faults(copied) == ()
        with entered(copied) as journal:
            journal.note("after", {})
            assert journal.verify() == ()
        whole = file.read_bytes()


def test_a_crash_between_commit_and_its_second_line_is_settled(copied):
    def stop(name):
        if name == "journal.note.after_commit":
            raise Crash

    with pytest.raises(Crash), entered(copied) as journal, durable.failpoints(stop):
        journal.note("kept", {"n": 1})
    assert faults(copied) == ()
    last = (copied / "audit.log").read_text().splitlines()[-1]
    assert last.startswith("~ ")
    with entered(copied) as journal:
        assert [event.data for event in journal.events(kinds=["note.kept"])] == [{"n": 1}]
        assert journal.verify() == ()
    assert last.replace("~", "=") in (copied / "audit.log").read_text().splitlines()


def test_the_database_itself_refuses_to_change_events(copied):
    connection = sqlite3.connect(copied / "journal.db", isolation_level=None)
    columns = "txn, at, mono, boot, epoch, run, hop, attempt, kind, data, prev"
    for sql in (
        "UPDATE events SET kind = 'x' WHERE seq = 3",
        "DELETE FROM events WHERE seq = 200",
        f"INSERT INTO events SELECT 300, {columns}, 'h' FROM events WHERE seq = 200",
        f"INSERT INTO events SELECT 201, {columns}, 'h' FROM events WHERE seq = 200",
        f"INSERT OR REPLACE INTO events SELECT 200, {columns}, 'h' FROM events WHERE seq = 200",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(sql)
    connection.close()


def test_tables_that_were_changed_are_made_again_from_the_events(copied):
    connection = sqlite3.connect(copied / "journal.db", isolation_level=None)
    connection.execute("UPDATE hops SET reason = 'all is well', ponr = 'crossed'")
    connection.execute("DELETE FROM facts")
    connection.execute("UPDATE meta SET serial = 99")
    connection.close()
    with entered(copied) as journal:
        assert set(journal.rebuild()) == {"hops", "meta"}
        assert journal.snapshot().serial == 4
        assert journal.rebuild() == ()
