"""The herald's folder: the lock that says whether one works, and where its telling began.

<state_dir>/herald/
  lock         locked for as long as a herald works
  since.json   journal and number of its last event when notices were first wanted: older ones are never told
  herald.log   what went wrong in it
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from upgrader.durable import make_dir, read_json, write_json

FOLDER = "herald"
LOCK = "lock"
SINCE = "since.json"
SAID = "said.json"
LOG = "herald.log"


def folder_of(state_dir: Path) -> Path:
    return state_dir / FOLDER


def works(folder: Path) -> bool:
    """Whether a herald works. Asks for its lock for an instant; a herald that starts waits longer."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock(folder: Path, patience: float = 3.0) -> int | None:
    """The lock as a descriptor; None where another herald holds it for longer than `patience` seconds."""
    make_dir(folder, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(descriptor, f"{os.getpid():<10}\n".encode(), 0)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.05)


def pid_of(folder: Path) -> int:
    """The herald that took the lock last; 0 where none did."""
    try:
        return int((folder / LOCK).read_bytes() or b"0")
    except (OSError, ValueError):
        return 0


def since(folder: Path, lineage: str, seq: int) -> int:
    """Number of the event after which is told. The first asking for a journal decides: `seq` is kept."""
    kept = read_json(folder / SINCE).document or {}
    if kept.get("lineage") == lineage and isinstance(kept.get("seq"), int):
        return int(kept["seq"])
    make_dir(folder, exist_ok=True)
    write_json(folder / SINCE, {"lineage": lineage, "seq": seq})
    return seq
