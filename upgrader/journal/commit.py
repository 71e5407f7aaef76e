"""One transaction of the journal: checks the fence, appends events, brings the tables along, pins the head.

Order: BEGIN IMMEDIATE → epoch still ours? → events and tables → promise in audit.log → COMMIT → the promise kept.
A crash anywhere leaves either the whole commit or nothing of it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from upgrader.journal.chain import event_hash
from upgrader.journal.errors import InvariantError, StaleEpochError
from upgrader.journal.lease import boot_id
from upgrader.journal.projection import apply
from upgrader.journal.reading import attempt_row, hop_row, run_row
from upgrader.journal.rows import AttemptRow, EventRow, HopRow, RunRow

JUMP_NS = 5_000_000_000
"""A difference between the wall clock and the monotonic clock that is worth an event, in nanoseconds."""


class Clock:
    """The clocks of this machine. Events are ordered by their number, never by these."""

    boot: str

    def __init__(self) -> None:
        self.boot = boot_id()

    def wall_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def now(self) -> str:
        """UTC, ISO 8601 with microseconds."""
        seconds, rest = divmod(self.wall_ns(), 1_000_000_000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}+00:00"


class Commit:
    """What is written in one transaction. `epoch` is the fence: a newer owner in the journal makes it stale."""

    def __init__(self, connection: sqlite3.Connection, epoch: int, clock: Clock) -> None:
        self.connection = connection
        self.epoch = epoch
        self._clock = clock
        self._mono = clock.mono_ns()
        self.at = clock.now()
        meta = connection.execute("SELECT * FROM meta").fetchone()
        if meta is None or meta["epoch"] != epoch:
            raise stale(epoch, meta["epoch"] if meta else 0)
        self.lineage: str = meta["lineage"]
        self.serial: int = meta["serial"]
        self.seq = int(meta["last_seq"])
        self.head: str = meta["head"]
        self.first = self.seq + 1

    def append(
        self, kind: str, data: Mapping[str, Any], *, run: str = "", hop: int | None = None, attempt: str = ""
    ) -> EventRow:
        """Add one event and bring the tables up to it."""
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        event = EventRow(
            seq=self.seq + 1, txn=self.first, at=self.at, mono=self._mono, boot=self._clock.boot, epoch=self.epoch,
            run=run, hop=hop, attempt=attempt, kind=kind, data=json.loads(text), prev=self.head, h="",
        )  # fmt: skip
        event = replace(event, h=event_hash(event))
        insert_event(self.connection, event, text)
        apply(self.connection, event)
        self.seq, self.head = event.seq, event.h
        return event

    @property
    def wrote(self) -> bool:
        """Whether there is anything to commit."""
        return self.seq >= self.first

    def seal(self) -> None:
        """Make the tables say what the last event is, if the journal is still ours. Raises StaleEpochError."""
        matched = self.connection.execute(
            "UPDATE meta SET last_seq = ?, last_at = ?, head = ? WHERE id = 1 AND epoch = ?",
            (self.seq, self.at, self.head, self.epoch),
        ).rowcount
        if matched != 1:
            raise stale(self.epoch, -1)

    def hop(self, run: str, index: int) -> HopRow:
        """The hop as it is inside this transaction. Raises InvariantError when there is none."""
        row = hop_row(self.connection, run, index)
        if row is None:
            raise InvariantError(f"run {run} has no hop {index}", reason="no-such-hop")
        return row

    def attempt(self, attempt: str) -> AttemptRow:
        """The attempt as it is inside this transaction. Raises InvariantError when there is none."""
        row = attempt_row(self.connection, "id = ?", (attempt,))
        if row is None:
            raise InvariantError(f"there is no attempt {attempt}", reason="no-such-attempt")
        return row

    def open_run(self) -> RunRow | None:
        """The run that has not ended, if there is one."""
        return run_row(self.connection, "ended_at = ''")

    def in_flight(self) -> AttemptRow | None:
        """The attempt without a result, if there is one."""
        return attempt_row(self.connection, "finished_seq = 0")

    def number(self, sql: str, values: tuple[Any, ...]) -> int:
        """First column of the first row of a query, as a number; 0 when there is none."""
        row = self.connection.execute(sql, values).fetchone()
        return int(row[0]) if row and row[0] is not None else 0


def insert_event(connection: sqlite3.Connection, event: EventRow, text: str) -> None:
    """Append the row of an event; `text` is its data as JSON."""
    connection.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.seq, event.txn, event.at, event.mono, event.boot, event.epoch, event.run, event.hop, event.attempt,
            event.kind, text, event.prev, event.h,
        ),
    )  # fmt: skip


def stale(ours: int, theirs: int) -> StaleEpochError:
    """The error of a writer that was replaced."""
    newer = f" (epoch {theirs}, ours was {ours})" if theirs >= 0 else ""
    return StaleEpochError(
        f"you were replaced: another upgrader has taken over this journal{newer}; nothing was written",
        cloud="in the hands of the other one",
        next_command="upgrader status",
        reason="stale-epoch",
    )
