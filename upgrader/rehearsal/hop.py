"""One hop on the copy: every service's real migrations, side by side, as services are independent of each other."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from upgrader.database import questions
from upgrader.durable import make_dir
from upgrader.graph import Hop
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal import copies, ddl
from upgrader.rehearsal.faults import foresee
from upgrader.rehearsal.forecast import projection
from upgrader.rehearsal.report import HopRehearsal, Unrehearsed
from upgrader.rehearsal.service import rehearse_service
from upgrader.rehearsal.trial import Trial

STATEMENTS = "statements.log"
_LOADING_PAYS = 2
"""Services at once even on one processor: one waits for the database while another computes."""


def rehearse_hop(trial: Trial, hop: Hop) -> HopRehearsal:
    """Migrate the copy from `hop.source` to `hop.target`.

    Raises RefusedError when the copy cannot be made safe to run on, RehearsalCanceled when the operator wants to stop.
    """
    began = time.monotonic()
    make_dir(trial.folder, exist_ok=True)
    present = set(questions.databases(trial.server))
    sanitised = copies.sanitise(trial.server, sorted(present))
    known = [service for service in trial.graph.migrations if set(service.databases) & present]
    foreseen = foresee(trial.server, hop, graph=trial.graph)
    log = trial.folder / STATEMENTS
    ddl.begin_log(trial.server, log)
    try:
        with ThreadPoolExecutor(trial.workers or max(_LOADING_PAYS, os.cpu_count() or 1)) as pool:
            works = pool.map(lambda service: rehearse_service(trial, hop, service, present), _longest_first(known))
            results = {found.result.service: found for found in works}
    finally:
        ddl.end_log(trial.server)
        statements = ddl.read_log(log)
        log.unlink(missing_ok=True)  # it holds rows
    finished = []
    for service in known:
        found = results[service.name]
        own = [statement for statement in statements if statement.database in found.result.databases]
        changes = ddl.judged(trial.server, own, found.structure, found.rows)
        finished.append(found.result.model_copy(update={"changes": changes}))
    return HopRehearsal.model_validate(
        {
            "from": hop.source,
            "to": hop.target,
            "by": trial.new.by,
            "services": tuple(finished),
            "sanitised": sanitised,
            "projections": tuple(projection(result) for result in finished if result.verdict == "passed"),
            "foreseen": foreseen,
            "not_rehearsed": _unknown(trial, present),
            "seconds": round(time.monotonic() - began, 3),
        }
    )


def _longest_first(services: Iterable[ServiceMigrations]) -> list[ServiceMigrations]:
    return sorted(services, key=lambda service: (-len(service.databases), -len(service.steps)))


def _unknown(trial: Trial, present: set[str]) -> tuple[Unrehearsed, ...]:
    """Databases that belong to no service whose migrations are known."""
    strange = sorted(present - {name for service in trial.graph.migrations for name in service.databases})
    versions = questions.heads(trial.server, strange)
    counted = questions.tables(trial.server, strange)
    return tuple(
        Unrehearsed(
            database=name,
            tables=sum(database == name for database, _ in counted),
            heads=versions.get(name, ()),
            versioned=name in versions,
        )
        for name in strange
    )
