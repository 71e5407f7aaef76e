"""What one kind of container said, host by host, before anybody judges it; readers that trust nothing in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Said:
    """`answers` by host, and by host why there is none. Both empty: no such container runs anywhere."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.answers or self.refused)

    def sorted_out(self) -> Said:
        """The same with answers that are only an `error` among the refusals."""
        bad = {host: text(answer["error"]) for host, answer in self.answers.items() if set(answer) == {"error"}}
        good = {host: answer for host, answer in sorted(self.answers.items()) if host not in bad}
        return Said(good, dict(sorted((self.refused | bad).items())))

    @property
    def error(self) -> str:
        """Refusals in one line; empty when there is none."""
        return "; ".join(f"{host}: {words}" for host, words in sorted(self.refused.items()))


def text(value: Any, limit: int = 300) -> str:
    return str(value)[:limit] if value is not None else ""


def texts(value: Any) -> tuple[str, ...]:
    """A list's members as text; nothing for what is no list."""
    return tuple(text(item) for item in value) if isinstance(value, list) else ()


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def oldest(versions: Iterable[str]) -> str | None:
    """The lowest of version numbers, compared number by number; None when there is none."""
    return min((version for version in versions if version), key=_numbers, default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
