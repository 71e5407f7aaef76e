"""Estimates for a plan: which samples count for which stage, and the baseline where none do."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from upgrader.errors import UpgraderError
from upgrader.estimates.copies import Measured, measured
from upgrader.estimates.model import DEFAULT_FORKS, Size, baseline, expected, spread
from upgrader.estimates.past import Sample, samples
from upgrader.estimates.robust import robust
from upgrader.estimates.size import size_of
from upgrader.estimates.value import BACK, Estimate, Source
from upgrader.states import FORWARD, SKIPPED_BY_ENGINE, State

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.model import Plan

OTHER_HOP = 0.35
"""Doubt (standard deviation of logarithms) about a hop between other releases: it may change more, or less."""
OTHER_PLACE = 0.25
"""The same about a staging cloud: other hardware."""
OTHER_SIZE = 0.3
"""The same for every factor e between the sizes: the model that scales is an assumption."""
OTHER_STAGE = 0.4
"""The same about a way back that is known from the way forward alone."""
_SAME = 0.02
_LIKE = {
    State.ROLLBACK_REDEPLOY.value: State.UPGRADE.value,
    State.ROLLBACK_RESTORE.value: State.UPGRADE.value,
    State.VERIFY_OLD.value: State.VERIFY.value,
}
"""Ways back are the way forward's playbooks: where none was measured, the model's ratio between the two tells."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything measured that may count."""

    here: Sequence[Sample] = ()
    staging: Sequence[Sample] = ()
    copies: Mapping[str, Sequence[Measured]] = field(default_factory=dict)


def estimates(
    site: Site, plan: Plan | Mapping[str, Any], *, only: Collection[tuple[str, str]] | None = None
) -> tuple[Estimate, ...]:
    """Every stage of every hop of the plan, and of its ways back, in order. Raises nothing for what cannot be read.

    `only`: (hop, stage) of those that are wanted, also where the plan does not foresee the stage.
    """
    known = Known(samples(site.state_dir, forks=site.forks), of_staging(site), measured(site.state_dir))
    return with_known(plan, known, forks=site.forks, soak=site.soak_seconds, only=only)


def for_plan_only(plan: Plan | Mapping[str, Any], *, forks: int = DEFAULT_FORKS, soak: int = 0) -> tuple[Estimate, ...]:
    """The shipped baseline alone."""
    return with_known(plan, Known(), forks=forks, soak=soak)


def with_known(
    plan: Plan | Mapping[str, Any],
    known: Known,
    *,
    forks: int,
    soak: int,
    only: Collection[tuple[str, str]] | None = None,
) -> tuple[Estimate, ...]:
    """Pure: the same plan and the same past give the same figures."""
    document = plan if isinstance(plan, Mapping) else plan.document()
    found = []
    for hop in document["hops"]:
        size = size_of(document, hop, forks=forks, soak=soak)
        name = f"{hop['from']}→{hop['to']}"
        wanted = stages_of(hop) if only is None else (one for one in only if one[0] == name)
        found += [_one(name, stage, size, known) for _, stage in wanted]
    return tuple(found)


def stages_of(hop: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(hop, stage) of a hop of a plan's document: its stages, then those of the ways back."""
    name = f"{hop['from']}→{hop['to']}"
    planned = [stage["name"] for stage in hop["stages"]]
    for stage in planned or [state.value for state in FORWARD if state not in SKIPPED_BY_ENGINE]:
        yield name, stage
    for stage in BACK:
        yield name, stage


def of_staging(site: Site) -> tuple[Sample, ...]:
    """What stages took on the site's staging cloud; nothing without one, or where its site file cannot be read."""
    if site.staging is None:
        return ()
    from upgrader.config import load_site

    try:
        staging = load_site(site.staging)
    except UpgraderError:
        return ()
    return samples(staging.state_dir, forks=staging.forks)


# ---------------------------------------------------------------- one stage


def _one(hop: str, stage: str, size: Size, known: Known) -> Estimate:
    for like in (stage, *([_LIKE[stage]] if stage in _LIKE else [])):
        for rows, source, what, doubt in _choices(hop, like, known):
            if rows and like == stage:
                return _measured(hop, stage, size, rows, source, what, doubt)
            if rows:
                note = f"from {like} ({what}); no {stage.replace('_', ' ')} was measured"
                return _measured(hop, stage, size, rows, source, note, math.hypot(doubt, OTHER_STAGE))
    copies = known.copies.get(hop, ())
    if copies and stage == State.REHEARSE:
        return _rehearse(hop, copies)
    return _shipped(hop, stage, size, copies[-1] if copies else None)


def _choices(hop: str, stage: str, known: Known) -> tuple[tuple[list[Sample], Source, str, float], ...]:
    """What may be measured, the best first: (samples, source, what they are of, doubt)."""

    def fitting(rows: Sequence[Sample], *, same: bool) -> list[Sample]:
        return [row for row in rows if row.stage == stage and (row.hop == hop) is same]

    return (
        (fitting(known.here, same=True), "history", "this hop on this site", 0.0),
        (fitting(known.staging, same=True), "rehearsal", "this hop on the staging cloud", OTHER_PLACE),
        (fitting(known.here, same=False), "history", "other hops on this site", OTHER_HOP),
    )


def _measured(
    hop: str, stage: str, size: Size, rows: Sequence[Sample], source: Source, what: str, doubt: float
) -> Estimate:
    now = replace(size, soak=0)
    factors = [_factor(row, stage, now) for row in rows]
    scaled = [row.seconds * factor for row, factor in zip(rows, factors, strict=True)]
    far = max(abs(math.log(_factor(row, row.stage, now))) for row in rows)
    found = robust(scaled, doubt=math.hypot(doubt, OTHER_SIZE * far))
    hosts = sorted({row.size.hosts for row in rows})
    note = what
    if any(row.size.hosts != size.hosts for row in rows):
        note += f"; measured on {_hosts(hosts)}, scaled to {size.hosts}"
    elif far > _SAME:
        note += "; scaled to this cloud's services and forks"
    return Estimate(hop, stage, round(found.middle), round(found.low), round(found.high), source, len(rows), note)


def _factor(row: Sample, stage: str, now: Size) -> float:
    """By the baseline's model: how much longer the stage takes on the planned cloud than the sample did."""
    return expected(stage, now) / expected(row.stage, row.size)


def _hosts(counts: Sequence[int]) -> str:
    words = ", ".join(str(count) for count in counts)
    return f"{words} host{'s' if counts != [1] else ''}"


def _rehearse(hop: str, copies: Sequence[Measured]) -> Estimate:
    found = robust([one.whole for one in copies])
    note = f"rehearsed on a copy, last {copies[-1].id}"
    return Estimate(
        hop, State.REHEARSE.value, round(found.middle), round(found.low), round(found.high), "rehearsal",
        len(copies), note,
    )  # fmt: skip


def _shipped(hop: str, stage: str, size: Size, copy: Measured | None) -> Estimate:
    note = baseline().source
    line = baseline().lines[stage]
    if copy is not None and line.schema:
        size = replace(size, migrations=copy.migrations)
        note += f"; in it {round(copy.migrations)} s of migrations, measured on a copy ({copy.id})"
    if copy is not None and line.restore:
        size = replace(size, restore=copy.restore)
        note += f"; in it {round(copy.restore)} s of loading databases, measured on a copy ({copy.id})"
    if stage == State.SOAK and size.soak:
        note = f"as configured: [run] soak; checks: {note}"
    low, high = spread(stage, size)
    return Estimate(hop, stage, round(expected(stage, size)), round(low), round(high), "baseline", 0, note)
