"""A program's output read with limits of time, and its end whatever happens."""

from __future__ import annotations

import io
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from upgrader.errors import UpgraderError

_LAST_WORDS_SECONDS = 120.0


class CancelledError(UpgraderError):
    """The operator asked to stop; the repository is as whole as before."""

    exit_code = 130


class TooLongError(Exception):
    """The words say which limit."""


class Watched(io.RawIOBase):
    """A pipe that is read with a limit of time, in all and without a byte."""

    def __init__(self, descriptor: int, seconds: float, stall: float, cancelled: Callable[[], bool] | None) -> None:
        self._descriptor, self._stall, self._cancelled = descriptor, stall, cancelled
        self._until, self._seconds = time.monotonic() + seconds, seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        quiet_until = time.monotonic() + self._stall
        while True:
            if self._cancelled is not None and self._cancelled():
                raise CancelledError("The off-box copy was stopped.", reason="offbox-cancelled")
            now = time.monotonic()
            if now > self._until:
                raise TooLongError(f"it took longer than {self._seconds:.0f} s")
            if now > quiet_until:
                raise TooLongError(f"not a byte for {self._stall:.0f} s")
            if select.select([self._descriptor], [], [], min(1.0, self._until - now))[0]:
                return os.readv(self._descriptor, [buffer])


def end(process: subprocess.Popen[bytes]) -> int:
    """End it if it runs: politely first, so that it gives back its lock."""
    for number, patience in ((signal.SIGINT, 10), (signal.SIGKILL, 60)):
        if process.poll() is not None:
            break
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    return process.returncode or 0


def ended(process: subprocess.Popen[bytes]) -> int:
    """Exit code of a process that has closed its output, and so has nothing left to do but to end."""
    try:
        return process.wait(_LAST_WORDS_SECONDS)
    except subprocess.TimeoutExpired:
        raise TooLongError(f"it did not end within {_LAST_WORDS_SECONDS:.0f} s") from None


def dies_with_us() -> list[str]:
    """A copy that nobody waits for would hold the repository's lock."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def tail(errors: IO[bytes], size: int = 32768) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - size))
    return errors.read().decode(errors="replace")
