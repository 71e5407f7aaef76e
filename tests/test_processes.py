"""Finding processes: never overlooking one that lives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from upgrader import processes


@pytest.fixture
def restless(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that does nothing but replace itself by itself."""
    script = tmp_path / "restless"
    script.write_text('exec sh "$0"\n')
    return subprocess.Popen(["sh", str(script)], env={"UPGRADER_PLAY": "restless"})


def test_a_process_in_the_midst_of_exec_is_seen(restless: subprocess.Popen[bytes]) -> None:
    try:
        for _ in range(50):
            assert processes.carrying("UPGRADER_PLAY", "restless") == {restless.pid}
    finally:
        restless.kill()
        restless.wait()


class Table:
    """The process table's answers about one process, look by look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state: str, environments: list[bytes]) -> None:
        self.left, self.memory = environments, True
        monkeypatch.setattr(processes, "_shown", self.shown)
        monkeypatch.setattr(processes, "_stat", lambda pid: (state, 1))
        monkeypatch.setattr(processes, "_program", self.program)
        monkeypatch.setattr(processes.time, "sleep", lambda seconds: None)

    def shown(self, pid: int, what: str) -> bytes:
        return b"" if what == "cmdline" else self.left.pop(0)

    def program(self, pid: int) -> Path:
        if not self.memory:
            raise FileNotFoundError
        return Path("/bin/sh")


def test_an_exec_that_waits_for_a_processor_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    Table(monkeypatch, "R", [*[b""] * 900, b"A=1\0"])
    assert processes._environment(4711) == b"A=1\0"


def test_what_shows_nothing_and_sleeps_or_is_ending_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(monkeypatch, "S", [b""] * 900)
    assert processes._environment(4711) == b"" and len(table.left) >= 800
    table = Table(monkeypatch, "R", [b""] * 900)
    table.memory = False
    assert processes._environment(4711) == b"" and len(table.left) == 899


def test_the_whole_value_counts_and_the_caller_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "600"], env={"UPGRADER_PLAY": "abc", "OTHER": "UPGRADER_PLAY=ab"})
    try:
        assert processes.carrying("UPGRADER_PLAY", "ab") == set()
        assert processes.carrying("UPGRADER_PLAY", "abc") == {child.pid}
        assert child.pid in processes.descendants() and os.getpid() not in processes.descendants()
    finally:
        child.kill()
        child.wait()
    assert processes.carrying("UPGRADER_PLAY", "abc") == set()


def test_ended_children_are_not_alive() -> None:
    child = subprocess.Popen(["true"], env={"UPGRADER_PLAY": "ended"})
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.pid not in processes.descendants() | processes.carrying("UPGRADER_PLAY", "ended")
    child.wait()


def test_a_shared_ssh_connection_is_not_work() -> None:
    sleep = shutil.which("sleep")
    master = subprocess.Popen(["ssh: /tmp/x [mux]", "600"], executable=sleep, env={"UPGRADER_PLAY": "ssh"})
    worker = subprocess.Popen(["sleep", "600"], env={"UPGRADER_PLAY": "ssh"})
    try:
        assert processes.carrying("UPGRADER_PLAY", "ssh") == {worker.pid}
        assert master.pid not in processes.descendants()
    finally:
        for process in (master, worker):
            process.kill()
            process.wait()


def test_who_ignores_the_request_is_ended() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.await_gone(lambda: processes.descendants() & {child.pid}, patience=0.1, grace=0.2) == (1, 1)
    assert child.wait() == -9
    child.stdout.close()


def test_waiting_counts_what_was_there() -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    looks = 0

    def find() -> set[int]:
        nonlocal looks
        looks += 1
        if looks == 3:
            child.communicate()
        return processes.descendants() & {child.pid}

    assert processes.await_gone(find, patience=600) == (1, 0)
    assert looks == 3
    assert processes.await_gone(set, patience=0) == (0, 0)
