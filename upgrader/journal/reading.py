"""Reading: rows out of the tables, the snapshot that `status` shows, the events, and the check of the chain."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from upgrader.journal.chain import GENESIS, AuditFile, event_hash
from upgrader.journal.rows import Acceptance, AttemptRow, EventRow, HopRow, RunRow, Snapshot
from upgrader.journal.schema import TABLES
from upgrader.states import AttemptState, Ponr, RunState, State


def event_row(row: sqlite3.Row) -> EventRow:
    """An event as it is stored. Raises ValueError when its data is not JSON."""
    return EventRow(**{name: row[name] for name in EventRow.__slots__ if name != "data"}, data=json.loads(row["data"]))


def run_row(connection: sqlite3.Connection, where: str, values: tuple[Any, ...] = ()) -> RunRow | None:
    """The newest run that fits."""
    query = f"SELECT * FROM runs WHERE {where} ORDER BY begun_seq DESC LIMIT 1"  # noqa: S608 - fixed conditions
    row = connection.execute(query, values).fetchone()
    if row is None:
        return None
    return RunRow(
        id=row["id"], state=RunState(row["state"]), plan_sha256=row["plan_sha256"], base_serial=row["base_serial"],
        actor=row["actor"], engine_version=row["engine_version"], table_hash=row["table_hash"],
        begun_at=row["begun_at"], ended_at=row["ended_at"],
    )  # fmt: skip


def hop_rows(connection: sqlite3.Connection, run: str) -> tuple[HopRow, ...]:
    """All hops of a run, in order."""
    facts: dict[int, dict[str, str]] = {}
    for row in connection.execute("SELECT hop, name, value FROM facts WHERE run = ? ORDER BY name", (run,)):
        facts.setdefault(row["hop"], {})[row["name"]] = row["value"]
    rows = connection.execute("SELECT * FROM hops WHERE run = ? ORDER BY idx", (run,))
    return tuple(_hop(row, facts.get(row["idx"], {})) for row in rows)


def hop_row(connection: sqlite3.Connection, run: str, index: int) -> HopRow | None:
    """One hop, or None."""
    row = connection.execute("SELECT * FROM hops WHERE run = ? AND idx = ?", (run, index)).fetchone()
    if row is None:
        return None
    facts = connection.execute("SELECT name, value FROM facts WHERE run = ? AND hop = ? ORDER BY name", (run, index))
    return _hop(row, {fact["name"]: fact["value"] for fact in facts})


def _hop(row: sqlite3.Row, facts: dict[str, str]) -> HopRow:
    return HopRow(
        run=row["run"], index=row["idx"], source=row["source"], target=row["target"], state=State(row["state"]),
        since=row["since"], ponr=Ponr(row["ponr"]), interrupted=bool(row["interrupted"]), closed=bool(row["closed"]),
        unattended=row["unattended"], reason=row["reason"], facts=facts,
    )  # fmt: skip


def attempt_row(connection: sqlite3.Connection, where: str, values: tuple[Any, ...] = ()) -> AttemptRow | None:
    """The newest attempt that fits."""
    return next(iter(attempt_rows(connection, where, values, "DESC LIMIT 1")), None)


def attempt_rows(
    connection: sqlite3.Connection, where: str, values: tuple[Any, ...] = (), order: str = "ASC"
) -> list[AttemptRow]:
    """The attempts that fit, in the order of their intents."""
    query = f"SELECT * FROM attempts WHERE {where} ORDER BY intended_seq {order}"  # noqa: S608 - fixed conditions
    return [
        AttemptRow(
            id=row["id"], run=row["run"], hop=row["hop"], stage=State(row["stage"]), number=row["number"],
            key=row["key"], request_sha256=row["request_sha256"], state=AttemptState(row["state"]),
            epoch=row["epoch"], boot=row["boot"], pid=row["pid"], after_interrupt=bool(row["after_interrupt"]),
            step=row["step"], steps=row["steps"], message=row["message"], intended_at=row["intended_at"],
            launched_at=row["launched_at"], finished_at=row["finished_at"],
        )
        for row in connection.execute(query, values)
    ]  # fmt: skip


def acceptance_rows(connection: sqlite3.Connection, run: str) -> tuple[Acceptance, ...]:
    """What a person accepted in a run, the newest last."""
    rows = connection.execute("SELECT * FROM acceptances WHERE run = ? ORDER BY seq", (run,))
    return tuple(
        Acceptance(row["run"], row["name"], row["reason"], row["actor"], row["at"], row["seq"]) for row in rows
    )


def snapshot(connection: sqlite3.Connection, recent: int) -> Snapshot:
    """Everything at one moment. Reads the tables alone, so it costs the same whatever the history is."""
    connection.execute("BEGIN")
    try:
        meta = connection.execute("SELECT * FROM meta").fetchone()
        run = run_row(connection, "1")
        newest = connection.execute("SELECT * FROM events ORDER BY seq DESC LIMIT ?", (recent,)).fetchall()
        return Snapshot(
            lineage=meta["lineage"],
            serial=meta["serial"],
            epoch=meta["epoch"],
            run=run,
            hops=hop_rows(connection, run.id) if run else (),
            attempt=attempt_row(connection, "finished_seq = 0"),
            last_attempt=attempt_row(connection, "run = ?", (run.id,)) if run else None,
            flags={row["name"]: row["value"] for row in connection.execute("SELECT * FROM flags ORDER BY name")},
            acceptances=acceptance_rows(connection, run.id) if run else (),
            last_seq=meta["last_seq"],
            last_event_at=meta["last_at"],
            head=meta["head"],
            recent=tuple(event_row(row) for row in reversed(newest)),
        )
    finally:
        connection.execute("ROLLBACK")


def events(
    connection: sqlite3.Connection, after: int = 0, limit: int | None = None, kinds: Iterable[str] = ()
) -> Iterator[EventRow]:
    """Events with a number above `after`, oldest first; all kinds, or the given ones."""
    wanted = tuple(kinds)
    marks = ", ".join("?" * len(wanted))
    where = f"seq > ? AND kind IN ({marks})" if wanted else "seq > ?"
    query = f"SELECT * FROM events WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608 - question marks only
    for row in connection.execute(query, (after, *wanted, -1 if limit is None else limit)):
        yield event_row(row)


def newest_event(connection: sqlite3.Connection, kind: str) -> EventRow | None:
    """The last event of a kind, or None."""
    row = connection.execute("SELECT * FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1", (kind,)).fetchone()
    return event_row(row) if row else None


def faults(connection: sqlite3.Connection, audit: AuditFile) -> tuple[str, ...]:
    """What does not hold in the history: numbering, chain, stored hashes, and the heads pinned in audit.log."""
    found = []
    check = connection.execute("PRAGMA quick_check(3)").fetchall()
    found += [f"the database file is damaged: {row[0]}" for row in check if row[0] != "ok"]
    seq, head = 0, GENESIS
    commits: dict[int, tuple[int, str]] = {}
    for row in connection.execute("SELECT * FROM events ORDER BY seq"):
        number = row["seq"]
        if number != seq + 1:
            found.append(f"event {seq + 1}: missing (the next is {number})")
        if row["prev"] != head:
            found.append(f"event {number}: does not follow the one before it")
        try:
            sound = event_hash(event_row(row)) == row["h"]
        except (ValueError, TypeError):
            sound = False
        if not sound:
            found.append(f"event {number}: was changed")
        seq, head = number, row["h"]
        commits[row["txn"]] = (number, row["h"])
    meta = connection.execute("SELECT last_seq, head FROM meta").fetchone()
    if meta is None or (meta["last_seq"], meta["head"]) != (seq, head):
        found.append(f"event {seq}: the tables were made from another history")
    found += audit.faults(commits.values())
    return tuple(found)


def tables(connection: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """The whole projection, for comparing it with a replay."""
    return {
        table: sorted(tuple(row) for row in connection.execute(f"SELECT * FROM {table}"))  # noqa: S608
        for table in TABLES
    }
