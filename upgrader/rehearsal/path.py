"""The whole way on one copy: restore, then hop after hop with the real migrations; and the restore tried once more.

Owns the order, what is kept (the report and the programs' words) and what is removed (the copy, keys, settings).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from upgrader.database import questions
from upgrader.database.manifest import now
from upgrader.database.throwaway import Server
from upgrader.errors import RefusedError
from upgrader.graph import Hop, ReleaseGraph
from upgrader.rehearsal import copies
from upgrader.rehearsal.hop import rehearse_hop
from upgrader.rehearsal.programs import By, Cancelled, Programs
from upgrader.rehearsal.report import HopRehearsal, Rehearsal, ServiceResult, WayBackTrial
from upgrader.rehearsal.source import CopySource, release_in
from upgrader.rehearsal.trial import LIMIT, Say, Trial

COPIES = ".copies"
"""Beside the rehearsals' folders; what a killed one left there is removed by the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be rehearsed. `programs(release)` gives a release's programs, not entered yet."""

    graph: ReleaseGraph
    source: CopySource
    folder: Path
    """Made for this rehearsal; its name is the rehearsal's id."""
    programs: Callable[[str], AbstractContextManager[Programs]]
    by: By = "environment"
    site: str = ""
    plan: str = ""
    start: str = ""
    """Release the copy is at, if the operator says it; else the set or its heads say."""
    target: str = ""
    """Up to which release; empty: one hop."""
    workers: int = 0
    limit: float = LIMIT
    restore_again: bool = True
    """Try the way back of what needs a restore by restoring once more; costs as much as the first restore."""
    say: Say = lambda _line: None
    cancelled: Cancelled = lambda: False


@dataclass
class _Copy:
    """The copy as it was restored, before anything was changed in it."""

    server: Server
    structure: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)


def rehearse(job: Job) -> Rehearsal:
    """Rehearse every hop of the way, up to the first in which a service fails.

    Raises RefusedError (no way, or a copy that cannot be made safe), EnvironmentMissingError (no MariaDB, no isolation,
    no environment), RehearsalCanceled; nothing but the rehearsal's folder is changed.
    """
    began = time.monotonic()
    manifest = job.source.manifest()
    job.say(f"restoring {(job.source.folder or job.source.dump or Path()).name} into a throwaway server")
    with job.source.opened(job.folder.parent / COPIES) as server:
        restored = round(time.monotonic() - began, 1)
        start, how = release_in(server, job.graph, job.start, manifest.release if manifest else "")
        hops = _way(job, start)
        before = _look(server)
        rows = sum(before.rows.values())
        job.say(f"{len(before.heads)} databases with {rows} rows, {start} ({how}); {restored:.0f} s")
        done = _hops(job, server, hops)
        version = server.programs.version
    if job.restore_again:
        done = _restored_again(job, before, done)
    return Rehearsal.model_validate(
        {
            "id": job.folder.name,
            "site": job.site,
            "from": start,
            "to": hops[-1].target,
            "by": job.by,
            "plan": job.plan,
            "backup_set": str(job.source.folder or ""),
            "dump": str(job.source.dump or ""),
            "known_by": how,
            "made_at": now(),
            "server_version": version,
            "databases": tuple(sorted({table.partition(".")[0] for table in before.structure})),
            "tables": len(before.structure),
            "rows": rows,
            "restore_seconds": restored,
            "seconds": round(time.monotonic() - began, 1),
            "hops": tuple(done),
        }
    )


def _way(job: Job, start: str) -> Sequence[Hop]:
    """Raises RefusedError when there is no hop to try."""
    if job.target:
        hops = job.graph.path(start, job.graph.release(job.target).id)
    else:
        following = job.graph.next_hop(start)
        hops = (following,) if following else ()
    if not hops:
        raise RefusedError(
            f"There is no hop from {start} to {job.target or 'a newer release'}.",
            cloud="Only the copy was touched.",
            next_command="upgrader graph",
            reason="no-hop",
        )
    return hops


def _look(server: Server) -> _Copy:
    names = questions.databases(server)
    return _Copy(
        server, copies.structure(server, names), questions.row_counts(server, names), questions.heads(server, names)
    )


def _hops(job: Job, server: Server, hops: Sequence[Hop]) -> list[HopRehearsal]:
    done: list[HopRehearsal] = []
    keys = job.source.keys(job.graph)
    old = job.programs(hops[0].source)
    for number, hop in enumerate(hops, start=1):
        new = job.programs(hop.target)
        job.say(f"hop {number} of {len(hops)}: {hop.source} → {hop.target}")
        # entered anew for every hop: what a release's programs were loaded into is memory that nobody needs longer
        with old as before, new as after:
            trial = Trial(
                server, job.graph, job.folder / f"{hop.source}-{hop.target}", before, after, keys,
                workers=job.workers, limit=job.limit, say=job.say, cancelled=job.cancelled,
            )  # fmt: skip
            done.append(rehearse_hop(trial, hop))
        if not done[-1].passed:
            break
        old = job.programs(hop.target)
    return done


# ---------------------------------------------------------------- the restore, tried again


def _restored_again(job: Job, before: _Copy, done: list[HopRehearsal]) -> list[HopRehearsal]:
    """Restore once more and compare, for the services of the first hop whose way back is a restore.

    Later hops have a set of their own, taken when it is their turn; that one cannot be tried now.
    """
    wanted = [service for service in done[0].services if service.way_back.way == "restore"] if done else []
    if not wanted:
        return done
    job.say(f"restoring again: the way back of {', '.join(service.service for service in wanted)}")
    began = time.monotonic()
    with job.source.opened(job.folder.parent / COPIES) as server:
        seconds = round(time.monotonic() - began, 1)
        now_there = _look(server)
    first = tuple(
        service.model_copy(update={"way_back": _compared(service, before, now_there, seconds)})
        if service in wanted
        else service
        for service in done[0].services
    )
    return [done[0].model_copy(update={"services": first}), *(_told(hop) for hop in done[1:])]


def _compared(service: ServiceResult, before: _Copy, now_there: _Copy, seconds: float) -> WayBackTrial:
    own = tuple(f"{name}." for name in service.databases)

    def of(values: dict[str, str] | dict[str, int]) -> dict[str, object]:
        return {name: value for name, value in values.items() if name.startswith(own)}

    heads = all(before.heads.get(name) == now_there.heads.get(name) for name in service.databases)
    parts = {
        "heads": heads,
        "tables": of(before.structure) == of(now_there.structure),
        "rows": of(before.rows) == of(now_there.rows),
    }
    wrong = [name for name, same in parts.items() if not same]
    rows = sum(count for name, count in now_there.rows.items() if name.startswith(own))
    message = f"restored again: {' and '.join(wrong)} differ" if wrong else f"restored again, {rows} rows as before"
    return WayBackTrial(way="restore", good=not wrong, message=message, seconds=seconds)


def _told(hop: HopRehearsal) -> HopRehearsal:
    message = f"its set is taken at {hop.source}; not tried"
    return hop.model_copy(
        update={
            "services": tuple(
                service.model_copy(update={"way_back": service.way_back.model_copy(update={"message": message})})
                if service.way_back.way == "restore"
                else service
                for service in hop.services
            )
        }
    )
