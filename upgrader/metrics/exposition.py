"""Prometheus' text format, version 0.0.4: families with HELP and TYPE, labels escaped, a newline at the end. Pure.

Without timestamps: node_exporter's textfile collector refuses a file that has any (prometheus/node_exporter #769).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_METRIC = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
_LABEL = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples. Raises ValueError for what the format does not allow."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[tuple[Labels, float], ...] = ()

    def __post_init__(self) -> None:
        if not _METRIC.match(self.name) or (self.kind == "counter") != self.name.endswith("_total"):
            raise ValueError(f"not the name of a {self.kind}: {self.name!r}")
        known: set[Labels] = set()
        for labels, _ in self.samples:
            names = [name for name, _ in labels]
            if len(set(names)) != len(names) or not all(_LABEL.match(name) for name in names):
                raise ValueError(f"{self.name}: not labels: {names}")
            if labels in known:
                raise ValueError(f"{self.name}: the same sample twice: {labels}")
            known.add(labels)


def exposition(families: Iterable[Family]) -> str:
    """The whole text. A family without samples is left out."""
    return "".join(line for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {_escape(family.help)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for labels, value in family.samples:
        inside = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels)
        yield f"{family.name}{f'{{{inside}}}' if inside else ''} {_number(value)}\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    # what is no text at all (a lone surrogate out of a file name) would make the whole file unreadable
    sound = text.encode("utf-8", "replace").decode()
    return _escape(sound).replace('"', r"\"")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
