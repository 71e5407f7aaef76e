"""Attempts: the intent before an effect (T1), what is heard while it runs, and its result (T2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from upgrader.errors import AttentionError, RefusedError
from upgrader.journal.chain import digest, new_id
from upgrader.journal.commit import Commit
from upgrader.journal.errors import InvariantError
from upgrader.journal.projection import ENGINE
from upgrader.journal.rows import AttemptRow, HopRow
from upgrader.journal.runs import current_run, move
from upgrader.states import (
    FORWARD,
    HOP_BUDGET,
    INFO,
    RESULTS,
    SKIPPED_BY_ENGINE,
    AttemptState,
    Event,
    Ponr,
    State,
)

INCONSISTENT = "inconsistent"
"""Flag: a way back failed, so nobody can say what the cloud is; only a passing verify clears it."""
CANCEL_REQUESTED = "cancel_requested"
_BACK = (State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE, State.VERIFY_OLD)


def intend(
    commit: Commit, index: int, stage: State, *, attempt: str, request_sha256: str, ponr: Ponr | None
) -> AttemptRow:
    """T1: say what is going to be done, before anything is done.

    Raises RefusedError when the hop is not in `stage` or another attempt has no result; AttentionError when the
    budget of attempts without a person's decision is used up.
    """
    run = current_run(commit)
    hop = commit.hop(run.id, index)
    _check_intent(commit, hop, stage)
    number = next_number(commit.connection, run.id, index, stage)
    data = {
        "stage": stage,
        "number": number,
        "key": digest([run.plan_sha256, run.id, index, stage, number]),
        "request_sha256": request_sha256,
        "after_interrupt": int(hop.interrupted),
        "ponr_before": hop.ponr,
    }
    attempt = attempt or new_id()
    commit.append("attempt_intended", data, run=run.id, hop=index, attempt=attempt)
    if stage is State.UPGRADE:
        raise_ponr(commit, hop, ponr or Ponr.POSSIBLE, "an upgrade is about to be launched")
    return commit.attempt(attempt)


def _check_intent(commit: Commit, hop: HopRow, stage: State) -> None:
    other = commit.in_flight()
    if other:
        raise RefusedError(
            f"attempt {other.number} of {other.stage} has no result yet",
            cloud=f"hop {hop.name} is in {hop.state}",
            next_command="upgrader resume",
            reason="attempt-in-flight",
        )
    if hop.state is not stage or INFO[stage].kind != "stage":
        raise RefusedError(
            f"{stage} cannot be worked on: hop {hop.name} is in {hop.state}",
            cloud=f"hop {hop.name} is in {hop.state}",
            next_command="upgrader status",
            reason="illegal-move",
        )
    _check_budget(commit, hop, stage)
    _check_predecessors(commit, hop, stage)
    _check_decision(commit, hop, stage)


def _check_budget(commit: Commit, hop: HopRow, stage: State) -> None:
    tries = tries_unattended(commit.connection, hop.run, hop.index, stage)
    if tries >= INFO[stage].budget or hop.unattended >= HOP_BUDGET:
        raise AttentionError(
            f"{stage} was tried {tries} times, {hop.unattended} attempts in all, without a person deciding in between",
            cloud=f"hop {hop.name} is in {hop.state}",
            next_command="upgrader status",
            reason="attempt-budget",
        )


def next_number(connection: sqlite3.Connection, run: str, index: int, stage: State) -> int:
    """The number that the next attempt of this stage of this hop gets."""
    query = "SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE run = ? AND hop = ? AND stage = ?"
    return int(connection.execute(query, (run, index, stage)).fetchone()[0])


def tries_unattended(connection: sqlite3.Connection, run: str, index: int, stage: State) -> int:
    """Attempts of this stage that began since a person last decided something on the hop."""
    query = (
        "SELECT count(*) FROM attempts a JOIN hops h ON a.run = h.run AND a.hop = h.idx WHERE h.run = ? "
        "AND h.idx = ? AND a.stage = ? AND a.state <> 'void' AND a.intended_seq > h.attended_seq"
    )
    return int(connection.execute(query, (run, index, stage)).fetchone()[0])


def _check_predecessors(commit: Commit, hop: HopRow, stage: State) -> None:
    """I2: up to the upgrade, every stage before this one succeeded since the hop last began anew, or was passed by."""
    if stage not in FORWARD[: FORWARD.index(State.UPGRADE) + 1]:
        return
    if stage is State.UPGRADE and hop.broker_open:
        raise InvariantError("an upgrade over a queue migration that is not finished", reason="I2")
    for before in FORWARD[: FORWARD.index(stage)]:
        if before in SKIPPED_BY_ENGINE:
            continue  # only its success or a recorded move by the engine leads on from it
        done = commit.number(
            "SELECT count(*) FROM attempts a JOIN hops h ON a.run = h.run AND a.hop = h.idx WHERE h.run = ? "
            "AND h.idx = ? AND a.stage = ? AND a.state = 'succeeded' AND a.finished_seq > h.preflight_seq",
            (hop.run, hop.index, before),
        )
        if not done:
            raise InvariantError(f"{stage} before {before} succeeded", reason="I2")


def _check_decision(commit: Commit, hop: HopRow, stage: State) -> None:
    """I3: what is not idempotent is launched again only after a recorded decision or probe."""
    if INFO[stage].repeat != "decision":
        return
    undecided = commit.number(
        "SELECT count(*) FROM attempts a JOIN hops h ON a.run = h.run AND a.hop = h.idx WHERE h.run = ? "
        "AND h.idx = ? AND a.stage = ? AND a.state <> 'void' AND a.finished_seq > h.decided_seq",
        (hop.run, hop.index, stage),
    )
    if undecided:
        raise InvariantError(f"{stage} again without a decision or a probe since its last attempt", reason="I3")


def launched(commit: Commit, attempt: str, pid: int, boot: str) -> None:
    """Record that the supervisor was spawned."""
    row = _open_attempt(commit, attempt)
    commit.append("attempt_launched", {"pid": pid, "boot": boot}, run=row.run, hop=row.hop, attempt=attempt)


def step(commit: Commit, attempt: str, name: str, code: str, message: str) -> None:
    """Record a step of an attempt that is under way."""
    row = _open_attempt(commit, attempt)
    data = {"name": name, "code": code, "message": message}
    commit.append("attempt_step", data, run=row.run, hop=row.hop, attempt=attempt)


def _open_attempt(commit: Commit, attempt: str) -> AttemptRow:
    row = commit.attempt(attempt)
    if not row.in_flight:
        raise InvariantError(f"attempt {attempt} already ended as {row.state}", reason="attempt-ended")
    return row


def raise_ponr(commit: Commit, hop: HopRow, value: Ponr, why: str) -> None:
    """Let the point of no return rise; a lower value than the present one changes nothing (I4)."""
    order = list(Ponr)
    if order.index(value) > order.index(hop.ponr):
        _set_ponr(commit, hop, value, why)


def _set_ponr(commit: Commit, hop: HopRow, value: Ponr, why: str) -> None:
    commit.append("ponr", {"from": hop.ponr, "to": value, "why": why}, run=hop.run, hop=hop.index)


def finish(
    commit: Commit,
    attempt: str,
    result: AttemptState,
    event: Event | None,
    evidence: Mapping[str, Any],
    *,
    message: str,
    schema_started: bool | None,
    facts: Mapping[str, str],
) -> HopRow:
    """T2: the attempt's result and the hop's move, in one commit. Returns the hop as it is then."""
    row = _open_attempt(commit, attempt)
    if event not in RESULTS.get(result, frozenset()):
        raise InvariantError(f"an attempt that is {result} does not cause {event}", reason="result-and-event")
    hop = commit.hop(row.run, row.hop)
    if hop.state is not row.stage:
        raise InvariantError(f"attempt of {row.stage} while the hop is in {hop.state}", reason="hop-moved-away")
    data = {
        "stage": row.stage,
        "number": row.number,
        "result": result,
        "event": event,
        "message": message,
        "schema_started": schema_started,
        "evidence": dict(evidence),
        "facts": dict(facts),
    }
    commit.append("attempt_finished", data, run=row.run, hop=row.hop, attempt=attempt)
    if row.stage is State.UPGRADE:
        _settle_ponr(commit, row, result, event, schema_started)
    _settle_flags(commit, row, result, message)
    if event is None:
        return commit.hop(row.run, row.hop)
    return move(commit, row.hop, event, actor=ENGINE, reason=message, data={"attempt": attempt}, of_attempt=True)


def _settle_ponr(
    commit: Commit, row: AttemptRow, result: AttemptState, event: Event | None, schema_started: bool | None
) -> None:
    """Nothing stays merely possible: what cannot be ruled out counts as crossed."""
    hop = commit.hop(row.run, row.hop)
    if hop.ponr is not Ponr.POSSIBLE:
        if schema_started and hop.ponr is Ponr.NO:
            _set_ponr(commit, hop, Ponr.CROSSED, "a schema change began")
        return
    if result is AttemptState.VOID:
        _set_ponr(commit, hop, Ponr.NO, "the attempt never started")
    elif event is Event.PROBED_UNTOUCHED and not schema_started:
        _set_ponr(commit, hop, Ponr.NO, "looking at the cloud shows that nothing was changed")
    elif schema_started is False:
        _set_ponr(commit, hop, Ponr.NO, "the attempt ended before any schema change")
    else:
        why = "a schema change began" if schema_started else "a schema change cannot be ruled out"
        _set_ponr(commit, hop, Ponr.CROSSED, why)


def _settle_flags(commit: Commit, row: AttemptRow, result: AttemptState, message: str) -> None:
    flags = {flag["name"] for flag in commit.connection.execute("SELECT name FROM flags")}
    if CANCEL_REQUESTED in flags:
        commit.append("flag_cleared", {"name": CANCEL_REQUESTED, "actor": ENGINE}, run=row.run)
    good = result is AttemptState.SUCCEEDED
    if INCONSISTENT in flags and good and row.stage in (State.VERIFY, State.VERIFY_OLD):
        commit.append("flag_cleared", {"name": INCONSISTENT, "actor": ENGINE}, run=row.run)
    if row.stage in _BACK and not good and result is not AttemptState.VOID:
        value = f"{row.stage}: {message or result}"
        commit.append("flag_set", {"name": INCONSISTENT, "value": value, "actor": ENGINE}, run=row.run)
