"""How long each service of the cloud took within a stage, and will take: out of what past attempts reported.

Ansible's roles are kolla-ansible's services. A task lasts until the next thing the attempt reported. Attempts count
that `past` counts, and whose folder is still there; one whose own clock jumped meanwhile does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.estimates.find import OTHER_HOP, OTHER_SIZE
from upgrader.estimates.model import expected
from upgrader.estimates.past import Sample, samples
from upgrader.estimates.robust import robust
from upgrader.estimates.size import size_of
from upgrader.states import State

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.model import Plan

_STAGES = (State.UPGRADE.value, State.ROLLBACK_REDEPLOY.value, State.ROLLBACK_RESTORE.value)
_JUMPED = 0.2
"""The reported times may differ from the supervisor's by so much; more, and a clock was set."""


@dataclass(frozen=True, slots=True)
class ServiceEstimate:
    """One service within one stage of a hop, in seconds."""

    hop: str
    stage: str
    service: str
    seconds: int
    low: int
    high: int
    samples: int
    note: str = ""


def by_service(site: Site, plan: Plan | Mapping[str, Any]) -> tuple[ServiceEstimate, ...]:
    """Of every hop of the plan, what was ever measured of its services; nothing is guessed where nothing was."""
    document = plan if isinstance(plan, Mapping) else plan.document()
    kept = [
        (sample, took)
        for sample in samples(site.state_dir, forks=site.forks)
        if sample.stage in _STAGES and (took := took_of(site.state_dir, sample))
    ]
    found = []
    for hop in document["hops"]:
        size = replace(size_of(document, hop, forks=site.forks, soak=0), soak=0)
        name = f"{hop['from']}→{hop['to']}"
        for stage in _STAGES:
            rows = [row for row in kept if row[0].stage == stage]
            own = [row for row in rows if row[0].hop == name]
            ratio = [expected(stage, size) / expected(stage, sample.size) for sample, _ in own or rows]
            found += _estimates(name, stage, own or rows, ratio, same=bool(own))
    return tuple(found)


def _estimates(
    hop: str, stage: str, rows: Sequence[tuple[Sample, Mapping[str, float]]], ratio: Sequence[float], *, same: bool
) -> list[ServiceEstimate]:
    found = []
    for service in sorted({name for _, took in rows for name in took}):
        seconds = [took[service] * part for (_, took), part in zip(rows, ratio, strict=True) if service in took]
        far = max(abs(math.log(part)) for part in ratio)
        made = robust(seconds, doubt=math.hypot(0.0 if same else OTHER_HOP, OTHER_SIZE * far))
        note = "this hop on this site" if same else "other hops on this site"
        found.append(
            ServiceEstimate(
                hop, stage, service, round(made.middle), round(made.low), round(made.high), len(seconds), note
            )
        )
    return found


def took_of(state_dir: Path, sample: Sample) -> Mapping[str, float]:
    """Seconds by service of one attempt; empty where its folder is gone, or its times do not add up."""
    from upgrader import attempts

    lines = attempts.read_progress(attempts.folder_of(state_dir, sample.attempt), 0)[0]
    took = seconds_by_role(lines)
    whole = sum(took.values())
    told = {role: seconds for role, seconds in took.items() if role}
    return told if abs(whole - sample.seconds) <= _JUMPED * sample.seconds + 1 else {}


def seconds_by_role(lines: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Of every line until the next, by the role that was at work; `""`: none was."""
    took: dict[str, float] = {}
    role, since = "", None
    for line in lines:
        try:
            at = datetime.fromisoformat(str(line.get("at", "")))
        except ValueError:
            continue
        if since is not None:
            took[role] = took.get(role, 0.0) + (at - since).total_seconds()
        since = at
        if line.get("kind") in ("step_start", "step_end", "play_start"):
            role = ""
        elif line.get("kind") == "task_start":
            role = str(line.get("role", ""))
    return took
