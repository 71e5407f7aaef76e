"""How long APIs were away when a hop was carried out before: asked on this site, else on its staging cloud.

Where no probe asked, the time that a service's own tasks took in past upgrades bounds what its API may be away.
Reads journals and records; takes no lock. What cannot be read is not known: a document is no place to fail for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.errors import UpgraderError
from upgrader.model import Plan
from upgrader.runbook.document import Downtime, Span
from upgrader.states import State

if TYPE_CHECKING:
    from upgrader.availability import ApiDowntime, Outage
    from upgrader.config import Site
    from upgrader.journal import Journal

_WORKING = (State.BROKER, State.UPGRADE)
"""Stages that take APIs away on purpose."""
BOUND = "the time its tasks took in past upgrades: its API was away for less"


def past_downtimes(site: Site, plan: Plan) -> Mapping[str, tuple[Downtime, ...]]:
    """Hop → what is known of its APIs; hops of which nothing is known are left out."""
    found = dict(_bounds(site, plan))
    places = [(site.state_dir, "history")]
    if (staging := _staging(site)) is not None:
        places.insert(0, (staging, "rehearsal"))
    wanted = {hop.name for hop in plan.hops}
    for state_dir, source in places:
        found |= {hop: rows for hop, rows in _asked(state_dir, source).items() if hop in wanted}
    return found


def _staging(site: Site) -> Path | None:
    from upgrader.config import load_site

    if site.staging is None:
        return None
    try:
        return load_site(site.staging).state_dir
    except UpgraderError:
        return None


def _bounds(site: Site, plan: Plan) -> Iterator[tuple[str, tuple[Downtime, ...]]]:
    from upgrader.estimates.services import by_service

    known = by_service(site, plan)
    for hop in plan.hops:
        services = {row.service for row in hop.way_back if row.database and row.enabled is not False}
        rows = [one for one in known if one.hop == hop.name and one.stage == State.UPGRADE and one.service in services]
        if rows:
            yield (
                hop.name,
                tuple(
                    Downtime(one.service, Span(one.seconds, one.low, one.high, "history", one.samples, BOUND))
                    for one in rows
                ),
            )


def _asked(state_dir: Path, source: str) -> dict[str, tuple[Downtime, ...]]:
    from upgrader.journal import open_journal
    from upgrader.journal.place import exists

    if not exists(state_dir):
        return {}
    found: dict[str, tuple[Downtime, ...]] = {}
    try:
        with open_journal(state_dir, readonly=True) as journal:
            for run in [event.run for event in journal.events(kinds=("run_begun",))]:
                found |= dict(_of_run(journal, state_dir, run, source))  # of several runs the newest counts
    except (UpgraderError, OSError, ValueError, KeyError):
        return found
    return found


def _of_run(journal: Journal, state_dir: Path, run: str, source: str) -> Iterator[tuple[str, tuple[Downtime, ...]]]:
    from upgrader.availability import downtime, folder_of

    folder = folder_of(state_dir, run)
    apis = downtime(folder) if folder.is_dir() else ()
    if not apis:
        return
    for number, hop in enumerate(journal.plan(run)["hops"]):
        times = [
            (datetime.fromisoformat(row.launched_at), datetime.fromisoformat(row.finished_at))
            for row in journal.attempts(run, number)
            if row.stage in _WORKING and row.launched_at and row.finished_at
        ]
        if times:
            note = f"asked by the probe during run {run[:8]}"
            rows = tuple(_away(api, times, source, note) for api in apis)
            yield f"{hop['from']}→{hop['to']}", tuple(sorted(rows, key=lambda row: -(row.span.seconds or 0)))


def _away(api: ApiDowntime, times: list[tuple[datetime, datetime]], source: str, note: str) -> Downtime:
    inside = [outage for outage in api.outages if any(_overlaps(outage, *time) for time in times)]
    low, high = (sum(getattr(outage, name) for outage in inside) for name in ("low", "high"))
    return Downtime(api.api, Span(sum(outage.seconds for outage in inside), low, high, source, 1, note))


def _overlaps(outage: Outage, began: datetime, ended: datetime) -> bool:
    return outage.began <= ended and (outage.ended is None or outage.ended >= began)
