"""The laws of the state table, proved on its graph. The expected moves are written here a second time, by hand."""

from __future__ import annotations

import networkx as nx
import pytest

from upgrader.states import (
    ATTEMPT_EVENTS,
    FORWARD,
    INFO,
    RESULTS,
    RUN_ENDED,
    RUN_MOVES,
    SKIPPED_BY_ENGINE,
    STAGES,
    TABLE,
    TERMINAL,
    AttemptState,
    Event,
    Ponr,
    RunState,
    State,
    Who,
    allowed,
    row_of,
    table_hash,
)

LEAVES = {
    "pending": {"hold_hop", "preflight", "superseded", "aborted"},
    "hold_hop": {"preflight", "superseded", "aborted"},
    "preflight": {"backup", "failed_clean"},
    "backup": {"pull", "failed_clean"},
    "pull": {"rehearse", "failed_clean"},
    "rehearse": {"hold_broker", "failed_clean"},
    "hold_broker": {"broker", "hold_upgrade", "aborted", "superseded"},
    "broker": {"hold_upgrade", "decide_broker"},
    "decide_broker": {"broker", "rollback_redeploy", "needs_attention"},
    "hold_upgrade": {"upgrade", "aborted", "superseded"},
    "upgrade": {"verify", "decide"},
    "verify": {"soak", "decide", "hold_verify"},
    "hold_verify": {"verify", "soak", "decide"},
    "soak": {"hold_finalize", "decide"},
    "hold_finalize": {"finalize", "decide"},
    "finalize": {"hop_done", "needs_attention"},
    "decide": {"upgrade", "verify", "rollback_redeploy", "rollback_restore", "needs_attention"},
    "rollback_redeploy": {"verify_old", "needs_attention"},
    "rollback_restore": {"verify_old", "needs_attention"},
    "verify_old": {"rolled_back", "needs_attention"},
    "failed_clean": {"preflight", "aborted", "superseded"},
    "needs_attention": {"decide", "decide_broker", "verify", "verify_old", "hold_finalize", "aborted"},
    "hop_done": set(),
    "rolled_back": set(),
    "aborted": set(),
    "superseded": set(),
}


def graph(rows=TABLE):
    made = nx.DiGraph()
    made.add_nodes_from(State)
    made.add_edges_from((row.state, row.next) for row in rows)
    return made


def test_every_state_leaves_to_exactly_the_states_of_the_law():
    found = {
        state.value: {row.next.value for row in TABLE if row.state is state and row.next is not state}
        for state in State
    }
    assert found == LEAVES


def test_only_lost_or_untouched_work_stays_where_it_is():
    staying = {(row.state.value, row.event.value) for row in TABLE if row.next is row.state}
    rerun = {"preflight", "backup", "pull", "rehearse", "verify", "soak", "finalize", "verify_old"}
    assert staying == {(stage, "unknown") for stage in rerun} | {("upgrade", "probed_untouched")}


def test_one_target_per_state_and_event():
    pairs = [(row.state, row.event) for row in TABLE]
    assert len(pairs) == len(set(pairs))


def test_no_cloud_touching_state_without_everything_before_it():
    dominators = nx.immediate_dominators(graph(), State.PENDING)

    def chain(state):
        found = []
        while dominators.get(state, state) not in (None, state):
            state = dominators[state]
            found.append(state)
        return found

    must = {State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE, State.HOLD_BROKER}
    touching = [state for state in State if INFO[state].touches_cloud]
    assert touching == [State.BROKER, State.UPGRADE, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE]
    for state in touching:
        assert must <= set(chain(state)), state


def guarded():
    """The table as it is in force: (state, whether a queue migration is open) → the same, by what is allowed there."""
    made = nx.DiGraph()
    start = (State.PENDING, False)
    waiting = [start]
    while waiting:
        state, open_ = now = waiting.pop()
        for event, _ in allowed(state, Ponr.NO, True, True, broker_open=open_):
            next_ = row_of(state, event).next
            done = state is State.BROKER and event is Event.SUCCEEDED
            after = (next_, next_ is State.BROKER or (open_ and not done))
            if after not in made:
                waiting.append(after)
            made.add_edge(now, after)
    return made


def test_an_upgrade_follows_a_migration_that_ended_well_or_a_recorded_reason_for_none():
    entering = {(row.state, row.event) for row in TABLE if row.next is State.HOLD_UPGRADE}
    assert entering == {(State.BROKER, Event.SUCCEEDED), (State.HOLD_BROKER, Event.SKIP)}
    assert row_of(State.HOLD_BROKER, Event.SKIP).who is Who.ENGINE
    in_force = guarded()
    assert nx.has_path(in_force, (State.DECIDE_BROKER, True), (State.UPGRADE, False)), "a migration can be mended"
    for beyond in (State.HOLD_UPGRADE, State.UPGRADE, State.VERIFY, State.DECIDE, State.HOP_DONE):
        assert (beyond, False) in in_force
        assert (beyond, True) not in in_force, beyond
    in_force.remove_node((State.HOLD_UPGRADE, False))
    past = {(state, False) for state in (State.UPGRADE, State.VERIFY, State.DECIDE, State.HOP_DONE)}
    assert not nx.descendants(in_force, (State.PENDING, False)) & past, "the approval cannot be gone around"


@pytest.mark.parametrize("open_", [False, True])
def test_an_open_migration_leads_back_to_its_own_decision_only(open_):
    offered = {event for event, _ in allowed(State.NEEDS_ATTENTION, broker_open=open_)}
    assert (Event.RECONSIDER_BROKER in offered) is open_
    assert offered.isdisjoint({Event.RECONSIDER, Event.RECHECK, Event.REOPEN}) is open_
    assert {Event.RECHECK_OLD, Event.ABORT} <= offered


def test_a_terminal_state_is_reachable_from_everywhere_even_when_nothing_succeeds():
    good = {Event.SUCCEEDED, Event.PROBED_COMPLETE, Event.PROBED_UNTOUCHED}
    unlucky = graph(row for row in TABLE if row.event not in good)
    for state in set(State) - TERMINAL:
        assert nx.descendants(unlucky, state) & TERMINAL, state


def test_every_cloud_touching_state_reaches_rolled_back():
    for state in State:
        if INFO[state].touches_cloud:
            assert State.ROLLED_BACK in nx.descendants(graph(), state), state


def test_every_state_behind_the_upgrade_reaches_rolled_back_or_says_forward_only():
    behind = {State.UPGRADE} | {state for state, _ in nx.descendants(guarded(), (State.UPGRADE, False))}
    for state in behind - {State.ABORTED, State.ROLLED_BACK}:
        says = INFO[state].way_back
        assert says == "forward-only" or State.ROLLED_BACK in nx.descendants(graph(), state), state
        assert says != "nothing", state


def test_before_queues_are_migrated_and_the_upgrade_nothing_has_to_be_taken_back():
    changing = (State.UPGRADE, State.BROKER)
    before = {State.PENDING} | nx.descendants(graph(row for row in TABLE if row.next not in changing), State.PENDING)
    assert State.HOLD_UPGRADE in before and not before & set(changing)
    assert {INFO[state].way_back for state in before} == {"nothing"}
    assert not any(INFO[state].touches_cloud for state in before)


def test_superseding_is_possible_only_before_the_upgrade():
    sources = {row.state for row in TABLE if row.next is State.SUPERSEDED}
    assert sources == {State.PENDING, State.HOLD_HOP, State.HOLD_BROKER, State.HOLD_UPGRADE, State.FAILED_CLEAN}
    for begun in ((State.UPGRADE, False), (State.DECIDE_BROKER, True)):
        in_force = guarded()
        in_force.remove_node((State.HOLD_UPGRADE, False))  # a migration that came right is a cloud at rest
        assert (State.SUPERSEDED, False) not in nx.descendants(in_force, begun)


def test_terminal_states_have_no_way_out_and_only_they():
    assert {state for state in State if not any(row.state is state for row in TABLE)} == TERMINAL


def test_every_stage_hears_every_result_and_only_stages_do():
    for stage in STAGES:
        for events in RESULTS.values():
            usual = events - {None, Event.PROBED_COMPLETE, Event.PROBED_UNTOUCHED}
            assert all(row_of(stage, event) for event in usual), stage
    assert {row.state for row in TABLE if row.event in ATTEMPT_EVENTS} == set(STAGES)
    assert all(row.who is Who.ENGINE for row in TABLE if row.event in ATTEMPT_EVENTS)


def test_the_engine_alone_never_restores_and_never_leaves_attention():
    by_itself = [row for row in TABLE if row.who is not Who.OPERATOR]
    reached = nx.descendants(graph(by_itself), State.PENDING)
    assert State.ROLLBACK_RESTORE not in reached
    assert State.NEEDS_ATTENTION in reached
    assert not nx.descendants(graph(by_itself), State.NEEDS_ATTENTION)
    assert not nx.descendants(graph(by_itself), State.FAILED_CLEAN)


@pytest.mark.parametrize("migrating", [True, False])
def test_the_undisturbed_way_is_the_stages_in_order_with_their_approvals(migrating):
    state, seen = State.PENDING, []
    while state not in TERMINAL:
        events = (Event.START, Event.SUCCEEDED, *([] if migrating else [Event.SKIP]), Event.APPROVE)
        row = next(row for event in events if (row := row_of(state, event)))
        seen.append(row.next)
        state = row.next
    lacking = () if migrating else SKIPPED_BY_ENGINE
    assert [s for s in seen if INFO[s].kind == "stage"] == [s for s in FORWARD if s not in lacking]
    holds = [State.HOLD_BROKER, State.HOLD_UPGRADE, State.HOLD_FINALIZE]
    assert [s for s in seen if INFO[s].kind == "hold"] == holds
    assert state is State.HOP_DONE


def test_a_rest_between_hops_comes_before_everything_and_only_a_person_ends_it():
    """Skipping it or going through it leads to the same state with the same things done: nothing."""
    assert {(row.state, row.event) for row in TABLE if row.next is State.HOLD_HOP} == {(State.PENDING, Event.PAUSE)}
    assert row_of(State.PENDING, Event.PAUSE).who is Who.ENGINE
    assert row_of(State.HOLD_HOP, Event.APPROVE).next is row_of(State.PENDING, Event.START).next
    assert {who for _, who in allowed(State.HOLD_HOP)} == {Who.OPERATOR}
    assert {event for event, _ in allowed(State.HOLD_HOP)} - {Event.APPROVE} == (
        {event for event, _ in allowed(State.PENDING)} - {Event.START, Event.PAUSE}
    )


def test_an_unknown_end_follows_the_policy_of_its_stage():
    for stage in STAGES:
        after = row_of(stage, Event.UNKNOWN).next
        rests = {"probe": State.DECIDE, "decide": State.DECIDE_BROKER, "attention": State.NEEDS_ATTENTION}
        expected = rests.get(INFO[stage].unknown, stage)
        assert after is expected, stage


def test_what_cannot_simply_run_again_is_exactly_what_changes_the_cloud():
    assert {s for s in State if INFO[s].repeat == "decision"} == {s for s in State if INFO[s].touches_cloud}


def test_every_state_is_described():
    assert set(INFO) == set(State)


@pytest.mark.parametrize("ponr", list(Ponr))
@pytest.mark.parametrize("redeploy", [False, True])
@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_the_way_back_is_offered_exactly_when_the_facts_allow_it(ponr, redeploy, restore, closed):
    offered = dict(allowed(State.DECIDE, ponr, redeploy, restore, closed=closed))
    assert (Event.REDEPLOY in offered) == (redeploy and not closed)
    assert (Event.RESTORE in offered) == (restore and not closed)
    assert offered.get(Event.RESTORE, Who.OPERATOR) is Who.OPERATOR
    if Event.REDEPLOY in offered:
        assert offered[Event.REDEPLOY] is (Who.EITHER if ponr is Ponr.NO else Who.OPERATOR)
    assert {Event.RETRY, Event.RECHECK, Event.GIVE_UP} <= set(offered)


def test_after_finalize_the_old_release_is_not_checked_for_either():
    assert Event.RECHECK_OLD in dict(allowed(State.NEEDS_ATTENTION))
    assert Event.RECHECK_OLD not in dict(allowed(State.NEEDS_ATTENTION, closed=True))


def test_runs_end_once():
    assert {RunState.DONE, RunState.ROLLED_BACK, RunState.ABORTED, RunState.SUPERSEDED} == RUN_ENDED
    runs = nx.DiGraph([(a, b) for a, after in RUN_MOVES.items() for b in after])
    for state in set(RunState) - RUN_ENDED:
        assert nx.descendants(runs, state) & RUN_ENDED


def test_results_cover_every_ended_attempt():
    assert set(RESULTS) == set(AttemptState) - {AttemptState.INTENDED, AttemptState.LAUNCHED}


def test_the_hash_names_the_law(monkeypatch):
    before = table_hash()
    assert before == table_hash()
    monkeypatch.setattr("upgrader.states.TABLE", TABLE[:-1])
    assert table_hash() != before
