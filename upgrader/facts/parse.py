"""What the scripts of this package print, cut into sections and objects. Pure.

Owns the tolerance they all need: terminals add carriage returns and colours, and one broken line must not cost the
others. What a section means is in host.py, server.py and records.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_JUNK = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
"""Terminal sequences and control characters, tab and line ends excepted."""


@dataclass
class Sections:
    """The printed sections by name, and what the script says it could not read."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> list[str]:
        return self.lines.get(name, [])

    def read(self, name: str) -> bool:
        """Whether the question was asked and answered; an empty answer is one."""
        return name in self.lines and name not in self.failed


def sections(text: str) -> Sections:
    """Split a script's output at its `@@name` lines; whatever comes before the first one is noise.

    Lines end with a line feed only: other separators that Unicode knows may be part of a hostile label.
    """
    found = Sections()
    current: list[str] | None = None
    for raw in text.split("\n"):
        line = clean(raw.rstrip("\r"))
        if line.startswith("@@failed "):
            _, what, words = (*line.split(" ", 2), "")[:3]
            found.failed[what] = words.strip() or "no words were given"
        elif line.startswith("@@"):
            current = found.lines.setdefault(line[2:].strip(), [])
        elif current is not None and line.strip():
            current.append(line)
    return found


def clean(text: str) -> str:
    """The text without terminal sequences and control characters; tabs stay, they part columns."""
    return _JUNK.sub("", text)


def first_object(lines: Iterable[str]) -> Mapping[str, Any]:
    """The object in these lines: docker prints it on one, podman over many. Empty when there is none."""
    text = "\n".join(lines)
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def object_of(line: str) -> dict[str, Any] | None:
    """The one object of a line, whatever stands before it."""
    start = line.find("{")
    if start < 0:
        return None
    try:
        found = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def pairs(lines: Iterable[str]) -> dict[str, str]:
    """`NAME<TAB>VALUE` lines; the last of a name counts."""
    return dict(line.split("\t", 1) for line in lines if "\t" in line)
