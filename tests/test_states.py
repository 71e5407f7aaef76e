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
    "pending": {"preflight", "superseded", "aborted"},
    "preflight": {"backup", "failed_clean"},
    "backup": {"pull", "failed_clean"},
    "pull": {"rehearse", "failed_clean"},
    "rehearse": {"hold_upgrade", "failed_clean"},
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
    "needs_attention": {"decide", "verify", "verify_old", "hold_finalize", "aborted"},
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

    must = {State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE, State.HOLD_UPGRADE}
    touching = [state for state in State if INFO[state].touches_cloud]
    assert touching == [State.UPGRADE, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE]
    for state in touching:
        assert must <= set(chain(state)), state


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
    behind = {State.UPGRADE} | nx.descendants(graph(), State.UPGRADE)
    for state in behind - {State.ABORTED, State.ROLLED_BACK}:
        says = INFO[state].way_back
        assert says == "forward-only" or State.ROLLED_BACK in nx.descendants(graph(), state), state
        assert says != "nothing", state


def test_before_the_upgrade_nothing_has_to_be_taken_back():
    before = {State.PENDING} | nx.descendants(
        graph(row for row in TABLE if row.next is not State.UPGRADE), State.PENDING
    )
    assert State.UPGRADE not in before
    assert {INFO[state].way_back for state in before} == {"nothing"}
    assert not any(INFO[state].touches_cloud for state in before)


def test_superseding_is_possible_only_before_the_upgrade():
    sources = {row.state for row in TABLE if row.next is State.SUPERSEDED}
    assert sources == {State.PENDING, State.HOLD_UPGRADE, State.FAILED_CLEAN}
    assert State.SUPERSEDED not in nx.descendants(graph(), State.UPGRADE)


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


def test_the_undisturbed_way_is_the_stages_in_order_with_two_approvals():
    state, seen = State.PENDING, []
    while state not in TERMINAL:
        events = (Event.START, Event.SUCCEEDED, Event.APPROVE)
        row = next(row for event in events if (row := row_of(state, event)))
        seen.append(row.next)
        state = row.next
    assert [s for s in seen if INFO[s].kind == "stage"] == list(FORWARD)
    assert [s for s in seen if INFO[s].kind == "hold"] == [State.HOLD_UPGRADE, State.HOLD_FINALIZE]
    assert state is State.HOP_DONE


def test_an_unknown_end_follows_the_policy_of_its_stage():
    for stage in STAGES:
        after = row_of(stage, Event.UNKNOWN).next
        expected = {"probe": State.DECIDE, "attention": State.NEEDS_ATTENTION}.get(INFO[stage].unknown, stage)
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
