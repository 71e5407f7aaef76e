"""Supervisors as forks of the test process: the real `supervise`, without half a second of imports each."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.engine_kit import stages
from tests.engine_kit.place import graph
from upgrader import attempts, durable, processes, supervisor

assert stages  # imported here once, not in every fork


def spawn(
    folder: Path, *, run: str = attempts.RUN_STAGE, env: Mapping[str, str] | None = None, carry: object = None
) -> int:
    """As `attempts.spawn`. Comes back when the supervisor has started or ended: a fork does not carry the attempt's
    name in the environment it was started with, so that only its lock tells that it lives."""
    graph()  # read once, for all forks
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            log = os.open(folder / attempts.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, 256)  # the lease is not a supervisor's
            sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w")  # pytest's own is gone with its descriptors
            supervisor.supervise(folder, run=run)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    gone = threading.Event()

    def reap() -> None:
        os.waitpid(pid, 0)
        gone.set()

    threading.Thread(target=reap, daemon=True).start()
    while not (folder / attempts.STARTED).exists() and not gone.is_set():
        time.sleep(0.002)
    durable.failpoint("attempt.spawned")
    return pid


def nobody(variable: str, value: str) -> set[int]:
    """In place of `processes.carrying`, which reads every process there is: forks carry no name of an attempt."""
    return set()


follow = functools.partial(attempts.follow, tick=0.005)
"""With `nobody`, looking costs next to nothing, and most attempts here are over after some milliseconds."""


def instead(put: Callable[[object, str, object], None]) -> None:
    """Have attempts worked by forks; `put` sets an attribute."""
    put(attempts, "spawn", spawn)
    put(attempts, "follow", follow)
    put(processes, "carrying", nobody)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch.setattr)
