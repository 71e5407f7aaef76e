"""What the record knows of one name, with the words an operator reads: known, unknown, set nowhere, not there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

SHOWN = 60
"""Characters of a value that people are shown."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One name, looked up. `key` is the same where values are the same, so that hosts that agree are judged once."""

    state: Literal["known", "unknown", "undefined", "absent"]
    """undefined: Ansible was asked and nothing sets it; absent: it belongs to a service that does not run here."""
    value: Any
    said: str
    """Known and absent: the evidence. Else: what is missing, and how to make it known."""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """A name whose value differs between hosts, or that every host has for itself."""

    by_host: Mapping[str, Sight]
    otherwise: Sight
    """For hosts of which nothing is told."""

    def at(self, host: str) -> Sight:
        return self.by_host.get(host, self.otherwise)


def known(name: str, value: Any, place: str = "") -> Sight:
    if isinstance(value, float) and not math.isfinite(value):
        return unknown(f"{name} is no number")  # compares false with everything
    text = json.dumps(value, sort_keys=True, default=str)
    where = f" ({plain(place)})" if place else ""
    return Sight("known", value, f"{name} = {shown(value)}{where}", text)


def unknown(said: str) -> Sight:
    return Sight("unknown", None, said, f"?{said}")


def undefined(said: str) -> Sight:
    return Sight("undefined", None, said, "!")


def absent(said: str) -> Sight:
    return Sight("absent", None, said, "-")


def shown(value: Any) -> str:
    """A value for people: short, on one line, nothing in it that a terminal obeys."""
    if isinstance(value, str):
        return plain(value) if value else "''"
    if isinstance(value, (list, tuple)):
        most = 4 if len(value) == 4 else 3
        first = ", ".join(shown(item) for item in value[:most])
        return f"[{first}]" if len(value) <= most else f"[{first} and {len(value) - most} more]"
    return plain(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))


def plain(text: str, most: int = SHOWN) -> str:
    """One line of printable text, cut in the middle of nothing: what is too long ends in `…`."""
    cut = text[: most + 1]
    flat = "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in cut)
    return flat if len(text) <= most else f"{flat[: most - 1]}…"


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a, b, c and 17 more`."""
    all_ = list(names)
    return ", ".join(all_) if len(all_) <= most else f"{', '.join(all_[: most - 1])} and {len(all_) - most + 1} more"
