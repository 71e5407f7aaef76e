"""What a rehearsal found, frozen: it is kept as JSON, shown, and judged by those who plan the window."""

from __future__ import annotations

from typing import Literal

from upgrader.model import ReleaseId
from upgrader.value import Value, named


class CommandResult(Value):
    """One run of one of a service's own programs."""

    phase: str
    command: tuple[str, ...]
    """As typed, with names instead of this machine's paths."""
    code: int | None = None
    """Exit code; None: it was ended at its time limit."""
    seconds: float = 0.0
    load_seconds: float = 0.0
    """What loading the program took, which a run outside of the rehearsal pays every time."""
    work_seconds: float | None = None
    """Without start-up, as measured by the second run of the same command, which finds nothing to do."""
    batches: tuple[tuple[str, int, int], ...] = ()
    """(migration, rows found, rows done) of an online data migration, from its own table."""
    last_words: tuple[str, ...] = ()


class Change(Value):
    """A schema statement that was carried out, and what it does to those who use the table meanwhile."""

    database: str
    statement: str
    seconds: float
    rows: int | None = None
    """Rows of the table before."""
    locks: bool | None = None
    """Writers have to wait while it runs; None: could not be told."""
    why: str = ""


class Fault(Value):
    """Something that makes a migration fail or mislead, with the rows that cause it and what mends it."""

    id: str
    message: str
    table: str = ""
    rows: tuple[str, ...] = ()
    """Up to a few of the rows that cause it."""
    count: int | None = None
    fix: tuple[str, ...] = ()
    source: str = ""


class WayBackTrial(Value):
    """What happened when the way back was tried on the migrated copy."""

    way: Literal["redeploy", "restore", "not tried"]
    good: bool | None = None
    message: str = ""
    seconds: float = 0.0


class ServiceResult(Value):
    service: str
    databases: tuple[str, ...]
    verdict: Literal["passed", "failed", "not there"]
    message: str = ""
    checks: tuple[tuple[str, str, str], ...] = ()
    """(check, result, details) of the service's own upgrade check."""
    check_code: int | None = None
    """0 fine, 1 warnings, 2 failures or no answer; a check that wants a running cloud cannot pass on a copy."""
    check: CommandResult | None = None
    commands: tuple[CommandResult, ...] = ()
    heads: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = ()
    """(database, before, after, expected)."""
    differences: tuple[str, ...] = ()
    """Differences of the schema, one line each, table by table."""
    changes: tuple[Change, ...] = ()
    rows: tuple[tuple[str, int | None, int | None], ...] = ()
    """(`database.table`, rows before, rows after) where they differ; None: the table is not there."""
    again: Literal["nothing changed", "changed", "failed", "not run"] = "not run"
    """A second pass of the same commands."""
    way_back: WayBackTrial = WayBackTrial(way="not tried")
    faults: tuple[Fault, ...] = ()
    seconds: float = 0.0


class Unrehearsed(Value):
    """A database of the copy that belongs to no service whose migrations are known."""

    database: str
    tables: int
    heads: tuple[str, ...] = ()
    versioned: bool
    """It has a version table, so a migration of its service may change it on any hop."""


class HopRehearsal(Value):
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    by: Literal["environment", "images"] = "environment"
    services: tuple[ServiceResult, ...] = ()
    sanitised: tuple[tuple[str, int], ...] = ()
    """(`database.table.column`, rows whose addresses were replaced)."""
    not_rehearsed: tuple[Unrehearsed, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return bool(self.services) and all(service.verdict != "failed" for service in self.services)


class Rehearsal(Value):
    schema_version: Literal[1] = 1
    kind: Literal["rehearsal"] = "rehearsal"
    site: str
    plan: str = ""
    backup_set: str = ""
    made_at: str
    server_version: str = ""
    restore_seconds: float = 0.0
    hops: tuple[HopRehearsal, ...] = ()

    @property
    def passed(self) -> bool:
        return bool(self.hops) and all(hop.passed for hop in self.hops)
