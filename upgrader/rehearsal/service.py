"""One service on one hop: its own check, its migrations, the same again, and the old release's programs afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from upgrader.database import questions
from upgrader.graph import Hop
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal import copies
from upgrader.rehearsal.commands import Workplace
from upgrader.rehearsal.faults import recognise
from upgrader.rehearsal.programs import RehearsalCanceled
from upgrader.rehearsal.report import CommandResult, ServiceResult, WayBackTrial
from upgrader.rehearsal.status_check import read_checks
from upgrader.rehearsal.trial import Trial
from upgrader.rehearsal.verdict import trouble

CHECK_LIMIT = 120.0
"""Seconds for the service's own check before an upgrade; it has nothing to wait for but the copy."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a service's databases."""

    structure: Mapping[str, str]
    rows: Mapping[str, int]
    heads: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    result: ServiceResult
    structure: Mapping[str, str]
    """Before, by `database.table`."""
    rows: Mapping[str, int]
    """Before, by `database.table`."""


def rehearse_service(trial: Trial, hop: Hop, service: ServiceMigrations, present: set[str]) -> Rehearsed:
    """Take one service's databases over the hop. What fails is in the result; only a wish to stop is raised."""
    began = time.monotonic()
    if trial.cancelled():
        raise RehearsalCanceled
    names = [name for name in service.databases if name in present]
    before = _look(trial, names)
    result = ServiceResult(service=service.name, databases=tuple(names), verdict="passed")
    missing = sorted(set(service.databases) - present)
    if missing:
        result = result.model_copy(update={"verdict": "failed", "message": f"the copy lacks {', '.join(missing)}"})
    else:
        place = Workplace(trial.folder / f"{service.name}-{hop.target}", trial.server, trial.new, service, trial.keys)
        with place:
            result = _worked(trial, hop, place, result, before)
    if result.verdict == "failed":
        faults = recognise(trial.server, service, result, hop=hop, graph=trial.graph)
        result = result.model_copy(update={"faults": faults})
    trial.say(f"  {service.name:<10} {result.verdict}{f': {result.message}' if result.message else ''}")
    result = result.model_copy(update={"seconds": round(time.monotonic() - began, 3)})
    return Rehearsed(result, before.structure, before.rows)


def _look(trial: Trial, names: list[str]) -> Sight:
    server = trial.server
    return Sight(copies.structure(server, names), questions.row_counts(server, names), questions.heads(server, names))


def _worked(trial: Trial, hop: Hop, place: Workplace, result: ServiceResult, before: Sight) -> ServiceResult:
    """Check, migrate, judge, migrate again, try the old release's programs."""
    service, names = place.service, list(result.databases)
    check, told = place.told("check", service.status, limit=CHECK_LIMIT)
    commands = _pass(place, trial.limit)
    after = _look(trial, names)
    expected = trial.graph.heads(hop.target)
    result = result.model_copy(
        update={
            "checks": read_checks(told),
            "check_code": check.code,
            "check": check,
            "asks_cloud": service.asks_cloud,
            "commands": commands,
            "heads": tuple(
                (name, before.heads.get(name, ()), after.heads.get(name, ()), tuple(expected.get(name, ())))
                for name in names
            ),
            "differences": copies.structure_difference(before.structure, after.structure),
            "rows": _row_differences(before.rows, after.rows),
        }
    )
    wrong = trouble(result, after.structure, trial.server)
    if wrong:
        return _failed(result, wrong)
    result = _second_pass(trial, place, result, after)
    if result.again in {"changed", "failed"}:
        return _failed(result, f"a second pass: {result.again}")
    return result.model_copy(update={"way_back": _old_code(trial, hop, service, result, after)})


def _failed(result: ServiceResult, message: str) -> ServiceResult:
    return result.model_copy(update={"verdict": "failed", "message": message})


def _pass(place: Workplace, limit: float) -> tuple[CommandResult, ...]:
    """The service's commands in order, up to the first that does not end with 0."""
    done: list[CommandResult] = []
    for step in place.service.steps:
        done.append(place.run(step.phase, step.command, limit=limit))
        if done[-1].code != 0:
            break
    return tuple(done)


def _row_differences(
    before: Mapping[str, int], after: Mapping[str, int]
) -> tuple[tuple[str, int | None, int | None], ...]:
    return tuple(
        (table, before.get(table), after.get(table))
        for table in sorted(before.keys() | after.keys())
        if before.get(table) != after.get(table) and not table.endswith((".alembic_version", ".migrate_version"))
    )


def _second_pass(trial: Trial, place: Workplace, result: ServiceResult, after: Sight) -> ServiceResult:
    """Run everything again: it has to change nothing, and shows how long the programs take before they work."""
    again = _pass(place, trial.limit)
    timed = tuple(
        first.model_copy(update={"work_seconds": round(max(0.0, first.seconds - second.seconds), 3)})
        for first, second in zip(result.commands, again, strict=False)
    )
    if any(command.code != 0 for command in again):
        verdict = "failed"
    else:
        same = copies.structure(trial.server, result.databases) == after.structure
        verdict = "nothing changed" if same else "changed"
    return result.model_copy(update={"commands": timed, "again": verdict})


def _old_code(trial: Trial, hop: Hop, service: ServiceMigrations, result: ServiceResult, after: Sight) -> WayBackTrial:
    """Where the heads stayed, the old release's own programs have to accept the migrated copy and change nothing."""
    changed = [database for database, before, now, _ in result.heads if sorted(before) != sorted(now)]
    if changed:
        return WayBackTrial(way="restore", message=f"the schema of {', '.join(changed)} changed")
    began = time.monotonic()
    folder = trial.folder / f"{service.name}-{hop.source}"
    with Workplace(folder, trial.server, trial.old, service, trial.keys) as place:
        done = _pass(place, trial.limit)
    seconds = round(time.monotonic() - began, 3)
    bad = [command for command in done if command.code != 0]
    if bad:
        words = bad[0].last_words[-1] if bad[0].last_words else f"exit code {bad[0].code}"
        return WayBackTrial(way="redeploy", good=False, message=f"{hop.source}'s programs: {words}", seconds=seconds)
    same = copies.structure(trial.server, result.databases) == after.structure
    message = f"{hop.source}'s programs accept it" + ("" if same else ", but changed the schema")
    return WayBackTrial(way="redeploy", good=same, message=message, seconds=seconds)
