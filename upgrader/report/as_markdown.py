"""The document as Markdown (CommonMark with GitHub's tables). Text that came from elsewhere never becomes markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from upgrader.report.blocks import (
    Callout,
    Cell,
    Code,
    Document,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Piece,
    Table,
    Word,
)

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_LINKS = re.compile(r"://|(?i:www)\.|@")
_LINKED = {"://": "&#58;//", "@": "&#64;"}
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def markdown_text(document: Document) -> str:
    """The whole text, closed with a newline. Pictures are left out: what they show stands in the tables."""
    parts = [f"# {escaped(document.title)}", *(part for block in document.blocks if (part := _block(block)))]
    return "\n\n".join(parts) + "\n"


def _block(block: object) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {escaped(block.text)}"
    if isinstance(block, Paragraph):
        return _safe_start(_pieces(block.pieces))
    if isinstance(block, Callout):
        return f"> **{_pieces(block.pieces)}**"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Listing):
        return _listing(block)
    assert isinstance(block, Picture)  # noqa: S101 - there is no other
    return ""


def visible(text: str) -> str:
    """One line without control and format characters, which are shown as `\\x1b`."""
    flat = " ".join(text.split("\n")) if "\n" in text else text
    if flat.isprintable():
        return flat
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _HIDDEN else char for char in flat
    )


def escaped(text: str) -> str:
    """The text so that no character of it is markup, a link or a mention."""
    told = visible(text).replace("&", "&amp;")
    told = _MARKUP.sub(lambda found: {"<": "&lt;", ">": "&gt;"}.get(found[1], f"\\{found[1]}"), told)
    return _LINKS.sub(lambda found: _LINKED.get(found[0], f"{found[0][:-1]}&#46;"), told)


def _code(text: str, *, in_table: bool = False) -> str:
    told = visible(text)
    if in_table and "\\|" in told:
        return escaped(text)  # in a cell no code span can hold a backslash before a bar
    longest = max((len(run) for run in re.findall(r"`+", told)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if told.startswith("`") or told.endswith("`") or not told.strip() else ""
    told = told.replace("|", "\\|") if in_table else told
    return f"{fence}{pad}{told}{pad}{fence}" if told else ""


def _piece(piece: Piece, *, in_table: bool = False) -> str:
    if isinstance(piece, Code):
        return _code(piece.text, in_table=in_table)
    return escaped(piece.text if isinstance(piece, Word) else piece)


def _pieces(pieces: Iterable[Piece], *, in_table: bool = False) -> str:
    return "".join(_piece(piece, in_table=in_table) for piece in pieces)


def _cell(cell: Cell) -> str:
    return _pieces(cell, in_table=True) if isinstance(cell, tuple) else _piece(cell, in_table=True)


def _safe_start(line: str) -> str:
    """A line that begins as a list, a heading or a rule would is kept text."""
    found = re.match(r"\s*(\d+)([.)])(\s|$)", line)
    if found:
        return line[: found.start(2)] + "\\" + line[found.start(2) :]
    return re.sub(r"^(\s*)([-+=])", r"\1\\\2", line)


def _table(table: Table) -> str:
    rule = ["---:" if at in table.numbers else "---" for at in range(len(table.head))]
    rows = [tuple(escaped(word) for word in table.head), tuple(rule), *(tuple(map(_cell, row)) for row in table.rows)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*([f"*{escaped(table.caption)}*", ""] if table.caption else []), *lines])


def _listing(listing: Listing) -> str:
    lines = []
    for pieces, commands in listing.items:
        lines.append(f"- {'[ ] ' if listing.ticks else ''}{_safe_start(_pieces(pieces))}")
        lines += [f"  {_code(command)}  " for command in commands]
    return "\n".join(lines)
