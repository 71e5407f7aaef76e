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
        for _ in range(120):
            assert processes.carrying("UPGRADER_PLAY", "restless") == {restless.pid}
    finally:
        restless.kill()
        restless.wait()


def test_the_whole_value_counts_and_the_caller_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen(["sleep", "30"], env={"UPGRADER_PLAY": "abc", "OTHER": "UPGRADER_PLAY=ab"})
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
    master = subprocess.Popen(["ssh: /tmp/x [mux]", "30"], executable=sleep, env={"UPGRADER_PLAY": "ssh"})
    worker = subprocess.Popen(["sleep", "30"], env={"UPGRADER_PLAY": "ssh"})
    try:
        assert processes.carrying("UPGRADER_PLAY", "ssh") == {worker.pid}
        assert master.pid not in processes.descendants()
    finally:
        for process in (master, worker):
            process.kill()
            process.wait()


def test_who_ignores_the_request_is_ended() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.await_gone(lambda: processes.descendants() & {child.pid}, patience=0.1, grace=0.2) == (1, 1)
    assert child.wait() == -9
    child.stdout.close()


def test_waiting_counts_what_was_there() -> None:
    child = subprocess.Popen(["sleep", "0.3"])
    assert processes.await_gone(lambda: processes.descendants() & {child.pid}, patience=60) == (1, 0)
    child.wait()
    assert processes.await_gone(set, patience=0) == (0, 0)
