"""Many processes want the same cloud: exactly one has it, and whoever was replaced writes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.journal_kit import ram_folder
from tests.journal_kit.history import broken_laws
from upgrader.errors import LockedError
from upgrader.journal import JournalError, acquire, open_journal

WORKER = """
import os, sys, time
from pathlib import Path
from tests.journal_kit import FAST
from upgrader.errors import LockedError
from upgrader.journal import acquire, open_journal

folder, worker, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
inside = folder / "inside"
done = refused = 0
while done < rounds:
    try:
        lease = acquire(folder / "state", f"worker {worker}")
    except LockedError:
        refused += 1
        time.sleep(0.001)
        continue
    # a second owner would find the file there
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with lease, open_journal(folder / "state", durability=FAST) as journal:
        journal.enter(lease)
        for number in range(3):
            journal.note("turn", {"worker": worker, "round": done, "n": number})
        os.unlink(inside)
    done += 1
print(done, refused)
"""


def contend(workers, rounds):
    with ram_folder() as folder:
        with open_journal(folder / "state"):
            pass
        command = [sys.executable, "-c", WORKER, str(folder)]
        started = [
            subprocess.Popen([*command, str(n), str(rounds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for n in range(workers)
        ]
        for process in started:
            out, errors = process.communicate()
            assert process.returncode == 0, errors
            assert out.split()[0] == str(rounds)
        with open_journal(folder / "state", readonly=True) as journal:
            assert journal.verify() == ()
            assert broken_laws(journal.events()) == []
            assert journal.snapshot().epoch == workers * rounds
            turns = list(journal.events(kinds=["note.turn"]))
            assert len(turns) == 3 * workers * rounds
            owners = {event.epoch: event.data["worker"] for event in turns}
            assert all(owners[event.epoch] == event.data["worker"] for event in turns)
            assert not list(journal.events(kinds=["taken_over"]))


def test_five_processes_take_turns():
    contend(5, 15)


@pytest.mark.slow
def test_fifty_processes_take_turns():
    contend(50, 20)


PAUSED = """
import sys
from pathlib import Path
from upgrader.journal import acquire, open_journal

folder = Path(sys.argv[1])
with acquire(folder, "run") as lease, open_journal(folder) as journal:
    journal.enter(lease)
    print(journal.epoch, flush=True)
    sys.stdin.readline()
    try:
        journal.note("after", {})
    except Exception as error:
        print(type(error).__name__)
    else:
        print("wrote")
"""


@pytest.fixture
def paused():
    with ram_folder() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", PAUSED, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGSTOP)
        yield folder, process
        process.kill()
        process.communicate()


def test_a_stopped_owner_keeps_its_cloud(paused):
    folder, process = paused
    with pytest.raises(LockedError) as caught:
        acquire(folder, "resume")
    assert f"pid {process.pid}" in caught.value.message
    process.send_signal(signal.SIGCONT)
    assert process.communicate("go\n")[0] == "wrote\n"


def test_an_owner_that_was_replaced_in_its_sleep_writes_nothing(paused):
    """Its lock file was deleted by somebody who thought it dead: the epoch still keeps it out."""
    folder, process = paused
    (folder / "lock").unlink()
    with acquire(folder, "resume") as lease, open_journal(folder) as journal:
        journal.enter(lease)
        assert journal.epoch == 2
        process.send_signal(signal.SIGCONT)
        assert process.communicate("go\n")[0] == "StaleEpochError\n"
        assert not list(journal.events(kinds=["note.after"]))
        assert journal.verify() == ()


def test_an_older_copy_that_was_put_back_is_not_worked_on():
    with ram_folder() as folder:
        with acquire(folder, "run") as lease, open_journal(folder) as journal:
            journal.enter(lease)
        old = (folder / "journal.db").read_bytes()
        with acquire(folder, "run") as lease, open_journal(folder) as journal:
            journal.enter(lease)
            journal.note("launched", {})
        (folder / "journal.db").write_bytes(old)
        with acquire(folder, "run") as lease, open_journal(folder) as journal:
            assert any("not in the journal" in fault for fault in journal.verify())
            with pytest.raises(JournalError) as caught:
                journal.enter(lease)
            assert caught.value.reason == "journal-cut"


LIFE = """
import sys
from pathlib import Path
from tests.journal_kit import begin, entered, walk_to
from upgrader.states import Event, State

with entered(Path(sys.argv[1])) as journal:
    begin(journal)
    journal.accept("not-rehearsed", "no staging", "anna")
    journal.set_flag("paused")
    journal.clear_flag("paused")
    walk_to(journal, State.HOLD_UPGRADE)
    journal.end_run("aborted", "anna", "")
    print("ended")
"""
POINTS = ("before_promise", "before_commit", "after_commit", "done")
VERBS = (
    "enter",
    "begin_run",
    "begin_hop",
    "accept",
    "set_flag",
    "clear_flag",
    "intend",
    "launched",
    "finish",
    "end_run",
)
KILLS = [f"journal.{verb}.{point}" for verb in VERBS for point in POINTS]
FEW = {"journal.enter.before_commit", "journal.intend.before_commit", "journal.finish.after_commit"}


@pytest.mark.parametrize(
    "point",
    [
        "lease.locked", "lease.card", "lease.release", "journal.create.before_commit", "journal.create.after_commit",
        *(pytest.param(kill, marks=() if kill in FEW else pytest.mark.slow) for kill in KILLS),
    ],
)  # fmt: skip
def test_a_real_kill_at_every_point_of_the_protocol(point):
    with ram_folder() as folder:
        environment = os.environ | {"UPGRADER_FAILPOINT": point}
        command = [sys.executable, "-c", LIFE, str(folder)]
        killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with acquire(folder, "resume") as lease, open_journal(folder) as journal:
            before = list(journal.events())
            journal.enter(lease)
            assert bool(lease.previous) == (point not in ("lease.locked",))
            assert list(journal.events())[: len(before)] == before
            assert journal.verify() == ()
            assert journal.rebuild() == ()
            assert broken_laws(journal.events()) == []
            verb = point.split(".")[1]
            kinds = {"intend": "attempt_intended", "finish": "attempt_finished", "begin_run": "run_begun"}
            if verb in kinds:
                there = any(event.kind == kinds[verb] for event in before)
                assert there == (not point.endswith(("promise", "before_commit")))
