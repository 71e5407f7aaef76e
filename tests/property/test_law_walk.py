"""Every situation a hop can get into: stage, outcome, crash, command, point of no return, way back, all crossed.

A crash of the controller changes nothing that is recorded; what it adds is that any result may be found afterwards,
also that the attempt never started. So the walk lets every attempt end in every way. One action is then played on
the real journal for every row of the table, and (slow) for every situation there is.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import NamedTuple

import pytest

from tests.journal_kit import FAST, HOPS, REQUEST, digest, entered, plan, ram_folder, walk_to
from upgrader.states import (
    FORWARD,
    INFO,
    RESULTS,
    TABLE,
    TERMINAL,
    AttemptState,
    Event,
    Ponr,
    State,
    Who,
    allowed,
    row_of,
)

BEFORE = FORWARD[: FORWARD.index(State.UPGRADE)]
DECIDED = {Event.APPROVE, Event.RETRY, Event.REDEPLOY, Event.RESTORE, Event.PROBED_UNTOUCHED}
VOID, SUCCEEDED, FAILED = AttemptState.VOID, AttemptState.SUCCEEDED, AttemptState.FAILED


class Situation(NamedTuple):
    state: State = State.PENDING
    ponr: Ponr = Ponr.NO
    ponr_before: Ponr = Ponr.NO
    attempt: str = ""
    closed: bool = False
    finalized: bool = False
    interrupted: bool = False
    inconsistent: bool = False
    broker_open: bool = False
    succeeded: frozenset[State] = frozenset()
    undecided: frozenset[State] = frozenset()


class Action(NamedTuple):
    verb: str
    result: AttemptState | None = None
    event: Event | None = None
    schema_started: bool | None = None
    actor: str = ""
    redeploy: bool = False
    restore: bool = False

    @property
    def lucky(self) -> bool:
        return self.event in (Event.SUCCEEDED, Event.PROBED_COMPLETE, Event.PROBED_UNTOUCHED)


def actions(now):
    if now.attempt:
        if now.attempt == "intended":
            yield Action("launch")
        for result, events in RESULTS.items():
            for event in events:
                if event is None or row_of(now.state, event):
                    schemas = (True, False, None) if now.state is State.UPGRADE else (None,)
                    yield from (Action("finish", result, event, schema) for schema in schemas)
        return
    if INFO[now.state].kind == "stage":
        yield Action("intend")
    for redeploy in (False, True):
        for restore in (False, True):
            guards = {"closed": now.closed, "broker_open": now.broker_open}
            for event, who in allowed(now.state, now.ponr, redeploy, restore, **guards):
                if event not in (e for events in RESULTS.values() for e in events):
                    for actor in {Who.ENGINE: ("engine",), Who.OPERATOR: ("anna",)}.get(who, ("engine", "anna")):
                        yield Action("move", None, event, None, actor, redeploy, restore)


def after(now, action):
    if action.verb == "launch":
        return now._replace(attempt="launched")
    if action.verb == "intend":
        upgrade = now.state is State.UPGRADE
        ponr = Ponr.POSSIBLE if upgrade and now.ponr is Ponr.NO else now.ponr
        closed = now.closed or now.state is State.FINALIZE
        return now._replace(attempt="intended", ponr=ponr, ponr_before=now.ponr, closed=closed)
    if action.verb == "finish":
        now = _finished(now, action)
        if action.event is None:
            return now
    return _moved(now, action.event)


def _finished(now, action):
    stage, ended = now.state, action.result is not VOID
    ponr = now.ponr
    if stage is State.UPGRADE and ponr is Ponr.POSSIBLE:
        untouched = action.event is Event.PROBED_UNTOUCHED and not action.schema_started
        clean = not ended or untouched or action.schema_started is False
        ponr = Ponr.NO if clean else Ponr.CROSSED
    finalized = now.finalized or (stage is State.FINALIZE and ended)
    good, verified = action.result is SUCCEEDED, stage in (State.VERIFY, State.VERIFY_OLD)
    cut = action.result in (AttemptState.UNKNOWN, AttemptState.CANCELED)
    failed_back = stage in (State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE, State.VERIFY_OLD) and ended and not good
    return now._replace(
        attempt="",
        ponr=ponr,
        ponr_before=Ponr.NO,
        finalized=finalized,
        closed=finalized,
        interrupted=not (good and verified)
        and (now.interrupted or cut or (action.result is FAILED and INFO[stage].touches_cloud)),
        inconsistent=failed_back or (now.inconsistent and not (good and verified)),
        succeeded=now.succeeded | {stage} if good and stage in BEFORE else now.succeeded,
        undecided=now.undecided | {stage} if ended and INFO[stage].repeat == "decision" else now.undecided,
    )


def _moved(now, event):
    target = row_of(now.state, event).next
    fresh = target is State.PREFLIGHT and now.state is not State.PREFLIGHT
    if target is State.BROKER:
        now = now._replace(broker_open=True)
    if now.state is State.BROKER and event is Event.SUCCEEDED:
        now = now._replace(broker_open=False)
    if event is Event.SKIP:
        now = now._replace(succeeded=now.succeeded | {State.BROKER})
    return now._replace(
        state=target,
        succeeded=frozenset() if fresh else now.succeeded,
        undecided=frozenset() if event in DECIDED else now.undecided,
    )


@cache
def walk():
    """All situations, each with the shortest way to it: {situation: (situation before, action)}."""
    came = {Situation(): None}
    waiting = deque(came)
    while waiting:
        now = waiting.popleft()
        for action in actions(now):
            new = after(now, action)
            if new not in came:
                came[new] = (now, action)
                waiting.append(new)
    return came


def test_every_state_and_every_row_is_reached():
    assert {now.state for now in walk()} == set(State)
    used = {(now.state, a.event) for now in walk() for a in actions(now) if a.event}
    assert used == {(row.state, row.event) for row in TABLE}


def test_nothing_is_launched_before_what_has_to_succeed_first():
    for now in walk():
        if now.attempt and (now.state in FORWARD[: len(BEFORE) + 1] or INFO[now.state].touches_cloud):
            needed = BEFORE[: BEFORE.index(now.state)] if now.state in BEFORE else BEFORE
            if now.state is State.ROLLBACK_REDEPLOY:
                needed = BEFORE[: BEFORE.index(State.BROKER)]  # the way back of a migration that did not come right
            assert set(needed) <= now.succeeded, now


def test_no_upgrade_over_a_migration_that_is_not_finished():
    open_ = [now for now in walk() if now.broker_open]
    assert {State.DECIDE_BROKER, State.NEEDS_ATTENTION, State.ROLLBACK_REDEPLOY} <= {now.state for now in open_}
    beyond = {State.HOLD_UPGRADE, *FORWARD[FORWARD.index(State.UPGRADE) :], State.DECIDE, State.HOP_DONE}
    assert not {now.state for now in open_} & beyond


def test_nothing_is_repeated_without_a_decision():
    for now in walk():
        if any(action.verb == "intend" for action in actions(now)):
            assert now.state not in now.undecided, now


def test_a_crossed_line_stays_crossed_and_is_never_left_open():
    for now in walk():
        assert now.ponr is not Ponr.POSSIBLE or now.attempt, now
        for action in actions(now):
            if now.ponr is Ponr.CROSSED:
                assert after(now, action).ponr is Ponr.CROSSED, (now, action)


def test_the_end_is_the_end():
    for now in walk():
        assert bool(list(actions(now))) != (now.state in TERMINAL), now
        assert not (now.state in TERMINAL and now.attempt)


def test_no_way_back_once_it_is_closed_and_none_behind_the_line_by_itself():
    back = (State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE)
    for now in walk():
        assert not (now.closed and now.state in back), now
        for action in actions(now):
            if action.actor == "engine" and after(now, action).state in back:
                assert now.ponr is Ponr.NO, (now, action)
                assert action.event is Event.REDEPLOY


def test_before_the_upgrade_the_line_is_never_touched():
    for now in walk():
        if now.state in (
            *BEFORE,
            State.HOLD_BROKER,
            State.DECIDE_BROKER,
            State.HOLD_UPGRADE,
            State.FAILED_CLEAN,
            State.PENDING,
            State.HOLD_HOP,
        ):
            assert now.ponr is Ponr.NO


def test_from_everywhere_a_command_leads_to_an_end_even_when_nothing_succeeds():
    arriving = {}
    for now in walk():
        for action in actions(now):
            if not action.lucky:
                arriving.setdefault(after(now, action), set()).add(now)
    saved = {now for now in walk() if now.state in TERMINAL}
    waiting = deque(saved)
    while waiting:
        for before in arriving.get(waiting.popleft(), ()):
            if before not in saved:
                saved.add(before)
                waiting.append(before)
    assert set(walk()) == saved


def way_to(situation):
    steps = []
    while walk()[situation]:
        situation, action = walk()[situation]
        steps.append(action)
    return steps[::-1]


def play(journal, steps, hop):
    document = plan()
    journal.begin_run(document, digest(document), "anna", HOPS[: hop + 1])
    if hop:
        journal.begin_hop(0)
        walk_to(journal, State.HOP_DONE)
    for action in steps:
        shot = journal.snapshot(0)
        stage = shot.hops[hop].state
        if action.verb == "intend":
            journal.intend(hop, stage, request_sha256=REQUEST)
        elif action.verb == "launch":
            journal.launched(shot.attempt.id, 1)
        elif action.verb == "finish":
            journal.finish(shot.attempt.id, action.result, action.event, schema_started=action.schema_started)
        elif action.event is Event.START:
            journal.begin_hop(hop)
        else:
            why = "nothing to migrate" if action.event is Event.SKIP else ""
            journal.move(
                hop, action.event, action.actor, why, redeploy_allowed=action.redeploy, restore_possible=action.restore
            )


def check(folder, steps, expected):
    number = int(any(action.event is Event.PAUSE for action in steps))  # a rest needs a hop before it
    with entered(folder, durability=FAST) as journal:
        play(journal, steps, number)
        shot = journal.snapshot()
        hop = shot.hops[number]
        seen = (hop.state, hop.ponr, shot.attempt.state if shot.attempt else "", hop.closed, hop.interrupted)
        assert seen == (expected.state, expected.ponr, expected.attempt, expected.closed, expected.interrupted), steps
        assert hop.broker_open == expected.broker_open, steps
        assert ("inconsistent" in shot.flags) == expected.inconsistent, steps
        assert journal.rebuild() == ()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.state}-{row.event}")
def test_the_real_journal_takes_every_row(row):
    now, action = next(
        (now, action)
        for now in walk()
        for action in actions(now)
        if (now.state, action.event) == (row.state, row.event)
    )
    with ram_folder() as folder:
        check(folder, [*way_to(now), action], after(now, action))


@pytest.mark.slow
def test_the_real_journal_in_every_situation():
    for number, situation in enumerate(walk()):
        if len(way_to(situation)) < 60:
            with ram_folder() as folder:
                check(folder / str(number), way_to(situation), situation)
