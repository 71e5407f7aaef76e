"""One client of a throwaway server that is fed statements, and the watch over the space they need."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from upgrader.database.throwaway import Server
from upgrader.database.unpacked import widen
from upgrader.errors import EnvironmentMissingError, UpgraderError

RESERVE_BYTES = 256 * 1024 * 1024
"""What a restore leaves free: the journal may lie on the same disk, and a server that meets a full one hangs."""
CHECKS = b"SET unique_checks = 0, foreign_key_checks = 0;\n"
_SANDBOX = b"/*M!999999\\- enable the sandbox mode */\n"
"""A client that knows it then refuses what a dump has no business to hold, such as commands for the shell."""
_VALUE = re.compile(r" near '.*|(?<=entry )'.*'(?= for)", re.DOTALL)
_MARK = b"upgrader-settled"


class Stopped(Exception):  # noqa: N818 - another worker met the trouble, and has its words
    pass


def quoted(*names: str) -> bytes:
    return b".".join(b"`" + name.replace("`", "``").encode(errors="surrogateescape") + b"`" for name in names)


def must_have_space(folder: Path) -> None:
    """Raises EnvironmentMissingError when the disk below `folder` is about to be full."""
    free = shutil.disk_usage(folder).free
    if free < RESERVE_BYTES:
        raise no_space(folder, free)


def no_space(folder: Path, free: int) -> EnvironmentMissingError:
    return EnvironmentMissingError(
        f"The disk below {folder.parent} is full ({free // 1024**2} MiB left); the restore was broken off.",
        cloud="The cloud was not touched; the set stays as it was, and the copy is removed.",
        next_command=f"free space below {folder.parent}, then repeat the command",
        reason="no-space",
    )


class Client:
    """Statements go in by `write`; `settle` waits until the server has carried out all of them.

    Any call raises UpgraderError with the server's words when a statement failed, Stopped when `stop` is set.
    """

    def __init__(self, server: Server, stop: threading.Event) -> None:
        self._server, self._stop = server, stop
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the client
        self._process = subprocess.Popen(
            server.client("--batch", "--skip-column-names", "--unbuffered", "--quick"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        self._in, self._out = self._process.stdin, self._process.stdout
        widen(self._in)
        self._marks = 0
        self._closers: list[Callable[[], None]] = []

    def __enter__(self) -> Client:
        self.write(_SANDBOX + CHECKS)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.kill()
        for close in self._closers:
            close()
        self._process.wait()
        for stream in (self._in, self._out, self._words):
            try:
                stream.close()
            except BrokenPipeError:
                continue

    def write(self, text: bytes) -> None:
        view = memoryview(text)
        try:
            while view:
                view = view[self._in.write(view) or 0 :]
        except (BrokenPipeError, ValueError):
            raise self._trouble() from None

    def at_end(self, close: Callable[[], None]) -> None:
        """Call this too when the client ends, however it ends."""
        self._closers.append(close)

    def must_live(self) -> None:
        """Return when statements are still carried out and nobody wants to stop."""
        if self._stop.is_set() or self._process.poll() is not None:
            raise self._trouble()

    def settle(self) -> None:
        """Return when everything written so far is done."""
        self._marks += 1
        mark = b"%s-%d" % (_MARK, self._marks)
        self.write(b"SELECT '%s';\n" % mark)
        while line := self._out.readline():
            if line.strip() == mark:
                return
        raise self._trouble()

    def finish(self) -> None:
        """Settle, and end. A statement without an end is an error."""
        self.settle()
        self._in.close()
        self._out.read()
        if self._process.wait():
            raise self._trouble()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def _trouble(self) -> Exception:
        if self._stop.is_set():
            return Stopped()
        self._process.wait()
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").splitlines()
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no words were given")
        if "No space left" in said or "is full" in said or "Errcode: 28" in said:
            return no_space(self._server.folder, shutil.disk_usage(self._server.folder).free)
        # neither a statement nor a value of the data belongs into a message
        return UpgraderError(
            f"The throwaway server refused the dump: {_VALUE.sub('', said).strip()}.",
            cloud="The cloud was not touched; the set stays as it was.",
            reason="load-refused",
        )
