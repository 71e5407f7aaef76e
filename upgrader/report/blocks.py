"""A document before it is drawn: headings, paragraphs, tables, lists, pictures. Drawing escapes texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["", "good", "bad", "warn"]


@dataclass(frozen=True, slots=True)
class Code:
    """Text that is shown letter by letter: a command, a path, a digest."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """Text with a meaning; the words alone say it too."""

    text: str
    tone: Tone = ""


Piece = str | Code | Word
Cell = Piece | tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Callout:
    """A paragraph nobody may miss."""

    pieces: tuple[Piece, ...]
    tone: Tone = "warn"


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    """Columns that are set to the right."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list; each item with the commands that belong to it."""

    items: tuple[tuple[tuple[Piece, ...], tuple[str, ...]], ...]
    ticks: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG element, and what it says in one line. Everything in it is also in a table or text beside it."""

    svg: str
    words: str


Block = Heading | Paragraph | Callout | Table | Listing | Picture


@dataclass
class Document:
    """Blocks in order; `title` is that of the whole."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def heading(self, text: str, level: int = 2) -> None:
        self.blocks.append(Heading(level, text))

    def text(self, *pieces: Piece) -> None:
        self.blocks.append(Paragraph(pieces))

    def callout(self, *pieces: Piece, tone: Tone = "warn") -> None:
        self.blocks.append(Callout(pieces, tone))

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str = "", numbers: Iterable[int] = ()
    ) -> None:
        """Nothing where there are no rows."""
        made = tuple(tuple(row) for row in rows)
        if made:
            self.blocks.append(Table(tuple(head), made, caption, frozenset(numbers)))

    def listing(self, items: Iterable[tuple[Sequence[Piece], Sequence[str]]], *, ticks: bool = False) -> None:
        made = tuple((tuple(pieces), tuple(commands)) for pieces, commands in items)
        if made:
            self.blocks.append(Listing(made, ticks))

    def picture(self, svg: str, words: str) -> None:
        self.blocks.append(Picture(svg, words))
