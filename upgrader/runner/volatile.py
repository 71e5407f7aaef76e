"""The folder for what Ansible and ansible-runner write while a play runs and what may hold secrets.

Event files, the runner's `command` file, rendered templates and packed modules go there. It is in memory where the
system offers that, is removed when the play ends, and is swept by whoever comes next when the play was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from upgrader import durable
from upgrader.processes import PLAY, carrying

POINTER = "volatile"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, mode 0700, with an unguessable name
_ENOUGH_BYTES = 64 * 1024 * 1024
_FIRST_LOGIN_UID = 1000


def _prefix() -> str:
    return f"upgrader-{os.getuid()}-"


def _root(play_folder: Path) -> Path:
    # systemd-logind may empty /dev/shm of an ordinary user at logout (RemoveIPC=), and plays outlive a login
    if os.getuid() < _FIRST_LOGIN_UID:
        try:
            room = os.statvfs(_MEMORY)
            if os.access(_MEMORY, os.W_OK) and room.f_bavail * room.f_frsize >= _ENOUGH_BYTES:
                return _MEMORY
        except OSError:
            pass
    return play_folder


def create(play_folder: Path, ident: str) -> tuple[Path, int]:
    """Make the folder and note it in `play_folder`. Returns it and a descriptor whose lock says it is in use."""
    folder = _root(play_folder) / f"{_prefix()}{ident}"
    durable.write_atomic(play_folder / POINTER, str(folder))
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return folder, descriptor


def discard(play_folder: Path) -> None:
    """Remove the folder of a play that is over. Only for paths this module can have made."""
    folder = _pointed(play_folder)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        durable.remove(play_folder / POINTER)


def _pointed(play_folder: Path) -> Path | None:
    """The folder noted there, if it is one that `create` can have made."""
    try:
        folder = Path((play_folder / POINTER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = re.fullmatch(re.escape(_prefix()) + "[0-9a-f]{32}", folder.name)
    return folder if ours and folder.parent in (_MEMORY, play_folder) and not folder.is_symlink() else None


def sweep(folder: Path) -> int:
    """Discard what killed plays anywhere below `folder` left behind. Returns how many there were."""
    count = 0
    for pointer in folder.rglob(POINTER):
        target = _pointed(pointer.parent)
        if target is None or not _in_use(target):
            discard(pointer.parent)
            count += 1
    return count


def sweep_memory() -> int:
    """Discard leftovers of killed plays in memory, whoever began them. Returns how many there were."""
    count = 0
    with suppress(OSError):
        for folder in _MEMORY.glob(f"{_prefix()}*"):
            if folder.is_dir() and not folder.is_symlink() and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
    return count


def _in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        # between mkdir and lock, or not there at all; the process table decides
        return bool(carrying(PLAY, folder.name.removeprefix(_prefix())))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return bool(carrying(PLAY, folder.name.removeprefix(_prefix())))
