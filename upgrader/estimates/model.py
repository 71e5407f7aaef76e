"""The shipped baseline: seconds of a stage from the size of a cloud, and the same model as the scale between sizes.

The figures and where they come from are in baseline.toml beside this file.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("baseline.toml")
DEFAULT_FORKS = 10
_SOAK = "soak"


@dataclass(frozen=True, slots=True)
class Size:
    """What the time of a stage depends on."""

    hosts: int
    services: int
    schemas: int = 0
    """Services whose schema the hop changes."""
    forks: int = DEFAULT_FORKS
    soak: int = 0
    """Seconds that a hop is watched for, as configured."""
    migrations: float | None = None
    """Seconds of all migrations, where they were measured; they stand in for the model's."""
    restore: float | None = None
    """The same of loading the databases."""

    @property
    def waves(self) -> int:
        """How often Ansible goes round until a task has run on every host."""
        return max(1, math.ceil(self.hosts / max(1, self.forks)))


@dataclass(frozen=True, slots=True)
class Line:
    """One stage of the baseline: seconds, and factors for the range."""

    fixed: float
    service: float
    wave: float
    service_wave: float
    schema: float
    restore: float
    low: float
    high: float

    def seconds(self, size: Size) -> float:
        return (
            self.fixed
            + self.service * size.services
            + self.wave * size.waves
            + self.service_wave * size.services * size.waves
            + (self.schema * size.schemas if size.migrations is None or not self.schema else size.migrations)
            + (self.restore if size.restore is None or not self.restore else size.restore)
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    source: str
    """Where the figures come from, in a sentence that is shown with them."""
    typical_services: int
    """Where nothing is known of a cloud's services."""
    typical_hosts: int
    lines: Mapping[str, Line]


@cache
def baseline() -> Baseline:
    """The shipped data. Raises KeyError or ValueError when they are damaged: a defect of the package."""
    document: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    keys = ("fixed", "service", "wave", "service_wave", "schema", "restore", "low", "high")
    lines = {name: Line(*(float(row.get(key, 0)) for key in keys)) for name, row in document["stage"].items()}
    about, typical = document["about"], document["typical"]
    return Baseline(str(about["source"]), int(typical["services"]), int(typical["hosts"]), lines)


def expected(stage: str, size: Size) -> float:
    """Seconds of a stage as the model has them; at least one."""
    line = baseline().lines[stage]
    return max(1.0, line.seconds(size) + (size.soak if stage == _SOAK else 0))


def spread(stage: str, size: Size) -> tuple[float, float]:
    """Low and high seconds; what is configured does not spread."""
    line = baseline().lines[stage]
    fixed = size.soak if stage == _SOAK else 0
    free = max(1.0, line.seconds(size))
    return fixed + free * line.low, fixed + free * line.high
