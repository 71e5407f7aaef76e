"""Plain text for programs that want a file: a file in memory that has no name on any disk.

The path leads through this process (`/proc/PID/fd/N`), so that it works without being inherited, for processes of
the same user only, and ends with this process whatever happens to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READ_ONLY, WRITABLE = 0o400, 0o600
"""Never executable, as memory files are otherwise: Ansible would run a vault password file."""


def make(data: bytes, *, mode: int = READ_ONLY) -> tuple[Path, int]:
    """Its path, and the descriptor that keeps it; it is gone when that is closed."""
    descriptor = os.memfd_create("upgrader", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return Path(f"/proc/{os.getpid()}/fd/{descriptor}"), descriptor


@contextmanager
def held(data: bytes, *, mode: int = READ_ONLY) -> Iterator[Path]:
    """A path to `data` for as long as the block runs."""
    path, descriptor = make(data, mode=mode)
    try:
        yield path
    finally:
        os.close(descriptor)
