"""An estimate, and sums of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from upgrader.states import INFO, State

Source = Literal["history", "rehearsal", "baseline"]
_WORST: tuple[Source, ...] = ("history", "rehearsal", "baseline")
BACK = (State.ROLLBACK_REDEPLOY.value, State.ROLLBACK_RESTORE.value, State.VERIFY_OLD.value)
"""Stages of the ways back, which are in no plan's list of stages."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a stage takes: the middle, and the range that eight of ten should lie in."""

    hop: str
    """`2024.1→2024.2`."""
    stage: str
    seconds: int
    low: int
    high: int
    source: Source
    samples: int
    """Past attempts it rests on; 0 for the baseline."""
    note: str = ""


def of(found: Iterable[Estimate], hop: str, stage: str) -> Estimate | None:
    """The estimate of one stage of one hop."""
    return next((one for one in found if (one.hop, one.stage) == (hop, stage)), None)


def total(found: Iterable[Estimate], hop: str, stages: Sequence[str]) -> Estimate:
    """The stages one after the other. Ranges are added as those of independent times; the source is the weakest one."""
    parts = [one for one in found if one.hop == hop and one.stage in stages]
    middle = sum(one.seconds for one in parts)
    below = math.sqrt(sum((one.seconds - one.low) ** 2 for one in parts))
    above = math.sqrt(sum((one.high - one.seconds) ** 2 for one in parts))
    source: Source = max((one.source for one in parts), key=_WORST.index, default="baseline")
    samples = min((one.samples for one in parts), default=0)
    name = "+".join(one.stage for one in parts)
    return Estimate(hop, name, middle, max(0, round(middle - below)), round(middle + above), source, samples)


def in_window(found: Sequence[Estimate], hop: str) -> Estimate:
    """All stages of the hop that belong into the window."""
    return total(found, hop, [one for one in _forward(found, hop) if INFO[State(one)].when == "window"])


def before_window(found: Sequence[Estimate], hop: str) -> Estimate:
    """All stages of the hop that may run days ahead."""
    return total(found, hop, [one for one in _forward(found, hop) if INFO[State(one)].when == "before"])


def way_back(found: Sequence[Estimate], hop: str, way: str) -> Estimate:
    """Going back from the hop's upgrade, `redeploy` or `restore`, and verifying the old release."""
    stage = State.ROLLBACK_RESTORE if way == "restore" else State.ROLLBACK_REDEPLOY
    return total(found, hop, (stage.value, State.VERIFY_OLD.value))


def _forward(found: Sequence[Estimate], hop: str) -> list[str]:
    return [one.stage for one in found if one.hop == hop and one.stage not in BACK]


def documents(found: Iterable[Estimate]) -> list[Mapping[str, Any]]:
    """For JSON, in order."""
    return [asdict(one) for one in found]
