"""Steps of the lab's work: named, timed, logged, and shown on standard error while they run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from upgrader.errors import FailedCleanError

TAIL = 15


def tail(path: Path, lines: int = TAIL) -> list[str]:
    """The last lines of a log, without terminal escapes; empty when there is none."""
    try:
        text = path.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return []
    return [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in text.splitlines()[-lines:]]


class Steps:
    """Runs named steps and remembers how long each took when it last ran, in `timings.json` too.

    Safe to use from threads.
    """

    def __init__(self, log_dir: Path, timings_file: Path, *, again: str) -> None:
        self.log_dir = log_dir
        self.again = again
        try:
            self.timings: dict[str, float] = json.loads(timings_file.read_text())
        except (OSError, ValueError):
            self.timings = {}
        self._file = timings_file
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        elapsed = int(time.monotonic() - self._start)
        with self._lock:
            sys.stderr.write(f"[{elapsed // 60:2d}:{elapsed % 60:02d}] {text}\n")
            sys.stderr.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.say(f"{name} …")
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        self.record(name, took)
        self.say(f"{name}: done in {took:.1f} s")

    def record(self, name: str, seconds: float) -> None:
        with self._lock:
            self.timings[name] = round(seconds, 1)
            self._file.write_text(json.dumps(self.timings, indent=1) + "\n")

    def run(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> None:
        """Runs a command with its output in `<log>/<name>.log`; FailedCleanError with the log's end when it fails."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        path = self.log_dir / f"{name}.log"
        with path.open("ab") as log:
            log.write(f"\n+ {' '.join(str(word) for word in command)}\n".encode())
            log.flush()
            code = subprocess.run(
                [str(word) for word in command],
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                check=False,
            ).returncode
        if code:
            raise self.failure(name, f"{name} failed (exit {code})")

    def failure(self, name: str, message: str, *, path: Path | None = None) -> FailedCleanError:
        path = path or self.log_dir / f"{name}.log"
        return FailedCleanError(
            f"{message}; log: {path}",
            cloud="the lab is incomplete; what was finished is kept and not done again",
            next_command=self.again,
            details=tail(path),
        )
