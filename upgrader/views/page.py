"""A page of text before it is drawn: lines, columns and ruled lines, each piece with a meaning instead of a colour.

Every view builds a Page; `plain_text` draws it for pipes, `upgrader.views.terminal` in colour. Both show the same
words: colour never carries meaning alone. All text is made safe here, once, so no view can forget it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from upgrader.views.plain import fit, safe

Tone = Literal["", "good", "warn", "bad", "strong", "dim", "command"]

WIDTH = 80


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    tone: Tone = ""


Piece = str | Span


@dataclass(frozen=True, slots=True)
class Line:
    """One line; when drawn narrower than its text, it goes on at `hang` columns."""

    spans: tuple[Span, ...]
    indent: int = 0
    hang: int = 0


@dataclass(frozen=True, slots=True)
class Ruled:
    """A line across the page with words in it."""

    text: str
    tone: Tone = "warn"
    char: str = "─"


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows in aligned columns; nothing is cut, the last column wraps under itself."""

    rows: tuple[tuple[Span, ...], ...]
    indent: int = 0
    gap: int = 2


@dataclass
class Page:
    blocks: list[Line | Ruled | Columns] = field(default_factory=list)

    def line(self, *pieces: Piece, indent: int = 0, hang: int | None = None) -> None:
        self.blocks.append(Line(_spans(pieces), indent, indent + 2 if hang is None else hang))

    def blank(self) -> None:
        self.blocks.append(Line((), 0, 0))

    def ruled(self, text: str, tone: Tone = "warn", char: str = "─") -> None:
        self.blocks.append(Ruled(safe(text), tone, char))

    def columns(self, rows: Iterable[Sequence[Piece]], *, indent: int = 0, gap: int = 2) -> None:
        made = tuple(_spans(row) for row in rows)
        if made:
            self.blocks.append(Columns(made, indent, gap))

    def next(self, *commands: str) -> None:
        """The exact command to type, always the last thing on a page."""
        self.blank()
        for number, command in enumerate(commands):
            self.line("Next:  " if number == 0 else "   or  ", Span(command, "command"), hang=7)


def _spans(pieces: Iterable[Piece]) -> tuple[Span, ...]:
    made = []
    for piece in pieces:
        span = Span(piece) if isinstance(piece, str) else piece
        made.append(Span(safe(span.text), span.tone))
    return tuple(made)


def cells(text: str) -> int:
    """Columns the text takes on a terminal: wide characters count twice, combining ones not at all."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def draw(page: Page, width: int | None) -> list[tuple[Span, ...]]:
    """The page as lines of spans. With a width, long lines wrap between words; without one, nothing wraps."""
    lines: list[tuple[Span, ...]] = []
    for block in page.blocks:
        if isinstance(block, Line):
            lines += wrap(block.spans, width, block.indent, block.hang)
        elif isinstance(block, Ruled):
            lines.append(_rule(block, width or WIDTH))
        else:
            lines += _columns(block, width)
    return lines


def plain_text(page: Page, *, width: int | None = None, encoding: str | None = "utf-8") -> str:
    """The page without colour, for pipes and files; with ASCII stand-ins where `encoding` needs them."""
    lines = ["".join(span.text for span in line).rstrip() for line in draw(page, width)]
    return fit("\n".join(lines) + "\n", encoding)


def _rule(block: Ruled, width: int) -> tuple[Span, ...]:
    words = f" {block.text} "
    left = max(3, (width - cells(words)) // 2)
    right = max(3, width - cells(words) - left)
    return (Span(block.char * left, block.tone), Span(words, block.tone), Span(block.char * right, block.tone))


def _columns(block: Columns, width: int | None) -> list[tuple[Span, ...]]:
    count = max(len(row) for row in block.rows)
    widths = [max((cells(row[at].text) for row in block.rows if at < len(row) - 1), default=0) for at in range(count)]
    lines: list[tuple[Span, ...]] = []
    for row in block.rows:
        spans = [Span(" " * block.indent)]
        start = block.indent
        for at, cell in enumerate(row):
            last = at == len(row) - 1
            pad = 0 if last else max(0, widths[at] - cells(cell.text)) + block.gap
            if not last:
                start += widths[at] + block.gap
            spans += [cell, Span(" " * pad)] if pad else [cell]
        hang = start if width is None or width - start >= 20 else block.indent + 4
        lines += wrap(tuple(spans), width, 0, hang)
    return lines


def wrap(spans: Sequence[Span], width: int | None, indent: int, hang: int) -> list[tuple[Span, ...]]:
    """The spans in lines of at most `width` columns, broken between words; a longer word stays whole."""
    start = (Span(" " * indent),) if indent else ()
    if width is None or indent + sum(cells(span.text) for span in spans) <= width:
        return [(*start, *spans)]
    lines: list[list[Span]] = [list(start)]
    used, fresh = indent, True
    for span in spans:
        for word in _words(span.text):
            size = cells(word)
            # where the next line begins no further left, a word that is too long stays beside what it belongs to
            if not fresh and used + size > width and used > hang and word.strip():
                lines.append([Span(" " * hang)])
                used, fresh = hang, True
            if fresh and len(lines) > 1 and not word.strip():
                continue
            lines[-1].append(Span(word, span.tone))
            used += size
            fresh = fresh and not word.strip()
    return [tuple(line) for line in lines]


def _words(text: str) -> list[str]:
    """The text cut into words and the blanks between them."""
    parts: list[str] = []
    for char in text:
        if parts and (parts[-1][-1] == " ") == (char == " "):
            parts[-1] += char
        else:
            parts.append(char)
    return parts
