"""How much a template may use: time of the processor, memory, length. So that one that never ends, ends.

Time is what this process spends itself, so that a busy machine does not fail a sound template.
"""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 10.0
MEMORY = 768 * 1024**2
"""Bytes of address space beyond what the process has when it begins."""
LONGEST = 16 * 1024**2
"""Characters of a document."""


class SpentError(Exception):
    """A limit was reached; the message says which."""


@contextmanager
def limited() -> Iterator[None]:
    """Within, too much time raises SpentError and too much memory MemoryError, where the template stands then.

    Signals reach only the main thread; elsewhere time is not limited.
    """
    if threading.current_thread() is not threading.main_thread():
        with _memory(MEMORY):
            yield
        return
    before = signal.signal(signal.SIGVTALRM, _spent)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with _memory(MEMORY):
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _spent(*_: object) -> None:
    raise SpentError(f"it did not come to an end within {SECONDS:g} s; a loop that is too long")


@contextmanager
def _memory(more: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _used() + more
    if soft != resource.RLIM_INFINITY and soft <= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _used() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 4 * 1024**3
    return pages * resource.getpagesize()
