"""One hop on the copy: every service's real migrations, judged by what the databases say afterwards.

Exit codes alone mislead (measured: Cinder, Neutron, Nova and Barbican end with 0 where work was left undone), so a
service passes only if every command ended with 0, its heads are the target's, no rows of its tables were lost, and a
second pass changes nothing. Services are independent of each other and run side by side.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.throwaway import Server
from upgrader.durable import make_dir
from upgrader.graph import Hop, ReleaseGraph
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal import copies, ddl
from upgrader.rehearsal.commands import Workplace
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.report import CommandResult, HopRehearsal, ServiceResult, WayBackTrial
from upgrader.rehearsal.status_check import read_checks

LIMIT = 3600.0
"""Seconds that one command may take; an online migration of a million rows needs about an hour."""
CHECK_LIMIT = 120.0
MARKER_MIGRATION = "populate_instance_compute_id"
"""Nova's marker instance (uuid of zeros) is counted by it and never done (seen in 2024.1 and newer)."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a hop is tried with."""

    server: Server
    graph: ReleaseGraph
    folder: Path
    old: Services
    new: Services
    workers: int = 0
    limit: float = LIMIT
    say: Say = lambda _line: None


def rehearse_hop(trial: Trial, hop: Hop) -> HopRehearsal:
    """Migrate the copy from `hop.source` to `hop.target`. Raises RefusedError when it cannot be made safe to run on."""
    began = time.monotonic()
    make_dir(trial.folder, exist_ok=True)
    present = set(copies.databases(trial.server))
    sanitised = copies.sanitise(trial.server, sorted(present))
    known = [service for service in trial.graph.migrations if set(service.databases) & present]
    workers = trial.workers or max(1, os.cpu_count() or 1)
    log = trial.folder / "statements.log"
    ddl.begin_log(trial.server, log)
    try:
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(lambda service: _service(trial, hop, service, present), _longest_first(known)))
    finally:
        ddl.end_log(trial.server)
    statements = ddl.read_log(log)
    log.unlink(missing_ok=True)
    finished = []
    order = {service.name: at for at, service in enumerate(known)}
    for result, before, rows in sorted(results, key=lambda found: order[found[0].service]):
        own = [statement for statement in statements if statement.database in result.databases]
        finished.append(result.model_copy(update={"changes": ddl.judged(trial.server, own, before, rows)}))
    return HopRehearsal.model_validate(
        {
            "from": hop.source,
            "to": hop.target,
            "services": tuple(finished),
            "sanitised": sanitised,
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def _longest_first(services: Iterable[ServiceMigrations]) -> list[ServiceMigrations]:
    return sorted(services, key=lambda service: -len(service.steps))


def _service(
    trial: Trial, hop: Hop, service: ServiceMigrations, present: set[str]
) -> tuple[ServiceResult, dict[str, str], dict[str, int]]:
    """The service's result, and structure and row counts of its databases before."""
    began = time.monotonic()
    names = [name for name in service.databases if name in present]
    before, rows, old_heads = (
        copies.structure(trial.server, names),
        copies.row_counts(trial.server, names),
        copies.heads(trial.server, names),
    )
    result = ServiceResult(service=service.name, databases=tuple(names), verdict="passed")
    missing = sorted(set(service.databases) - present)
    if missing:
        message = f"the copy lacks {', '.join(missing)}"
        return result.model_copy(update={"verdict": "failed", "message": message}), before, rows
    with Workplace(trial.folder / f"{hop.target}-{service.name}", trial.server, trial.new, service) as place:
        result = _worked(trial, hop, service, result, (place, before, rows, old_heads))
    trial.say(f"{service.name}: {result.verdict}{f' ({result.message})' if result.message else ''}")
    return result.model_copy(update={"seconds": round(time.monotonic() - began, 3)}), before, rows


def _worked(
    trial: Trial,
    hop: Hop,
    service: ServiceMigrations,
    result: ServiceResult,
    known: tuple[Workplace, dict[str, str], dict[str, int], dict[str, tuple[str, ...]]],
) -> ServiceResult:
    """Check, migrate, judge, migrate again, try the old release's programs."""
    place, before, rows, old_heads = known
    names = list(result.databases)
    check, told = place.told("check", service.status, limit=CHECK_LIMIT)
    commands = _pass(place, service, trial.limit)
    after, heads = copies.structure(trial.server, names), copies.heads(trial.server, names)
    counted = copies.row_counts(trial.server, names)
    expected = trial.graph.heads(hop.target)
    result = result.model_copy(
        update={
            "checks": read_checks(told),
            "check_code": check.code,
            "commands": commands,
            "heads": tuple(
                (name, old_heads.get(name, ()), heads.get(name, ()), tuple(expected.get(name, ()))) for name in names
            ),
            "differences": copies.structure_difference(before, after),
            "rows": _row_differences(rows, counted),
        }
    )
    trouble = _trouble(result, counted, after, trial)
    if trouble:
        result = result.model_copy(update={"verdict": "failed", "message": trouble})
    else:
        result = _second_pass(trial, place, service, result, after, names)
        result = result.model_copy(update={"way_back": _old_code(trial, hop, service, result, after, names)})
        if result.again in {"changed", "failed"}:
            result = result.model_copy(update={"verdict": "failed", "message": f"a second pass: {result.again}"})
    return result


def _pass(place: Workplace, service: ServiceMigrations, limit: float) -> tuple[CommandResult, ...]:
    """The service's commands in order, up to the first that does not end with 0."""
    done: list[CommandResult] = []
    for step in service.steps:
        done.append(place.run(step.phase, step.command, limit=limit))
        if done[-1].code != 0:
            break
    return tuple(done)


def _trouble(result: ServiceResult, rows: Mapping[str, int], after: Mapping[str, str], trial: Trial) -> str:
    """Why the service did not come through; empty when it did."""
    for command in result.commands:
        if command.code != 0:
            how = "was ended at its time limit" if command.code is None else f"ended with {command.code}"
            words = f": {command.last_words[-1]}" if command.last_words else ""
            return f"{' '.join(command.command[:1])} ({command.phase}) {how}{words}"
    for database, _before, now, expected in result.heads:
        if expected and sorted(now) != sorted(expected):
            return f"{database} is at {' + '.join(now) or 'no head'}, expected {' + '.join(expected)}"
    lost = [table for table, was, now in result.rows if table in after and (now or 0) < (was or 0)]
    if lost:
        return f"rows were lost in {', '.join(lost)}"
    undone = [
        f"{name}: {needed - completed} of {needed} rows left"
        for command in result.commands
        for name, needed, completed in command.batches
        if needed > completed and not _only_marker(name, needed - completed, trial)
    ]
    return f"data migrations left work undone: {'; '.join(undone)}" if undone else ""


def _only_marker(name: str, left: int, trial: Trial) -> bool:
    if name != MARKER_MIGRATION or left != 1:
        return False
    rows = trial.server.sql("SELECT COUNT(*) FROM nova.instances WHERE uuid = '00000000-0000-0000-0000-000000000000'")
    return bool(rows) and rows[0][0] == "1"


def _row_differences(
    before: Mapping[str, int], after: Mapping[str, int]
) -> tuple[tuple[str, int | None, int | None], ...]:
    return tuple(
        (table, before.get(table), after.get(table))
        for table in sorted(before.keys() | after.keys())
        if before.get(table) != after.get(table) and not table.endswith((".alembic_version", ".migrate_version"))
    )


def _second_pass(
    trial: Trial,
    place: Workplace,
    service: ServiceMigrations,
    result: ServiceResult,
    after: Mapping[str, str],
    names: list[str],
) -> ServiceResult:
    """Run everything again: it has to change nothing, and shows how long the programs take to start."""
    again = _pass(place, service, trial.limit)
    timed = tuple(
        first.model_copy(update={"work_seconds": round(max(0.0, first.seconds - second.seconds), 3)})
        for first, second in zip(result.commands, again, strict=False)
    )
    if any(command.code != 0 for command in again):
        verdict = "failed"
    else:
        same = copies.structure(trial.server, names) == after
        verdict = "nothing changed" if same else "changed"
    return result.model_copy(update={"commands": timed, "again": verdict})


def _old_code(
    trial: Trial,
    hop: Hop,
    service: ServiceMigrations,
    result: ServiceResult,
    after: Mapping[str, str],
    names: list[str],
) -> WayBackTrial:
    """Where the heads stayed, the old release's own programs have to accept the migrated copy and change nothing."""
    changed = [database for database, before, now, _ in result.heads if sorted(before) != sorted(now)]
    if changed:
        return WayBackTrial(way="restore", message=f"the schema of {', '.join(changed)} changed")
    began = time.monotonic()
    with Workplace(trial.folder / f"{hop.source}-{service.name}", trial.server, trial.old, service) as place:
        done = _pass(place, service, trial.limit)
    seconds = round(time.monotonic() - began, 3)
    bad = [command for command in done if command.code != 0]
    if bad:
        words = bad[0].last_words[-1] if bad[0].last_words else f"exit code {bad[0].code}"
        return WayBackTrial(way="redeploy", good=False, message=f"{hop.source}'s programs: {words}", seconds=seconds)
    same = copies.structure(trial.server, names) == after
    message = f"{hop.source}'s programs accept it" + ("" if same else ", but changed the schema")
    return WayBackTrial(way="redeploy", good=same, message=message, seconds=seconds)
