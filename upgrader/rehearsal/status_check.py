"""The table that a service's own `status upgrade check` prints → (check, result, details)."""

from __future__ import annotations

import re

_CHECK = re.compile(r"^\|\s*Check:\s*(.+?)\s*\|$")
_RESULT = re.compile(r"^\|\s*Result:\s*(.+?)\s*\|$")
_DETAILS = re.compile(r"^\|\s*Details:\s*(.+?)\s*\|$")
_MORE = re.compile(r"^\|\s*(.+?)\s*\|$")


def read_checks(text: str) -> tuple[tuple[str, str, str], ...]:
    """Every check of the table, in order. Lines that belong to no check are left out."""
    found: list[tuple[str, str, str]] = []
    for line in map(str.strip, text.splitlines()):
        if match := _CHECK.match(line):
            found.append((match[1], "", ""))
        elif found and (match := _RESULT.match(line)):
            found[-1] = (found[-1][0], match[1], "")
        elif found and (match := _DETAILS.match(line)):
            found[-1] = (*found[-1][:2], match[1])
        elif found and found[-1][2] and (match := _MORE.match(line)):
            found[-1] = (*found[-1][:2], f"{found[-1][2]} {match[1]}")
    return tuple(found)
