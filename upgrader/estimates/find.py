"""Estimates for a plan: which samples count for which stage, and the baseline where none do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upgrader.estimates.model import DEFAULT_FORKS, Size, baseline, expected, spread
from upgrader.estimates.value import BACK, Estimate
from upgrader.states import FORWARD, SKIPPED_BY_ENGINE

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.model import Plan


def estimates(site: Site, plan: Plan | Mapping[str, Any]) -> tuple[Estimate, ...]:
    """Every stage of every hop of the plan, and of its ways back, in order."""
    return for_plan_only(plan, forks=site.forks, soak=site.soak_seconds)


def for_plan_only(plan: Plan | Mapping[str, Any], *, forks: int = DEFAULT_FORKS, soak: int = 0) -> tuple[Estimate, ...]:
    """The shipped baseline alone."""
    document = plan if isinstance(plan, Mapping) else plan.document()
    return tuple(
        _shipped(name, stage, size_of(document, hop, forks=forks, soak=soak))
        for hop in document["hops"]
        for name, stage in stages_of(hop)
    )


def stages_of(hop: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(hop, stage) of a hop of a plan's document: its stages, then those of the ways back."""
    name = f"{hop['from']}→{hop['to']}"
    planned = [stage["name"] for stage in hop["stages"]]
    for stage in planned or [state.value for state in FORWARD if state not in SKIPPED_BY_ENGINE]:
        yield name, stage
    for stage in BACK:
        yield name, stage


def size_of(plan: Mapping[str, Any], hop: Mapping[str, Any], *, forks: int, soak: int) -> Size:
    """The size of the planned cloud; a typical one where the plan is on paper."""
    rows = [row for row in hop["way_back"] if row.get("enabled") is True]
    known = {row["service"] for row in rows}
    changing = {row["service"] for row in rows if row["changes_schema"] and row.get("database")}
    shipped = baseline()
    return Size(
        hosts=len(plan.get("hosts", ())) or shipped.typical_hosts,
        services=len(known) or shipped.typical_services,
        schemas=len(changing),
        forks=forks,
        soak=soak,
    )


def _shipped(hop: str, stage: str, size: Size) -> Estimate:
    low, high = spread(stage, size)
    return Estimate(hop, stage, round(expected(stage, size)), round(low), round(high), "baseline", 0, baseline().source)
