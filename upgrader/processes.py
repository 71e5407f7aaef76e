"""Finds and awaits processes of an attempt or a play, also when they left their session or lost their parent.

Works from the process table alone (Linux `/proc`): a process belongs to an attempt when the attempt's name is in
the environment it was started with. Limit: a process of another user (`sudo` on this machine) hides its environment
and is only found while it is still a descendant.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

ATTEMPT = "UPGRADER_ATTEMPT"
PLAY = "UPGRADER_PLAY"
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")
_KERNEL = 2
"""Parent of the kernel's own threads, which have neither environment nor arguments."""
_EXEC_SECONDS = 10.0
"""A process that is being replaced shows nothing for as long as it waits for a processor: on a starved machine long."""
_LOOKS_WITHOUT = 12
"""So many looks in a row must show arguments but no environment before a process counts as started without one."""
_LOOKS_AT_REST = 60
"""So many must show neither, and the process asleep: exec(2) runs, or waits where nothing interrupts it."""


def boot_id() -> str:
    """Name of the running boot of this machine; empty when the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def become_subreaper() -> bool:
    """Adopt descendants whose parent ends, instead of the system's first process. False: not possible here."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _pids() -> Iterable[int]:
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            yield int(entry.name)


def _stat(pid: int) -> tuple[str, int] | None:
    """(state letter, parent); None when the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the command may hold spaces and brackets; what follows its last bracket is fixed
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def alive(pid: int) -> bool:
    """Whether a process of that number runs. One that has ended and was never waited for (no init reaps in many
    containers) does not."""
    found = _stat(pid)
    return found is not None and found[0] not in "ZX"


def _is_connection_master(pid: int) -> bool:
    """OpenSSH's shared connection stays for a while after the last command on it; it does no work of its own."""
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return command.startswith(b"ssh: ") and b"[mux]" in command


def carrying(variable: str, value: str) -> set[int]:
    """Live processes started with `variable=value` in their environment, without the caller."""
    needle = f"{variable}={value}".encode()
    # nobody found is a weighty answer: a process that was just born or handed on may have slipped through one pass
    return _scan(needle) or _scan(needle)


def _scan(needle: bytes) -> set[int]:
    found = set()
    for pid in _pids():
        if pid != os.getpid() and needle in _environment(pid).split(b"\0"):
            about = _stat(pid)
            if about is not None and about[0] not in "ZX" and not _is_connection_master(pid):
                found.add(pid)
    return found


def _environment(pid: int) -> bytes:
    """The environment a process was started with; empty when it is gone, another user's, or the kernel's own."""
    without = at_rest = 0
    deadline = time.monotonic() + _EXEC_SECONDS
    try:
        while True:
            # in the midst of exec(2) neither environment nor arguments are to be seen for a moment
            if environment := _shown(pid, "environ"):
                return environment
            about = _stat(pid)
            if about is None or about[0] in "ZX" or _KERNEL in {pid, about[1]}:
                break
            if _shown(pid, "cmdline"):
                # arguments but no environment: started without one, or its exec(2) ended between the two looks
                without += 1
            else:
                without = 0
                at_rest += about[0] not in "RD"
                _program(pid)
            if without == _LOOKS_WITHOUT or at_rest == _LOOKS_AT_REST or time.monotonic() > deadline:
                break
            # uneven, so as not to look in step with what it does
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311
    except OSError:
        pass
    return b""


def _program(pid: int) -> Path:
    """What the process runs. Raises FileNotFoundError when it is ending and has given its memory back."""
    return (_PROC / str(pid) / "exe").readlink()


def _shown(pid: int, what: str) -> bytes:
    """What the process table shows of a process; empty while the process is replacing itself."""
    try:
        return (_PROC / str(pid) / what).read_bytes()
    except (FileNotFoundError, PermissionError):
        raise  # gone, or not ours to see
    except OSError:
        return b""


def descendants() -> set[int]:
    """Live processes below the caller, without OpenSSH's idle shared connections."""
    # as above: a parent that ended while it was looked for leaves its children without a way to them in one pass
    return _below() or _below()


def _below() -> set[int]:
    parents = {pid: about for pid in _pids() if (about := _stat(pid)) is not None}
    found: set[int] = set()
    border = {os.getpid()}
    while border:
        border = {pid for pid, (_, parent) in parents.items() if parent in border} - found
        found |= border
    return {pid for pid in found if parents[pid][0] not in "ZX" and not _is_connection_master(pid)}


def reap() -> None:
    """Take leave of ended children, adopted ones too. Only where nobody else waits for a child of this process."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def await_gone(
    find: Callable[[], set[int]], *, patience: float, grace: float = 10.0, tick: float = 0.05
) -> tuple[int, int]:
    """Wait until `find` finds nothing. Returns how many different processes were waited for, and how many ended by us.

    After `patience` seconds what is left is asked to end, after `grace` more it is ended.
    """
    began = time.monotonic()
    seen: set[int] = set()
    asked: set[int] = set()
    while left := find():
        seen |= left
        waited = time.monotonic() - began
        if waited > patience:
            final = waited > patience + grace
            for pid in left if final else left - asked:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if final else signal.SIGTERM)
            asked |= left
            if waited > patience + 3 * grace + 5:
                break  # cannot be ended by us: another user's, or stuck in the kernel; the count says so
        time.sleep(tick)
        tick = min(tick * 1.5, 0.5)
    return len(seen), len(asked)
