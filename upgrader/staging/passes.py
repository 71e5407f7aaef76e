"""What a staging cloud's journal says: did it walk a hop to its end, is it under way, whose data does it hold.

Reads only, through the journal. A walk counts when it was of the same plan and settings, on a copy of this production's
data where that is asked for, and not too long ago; otherwise every reason against it is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from upgrader.config import Site
from upgrader.errors import RefusedError
from upgrader.journal import HopRow, Journal, RunRow, open_journal
from upgrader.journal.place import exists
from upgrader.model import HopPlan, Plan
from upgrader.staging import same
from upgrader.staging.settings import Fingerprint, differences, parse
from upgrader.states import RUN_ENDED, State

COPY_BEGUN, COPY_LOADED = "staging_copy_begun", "staging_copy_loaded"
"""Notes in a staging cloud's journal about production's databases being put there."""
SETTINGS = "settings_digests"
"""Fact of a hop: the fingerprint of the settings it is walked with."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Production's databases on staging, as staging's journal has it."""

    site: str
    lineage: str
    backup_set: str
    release: str
    at: str
    whole: bool
    """False: loading began and did not come to its end."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One hop of staging's newest run."""

    run: RunRow
    hop: HopRow
    plan: Plan

    @property
    def hop_plan(self) -> HopPlan:
        return self.plan.hops[self.hop.index]


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that production asks of staging's journal, read at one moment."""

    lineage: str = ""
    head: str = ""
    """Hash of the last event: stands for staging's whole history."""
    run: RunRow | None = None
    walks: tuple[Walk, ...] = ()
    copies: tuple[Copy, ...] = ()
    """Loads of foreign databases, the newest last."""
    faults: tuple[str, ...] = ()
    """What is wrong with the journal's hash chain."""

    @property
    def open(self) -> bool:
        return self.run is not None and self.run.state not in RUN_ENDED

    def walk_of(self, hop: HopPlan) -> Walk | None:
        return next(
            (walk for walk in self.walks if (walk.hop.source, walk.hop.target) == (hop.source, hop.target)), None
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a walk has to be like to count."""

    site: str
    lineage: str
    hop: HopPlan
    parts: Mapping[str, Any]
    settings: Fingerprint
    overrides: tuple[str, ...]
    """Names of settings and files that are meant to differ."""
    copy: bool
    """The walk has to have been on a copy of this production's databases."""
    max_age_seconds: int
    now: datetime | None = None
    """The moment to judge at; None: the one of judging, for a walk may take hours."""


def standing(staging: Site) -> Standing:
    """Staging's journal. Empty where nothing was ever run. Raises RefusedError when it is another cloud's, and what
    opening it raises."""
    if not exists(staging.state_dir):
        return Standing()
    with open_journal(staging.state_dir, readonly=True) as journal:
        faults = journal.verify()
        snapshot = journal.snapshot(recent=0)
        copies = _copies(journal)
        walks: tuple[Walk, ...] = ()
        if snapshot.run is not None:
            plan = _plan(staging, journal, snapshot.run)
            walks = tuple(Walk(snapshot.run, hop, plan) for hop in snapshot.hops)
    if walks and walks[0].plan.site != staging.name:
        raise RefusedError(
            f"The journal in {staging.state_dir} is of cloud {walks[0].plan.site}, the staging site is {staging.name}.",
            cloud="Nothing was changed, neither here nor on staging.",
            next_command=f"correct [state] dir in {staging.file}",
            reason="staging-journal-foreign",
        )
    return Standing(snapshot.lineage, snapshot.head, snapshot.run, walks, copies, faults)


def _plan(staging: Site, journal: Journal, run: RunRow) -> Plan:
    try:
        return Plan.model_validate_json(json.dumps(journal.plan(run.id)))
    except ValueError:
        raise RefusedError(
            f"The plan of staging's run {run.id[:8]} was made by another upgrader ({run.engine_version or 'unknown'}).",
            cloud="Nothing was changed, neither here nor on staging.",
            next_command=f"upgrader --site {staging.file} status",
            reason="staging-another-version",
        ) from None


def _copies(journal: Journal) -> tuple[Copy, ...]:
    kinds = (f"note.{COPY_BEGUN}", f"note.{COPY_LOADED}")
    return tuple(
        Copy(
            site=str(event.data.get("site", "")),
            lineage=str(event.data.get("lineage", "")),
            backup_set=str(event.data.get("backup_set", "")),
            release=str(event.data.get("release", "")),
            at=event.at,
            whole=event.kind == kinds[1],
        )
        for event in journal.events(kinds=kinds)
    )


def reasons_against(walk: Walk | None, there: Standing, wanted: Wanted, built: same.Built) -> tuple[str, ...]:
    """Why staging's walk of the hop does not speak for the hop here; empty: it does."""
    if walk is None:
        return (f"staging has not walked {wanted.hop.name}",)
    reasons = [f"staging's journal: {fault}" for fault in there.faults[:3]]
    if walk.hop.state is not State.HOP_DONE:
        reasons.append(f"staging's walk of {walk.hop.name} is at {walk.hop.state}, not at its end")
    reasons += _age(walk, wanted)
    reasons += differing(walk, wanted, built)
    reasons += data_of(walk, there, wanted)
    return tuple(reasons)


def differing(walk: Walk, wanted: Wanted, built: same.Built) -> tuple[str, ...]:
    """Where staging's plan and settings are not those here."""
    lines = list(same.differences(wanted.parts, same.parts(walk.plan, walk.hop_plan, built)))
    kept = walk.hop.facts.get(SETTINGS, "")
    found = parse(kept)
    if found is not None:
        lines += differences(wanted.settings, found, wanted.overrides)
    elif walk.hop.state is State.HOP_DONE:
        lines.append("settings: staging's journal does not say which it walked with")
    return tuple(lines)


def _age(walk: Walk, wanted: Wanted) -> list[str]:
    if walk.hop.state is not State.HOP_DONE:
        return []
    ended = when(walk.hop.since)
    age = (wanted.now or datetime.now(UTC)) - ended
    if age < timedelta(seconds=-300):
        return [f"staging's walk ended at {walk.hop.since}, which is in the future: a clock is wrong"]
    if age > timedelta(seconds=wanted.max_age_seconds):
        limit = timedelta(seconds=wanted.max_age_seconds)
        return [f"staging's walk ended {_told(age)} ago, at {walk.hop.since}; it counts for {_told(limit)}"]
    return []


def data_of(walk: Walk, there: Standing, wanted: Wanted) -> list[str]:
    if not wanted.copy:
        return []
    before = [copy for copy in there.copies if when(copy.at) <= when(walk.run.begun_at)]
    last = before[-1] if before else None
    if last is None:
        return [f"staging walked on its own data, not on a copy of {wanted.site}'s"]
    if not last.whole:
        return [f"the copy of {last.site}'s databases was not whole when staging began its walk"]
    if (last.site, last.lineage) != (wanted.site, wanted.lineage):
        return [f"staging walked on a copy of {last.site}'s databases (journal {last.lineage[:8] or 'unknown'})"]
    return []


def holds_copy(there: Standing, site: str, lineage: str, backup_set: str) -> bool:
    """This very backup set is the last thing that was loaded there, whole, and no run was begun after it."""
    last = there.copies[-1] if there.copies else None
    if last is None or not last.whole or (last.site, last.lineage, last.backup_set) != (site, lineage, backup_set):
        return False
    return there.run is None or when(there.run.begun_at) <= when(last.at)


def when(text: str) -> datetime:
    """A time of the journal."""
    return datetime.fromisoformat(text)


def _told(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
