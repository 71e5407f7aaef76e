"""Whether whole hops fit into the windows to come: for those who plan them, days before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from upgrader.estimates.value import Estimate, in_window, way_back
from upgrader.states import State
from upgrader.window import Window, WindowRules, windows

_LOOKED_AT = 100
"""Windows to come that are looked at for one that is long enough."""


@dataclass(frozen=True, slots=True)
class HopFit:
    """One hop against the next window that is long enough for it, the ones before it taken by the hops before."""

    hop: str
    need: Estimate
    """Every stage that belongs into the window."""
    back: Estimate
    """Kept free for going back from the upgrade."""
    window: Window | None
    """None: no window to come is long enough."""
    worst: bool
    """It fits at the high ends of both ranges too."""

    @property
    def seconds(self) -> int:
        return self.need.seconds + self.back.seconds


def hop_fits(
    rules: WindowRules, now: datetime, plan: Mapping[str, Any], found: Sequence[Estimate]
) -> tuple[HopFit, ...]:
    """Every hop of the plan's document, each in a window of its own, one after the other."""
    rows: list[HopFit] = []
    coming = list(islice(windows(rules, now), _LOOKED_AT))
    for hop in plan["hops"]:
        name = f"{hop['from']}→{hop['to']}"
        need, back = in_window(found, name), way_back(found, name, way_of(hop))
        wanted = need.seconds + back.seconds
        index = next((number for number, one in enumerate(coming) if _free(one, now) >= wanted), None)
        window = None if index is None else coming[index]
        rows.append(HopFit(name, need, back, window, bool(window) and _free(window, now) >= need.high + back.high))
        if index is not None and not coming[index].endless:
            coming = coming[index + 1 :]
    return tuple(rows)


def _free(window: Window | None, now: datetime) -> int:
    return int((window.ends - max(window.begins, now)).total_seconds()) if window else 0


def way_of(hop: Mapping[str, Any]) -> str:
    """`restore` or `redeploy`: the most that going back from the hop's upgrade can take, by the plan's document."""
    stages: Iterable[Mapping[str, Any]] = hop["stages"]
    planned = [stage["way_back"] for stage in stages if stage["name"] == State.UPGRADE]
    if planned:
        return "redeploy" if planned[0] == "redeploy" else "restore"
    rows = [row for row in hop["way_back"] if row.get("enabled") is not False]
    return "restore" if any(row["way"] in ("restore", "forward-only") for row in rows) else "redeploy"
