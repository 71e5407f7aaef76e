"""The journal's file: opening, entering, and one fenced transaction at a time. What is written is not known here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from upgrader import durable
from upgrader.errors import EnvironmentMissingError
from upgrader.journal import schema
from upgrader.journal.chain import GENESIS, AuditFile, event_hash, new_id
from upgrader.journal.commit import JUMP_NS, Clock, Commit, insert_event
from upgrader.journal.errors import InvariantError, JournalError
from upgrader.journal.lease import Lease
from upgrader.journal.place import DATABASE, Durability, translated
from upgrader.journal.projection import apply, stamp
from upgrader.journal.rows import EventRow

AUDIT = "audit.log"


class Log:
    """One connection to the journal, and the fence that lets only its present owner write."""

    def __init__(
        self,
        state_dir: Path,
        connection: sqlite3.Connection,
        *,
        readonly: bool,
        durability: Durability,
        clock: Clock,
    ) -> None:
        self.state_dir = state_dir
        self.path = state_dir / DATABASE
        self.readonly = readonly
        self._connection = connection
        self._audit = AuditFile(state_dir / AUDIT, fsync=durability.fsync)
        self._clock = clock
        self._epoch = -1
        self._ticks: tuple[int, int] | None = None

    # ------------------------------------------------------------ opening, entering, closing

    def prepare(self) -> None:
        """Check the version; make the tables in a new file. Called once after opening."""
        with translated(self.path):
            version = schema.version_of(self._connection)
            schema.refuse_newer(version, self.path)
            if version == -1:
                self._audit.refuse_lost()
            if version == -1 and not self.readonly:
                self._create()
            elif version < schema.VERSION and self.readonly:
                raise JournalError(
                    f"the journal {self.path} is of version {version}; it is brought to {schema.VERSION} by the next "
                    "command that changes something",
                    cloud="not known from here",
                    next_command="upgrader resume",
                    reason="journal-from-older-version",
                )

    def _create(self) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            if schema.version_of(connection) == -1:  # another process may have been faster
                schema.create(connection)
                commit = self._first_event()
                self._audit.promise(1, commit.h)
                durable.failpoint("journal.create.before_commit")
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        durable.failpoint("journal.create.after_commit")

    def _first_event(self) -> EventRow:
        data = {"lineage": new_id(), "version": schema.VERSION}
        event = EventRow(
            seq=1, txn=1, at=self._clock.now(), mono=self._clock.mono_ns(), boot=self._clock.boot, epoch=0, run="",
            hop=None, attempt="", kind="journal_created", data=data, prev=GENESIS, h="",
        )  # fmt: skip
        event = replace(event, h=event_hash(event))
        insert_event(self._connection, event, json.dumps(data, sort_keys=True))
        apply(self._connection, event)
        stamp(self._connection, event)
        return event

    def enter(self, lease: Lease) -> None:
        """Become the writer: migrate an older journal, settle what a crash left, raise the epoch.

        A dead owner's card that the lease found is logged as taken over.
        """
        if self.readonly or not lease.held or lease.state_dir.resolve() != self.state_dir.resolve():
            raise InvariantError("a journal is entered by the holder of its own lease", reason="no-lease")
        with translated(self.path):
            backup = schema.migrate(self._connection, self.path)
            meta = self._connection.execute("SELECT epoch, last_seq, head FROM meta").fetchone()
            with _disk(self.path):
                self._audit.settle(meta["last_seq"], meta["head"])
        card = lease.card._asdict()
        with self._commit("enter", epoch=meta["epoch"]) as commit:
            commit.epoch += 1
            commit.append("entered", card | {"migrated_from": str(backup or "")})
            if lease.previous:
                commit.append("taken_over", lease.previous._asdict())
        self._epoch = commit.epoch

    def close(self) -> None:
        """Close the connection; the journal cannot be used after that."""
        self._connection.close()
        self._epoch = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def clock(self) -> Clock:
        """The clocks that events are stamped with."""
        return self._clock

    @property
    def epoch(self) -> int:
        """The epoch this journal was entered with; -1 before."""
        return self._epoch

    @contextmanager
    def _commit(self, name: str, epoch: int | None = None) -> Iterator[Commit]:
        ours = self._epoch if epoch is None else epoch
        if ours < 0:
            raise InvariantError("the journal was not entered: only the owner writes", reason="not-entered")
        connection = self._connection
        with translated(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                commit = Commit(connection, ours, self._clock)
                self._note_clock(commit)
                yield commit
                if not commit.wrote:
                    connection.execute("ROLLBACK")
                    return
                commit.seal()
                durable.failpoint(f"journal.{name}.before_promise")
                with _disk(self.path):
                    self._audit.promise(commit.seq, commit.head)
                durable.failpoint(f"journal.{name}.before_commit")
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        durable.failpoint(f"journal.{name}.after_commit")
        with suppress(OSError):  # it is promised, committed, and kept by the next owner at the latest
            self._audit.keep(commit.seq, commit.head)
        durable.failpoint(f"journal.{name}.done")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _note_clock(self, commit: Commit) -> None:
        """Leave an event where the wall clock jumped: times before and after cannot be compared."""
        wall, mono = self._clock.wall_ns(), self._clock.mono_ns()
        if self._ticks:
            jump = (wall - self._ticks[0]) - (mono - self._ticks[1])
            if abs(jump) > JUMP_NS:
                commit.append("clock_jumped", {"seconds": round(jump / 1e9)})
        self._ticks = (wall, mono)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn a failing write beside the database into words."""
    try:
        yield
    except OSError as error:
        raise EnvironmentMissingError(
            f"the journal's audit.log in {path.parent} cannot be written: {error.strerror}",
            cloud="as the journal's last event says",
            next_command="free some space or check who owns the folder, then upgrader resume",
            reason="disk-full" if error.errno == 28 else "journal-unwritable",
        ) from error
