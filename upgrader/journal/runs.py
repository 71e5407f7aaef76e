"""Runs and hops: beginning a plan, moving a hop, and what a hop's move means for its run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from upgrader.errors import RefusedError, StaleError
from upgrader.journal.chain import digest, new_id
from upgrader.journal.commit import Commit
from upgrader.journal.errors import InvariantError
from upgrader.journal.projection import ENGINE
from upgrader.journal.reading import hop_rows, run_row
from upgrader.journal.rows import HopRow, RunRow
from upgrader.states import (
    ATTEMPT_EVENTS,
    RUN_ENDED,
    RUN_MOVES,
    Event,
    RunState,
    State,
    Who,
    allowed,
    row_of,
    table_hash,
)

RESTS: dict[State, RunState] = {
    State.ROLLED_BACK: RunState.ROLLED_BACK,
    State.ABORTED: RunState.ABORTED,
    State.SUPERSEDED: RunState.SUPERSEDED,
    State.NEEDS_ATTENTION: RunState.NEEDS_ATTENTION,
}
"""States of a hop that decide about its run."""


def begin_run(
    commit: Commit,
    plan: Mapping[str, Any],
    plan_sha256: str,
    *,
    actor: str,
    hops: Sequence[tuple[str, str]],
    engine_version: str,
) -> str:
    """Record a plan and its hops. Refuses a plan of another journal or of an older state of this one."""
    running = commit.open_run()
    if running:
        raise RefusedError(
            f"run {running.id[:8]} of plan {running.plan_sha256[:8]} is not finished",
            cloud="as that run left it",
            next_command="upgrader resume, or upgrader abort",
            reason="run-active",
        )
    if not hops:
        raise InvariantError("a run has at least one hop", reason="no-hops")
    differences = _differences(commit, plan, plan_sha256)
    if differences:
        raise StaleError(
            "the plan does not belong to this journal as it is now",
            cloud="nothing was changed",
            next_command="upgrader plan",
            details=differences,
            reason="plan-stale",
        )
    run = new_id()
    data = {
        "plan": json.loads(json.dumps(plan)),
        "plan_sha256": plan_sha256,
        "base_serial": commit.serial,
        "actor": actor,
        "engine_version": engine_version,
        "table_hash": table_hash(),
        "hops": [list(hop) for hop in hops],
    }
    commit.append("run_begun", data, run=run)
    return run


def _differences(commit: Commit, plan: Mapping[str, Any], plan_sha256: str) -> list[str]:
    found = []
    if digest(plan) != plan_sha256:
        found.append(f"content: the plan was changed after it was made (it names {plan_sha256[:12]})")
    lineage, serial = plan.get("lineage", ""), plan.get("serial", 0)
    if lineage and lineage != commit.lineage:
        found.append(f"lineage: made for {lineage}, this journal is {commit.lineage}")
    elif serial != commit.serial:
        found.append(f"serial: made at {serial}, the journal is at {commit.serial}")
    return found


def current_run(commit: Commit) -> RunRow:
    """The run that has not ended. Raises RefusedError when there is none."""
    run = commit.open_run()
    if run is None:
        raise RefusedError("no run is under way", next_command="upgrader plan", reason="no-run")
    return run


def begin_hop(commit: Commit, index: int) -> None:
    """Move a pending hop to its first stage. Raises RefusedError while a hop before it is not done."""
    run = current_run(commit)
    _refuse_out_of_order(commit, run, index)
    move(commit, index, Event.START, actor=ENGINE, reason="the hop begins")
    if run.state is RunState.PLANNED:
        _move_run(commit, run, RunState.ACTIVE, "the first hop began")


def _refuse_out_of_order(commit: Commit, run: RunRow, index: int) -> None:
    before = [hop for hop in hop_rows(commit.connection, run.id)[:index] if hop.state is not State.HOP_DONE]
    if before:
        raise RefusedError(
            f"hop {index + 1} cannot begin: {before[0].name} is {before[0].state}",
            cloud=f"hop {before[0].name} is {before[0].state}",
            next_command="upgrader status",
            reason="hop-order",
        )


def move(
    commit: Commit,
    index: int,
    event: Event,
    *,
    actor: str,
    reason: str,
    data: Mapping[str, Any] | None = None,
    redeploy_allowed: bool = False,
    restore_possible: bool = False,
    of_attempt: bool = False,
) -> HopRow:
    """Move a hop and, where its new state decides about it, the run. Returns the hop as it is then.

    Raises RefusedError for a move that the table, the way back or an attempt in flight does not permit.
    """
    run = current_run(commit)
    hop = commit.hop(run.id, index)
    if not of_attempt:
        _refuse_while_in_flight(commit, hop, event)
        legal = dict(
            allowed(
                hop.state, hop.ponr, redeploy_allowed, restore_possible, closed=hop.closed, broker_open=hop.broker_open
            )
        )
        _check_permission(hop, event, actor, legal)
    row = row_of(hop.state, event)
    if row is None:
        raise InvariantError(f"a hop in {hop.state} cannot take {event}", reason="illegal-move")
    if event is Event.PAUSE:
        if not index:
            raise InvariantError("a rest between hops needs a hop before it", reason="pause-before-the-first-hop")
        _refuse_out_of_order(commit, run, index)
    if event is Event.SKIP and not reason:
        raise InvariantError(f"why {hop.state} is passed by has to be said", reason="skip-without-reason")
    if event is Event.ACCEPT:
        accepted = {"name": f"{hop.state}", "reason": reason, "actor": actor}
        commit.append("accepted", accepted, run=run.id, hop=index)
    body = {
        "from": row.state, "to": row.next, "event": event, "actor": actor, "reason": reason, "data": dict(data or {}),
    }  # fmt: skip
    commit.append("hop_moved", body, run=run.id, hop=index)
    _settle_run(commit, run, row.next, actor, reason)
    return commit.hop(run.id, index)


def _refuse_while_in_flight(commit: Commit, hop: HopRow, event: Event) -> None:
    attempt = commit.in_flight()
    if attempt:
        raise RefusedError(
            f"{event} has to wait: attempt {attempt.number} of {attempt.stage} has no result yet",
            cloud=f"hop {hop.name} is in {hop.state}",
            next_command="upgrader resume",
            reason="attempt-in-flight",
        )


def _check_permission(hop: HopRow, event: Event, actor: str, legal: Mapping[Event, Who]) -> None:
    who = None if event in ATTEMPT_EVENTS else legal.get(event)
    # what an attempt says comes with the attempt's end, never by itself
    names = ", ".join(name for name in legal if name not in ATTEMPT_EVENTS) or "nothing"
    if who is None:
        closed = " (the way back is closed: finalize was started)" if hop.closed else ""
        raise RefusedError(
            f"hop {hop.name} is in {hop.state}: {event} is not possible there now{closed}; possible: {names}",
            cloud=f"hop {hop.name} is in {hop.state}, point of no return: {hop.ponr}",
            next_command="upgrader status",
            reason="illegal-move",
        )
    person = actor != ENGINE
    if (who is Who.OPERATOR and not person) or (who is Who.ENGINE and person):
        raise RefusedError(
            f"{event} in {hop.state} belongs to the {who}, not to {actor}",
            cloud=f"hop {hop.name} is in {hop.state}",
            next_command="upgrader status",
            reason="not-yours-to-decide",
        )


def _settle_run(commit: Commit, run: RunRow, entered: State, actor: str, reason: str) -> None:
    hops = hop_rows(commit.connection, run.id)
    if entered in RESTS:
        target = RESTS[entered]
        if target in RUN_ENDED:
            _drop_pending(commit, hops, target, actor)
        _move_run(commit, run, target, reason)
    elif run.state is RunState.NEEDS_ATTENTION:
        _move_run(commit, run, RunState.ACTIVE, reason)
    elif all(hop.state is State.HOP_DONE for hop in hops):
        _move_run(commit, run, RunState.DONE, "every hop is done")


def _drop_pending(commit: Commit, hops: Sequence[HopRow], target: RunState, actor: str) -> None:
    """Hops that never began end with their run; the decision was made on the hop that ended it."""
    dropped = State(target)
    event = Event.SUPERSEDE if dropped is State.SUPERSEDED else Event.ABORT
    if dropped is State.ROLLED_BACK:
        dropped = State.ABORTED
    for hop in hops:
        if hop.state is State.PENDING:
            body: dict[str, Any] = {
                "from": hop.state, "to": dropped, "event": event, "actor": actor,
                "reason": f"the run is {target}", "data": {"follows": target},
            }  # fmt: skip
            commit.append("hop_moved", body, run=hop.run, hop=hop.index)


def _move_run(commit: Commit, run: RunRow, target: RunState, reason: str) -> None:
    now = run_row(commit.connection, "id = ?", (run.id,))
    state = now.state if now else run.state
    if target not in RUN_MOVES[state]:
        raise InvariantError(f"a run that is {state} cannot become {target}", reason="illegal-move")
    commit.append("run_moved", {"from": state, "to": target, "reason": reason}, run=run.id)


def end_run(commit: Commit, state: RunState, actor: str, reason: str) -> None:
    """Abort or supersede what is left of the open run. Other ends follow by themselves from a hop's last move.

    Nothing happens when the newest run has already ended in `state`.
    """
    newest = run_row(commit.connection, "1")
    if newest and newest.state is state and state in RUN_ENDED:
        return  # said twice, as a resumed engine does
    run = current_run(commit)
    events = {RunState.ABORTED: Event.ABORT, RunState.SUPERSEDED: Event.SUPERSEDE}
    if state not in events:
        raise RefusedError(
            f"run {run.id[:8]} is {run.state}: it becomes {state} by its last hop, not by decree",
            next_command="upgrader status",
            reason="illegal-move",
        )
    current = next(hop for hop in hop_rows(commit.connection, run.id) if not hop.ended)
    move(commit, current.index, events[state], actor=actor, reason=reason)
