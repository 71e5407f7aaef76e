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
    asks_cloud: tuple[str, ...] = ()
    """Of these checks no answer counts: they ask the running cloud or its configuration."""
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


class Projection(Value):
    """What one service's commands would take in production, from what they took here."""

    service: str
    start_seconds: float
    """Of one program, before it works; paid by every command."""
    schema_seconds: float
    """Between the old and the new containers."""
    online_seconds: float
    """Beside the running services: rows times the measured rate, and start-up."""
    online_rows: int = 0
    online_rate: float | None = None
    """Rows per second; None: there was no row to measure it on."""


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
    foreseen: tuple[Fault, ...] = ()
    """What the rows before the hop said would go wrong."""
    not_rehearsed: tuple[Unrehearsed, ...] = ()
    projections: tuple[Projection, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return bool(self.services) and all(service.verdict != "failed" for service in self.services)


class Rehearsal(Value):
    """All hops that were tried on one copy, one after the other."""

    schema_version: Literal[1] = 1
    kind: Literal["rehearsal"] = "rehearsal"
    id: str
    site: str
    source: ReleaseId = named(alias="from")
    target: ReleaseId = named(alias="to")
    by: Literal["environment", "images"] = "environment"
    plan: str = ""
    backup_set: str = ""
    """Folder of the set that was restored; empty for a dump."""
    dump: str = ""
    known_by: str = ""
    """How the release of the copy is known."""
    made_at: str
    server_version: str = ""
    databases: tuple[str, ...] = ()
    tables: int = 0
    rows: int = 0
    restore_seconds: float = 0.0
    seconds: float = 0.0
    hops: tuple[HopRehearsal, ...] = ()

    @property
    def passed(self) -> bool:
        """Every hop that was asked for was tried, and no service failed in one."""
        return bool(self.hops) and self.hops[-1].target == self.target and all(hop.passed for hop in self.hops)

    @property
    def not_rehearsed(self) -> tuple[Unrehearsed, ...]:
        return self.hops[0].not_rehearsed if self.hops else ()
