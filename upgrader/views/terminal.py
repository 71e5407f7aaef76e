"""Where a page goes: in colour to a terminal, plain to a pipe, and never a broken character."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from upgrader.views.page import WIDTH, Page, Tone, draw, plain_text
from upgrader.views.plain import fit

if TYPE_CHECKING:
    from rich.text import Text

_STYLES: dict[Tone, str] = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "strong": "bold",
    "dim": "dim",
    "command": "bold cyan",
}


def in_colour(stream: TextIO, wanted: bool = True) -> bool:
    """Colour only on a terminal that takes it, and only when nobody said no (--no-color, NO_COLOR, TERM=dumb)."""
    return (
        wanted and stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("dumb", "")
    )


def width_of(stream: TextIO) -> int | None:
    """Columns to wrap at; None in a pipe, where a line stays a line."""
    if not stream.isatty():
        return None
    return max(40, shutil.get_terminal_size((WIDTH, 24)).columns)


def show(page: Page, stream: TextIO | None = None, *, color: bool = True) -> None:
    """Write the page as the stream can take it."""
    out = stream or sys.stdout
    width = width_of(out)
    if not in_colour(out, color):
        out.write(plain_text(page, width=width, encoding=out.encoding))
        return
    out.write(coloured(page, width or WIDTH, out.encoding))


def coloured(page: Page, width: int, encoding: str | None = "utf-8") -> str:
    """The page with the terminal's colour codes (eight colours: readable on light and dark)."""
    from io import StringIO

    from rich.console import Console

    buffer = StringIO()
    console = Console(file=buffer, force_terminal=True, color_system="standard", width=width, legacy_windows=False)
    for line in draw(page, width):
        console.print(_text(line, encoding), soft_wrap=True, end="\n")
    return buffer.getvalue()


def _text(line: tuple[object, ...], encoding: str | None) -> Text:
    from rich.text import Text

    from upgrader.views.page import Span

    text = Text()
    for span in line:
        if isinstance(span, Span):
            text.append(fit(span.text, encoding), style=_STYLES.get(span.tone, ""))
    text.rstrip()
    return text
