"""What an event means for the tables. Said once: live writes and replay both go through `apply`.

Every update names the row it expects, and matches exactly one; otherwise the event does not fit the tables, and
nothing of its transaction is kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from upgrader.journal.chain import GENESIS
from upgrader.journal.errors import InvariantError
from upgrader.journal.rows import ENDED, OPEN, QUEUE_MIGRATION, EventRow
from upgrader.journal.schema import TABLES
from upgrader.states import INFO, RUN_ENDED, AttemptState, Event, Ponr, RunState, State

Applier = Callable[[sqlite3.Connection, EventRow], None]

DECISIONS = frozenset({Event.APPROVE, Event.RETRY, Event.REDEPLOY, Event.RESTORE, Event.PROBED_UNTOUCHED})
"""Moves after which a stage that is not idempotent may be launched (again)."""

ENGINE = "engine"
"""The actor of moves that no person made."""


def apply(connection: sqlite3.Connection, event: EventRow) -> None:
    """Bring the tables up to `event`, inside the caller's transaction. Raises InvariantError when it does not fit."""
    applier = _APPLIERS.get(event.kind)
    if applier:
        applier(connection, event)


def rebuild(connection: sqlite3.Connection, events: list[EventRow]) -> None:
    """Make the tables again from the events, inside the caller's transaction."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed list of names
    for event in events:
        apply(connection, event)
        stamp(connection, event)


def stamp(connection: sqlite3.Connection, event: EventRow) -> None:
    """Record in the tables that `event` is the last one they know."""
    connection.execute(
        "UPDATE meta SET last_seq = ?, last_at = ?, head = ? WHERE id = 1", (event.seq, event.at, event.h)
    )


def one(connection: sqlite3.Connection, what: str, sql: str, values: tuple[Any, ...]) -> None:
    """Run an update that must match exactly one row."""
    matched = connection.execute(sql, values).rowcount
    if matched != 1:
        raise InvariantError(f"{what}: {matched} rows matched instead of one", reason="compare-and-set")


def _created(connection: sqlite3.Connection, event: EventRow) -> None:
    connection.execute("INSERT INTO meta VALUES (1, ?, 0, 0, 0, '', ?)", (event.data["lineage"], GENESIS))


def _entered(connection: sqlite3.Connection, event: EventRow) -> None:
    one(
        connection,
        "epoch",
        "UPDATE meta SET epoch = ? WHERE id = 1 AND epoch = ?",
        (event.epoch, event.epoch - 1),
    )


def _run_begun(connection: sqlite3.Connection, event: EventRow) -> None:
    data = event.data
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
        (
            event.run, RunState.PLANNED, data["plan_sha256"], data["base_serial"], data["actor"],
            data["engine_version"], data["table_hash"], event.at, event.seq,
        ),
    )  # fmt: skip
    document = json.dumps(data["plan"], sort_keys=True, ensure_ascii=False)
    connection.execute("INSERT INTO plans VALUES (?, ?)", (event.run, document))
    connection.executemany(
        "INSERT INTO hops VALUES (?, ?, ?, ?, ?, ?, '', ?, 0, 0, 0, ?, 0, 0, ?)",
        [
            (event.run, index, source, target, State.PENDING, event.at, Ponr.NO, event.seq, event.seq)
            for index, (source, target) in enumerate(data["hops"])
        ],
    )


def _run_moved(connection: sqlite3.Connection, event: EventRow) -> None:
    ended = event.at if RunState(event.data["to"]) in RUN_ENDED else ""
    one(
        connection,
        f"run {event.run}",
        "UPDATE runs SET state = ?, ended_at = ? WHERE id = ? AND state = ?",
        (event.data["to"], ended, event.run, event.data["from"]),
    )


def _hop_moved(connection: sqlite3.Connection, event: EventRow) -> None:
    data = event.data
    one(
        connection,
        f"hop {event.hop}",
        "UPDATE hops SET state = ?, since = ?, reason = ?, moved_seq = ? WHERE run = ? AND idx = ? AND state = ?",
        (data["to"], event.at, data["reason"], event.seq, event.run, event.hop, data["from"]),
    )
    marks = []
    if data["to"] == State.PREFLIGHT and data["from"] != State.PREFLIGHT:
        marks.append("preflight_seq")
    if data["event"] in DECISIONS:
        marks.append("decided_seq")
    if data["actor"] != ENGINE:
        marks.append("attended_seq")
        connection.execute("UPDATE hops SET unattended = 0 WHERE run = ? AND idx = ?", (event.run, event.hop))
    for mark in marks:
        connection.execute(
            f"UPDATE hops SET {mark} = ? WHERE run = ? AND idx = ?",  # noqa: S608 - a name from above
            (event.seq, event.run, event.hop),
        )
    if data["to"] == State.BROKER:
        _fact(connection, event, QUEUE_MIGRATION, OPEN)
    elif data["from"] == State.BROKER and data["event"] == Event.SUCCEEDED:
        _fact(connection, event, QUEUE_MIGRATION, ENDED)


def _fact(connection: sqlite3.Connection, event: EventRow, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO facts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (event.run, event.hop, name, value),
    )


def _backup_replaced(connection: sqlite3.Connection, event: EventRow) -> None:
    for name, value in sorted(event.data["facts"].items()):
        _fact(connection, event, name, value)


def _ponr(connection: sqlite3.Connection, event: EventRow) -> None:
    one(
        connection,
        f"point of no return of hop {event.hop}",
        "UPDATE hops SET ponr = ? WHERE run = ? AND idx = ? AND ponr = ?",
        (event.data["to"], event.run, event.hop, event.data["from"]),
    )


def _intended(connection: sqlite3.Connection, event: EventRow) -> None:
    data = event.data
    connection.execute(
        "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, '', 0, '', ?, '', '', ?, 0)",
        (
            event.attempt, event.run, event.hop, data["stage"], data["number"], data["key"], data["request_sha256"],
            AttemptState.INTENDED, event.epoch, event.boot, data["after_interrupt"], data["ponr_before"],
            event.at, event.seq,
        ),
    )  # fmt: skip
    one(
        connection,
        f"hop {event.hop}",
        "UPDATE hops SET unattended = unattended + 1, closed = max(closed, ?) WHERE run = ? AND idx = ?",
        (data["stage"] == State.FINALIZE, event.run, event.hop),
    )


def _launched(connection: sqlite3.Connection, event: EventRow) -> None:
    one(
        connection,
        f"attempt {event.attempt}",
        "UPDATE attempts SET state = ?, pid = ?, boot = ?, launched_at = ? WHERE id = ? AND state = ?",
        (
            AttemptState.LAUNCHED, event.data["pid"], event.data["boot"], event.at, event.attempt,
            AttemptState.INTENDED,
        ),
    )  # fmt: skip


def _step(connection: sqlite3.Connection, event: EventRow) -> None:
    one(
        connection,
        f"attempt {event.attempt}",
        "UPDATE attempts SET step = ?, steps = steps + 1, message = ? WHERE id = ? AND finished_seq = 0",
        (event.data["name"], event.data["message"], event.attempt),
    )


def _finished(connection: sqlite3.Connection, event: EventRow) -> None:
    data = event.data
    one(
        connection,
        f"attempt {event.attempt}",
        "UPDATE attempts SET state = ?, message = ?, finished_at = ?, finished_seq = ? "
        "WHERE id = ? AND finished_seq = 0",
        (data["result"], data["message"], event.at, event.seq, event.attempt),
    )
    for name, value in sorted(data["facts"].items()):
        _fact(connection, event, name, value)
    if data["event"] in (Event.SUCCEEDED, Event.PROBED_COMPLETE):
        connection.execute("UPDATE meta SET serial = serial + 1 WHERE id = 1")
    interrupted = _interrupted(State(data["stage"]), AttemptState(data["result"]))
    if interrupted is not None:
        connection.execute(
            "UPDATE hops SET interrupted = ? WHERE run = ? AND idx = ?", (interrupted, event.run, event.hop)
        )
    if data["stage"] == State.FINALIZE and data["result"] == AttemptState.VOID:
        _reopen_if_never_finalized(connection, event)


def _interrupted(stage: State, result: AttemptState) -> bool | None:
    """Whether the hop now carries an interrupted attempt; None: unchanged."""
    if result is AttemptState.SUCCEEDED and stage in (State.VERIFY, State.VERIFY_OLD):
        return False
    cut_short = result in (AttemptState.UNKNOWN, AttemptState.CANCELED)
    # handlers that a failed play had been notified of do not run when it is repeated
    if cut_short or (result is AttemptState.FAILED and INFO[stage].touches_cloud):
        return True
    return None


def _reopen_if_never_finalized(connection: sqlite3.Connection, event: EventRow) -> None:
    connection.execute(
        "UPDATE hops SET closed = EXISTS (SELECT 1 FROM attempts WHERE run = hops.run AND hop = hops.idx "
        "AND stage = 'finalize' AND state <> 'void') WHERE run = ? AND idx = ?",
        (event.run, event.hop),
    )


def _accepted(connection: sqlite3.Connection, event: EventRow) -> None:
    data = event.data
    connection.execute(
        "INSERT INTO acceptances VALUES (?, ?, ?, ?, ?, ?)",
        (event.seq, event.run, data["name"], data["reason"], data["actor"], event.at),
    )


def _flag_set(connection: sqlite3.Connection, event: EventRow) -> None:
    connection.execute(
        "INSERT INTO flags VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (event.data["name"], event.data["value"]),
    )


def _flag_cleared(connection: sqlite3.Connection, event: EventRow) -> None:
    connection.execute("DELETE FROM flags WHERE name = ?", (event.data["name"],))


_APPLIERS: dict[str, Applier] = {
    "journal_created": _created,
    "entered": _entered,
    "run_begun": _run_begun,
    "run_moved": _run_moved,
    "hop_moved": _hop_moved,
    "ponr": _ponr,
    "backup_replaced": _backup_replaced,
    "attempt_intended": _intended,
    "attempt_launched": _launched,
    "attempt_step": _step,
    "attempt_finished": _finished,
    "accepted": _accepted,
    "flag_set": _flag_set,
    "flag_cleared": _flag_cleared,
}
