"""Numbers and names as a picture shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
ELLIPSIS = "…"


def shown(text: str) -> str:
    """The text with control and format characters made visible: XML cannot hold them, and they reorder what is read."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _HIDDEN else char for char in text
    )


def room(text: str, size: float) -> float:
    """Pixels the text takes at most in letters of `size`, whatever sans-serif font the reader has."""
    cells = 0.0
    for char in text:
        if unicodedata.combining(char):
            continue
        wide = unicodedata.east_asian_width(char) in "WF"
        cells += 1.05 if wide else 0.7 if char.isupper() or char in "mwMW@%—→" else 0.58
    return cells * size


def cut(text: str, size: float, width: float) -> str:
    """As much of the (shown) text as fits into `width` pixels, with an ellipsis where something is missing."""
    text = shown(text)
    if room(text, size) <= width:
        return text
    kept = text
    while kept and room(kept + ELLIPSIS, size) > width:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS


def spoken(seconds: float) -> str:
    """A length of time for people: `42 s`, `6 min 20 s`, `41 min`, `1 h 35 min`, `2 d 3 h`."""
    whole = max(0, round(seconds))
    if whole == 0 and seconds > 0:
        return "under 1 s"
    if whole < 100:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    hours = round(seconds / 3600)
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")


def spread(low: float | None, high: float | None) -> str:
    """` (5 min to 9 min)`, or nothing where there is no spread."""
    if low is None or high is None or spoken(low) == spoken(high):
        return ""
    return f" ({spoken(low)} to {spoken(high)})"


def clock(moment: float, *, seconds: bool = True) -> str:
    """A moment as UTC clock time."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(moment: float) -> str:
    """The UTC date of a moment."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def step(seconds: float, most: int) -> float:
    """Distance between the marks of an axis of that length, so that there are at most `most`."""
    for wide in _STEPS:
        if seconds / wide <= most:
            return wide
    days = 2
    while seconds / (days * 86400) > most:
        days *= 2
    return days * 86400


def ticks(begins: float, ends: float, most: int) -> Iterator[float]:
    """Round places on an axis, the beginning of a period first when it is round itself."""
    wide = step(max(ends - begins, 1e-9), max(1, most))
    count = -(-begins // wide)
    while count * wide <= ends + 1e-9:
        yield count * wide
        count += 1
