"""Text that is safe to print anywhere: no control characters, and only characters the stream can take.

What hosts say is shown, never interpreted: an escape sequence in a host name must not reach the terminal.
"""

from __future__ import annotations

import unicodedata

# ruff: noqa: RUF001 - the look-alikes are the point of the table
_ASCII = {
    "→": "->", "─": "-", "━": "-", "═": "=", "│": "|", "·": "-", "…": "...", "✗": "x", "✓": "v",
    "≥": ">=", "≤": "<=", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "×": "x", "█": "#", "░": ".",
}  # fmt: skip


def safe(text: str) -> str:
    """Control and format characters (also bidirectional overrides) made visible as `\\x1b`, `\\u202e`; newlines too."""
    if text.isprintable():
        return text
    return "".join(char if not _is_control(char) else char.encode("unicode_escape").decode() for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def fit(text: str, encoding: str | None) -> str:
    """The text with what `encoding` cannot say replaced by ASCII of the same meaning."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        swapped = "".join(_ASCII.get(char, char) for char in text)
        return swapped.encode("ascii", "backslashreplace").decode()
    return text
