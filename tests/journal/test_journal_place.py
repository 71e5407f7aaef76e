"""Where a journal may lie, and what is said about one that cannot be used."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.journal_kit import begin, entered
from upgrader.errors import EnvironmentMissingError, LockedError, RefusedError, UpgraderError
from upgrader.journal import JournalError, acquire, open_journal
from upgrader.journal import place as place_module
from upgrader.journal.place import NETWORK, filesystem_of

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
filer:/home /home nfs4 rw 0 0
/dev/vdb /home/local\\040disk xfs rw 0 0
//win/share /mnt/share cifs rw 0 0
host /mnt/nine 9p rw 0 0
anna@far: /mnt/far fuse.sshfs rw 0 0
mon1:/ /mnt/ceph ceph rw 0 0
/dev/vdc /mnt/twice ext4 rw 0 0
filer:/x /mnt/twice nfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/upgrader", "ext4"),
        ("/run", "tmpfs"),
        ("/runner", "ext4"),
        ("/home/anna/state", "nfs4"),
        ("/home/local disk/state", "xfs"),
        ("/mnt/share/a", "cifs"),
        ("/mnt/nine", "9p"),
        ("/mnt/far/x", "fuse.sshfs"),
        ("/mnt/ceph/x", "ceph"),
        ("/mnt/twice/x", "nfs"),
    ],
)
def test_the_file_system_that_holds_a_path(path, kind):
    assert filesystem_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_network_file_systems_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(place_module, "filesystem_of", lambda path, mounts: kind)
    for use in (lambda: acquire(tmp_path, "run"), lambda: open_journal(tmp_path)):
        with pytest.raises(EnvironmentMissingError) as caught:
            use()
        assert caught.value.reason == "journal-on-network-filesystem"
        assert kind in caught.value.message
    assert not (tmp_path / "journal.db").exists()


def test_reading_what_is_not_there(tmp_path):
    for options in ({"readonly": True}, {"create": False}):
        with pytest.raises(JournalError) as caught:
            open_journal(tmp_path / "state", **options)
        assert caught.value.reason == "no-journal"
    assert not (tmp_path / "state").exists()


def filled(state):
    with entered(state) as journal:
        begin(journal)
        for number in range(200):
            journal.note("filler", {"n": number, "text": "x" * 300})
    return state / "journal.db"


def test_a_file_that_is_no_database(tmp_path):
    file = filled(tmp_path)
    file.write_bytes(b"this is not a database at all" * 100)
    for readonly in (True, False):
        with pytest.raises(JournalError) as caught:
            open_journal(tmp_path, readonly=readonly)
        assert caught.value.reason == "journal-damaged"
        assert "damaged" in caught.value.message
        assert caught.value.next_command


def test_a_cut_database(tmp_path):
    file = filled(tmp_path)
    file.write_bytes(file.read_bytes()[: 3 * 4096])
    with pytest.raises(JournalError) as caught, open_journal(tmp_path, readonly=True) as journal:
        journal.snapshot()
        journal.verify()
    assert caught.value.reason == "journal-damaged"


def test_damage_inside_is_found_by_verify(tmp_path):
    file = filled(tmp_path)
    data = bytearray(file.read_bytes())
    at = data.index(b"filler", 40000)
    data[at : at + 6] = b"killer"
    file.write_bytes(data)
    with open_journal(tmp_path, readonly=True) as journal:
        assert any("was changed" in fault or "damaged" in fault for fault in journal.verify())


def test_a_journal_of_a_newer_version(tmp_path):
    file = filled(tmp_path)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=7")
    connection.close()
    for readonly in (True, False):
        with pytest.raises(JournalError) as caught:
            open_journal(tmp_path, readonly=readonly)
        assert caught.value.reason == "journal-from-newer-version"
        assert "version 7" in caught.value.message


def test_a_full_disk_is_named_and_nothing_is_half_written(tmp_path):
    with entered(tmp_path) as journal:
        run = begin(journal)
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(EnvironmentMissingError) as caught:
            journal.note("big", {"text": "x" * 100_000})
        assert caught.value.reason == "disk-full"
        journal._connection.execute("PRAGMA max_page_count=1000000")
        assert list(journal.events(kinds=["note.big"])) == []
        journal.note("small", {})
        assert journal.verify() == ()
        assert journal.snapshot().run.id == run


def test_an_audit_file_that_cannot_be_written_stops_the_commit(tmp_path, monkeypatch):
    from upgrader import durable

    def full(operation):
        if operation.path.name == "audit.log":
            raise OSError(28, "No space left on device")

    with entered(tmp_path) as journal:
        with durable.recorded(full), pytest.raises(EnvironmentMissingError) as caught:
            journal.note("x", {})
        assert caught.value.reason == "disk-full"
        assert list(journal.events(kinds=["note.x"])) == []
        journal.note("y", {})
        assert journal.verify() == ()


def test_a_writer_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(place_module, "BUSY_SECONDS", 0.05)
    with entered(tmp_path) as journal, sqlite3.connect(tmp_path / "journal.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError) as caught:
            journal.note("x", {})
        assert caught.value.reason == "journal-busy"
        other.execute("ROLLBACK")
        journal.note("x", {})
    other.close()


def test_a_reader_beside_a_writer_and_without_sqlites_own_files(tmp_path):
    with entered(tmp_path) as journal, open_journal(tmp_path, readonly=True) as reader:
        begin(journal)
        assert reader.snapshot().hops[0].state == "preflight"
    with open_journal(tmp_path, readonly=True) as reader:
        assert reader.snapshot().run is not None
        with pytest.raises(UpgraderError):
            reader.note("x", {})


def test_somebody_who_may_only_read(tmp_path, monkeypatch):
    """Root may write everywhere, so the refusal is played: SQLite cannot make its own files beside the journal."""
    filled(tmp_path)
    real = place_module._open
    opened = []

    class Refusing:
        def execute(self, sql):
            raise sqlite3.OperationalError("unable to open database file")

        def close(self):
            pass

    def strict(path, how):
        opened.append(how)
        return Refusing() if how == "mode=ro" else real(path, how)

    monkeypatch.setattr(place_module, "_open", strict)
    with open_journal(tmp_path, readonly=True) as journal:
        assert journal.snapshot().run is not None
    assert opened == ["mode=ro", "immutable=1"]
    (tmp_path / "journal.db-wal").touch()  # somebody is at work: its newest pages would be missed
    with pytest.raises(EnvironmentMissingError) as caught:
        open_journal(tmp_path, readonly=True)
    assert caught.value.reason == "journal-unreadable"


def test_names_that_sqlite_could_misread(tmp_path):
    place = tmp_path / "a?mode=memory#x%41 b"
    with entered(place) as journal:
        begin(journal)
    assert (place / "journal.db").stat().st_size > 0
    with open_journal(place, readonly=True) as journal:
        assert journal.snapshot().run is not None


def test_the_promises_of_sqlite_are_checked(tmp_path):
    with entered(tmp_path) as journal:
        assert journal._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert journal._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert journal._connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_state_folder_that_was_copied_away_keeps_its_history(tmp_path):
    filled(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with open_journal(tmp_path / "b", readonly=True) as journal:
        assert journal.verify() == ()
    with pytest.raises(RefusedError):
        open_journal(tmp_path / "c", readonly=True)
