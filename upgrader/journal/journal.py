"""The journal as the rest of the tool sees it: one connection, one transaction per call."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.errors import EnvironmentMissingError, RefusedError
from upgrader.journal import attempts, checks, reading, runs
from upgrader.journal.chain import AuditFile
from upgrader.journal.commit import Clock, stale
from upgrader.journal.errors import JournalError
from upgrader.journal.lease import boot_id
from upgrader.journal.log import AUDIT, Log
from upgrader.journal.place import (
    DATABASE,
    FULL,
    Durability,
    connect,
    connect_readonly,
    exists,
    refuse_network_filesystem,
    translated,
)
from upgrader.journal.projection import ENGINE, rebuild
from upgrader.journal.rows import Acceptance, AttemptRow, EventRow, FindingMemory, HopRow, Snapshot
from upgrader.states import AttemptState, Event, Ponr, RunState, State


def open_journal(
    state_dir: Path,
    *,
    readonly: bool = False,
    create: bool = True,
    durability: Durability = FULL,
    clock: Clock | None = None,
) -> Journal:
    """Open the journal in `state_dir`; a context manager.

    Raises JournalError when it is damaged, of a newer version or (without `create`, or with `readonly`) not there;
    EnvironmentMissingError on a network file system, without rights, or when the disk is full. An older journal
    opens for a writer only, and is migrated when it is entered.
    """
    path = state_dir / DATABASE
    if not exists(state_dir) or not path.stat().st_size:
        AuditFile(state_dir / AUDIT).refuse_lost()
    if not exists(state_dir) and (readonly or not create):
        raise JournalError(
            f"there is no journal in {state_dir}: nothing was ever run here",
            cloud="not touched by this tool",
            next_command="upgrader plan --to RELEASE",
            reason="no-journal",
        )
    refuse_network_filesystem(state_dir)
    if readonly:
        connection = connect_readonly(path)
    else:
        _make_folder(state_dir)
        connection = connect(path, durability)
    journal = Journal(state_dir, connection, readonly=readonly, durability=durability, clock=clock or Clock())
    try:
        journal.prepare()
    except BaseException:
        journal.close()
        raise
    return journal


def _make_folder(state_dir: Path) -> None:
    try:
        durable.make_dir(state_dir, exist_ok=True)
    except OSError as error:
        raise EnvironmentMissingError(
            f"the journal's folder {state_dir} cannot be made: {error.strerror}",
            cloud="nothing was changed",
            next_command=f"check who owns {state_dir.parent}, then: upgrader status",
            reason="state-dir-unwritable",
        ) from error


class Journal(Log):
    """What happened and what is intended, for one cloud. Every write is one commit, and only the owner writes.

    Any write raises StaleEpochError once another owner has entered, LockedError when the database stays busy,
    EnvironmentMissingError when the disk is full, RefusedError when the law does not permit it, InvariantError
    when the caller's order of calls is wrong; nothing is written then.
    """

    # ------------------------------------------------------------ runs and hops

    def begin_run(
        self,
        plan: Mapping[str, Any],
        plan_sha256: str,
        actor: str,
        hops: Sequence[tuple[str, str]],
        *,
        engine_version: str = "",
    ) -> str:
        """Begin to execute a plan; returns the run's id. `hops`: (from, to), in order.

        Raises StaleError with the differences when the plan was edited, belongs to another journal or was made
        before something else was done here; RefusedError while another run is open.
        """
        with self._commit("begin_run") as commit:
            return runs.begin_run(commit, plan, plan_sha256, actor=actor, hops=hops, engine_version=engine_version)

    def begin_hop(self, index: int) -> None:
        """Move a pending hop into its first stage; the hop before has to be done."""
        with self._commit("begin_hop") as commit:
            runs.begin_hop(commit, index)

    def move(
        self,
        hop: int,
        event: Event,
        actor: str,
        reason: str,
        data: Mapping[str, Any] | None = None,
        *,
        redeploy_allowed: bool = False,
        restore_possible: bool = False,
    ) -> HopRow:
        """A decision of a person, or of the engine (`actor` is then `engine`), about a hop at rest.

        `redeploy_allowed` and `restore_possible` are what was found out about the way back; REDEPLOY and RESTORE
        are refused without them. ACCEPT records the acceptance in the same commit. Returns the hop afterwards.
        """
        with self._commit("move") as commit:
            return runs.move(
                commit, hop, Event(event), actor=actor, reason=reason, data=data,
                redeploy_allowed=redeploy_allowed, restore_possible=restore_possible,
            )  # fmt: skip

    def end_run(self, state: RunState, actor: str = ENGINE, reason: str = "") -> None:
        """Abort or supersede the open run; the other ends follow by themselves from the last move of a hop."""
        with self._commit("end_run") as commit:
            runs.end_run(commit, RunState(state), actor, reason)

    # ------------------------------------------------------------ attempts

    def intend(
        self, hop: int, stage: State, *, request_sha256: str, attempt: str = "", ponr: Ponr | None = None
    ) -> AttemptRow:
        """T1, before any effect. For `upgrade` the point of no return becomes at least `possible` (or `ponr`).

        `attempt` is the id to use, a fresh uuid; one is made when it is empty.
        """
        with self._commit("intend") as commit:
            return attempts.intend(commit, hop, State(stage), attempt=attempt, request_sha256=request_sha256, ponr=ponr)

    def next_number(self, hop: int, stage: State) -> int:
        """The number that the next attempt of a stage of the open run gets."""
        with translated(self.path):
            return attempts.next_number(self._connection, self._open_run(), hop, State(stage))

    def attempts_since_decision(self, hop: int, stage: State) -> int:
        """Attempts of a stage of the open run that began since a person last decided something on the hop."""
        with translated(self.path):
            return attempts.tries_unattended(self._connection, self._open_run(), hop, State(stage))

    def _open_run(self) -> str:
        run = reading.run_row(self._connection, "ended_at = ''")
        return run.id if run else ""

    def launched(self, attempt: str, pid: int, boot: str = "") -> None:
        """The supervisor of the attempt was spawned, on the machine with this boot id (default: this one)."""
        with self._commit("launched") as commit:
            attempts.launched(commit, attempt, pid, boot or boot_id())

    def step(self, attempt: str, name: str, code: str, message: str = "") -> None:
        """The attempt reported a step."""
        with self._commit("step") as commit:
            attempts.step(commit, attempt, name, code, message)

    def ponr(self, hop: int, value: Ponr, why: str) -> None:
        """Raise the hop's point of no return; a lower value changes nothing. It is lowered by `finish` alone."""
        with self._commit("ponr") as commit:
            attempts.raise_ponr(commit, commit.hop(runs.current_run(commit).id, hop), Ponr(value), why)

    def finish(
        self,
        attempt: str,
        result: AttemptState,
        event: Event | None,
        evidence: Mapping[str, Any] | None = None,
        *,
        message: str = "",
        schema_started: bool | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> HopRow:
        """T2: result of the attempt, move of the hop and what follows for the run, in one commit.

        `event` is None for a void attempt: the hop stays. `schema_started` None counts as yes for an upgrade: the
        point of no return is then crossed. `facts` are kept with the hop. Returns the hop afterwards.
        """
        with self._commit("finish") as commit:
            return attempts.finish(
                commit, attempt, AttemptState(result), event and Event(event), evidence or {},
                message=message, schema_started=schema_started, facts=facts or {},
            )  # fmt: skip

    # ------------------------------------------------------------ words of the operator

    def accept(self, name: str, reason: str, actor: str) -> None:
        """Record that a person accepts the risk `name`, before the intent that it unlocks."""
        with self._commit("accept") as commit:
            run = runs.current_run(commit)
            commit.append("accepted", {"name": name, "reason": reason, "actor": actor}, run=run.id)

    def checked(
        self, seen: Mapping[str, str], scope: Collection[str], actor: str, data: Mapping[str, Any] | None = None
    ) -> FindingMemory:
        """Record a check: `seen` are its open findings (id → hop, empty for the cloud itself), `scope` the hops judged.

        Moves nothing and makes no plan stale. Returns what is remembered of findings from now on.
        """
        with self._commit("checked") as commit:
            checks.checked(commit, seen, scope, actor, data or {})
        return self.findings()

    def accept_finding(self, name: str, reason: str, actor: str, data: Mapping[str, Any] | None = None) -> None:
        """Record that a person takes the risk of a finding that the last check saw open, until it is settled."""
        with self._commit("accept") as commit:
            checks.accept(commit, name, reason, actor, data or {})

    def set_flag(self, name: str, value: str = "", actor: str = "") -> None:
        """Set a flag such as `paused` or `cancel_requested`."""
        with self._commit("set_flag") as commit:
            commit.append("flag_set", {"name": name, "value": value, "actor": actor})

    def clear_flag(self, name: str, actor: str = "") -> None:
        """Clear a flag. Raises RefusedError for `inconsistent`: only a passing verify clears that."""
        if name == attempts.INCONSISTENT:
            raise RefusedError(
                "the cloud was left inconsistent by a failed way back; only a passing verify clears that",
                next_command="upgrader status",
                reason="inconsistent",
            )
        with self._commit("clear_flag") as commit:
            commit.append("flag_cleared", {"name": name, "actor": actor})

    def replace_backup(self, hop: int, facts: Mapping[str, str], actor: str) -> None:
        """Another backup set is the way back of a hop from now on; `facts` are those its stage would have left.

        Raises RefusedError once the hop's upgrade was launched: what was written since is in no set made later.
        """
        with self._commit("replace_backup") as commit:
            run = runs.current_run(commit)
            commit.hop(run.id, hop)
            launched = commit.number(
                "SELECT COUNT(*) FROM attempts WHERE run = ? AND hop = ? AND stage = ? AND state <> ?",
                (run.id, hop, State.UPGRADE, AttemptState.VOID),
            )
            if launched:
                raise RefusedError(
                    "this hop's upgrade has begun: a set made now would not lead back",
                    cloud="Nothing was changed by this command.",
                    next_command="upgrader status",
                    reason="upgrade-begun",
                )
            commit.append("backup_replaced", {"facts": dict(facts), "actor": actor}, run=run.id, hop=hop)

    def note(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record something that moves nothing; its kind in the history is `note.` and `kind`."""
        with self._commit("note") as commit:
            run = commit.open_run()
            commit.append(f"note.{kind}", data, run=run.id if run else "")

    # ------------------------------------------------------------ reading

    def snapshot(self, recent: int = 10) -> Snapshot:
        """Everything at one moment, with the last `recent` events; costs the same with any length of history."""
        with translated(self.path):
            return reading.snapshot(self._connection, recent)

    def plan(self, run: str) -> dict[str, Any]:
        """The plan document that a run executes. Raises RefusedError when there is no such run."""
        with translated(self.path):
            row = self._connection.execute("SELECT document FROM plans WHERE run = ?", (run,)).fetchone()
        if row is None:
            raise RefusedError(
                f"there is no run {run} in the journal", next_command="upgrader history", reason="no-run"
            )
        document: dict[str, Any] = json.loads(row["document"])
        return document

    def attempts(self, run: str, hop: int | None = None, stage: State | None = None) -> tuple[AttemptRow, ...]:
        """Attempts of a run in the order of their intents; of one hop or one stage where given."""
        where, values = "run = ?", [run]
        with translated(self.path):
            rows = reading.attempt_rows(self._connection, where, tuple(values))
        return tuple(row for row in rows if hop in (None, row.hop) and stage in (None, row.stage))

    def acceptances(self, run: str = "") -> tuple[Acceptance, ...]:
        """What was accepted in a run (default: the newest), the newest last."""
        with translated(self.path):
            newest = reading.run_row(self._connection, "id = ?" if run else "1", (run,) if run else ())
            return reading.acceptance_rows(self._connection, newest.id) if newest else ()

    def findings(self) -> FindingMemory:
        """What is remembered of findings, and which of them are accepted."""
        with translated(self.path):
            return checks.memory(self._connection)

    def events(self, after: int = 0, limit: int | None = None, kinds: Iterable[str] = ()) -> Iterator[EventRow]:
        """Events with a number above `after`, oldest first; all kinds, or the given ones."""
        with translated(self.path):
            yield from reading.events(self._connection, after, limit, kinds)

    def verify(self) -> tuple[str, ...]:
        """Faults of the history: changed, deleted, inserted or reordered events, a cut tail, foreign commits."""
        with translated(self.path):
            self._connection.execute("BEGIN")
            try:
                return reading.faults(self._connection, self._audit)
            finally:
                self._connection.execute("ROLLBACK")

    def rebuild(self) -> tuple[str, ...]:
        """Make all tables again from the events; returns the names of those that had been different.

        Raises InvariantError when the events do not fit each other; the tables stay as they were then.
        """
        with translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                meta = self._connection.execute("SELECT epoch FROM meta").fetchone()
                if self._epoch < 0 or meta["epoch"] != self._epoch:
                    raise stale(self._epoch, meta["epoch"])
                before = reading.tables(self._connection)
                rebuild(self._connection, list(reading.events(self._connection)))
                after = reading.tables(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        return tuple(table for table in before if before[table] != after[table])
