"""A terminal's whole screen, redrawn in as few bytes as the change needs: watching over a slow line costs next to none.

Every line is held against the one that stands there, and only the stretch that differs is sent. Lines come with tones,
not colours; without colour the same bytes go out less the colour codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from upgrader.views.page import Span, Tone, cells
from upgrader.views.plain import fit

_CODES: dict[Tone, str] = {
    "good": "32", "warn": "33", "bad": "1;31", "strong": "1", "dim": "2", "command": "1;36",
}  # fmt: skip
_PLAIN: dict[Tone, str] = {}
_OPEN = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_CLOSE = "\x1b[?7h\x1b[?25h\x1b[?1049l"

Cell = tuple[str, Tone]


class Screen:
    """Has the terminal between `open` and `close`; what stood there comes back. Raises OSError when it is gone."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._stream = stream
        self._codes = _CODES if color else _PLAIN
        self._shown: list[list[Cell]] = []
        self._open = False
        self.sent = 0
        """Bytes so far."""

    def open(self) -> None:
        self._write(_OPEN)
        self._open = True
        self._shown = []

    def close(self) -> None:
        if self._open:
            self._open = False
            self._write(_CLOSE)

    def forget(self) -> None:
        """The size changed, or somebody else wrote here: draw everything anew."""
        self._write("\x1b[2J")
        self._shown = []

    def draw(self, lines: Sequence[Sequence[Span]]) -> None:
        """Show exactly these lines, from the top; each has to be as wide as the screen at most."""
        fresh = [self._cells(line) for line in lines]
        out = []
        for row in range(max(len(fresh), len(self._shown))):
            new = fresh[row] if row < len(fresh) else []
            old = self._shown[row] if row < len(self._shown) else []
            if new != old:
                out.append(self._change(row + 1, old, new))
        self._shown = fresh
        if out:
            self._write("".join(out))

    def _cells(self, line: Sequence[Span]) -> list[Cell]:
        found = [(char, span.tone) for span in line for char in fit(span.text, self._stream.encoding)]
        while found and found[-1][0] == " ":
            found.pop()
        return found

    def _change(self, row: int, old: list[Cell], new: list[Cell]) -> str:
        start = 0
        while start < min(len(old), len(new)) and old[start] == new[start]:
            start += 1
        end = len(new)
        narrow = all(cell[0].isascii() for cell in (*old[start:], *new[start:]))
        if len(old) == len(new) and narrow:
            while end > start and old[end - 1] == new[end - 1]:
                end -= 1
        column = cells("".join(char for char, _ in new[:start])) + 1
        rest = "" if (len(old) == len(new) and narrow) or not old[start:] else "\x1b[K"
        # what is left of the old line goes first: behind a full line there is no place left to stand
        return f"\x1b[{row};{column}H{rest}{self._painted(new[start:end])}"

    def _painted(self, cells_: Sequence[Cell]) -> str:
        out, tone = [], ""
        for char, wanted in cells_:
            if wanted != tone and self._codes:
                # from one tone to another through none: "bold" would stay under what follows it
                out.append(("\x1b[m" if tone else "") + (f"\x1b[{self._codes[wanted]}m" if wanted else ""))
                tone = wanted
            out.append(char)
        return "".join(out) + ("\x1b[m" if tone else "")

    def _write(self, text: str) -> None:
        self.sent += len(text.encode(self._stream.encoding or "ascii", "replace"))
        self._stream.write(text)
        self._stream.flush()
