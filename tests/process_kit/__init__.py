"""Waiting for conditions instead of durations, and looking at processes that may be gone by then.

A fast machine and a starved one have to see the same: a test lets the work under test go on (`go on` below) when
what it has to do in the meantime is done, and no limit here is one that a slow machine could reach.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upgrader import processes

LIMIT_SECONDS = 300.0
"""Only ends what would never end; nothing is judged by it."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Come back when `condition` holds; fails the test with `what` when it never does."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {LIMIT_SECONDS:.0f} s"
        time.sleep(0.01)


def text_of(path: Path) -> str:
    """What a file holds by now; nothing while it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def until(gate: Path) -> str:
    """Words of a shell that go on when the file `gate` is there."""
    return f"until [ -e {gate} ]; do sleep 0.02; done"


def command_of(pid: int) -> bytes:
    """The arguments of a process, separated by spaces; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def parent_of(pid: int) -> int:
    """Zero when the process is gone."""
    about = processes._stat(pid)
    return about[1] if about else 0


def is_over(pid: int) -> bool:
    """Whether a process has ended, taken leave of or not."""
    about = processes._stat(pid)
    return about is None or about[0] in "ZX"


def blow(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal. False: the process was gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def part_of(pid: int) -> str:
    """Which part in a play a process has: supervisor, play, playbook, worker, or none of them."""
    line = command_of(pid)
    for word, part in ((b"upgrader.supervisor", "supervisor"), (b"upgrader.runner.play", "play")):
        if word in line:
            return part
    if b"ansible-playbook" not in line:
        return ""
    return "worker" if b"ansible-playbook" in command_of(parent_of(pid)) else "playbook"


def playing(part: str, variable: str, value: str) -> list[int]:
    """The processes started with `variable=value` that have that part, oldest first."""
    return [pid for pid in sorted(processes.carrying(variable, value)) if part_of(pid) == part]


def awaiting(gate: Path) -> Callable[..., Any]:
    """In place of `processes.await_gone`: opens the gate only when the first look has seen who is still there."""
    real = processes.await_gone

    def awaited(find: Callable[[], set[int]], **options: float) -> tuple[int, int]:
        def look() -> set[int]:
            left = find()
            gate.touch()
            return left

        return real(look, **options)

    return awaited
