"""A growing file of JSON lines, read on from where the last look ended, in bounded bites."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BITE = 1 << 20
"""Bytes that one look reads at most; a look that finds more waiting goes on with the rest next time, or skips."""


class Tail:
    """Lines that were added since the last look. `skip` jumps over what one look cannot take in, to the newest lines.

    A file that became shorter, or is another one now, is read from its beginning. A line without its end waits for it;
    a line that is no JSON object is left out.
    """

    def __init__(self, path: Path, *, skip: bool = False, bite: int = BITE) -> None:
        self.path = path
        self.skipped = 0
        """Bytes that were jumped over."""
        self._skip, self._bite = skip, bite
        self._offset = 0
        self._file = 0
        self._cut = False

    def lines(self) -> Iterator[dict[str, Any]]:
        """At most one bite of new lines (all that fits, with `skip`). Nothing while the file is not there."""
        data = self._bytes()
        whole, end, _ = data.rpartition(b"\n")
        if not end:
            if len(data) >= self._bite:  # one line longer than a bite: no line of ours is
                self._offset += len(data)
                self._cut = True
            return
        self._offset += len(whole) + 1
        for number, line in enumerate(whole.split(b"\n")):
            if number == 0 and self._cut:
                self._cut = False
                continue  # the rest of a line whose beginning was jumped over
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                yield document

    def all(self) -> Iterator[dict[str, Any]]:
        """Everything there is by now, bite by bite."""
        before = -1
        while self._offset != before:
            before = self._offset
            yield from self.lines()

    def _bytes(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                about = os.fstat(stream.fileno())
                if about.st_ino != self._file or about.st_size < self._offset:
                    self._file, self._offset, self._cut = about.st_ino, 0, False
                waiting = about.st_size - self._offset
                if self._skip and waiting > self._bite:
                    jump = waiting - self._bite
                    self.skipped += jump
                    self._offset += jump
                    self._cut = True
                stream.seek(self._offset)
                return stream.read(self._bite)
        except (FileNotFoundError, NotADirectoryError):
            return b""
