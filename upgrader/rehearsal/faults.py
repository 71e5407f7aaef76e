"""Known faults of migrations: recognised in what a failed one said and left behind, foreseen in the rows before it.

Rows are only asked of a copy. Owns the matching; what is known stands in `release_graph/migration_faults.toml`.
"""

from __future__ import annotations

# ruff: noqa: S608 - the statements are the release graph's own data
import re
import subprocess
from collections.abc import Iterable

from upgrader.database.throwaway import Server
from upgrader.errors import UpgraderError
from upgrader.graph import Hop, ReleaseGraph, load_graph
from upgrader.graph.migration_faults import MigrationFault, RowsQuery
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal.half import half_migrated
from upgrader.rehearsal.report import CommandResult, Fault, ServiceResult

SHOWN = 5
"""Rows that are told; the count is always of all."""
INTERRUPTED, HALF = "interrupted-script", "half-migrated"
_RESTORE = (
    "restore the backup taken before that migration, then run the hop again",
    "never write the version row by hand: it would hide what is missing",
)
_STATEMENT = re.compile(r"\[SQL: (.+?)\]?$")


def recognise(
    server: Server,
    service: ServiceMigrations,
    result: ServiceResult,
    *,
    hop: Hop | None = None,
    graph: ReleaseGraph | None = None,
) -> tuple[Fault, ...]:
    """What is known of how this service fared, with rows from the copy. Empty when nothing of it is known.

    Without `hop` faults that only a release tells are left out. Never raises for an answer of the copy.
    """
    known = graph or load_graph()
    failed = next((command for command in result.commands if command.code != 0), None)
    words = failed.last_words if failed else ()
    found = [
        _fault(server, fault, (*fault.after, *fault.rows, *(() if fault.rows else fault.foreseen)))
        for fault in known.migration_faults.faults
        if fault.service == service.name and _shows(server, fault, result, words, hop)
    ]
    if failed and not found:
        found += _interrupted(known, failed, result)
    return tuple(found)


def foresee(server: Server, hop: Hop, *, graph: ReleaseGraph | None = None) -> tuple[Fault, ...]:
    """Rows of the copy that will make the migrations of `hop` fail or mislead, and databases that are half-migrated.

    Asked before anything is migrated. Never raises for an answer of the copy: what cannot be asked is not foreseen.
    """
    known = graph or load_graph()
    found = [
        Fault(
            id=HALF,
            message=f"{reading.database}: {reading.note}",
            table=reading.database,
            fix=tuple(reading.way_out.split("; ")),
        )
        for reading in half_migrated(server, known)
    ]
    for fault in known.migration_faults.faults:
        if hop.target in fault.targets and fault.foreseen:
            told = _fault(server, fault, fault.foreseen)
            if told.count:
                found.append(told)
    return tuple(found)


def _shows(server: Server, fault: MigrationFault, result: ServiceResult, words: Iterable[str], hop: Hop | None) -> bool:
    """Whether the fault is the one that is seen here."""
    if any(re.search(pattern, line) for pattern in fault.words for line in words):
        return True
    here = hop is not None and hop.target in fault.targets
    if fault.heads_differ:
        return here and any(sorted(now) != sorted(wanted) for _, _, now, wanted in result.heads if wanted)
    if fault.left_undone:
        left = [batch for command in result.commands for batch in command.batches if batch[0] == fault.left_undone]
        return any(needed > done for _, needed, done in left) and bool(_counted(server, fault.rows))
    return here and not fault.words and bool(_counted(server, fault.after))


def _fault(server: Server, fault: MigrationFault, queries: Iterable[RowsQuery]) -> Fault:
    """The fault with the rows that cause it, as far as they can be asked for."""
    asked = [query for query in queries if _can_be_asked(server, query)]
    counts = {query.table: _count(server, query) for query in asked}
    guilty = [query for query in asked if counts[query.table]]
    rows = [line for query in guilty for line in _rows(server, query)]
    return Fault(
        id=fault.id,
        message=fault.message,
        table=", ".join(dict.fromkeys(query.table for query in guilty)),
        rows=tuple(rows),
        count=sum(counts.values()) if asked else None,
        fix=fault.fix,
        source="; ".join(fault.source),
    )


def _counted(server: Server, queries: Iterable[RowsQuery]) -> int:
    return sum(_count(server, query) for query in queries if _can_be_asked(server, query))


def _can_be_asked(server: Server, query: RowsQuery) -> bool:
    """The tables and columns that the question names are there."""
    wanted = [need.partition(".") for need in query.needs]
    tests = [
        "EXISTS (SELECT 1 FROM information_schema.columns WHERE "
        f"table_schema = '{query.database}' AND table_name = '{table}'"
        + (f" AND column_name = '{column}')" if column else ")")
        for table, _, column in wanted
    ]
    return server.sql(f"SELECT {' AND '.join(tests)}") == [["1"]]


def _count(server: Server, query: RowsQuery) -> int:
    try:
        return int(server.sql(f"SELECT COUNT(*) FROM ({query.select}) AS asked")[0][0])
    except UpgraderError:
        return 0


def _rows(server: Server, query: RowsQuery) -> list[str]:
    """The first rows: `table: column=value …`, as few as a person reads."""
    table = query.table.partition(".")[2]
    statement = f"SELECT * FROM ({query.select}) AS asked LIMIT {SHOWN}"
    done = subprocess.run(server.client("--batch"), input=statement.encode(), capture_output=True, check=False)
    lines = [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]
    return [
        f"{table}: " + " ".join(f"{name}={value}" for name, value in zip(lines[0], row, strict=False))
        for row in lines[1:]
    ]


def _interrupted(graph: ReleaseGraph, failed: CommandResult, result: ServiceResult) -> list[Fault]:
    """A script that fails on what an earlier, interrupted try left behind."""
    for line in failed.last_words:
        for known in graph.migration_faults.interrupted:
            match = re.search(known.words, line) if str(known.code) in line else None
            if match is None:
                continue
            what = match[1] if match.groups() else ""
            statement = next((found[1] for words in failed.last_words if (found := _STATEMENT.search(words))), "")
            stayed = [name for name, before, now, _ in result.heads if sorted(before) == sorted(now)]
            return [
                Fault(
                    id=INTERRUPTED,
                    message=f"{what}: {known.means}; a migration was interrupted inside a script, whose schema "
                    "statements are not undone and whose version row was never written",
                    table=", ".join(stayed),
                    rows=(statement,) if statement else (),
                    fix=_RESTORE,
                    source=f"MariaDB error {known.code}",
                )
            ]
    return []
