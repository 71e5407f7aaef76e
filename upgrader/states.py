"""The law of a hop as a table: which event leads from which state to which, and who may cause it.

Owns the words for states and events, the moves between them, and what each state means for the cloud. Imports
nothing of the project and nothing heavy, so that `status` can read it in no time. `machine.py` runs the table,
the journal refuses everything that is not in it, and the README's diagram is drawn from it.

A stage's state means "this stage is to be worked on, or is being worked on": the result of an attempt moves the
hop on to the next stage, and the next attempt then starts in the state that is already there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple


class State(StrEnum):
    """Where a hop stands. Values are persisted: never rename one, only add."""

    PENDING = "pending"
    HOLD_HOP = "hold_hop"
    PREFLIGHT = "preflight"
    BACKUP = "backup"
    PULL = "pull"
    REHEARSE = "rehearse"
    HOLD_BROKER = "hold_broker"
    BROKER = "broker"
    DECIDE_BROKER = "decide_broker"
    HOLD_UPGRADE = "hold_upgrade"
    UPGRADE = "upgrade"
    VERIFY = "verify"
    HOLD_VERIFY = "hold_verify"
    SOAK = "soak"
    HOLD_FINALIZE = "hold_finalize"
    FINALIZE = "finalize"
    DECIDE = "decide"
    ROLLBACK_REDEPLOY = "rollback_redeploy"
    ROLLBACK_RESTORE = "rollback_restore"
    VERIFY_OLD = "verify_old"
    FAILED_CLEAN = "failed_clean"
    NEEDS_ATTENTION = "needs_attention"
    HOP_DONE = "hop_done"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"


class Event(StrEnum):
    """What moves a hop. The first group is what attempts say, the second what evidence or a person decides."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """A check could not tell; a person has to look."""
    CANCELED = "canceled"
    """Stopped between two steps because the operator asked for it."""
    UNKNOWN = "unknown"
    """The attempt began and nobody can say how it ended."""
    PROBED_COMPLETE = "probed_complete"
    """The end of an attempt was lost, and looking at the cloud shows that the work is done."""
    PROBED_UNTOUCHED = "probed_untouched"
    """The end of an attempt was lost, and looking at the cloud shows that nothing was changed."""

    START = "start"
    PAUSE = "pause"
    """The run rests between two hops, because the site or the operator asked for it."""
    APPROVE = "approve"
    SKIP = "skip"
    """The engine passes a stage by, for a reason that is recorded: there is nothing for it to do on this hop."""
    ACCEPT = "accept"
    RETRY = "retry"
    RECHECK = "recheck"
    RECHECK_OLD = "recheck_old"
    TAKE_BACK = "take_back"
    """The operator leaves the way forward: to a clean stop before the upgrade, to a decision after it began."""
    REDEPLOY = "redeploy"
    RESTORE = "restore"
    RECONSIDER = "reconsider"
    """Back to the decision, after a person has looked."""
    RECONSIDER_BROKER = "reconsider_broker"
    """Back to the decision about a queue migration that has begun and is not finished, after a person has looked."""
    REOPEN = "reopen"
    """Back before finalize."""
    GIVE_UP = "give_up"
    ABORT = "abort"
    SUPERSEDE = "supersede"
    """A newer plan takes this one's place."""


class Ponr(StrEnum):
    """Point of no return of a hop: schema changes provably have not begun, may have begun, or have begun."""

    NO = "no"
    POSSIBLE = "possible"
    CROSSED = "crossed"


class Who(StrEnum):
    """Who may cause a move."""

    ENGINE = "engine"
    """Only the engine, from an attempt's result or from evidence."""
    OPERATOR = "operator"
    """Only a person, by an explicit command."""
    EITHER = "either"
    """A person, or the engine where a policy of the site allows it."""


class RunState(StrEnum):
    """Where the execution of a whole plan stands."""

    PLANNED = "planned"
    ACTIVE = "active"
    NEEDS_ATTENTION = "needs_attention"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"


class AttemptState(StrEnum):
    """One execution of one stage. `void`: it provably never started."""

    INTENDED = "intended"
    LAUNCHED = "launched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    VOID = "void"


class Row(NamedTuple):
    state: State
    event: Event
    next: State
    who: Who
    note: str


S, E, W = State, Event, Who


def _checked(stage: State, after: State, clean: State, unknown: State) -> tuple[Row, ...]:
    """What every stage's attempts can say; `clean` is where a stage goes that did not come right."""
    lost = "the same stage is worked on again" if unknown is stage else "its end is lost: never simply run again"
    return (
        Row(stage, E.SUCCEEDED, after, W.ENGINE, ""),
        Row(stage, E.FAILED, clean, W.ENGINE, ""),
        Row(stage, E.CANCELED, clean, W.ENGINE, "stopped between two steps"),
        Row(stage, E.UNKNOWN, unknown, W.ENGINE, lost),
    )


def _before_upgrade(stage: State, after: State) -> tuple[Row, ...]:
    return (
        *_checked(stage, after, S.FAILED_CLEAN, stage),
        Row(stage, E.INCONCLUSIVE, S.FAILED_CLEAN, W.ENGINE, "a check that cannot tell does not open the way"),
        Row(stage, E.TAKE_BACK, S.FAILED_CLEAN, W.OPERATOR, "no running service was changed"),
    )


TABLE: tuple[Row, ...] = (
    Row(S.PENDING, E.START, S.PREFLIGHT, W.ENGINE, "the hop before is done"),
    Row(S.PENDING, E.PAUSE, S.HOLD_HOP, W.ENGINE, "the hop before is done, and the run is to rest here"),
    Row(S.PENDING, E.ABORT, S.ABORTED, W.OPERATOR, ""),
    Row(S.PENDING, E.SUPERSEDE, S.SUPERSEDED, W.OPERATOR, ""),
    Row(S.HOLD_HOP, E.APPROVE, S.PREFLIGHT, W.OPERATOR, "the next hop begins"),
    Row(S.HOLD_HOP, E.ABORT, S.ABORTED, W.OPERATOR, ""),
    Row(S.HOLD_HOP, E.SUPERSEDE, S.SUPERSEDED, W.OPERATOR, ""),
    *_before_upgrade(S.PREFLIGHT, S.BACKUP),
    *_before_upgrade(S.BACKUP, S.PULL),
    *_before_upgrade(S.PULL, S.REHEARSE),
    *_before_upgrade(S.REHEARSE, S.HOLD_BROKER),
    Row(S.HOLD_BROKER, E.SKIP, S.HOLD_UPGRADE, W.ENGINE, "no queue has to be migrated on this hop"),
    Row(S.HOLD_BROKER, E.APPROVE, S.BROKER, W.EITHER, "full API outage: every queue is made anew"),
    Row(S.HOLD_BROKER, E.ABORT, S.ABORTED, W.OPERATOR, ""),
    Row(S.HOLD_BROKER, E.SUPERSEDE, S.SUPERSEDED, W.OPERATOR, ""),
    *_checked(S.BROKER, S.HOLD_UPGRADE, S.DECIDE_BROKER, S.DECIDE_BROKER),
    Row(S.BROKER, E.INCONCLUSIVE, S.DECIDE_BROKER, W.ENGINE, ""),
    Row(S.BROKER, E.TAKE_BACK, S.DECIDE_BROKER, W.OPERATOR, "while no attempt is under way"),
    Row(S.DECIDE_BROKER, E.RETRY, S.BROKER, W.OPERATOR, "every step of it may be done again"),
    Row(S.DECIDE_BROKER, E.REDEPLOY, S.ROLLBACK_REDEPLOY, W.EITHER, "old switches, a reset, and the old queues anew"),
    Row(S.DECIDE_BROKER, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, ""),
    Row(S.HOLD_UPGRADE, E.APPROVE, S.UPGRADE, W.EITHER, "the change window is open"),
    Row(S.HOLD_UPGRADE, E.ABORT, S.ABORTED, W.OPERATOR, ""),
    Row(S.HOLD_UPGRADE, E.SUPERSEDE, S.SUPERSEDED, W.OPERATOR, ""),
    *_checked(S.UPGRADE, S.VERIFY, S.DECIDE, S.DECIDE),
    Row(S.UPGRADE, E.INCONCLUSIVE, S.DECIDE, W.ENGINE, ""),
    Row(S.UPGRADE, E.PROBED_COMPLETE, S.VERIFY, W.ENGINE, "strict verify follows"),
    Row(S.UPGRADE, E.PROBED_UNTOUCHED, S.UPGRADE, W.ENGINE, "it may be started again"),
    Row(S.UPGRADE, E.TAKE_BACK, S.DECIDE, W.OPERATOR, "while no attempt is under way"),
    *_checked(S.VERIFY, S.SOAK, S.DECIDE, S.VERIFY),
    Row(S.VERIFY, E.INCONCLUSIVE, S.HOLD_VERIFY, W.ENGINE, ""),
    Row(S.VERIFY, E.TAKE_BACK, S.DECIDE, W.OPERATOR, ""),
    Row(S.HOLD_VERIFY, E.RECHECK, S.VERIFY, W.EITHER, ""),
    Row(S.HOLD_VERIFY, E.ACCEPT, S.SOAK, W.OPERATOR, "the open risk is accepted by name"),
    Row(S.HOLD_VERIFY, E.TAKE_BACK, S.DECIDE, W.OPERATOR, ""),
    *_checked(S.SOAK, S.HOLD_FINALIZE, S.DECIDE, S.SOAK),
    Row(S.SOAK, E.INCONCLUSIVE, S.DECIDE, W.ENGINE, ""),
    Row(S.SOAK, E.TAKE_BACK, S.DECIDE, W.OPERATOR, ""),
    Row(S.HOLD_FINALIZE, E.APPROVE, S.FINALIZE, W.EITHER, "closes the way back"),
    Row(S.HOLD_FINALIZE, E.TAKE_BACK, S.DECIDE, W.OPERATOR, "the way back is still open"),
    *_checked(S.FINALIZE, S.HOP_DONE, S.NEEDS_ATTENTION, S.FINALIZE),
    Row(S.FINALIZE, E.INCONCLUSIVE, S.NEEDS_ATTENTION, W.ENGINE, ""),
    Row(S.FINALIZE, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, "the attempt budget is used up"),
    Row(S.DECIDE, E.RETRY, S.UPGRADE, W.OPERATOR, "roll forward: the default once schemas changed"),
    Row(S.DECIDE, E.RECHECK, S.VERIFY, W.OPERATOR, "repaired by hand"),
    Row(S.DECIDE, E.REDEPLOY, S.ROLLBACK_REDEPLOY, W.EITHER, "automatic only before the point of no return"),
    Row(S.DECIDE, E.RESTORE, S.ROLLBACK_RESTORE, W.OPERATOR, "typed confirmation; never automatic"),
    Row(S.DECIDE, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, ""),
    *_checked(S.ROLLBACK_REDEPLOY, S.VERIFY_OLD, S.NEEDS_ATTENTION, S.NEEDS_ATTENTION),
    Row(S.ROLLBACK_REDEPLOY, E.INCONCLUSIVE, S.NEEDS_ATTENTION, W.ENGINE, ""),
    Row(S.ROLLBACK_REDEPLOY, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, ""),
    *_checked(S.ROLLBACK_RESTORE, S.VERIFY_OLD, S.NEEDS_ATTENTION, S.NEEDS_ATTENTION),
    Row(S.ROLLBACK_RESTORE, E.INCONCLUSIVE, S.NEEDS_ATTENTION, W.ENGINE, ""),
    Row(S.ROLLBACK_RESTORE, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, ""),
    *_checked(S.VERIFY_OLD, S.ROLLED_BACK, S.NEEDS_ATTENTION, S.VERIFY_OLD),
    Row(S.VERIFY_OLD, E.INCONCLUSIVE, S.NEEDS_ATTENTION, W.ENGINE, ""),
    Row(S.VERIFY_OLD, E.GIVE_UP, S.NEEDS_ATTENTION, W.EITHER, ""),
    Row(S.FAILED_CLEAN, E.RETRY, S.PREFLIGHT, W.OPERATOR, "from the start: facts may have changed"),
    Row(S.FAILED_CLEAN, E.ABORT, S.ABORTED, W.OPERATOR, ""),
    Row(S.FAILED_CLEAN, E.SUPERSEDE, S.SUPERSEDED, W.OPERATOR, ""),
    Row(S.NEEDS_ATTENTION, E.RECONSIDER, S.DECIDE, W.OPERATOR, ""),
    Row(S.NEEDS_ATTENTION, E.RECONSIDER_BROKER, S.DECIDE_BROKER, W.OPERATOR, "a queue migration is not finished"),
    Row(S.NEEDS_ATTENTION, E.RECHECK, S.VERIFY, W.OPERATOR, "repaired by hand, forward"),
    Row(S.NEEDS_ATTENTION, E.RECHECK_OLD, S.VERIFY_OLD, W.OPERATOR, "repaired by hand, back"),
    Row(S.NEEDS_ATTENTION, E.REOPEN, S.HOLD_FINALIZE, W.OPERATOR, "the new release is judged sound"),
    Row(S.NEEDS_ATTENTION, E.ABORT, S.ABORTED, W.OPERATOR, "left as it is, under the operator's word"),
)


class Info(NamedTuple):
    """What a state means for the cloud and for the engine."""

    kind: Literal["stage", "hold", "rest", "terminal"]
    """A stage is worked on, a hold waits for a person's approval, a rest for a person's decision."""
    touches_cloud: bool = False
    """Working here changes running services."""
    repeat: Literal["idempotent", "new_place", "decision", "-"] = "-"
    """After a lost end: run again, run again to a new place, or only after a recorded decision or probe."""
    way_back: Literal["nothing", "redeploy", "restore", "forward-only"] = "nothing"
    """The most it can take to return from here; less where the facts of the hop allow it."""
    when: Literal["before", "window", "-"] = "-"
    """May run days ahead of the change window, or belongs into it."""
    unknown: Literal["rerun", "rerun_new_place", "destroy_rerun", "probe", "decide", "attention", "-"] = "-"
    """What to do about an attempt whose end is lost."""
    budget: int = 0
    """Attempts in a row without a person's decision in between; a loop breaker."""


INFO: dict[State, Info] = {
    S.PENDING: Info("rest"),
    S.HOLD_HOP: Info("hold"),
    S.PREFLIGHT: Info("stage", False, "idempotent", "nothing", "before", "rerun", 3),
    S.BACKUP: Info("stage", False, "new_place", "nothing", "window", "rerun_new_place", 3),
    S.PULL: Info("stage", False, "idempotent", "nothing", "before", "rerun", 3),
    S.REHEARSE: Info("stage", False, "new_place", "nothing", "before", "destroy_rerun", 3),
    S.HOLD_BROKER: Info("hold"),
    S.BROKER: Info("stage", True, "decision", "redeploy", "window", "decide", 2),
    S.DECIDE_BROKER: Info("rest", way_back="redeploy"),
    S.HOLD_UPGRADE: Info("hold"),
    S.UPGRADE: Info("stage", True, "decision", "restore", "window", "probe", 2),
    S.VERIFY: Info("stage", False, "idempotent", "restore", "window", "rerun", 3),
    S.HOLD_VERIFY: Info("rest", way_back="restore"),
    S.SOAK: Info("stage", False, "idempotent", "restore", "window", "rerun", 3),
    S.HOLD_FINALIZE: Info("hold", way_back="restore"),
    S.FINALIZE: Info("stage", False, "idempotent", "forward-only", "window", "rerun", 3),
    S.DECIDE: Info("rest", way_back="restore"),
    S.ROLLBACK_REDEPLOY: Info("stage", True, "decision", "redeploy", "window", "attention", 1),
    S.ROLLBACK_RESTORE: Info("stage", True, "decision", "restore", "window", "attention", 1),
    S.VERIFY_OLD: Info("stage", False, "idempotent", "redeploy", "window", "rerun", 3),
    S.FAILED_CLEAN: Info("rest"),
    S.NEEDS_ATTENTION: Info("rest", way_back="restore"),
    S.HOP_DONE: Info("terminal", way_back="forward-only"),
    S.ROLLED_BACK: Info("terminal"),
    S.ABORTED: Info("terminal"),
    S.SUPERSEDED: Info("terminal"),
}

HOP_BUDGET = 16
"""Attempts of one hop, all stages together, without a person's decision in between."""

STAGES: tuple[State, ...] = tuple(state for state, info in INFO.items() if info.kind == "stage")
FORWARD: tuple[State, ...] = (
    S.PREFLIGHT, S.BACKUP, S.PULL, S.REHEARSE, S.BROKER, S.UPGRADE, S.VERIFY, S.SOAK, S.FINALIZE,
)  # fmt: skip
"""The stages of an undisturbed hop, in order. Those of SKIPPED_BY_ENGINE are worked on only where they are needed."""
SKIPPED_BY_ENGINE: frozenset[State] = frozenset({S.BROKER})
"""Stages that a hop may lack: the engine passes them by with a recorded reason, and no attempt is started."""
TERMINAL: frozenset[State] = frozenset(state for state, info in INFO.items() if info.kind == "terminal")
RESULTS: dict[AttemptState, frozenset[Event | None]] = {
    AttemptState.SUCCEEDED: frozenset({E.SUCCEEDED}),
    AttemptState.FAILED: frozenset({E.FAILED, E.INCONCLUSIVE}),
    AttemptState.CANCELED: frozenset({E.CANCELED}),
    AttemptState.UNKNOWN: frozenset({E.UNKNOWN, E.PROBED_COMPLETE, E.PROBED_UNTOUCHED}),
    AttemptState.VOID: frozenset({None}),
}
"""Which event of the hop may go with which result of an attempt; a void attempt moves nothing."""
ATTEMPT_EVENTS: frozenset[Event] = frozenset(event for events in RESULTS.values() for event in events if event)

RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.PLANNED: frozenset({RunState.ACTIVE, RunState.ABORTED, RunState.SUPERSEDED}),
    RunState.ACTIVE: frozenset(RunState) - {RunState.PLANNED, RunState.ACTIVE},
    RunState.NEEDS_ATTENTION: frozenset({RunState.ACTIVE, RunState.ABORTED}),
    RunState.DONE: frozenset(),
    RunState.ROLLED_BACK: frozenset(),
    RunState.ABORTED: frozenset(),
    RunState.SUPERSEDED: frozenset(),
}
RUN_ENDED: frozenset[RunState] = frozenset(state for state, after in RUN_MOVES.items() if not after)

_ROWS: dict[tuple[State, Event], Row] = {(row.state, row.event): row for row in TABLE}


_NOT_OVER_AN_OPEN_MIGRATION = frozenset({E.RECONSIDER, E.RECHECK, E.REOPEN})
"""Ways forward out of needs_attention that a queue migration which began and did not end bars."""


def row_of(state: State, event: Event) -> Row | None:
    """The row of the table for this event in this state, or None: the event is not legal there."""
    return _ROWS.get((state, event))


def allowed(
    state: State,
    ponr: Ponr = Ponr.NO,
    redeploy_allowed: bool = False,
    restore_possible: bool = False,
    *,
    closed: bool = False,
    broker_open: bool = False,
) -> tuple[tuple[Event, Who], ...]:
    """The legal events in `state` with who may cause them, given what is known about the way back.

    `redeploy_allowed`: the old release would run on the data as they are. `restore_possible`: a complete backup
    set exists. `closed`: finalize was started in this hop, so the way back is gone. `broker_open`: a queue migration
    of this hop was approved and has not succeeded since, so that nothing may lead past it. Redeploying by the engine
    itself is legal only while the point of no return has provably not been passed.
    """
    found = []
    for row in TABLE:
        if row.state is not state:
            continue
        who = row.who
        if row.event is Event.REDEPLOY:
            if closed or not redeploy_allowed:
                continue
            who = Who.EITHER if ponr is Ponr.NO else Who.OPERATOR
        if row.event is Event.RESTORE and (closed or not restore_possible):
            continue
        if row.event is Event.RECHECK_OLD and closed:
            continue
        if row.event is Event.RECONSIDER_BROKER and not broker_open:
            continue
        if state is State.NEEDS_ATTENTION and broker_open and row.event in _NOT_OVER_AN_OPEN_MIGRATION:
            continue
        found.append((row.event, who))
    return tuple(found)


def table_hash() -> str:
    """Digest of the law, recorded with every run: one begun under another law is not resumed silently."""
    import hashlib

    lines = sorted("\t".join((row.state, row.event, row.next, row.who)) for row in TABLE)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
