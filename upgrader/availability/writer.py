"""Writes the records: lines gathered for a second go out in one write, files are changed every few megabytes.

A crash of the probe loses at most the second that was not written; a loss of power the ten before the last fdatasync.
Packing and syncing are done by a thread beside the asking, so that a slow disk makes no API look slow.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from upgrader import durable
from upgrader.availability.records import PRESENT, Answer, Api, Header, Mark, answer_line, number_of, segments
from upgrader.processes import boot_id

SEGMENT_BYTES = 4 * 1024 * 1024
STEP = 0.25
"""Seconds by which the wall clock may drift from the other before it counts as set."""
_KEPT, _KEPT_BYTES = 100_000, 8 * 1024 * 1024
"""Answers, and bytes of them, held in memory while the disk takes none."""


def boottime() -> float:
    """Seconds on the clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Writer:
    """Appends to the records of one run. One process at a time; the caller holds the folder's lock."""

    def __init__(
        self,
        folder: Path,
        timeout: float,
        *,
        clock: Callable[[], float] = boottime,
        wall: Callable[[], float] = time.time,
        largest: int = SEGMENT_BYTES,
    ) -> None:
        self._folder, self._timeout = folder, timeout
        self._clock, self._wall, self._largest = clock, wall, largest
        self._apis: tuple[Api, ...] = ()
        self._waiting: list[Answer | Mark] = []
        self._rest = b""
        """What of the last write the disk did not take: the file goes on with it."""
        self._descriptor = self._present = -1
        self._size = self._presented = 0
        self._base = 0.0
        self._offset = 0.0
        self.trouble = ""
        """Why nothing can be written now; empty when it can."""
        for leftover in folder.glob("*.tmp"):
            leftover.unlink(missing_ok=True)

    def begin(self, apis: tuple[Api, ...]) -> None:
        """From here on these are asked: a new file."""
        if self._apis:
            self.flush()
        self._close()
        # numbers of APIs mean others from here on: what could not be written until now is lost
        self._waiting.clear()
        self._apis = apis
        self.flush()

    def _open(self) -> None:
        number = max((number_of(path) for path in segments(self._folder)), default=0) + 1
        path = self._folder / f"answers-{number:04d}.log"
        clock, at = self._clock(), self._wall()
        data = Header(boot_id(), at, clock, self._timeout, self._apis).line().encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.write(descriptor, data) < len(data):
            os.close(descriptor)
            path.unlink()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._descriptor, self._size, self._rest = descriptor, len(data), b""
        # lines count from the clock as the header's line tells it
        self._base, self._offset = round(clock, 3), at - clock

    def answer(self, answer: Answer) -> None:
        self._waiting.append(answer)

    def mark(self, kind: str, words: str) -> Mark:
        made = Mark(kind, self._clock(), self._wall(), words)
        self._waiting.append(made)
        return made

    def watch_clock(self) -> Mark | None:
        """Note the clocks again when the wall clock was set; the mark that says so."""
        offset = self._wall() - self._clock()
        if abs(offset - self._offset) <= STEP:
            return None
        self._offset = offset
        return self.mark("clock", "the wall clock was set")

    def flush(self) -> None:
        """Write what was gathered. A disk that takes nothing is told of in `trouble`, and tried again next time."""
        try:
            if self._descriptor < 0:
                self._open()
            self._rest += "".join(map(self._line, self._waiting)).encode()
            self._waiting.clear()
            while self._rest:
                written = os.write(self._descriptor, self._rest)
                self._rest = self._rest[written:]
                self._size += written
        except OSError as error:
            self.trouble = f"answers cannot be recorded: {error.strerror}"
            if len(self._waiting) > _KEPT:
                del self._waiting[:-_KEPT]
            if len(self._rest) > _KEPT_BYTES:
                # the line that is half on the disk is ended by the newline before the next whole one
                self._rest = self._rest[self._rest.find(b"\n", len(self._rest) - _KEPT_BYTES) :]
            return
        self.trouble = ""
        if self._size >= self._largest:
            self._close()

    def _line(self, item: Answer | Mark) -> str:
        return item.line() if isinstance(item, Mark) else answer_line(item, self._base)

    def present(self, document: bytes) -> None:
        """Overwrite present.json. Not made durable: after a loss of power nobody is up or away now."""
        with contextlib.suppress(OSError):
            if self._present < 0:
                path = self._folder / PRESENT
                self._present = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # filled up with blanks, so that nothing of a longer one stays behind
            os.pwrite(self._present, document.ljust(-(-len(document) // 4096) * 4096), 0)
            if len(document) < self._presented:
                os.ftruncate(self._present, -(-len(document) // 4096) * 4096)
            self._presented = len(document)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        if self._waiting or self._rest:
            self.flush()
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(self._descriptor)
        self._close()

    def leave(self) -> None:
        """Nothing more is written, present.json neither."""
        self.close()
        if self._present >= 0:
            os.close(self._present)
            self._present = -1


def tidy(folder: Path) -> int:
    """Make the newest file durable and pack all older ones. Returns the bytes of the records. Raises OSError."""
    found = segments(folder)
    for path in found[:-1]:
        if path.suffix != ".gz":
            _pack(path)
    if found and found[-1].suffix != ".gz":
        descriptor = os.open(found[-1], os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    return sum(path.stat().st_size for path in segments(folder))


def _pack(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.gz.tmp")
    with path.open("rb") as plain, gzip.open(temporary, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed, 65536)
    temporary.chmod(0o600)
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path.with_name(f"{path.name}.gz"))
    durable.sync_dir(path.parent)
    path.unlink()
