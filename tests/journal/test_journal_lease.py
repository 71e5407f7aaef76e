"""One owner at a time; the card names it; dying gives the lease back and leaves the card."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.journal_kit import entered
from upgrader.errors import EnvironmentMissingError, LockedError
from upgrader.journal import InvariantError, acquire, open_journal, read_card
from upgrader.journal.lease import boot_id

HOLD = """
import sys, time
from pathlib import Path
from upgrader.journal import acquire
lease = acquire(Path(sys.argv[1]), "run")
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_owner_is_refused_by_name(tmp_path, holder):
    with pytest.raises(LockedError) as caught:
        acquire(tmp_path, "approve")
    assert f"pid {holder.pid}" in caught.value.message
    assert "run by " in caught.value.message
    assert caught.value.exit_code == 5
    assert caught.value.next_command == "upgrader status"


def test_a_dead_owners_card_is_taken_over_and_logged(tmp_path, holder):
    with pytest.raises(LockedError):
        acquire(tmp_path, "resume", takeover=True)  # never from somebody who lives
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert read_card(tmp_path).pid == holder.pid
    with acquire(tmp_path, "resume") as lease, open_journal(tmp_path) as journal:
        assert lease.previous.pid == holder.pid
        journal.enter(lease)
        (taken,) = journal.events(kinds=["taken_over"])
        assert taken.data["pid"] == holder.pid
        assert taken.data["operation"] == "run"
        (came,) = journal.events(kinds=["entered"])
        assert came.data["pid"] == os.getpid()


def test_a_clean_end_leaves_nothing_to_take_over(tmp_path):
    with acquire(tmp_path, "run"):
        assert read_card(tmp_path).boot == boot_id()
    assert read_card(tmp_path) is None
    with acquire(tmp_path, "run") as lease:
        assert lease.previous is None


def test_a_card_of_another_machine_is_taken_over_only_on_demand(tmp_path):
    with acquire(tmp_path, "run"):
        card = json.loads((tmp_path / "lock.json").read_text())
    (tmp_path / "lock.json").write_text(json.dumps(card | {"host": "elsewhere"}))
    with pytest.raises(LockedError) as caught:
        acquire(tmp_path, "resume")
    assert caught.value.reason == "lease-of-another-host"
    assert "elsewhere" in caught.value.message
    with acquire(tmp_path, "resume", takeover=True) as lease:
        assert lease.previous.host == "elsewhere"


@pytest.mark.parametrize("torn", ["", "{", "[]", "{}", '{"id": "x"}', "null"])
def test_a_torn_card_does_not_stop_anybody(tmp_path, torn):
    tmp_path.joinpath("lock.json").write_text(torn)
    with acquire(tmp_path, "run") as lease:
        assert lease.previous is None


def test_the_lock_survives_other_descriptors_of_its_file(tmp_path):
    """With lockf, closing any other descriptor would let the lock go."""
    with acquire(tmp_path, "run"):
        (tmp_path / "lock").open().close()
        with pytest.raises(LockedError):
            acquire(tmp_path, "run")


def test_a_deleted_lock_file_does_not_let_two_in(tmp_path, monkeypatch):
    """Somebody deletes the file between opening and locking it: the lock of a file without a name guards nothing."""
    real, calls = fcntl.flock, []

    def meddled(descriptor, how):
        if not calls:
            (tmp_path / "lock").unlink()
        calls.append(descriptor)
        return real(descriptor, how)

    monkeypatch.setattr("upgrader.journal.lease.fcntl.flock", meddled)
    with acquire(tmp_path, "run"):
        assert len(calls) == 2
        with pytest.raises(LockedError):
            acquire(tmp_path, "run")


def test_the_lock_is_not_inherited_by_programs(tmp_path):
    lease = acquire(tmp_path, "run")
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lease.release()
        acquire(tmp_path, "run").release()
    finally:
        child.kill()
        child.wait()


def test_only_the_holder_of_this_lease_enters(tmp_path):
    with (
        acquire(tmp_path / "other", "run") as lease,
        open_journal(tmp_path / "mine") as journal,
        pytest.raises(InvariantError),
    ):
        journal.enter(lease)
    with open_journal(tmp_path / "other") as journal:
        with pytest.raises(InvariantError):
            journal.enter(lease)  # given back
        with pytest.raises(InvariantError):
            journal.note("x", {})


def test_files_are_for_the_owner_alone(tmp_path):
    place = tmp_path / "state"
    with entered(place) as journal:
        journal.note("x", {})
        modes = {file.name: file.stat().st_mode & 0o777 for file in place.iterdir()}
    assert place.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert {"journal.db", "audit.log", "lock", "lock.json"} <= set(modes)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissingError) as caught:
        acquire(tmp_path / "file" / "state", "run")
    assert caught.value.reason == "state-dir-unwritable"
