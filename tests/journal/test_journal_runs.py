"""Runs, hops, attempts: what one call records, and what it refuses."""

from __future__ import annotations

import pytest

from tests.journal_kit import REQUEST, Ticking, attempt, begin, entered, plan, ram_folder, walk_to
from upgrader.errors import AttentionError, RefusedError, StaleError, UpgraderError
from upgrader.journal import InvariantError, StaleEpochError, acquire, open_journal
from upgrader.journal.chain import canonical, digest
from upgrader.states import AttemptState, Event, Ponr, RunState, State

SUCCEEDED, FAILED, CANCELED = AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELED
UNKNOWN, VOID = AttemptState.UNKNOWN, AttemptState.VOID


@pytest.fixture
def journal():
    with ram_folder() as folder, entered(folder) as opened:
        yield opened
        assert opened.verify() == ()
        assert opened.rebuild() == ()


def hop(journal, index=0):
    return journal.snapshot().hops[index]


def test_an_undisturbed_run(journal):
    begin(journal)
    walk_to(journal, State.HOP_DONE)
    shot = journal.snapshot()
    assert [row.state for row in shot.hops] == [State.HOP_DONE, State.PENDING]
    assert shot.run.state is RunState.ACTIVE
    assert shot.serial == 8
    assert shot.hop.index == 1
    journal.begin_hop(1)
    walk_to(journal, State.HOP_DONE, hop=1)
    shot = journal.snapshot()
    assert shot.run.state is RunState.DONE
    assert shot.run.ended_at
    assert shot.serial == 16
    assert shot.hop.index == 1
    assert shot.attempt is None
    assert shot.last_attempt.stage is State.FINALIZE


def test_a_new_journal_has_a_lineage_and_nothing_else(journal):
    shot = journal.snapshot()
    assert len(shot.lineage) == 36
    assert (shot.serial, shot.epoch, shot.run, shot.hops, shot.attempt, shot.hop) == (0, 1, None, (), None, None)
    with pytest.raises(RefusedError):
        journal.begin_hop(0)


def test_the_canonical_form_is_the_models():
    from upgrader import model

    document = {"b": [1, None, True, "é\u2028"], "a": {"z": "\x00", "y": -3}}
    assert canonical(document) == model.canonical(document)
    assert digest(document) == model.digest(document)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"lineage": "another"}, "lineage"),
        ({"serial": 3}, "serial"),
    ],
)
def test_a_foreign_or_older_plan_is_refused(journal, change, difference):
    document = plan(**change)
    with pytest.raises(StaleError) as caught:
        journal.begin_run(document, digest(document), "anna", [("2024.1", "2024.2")])
    assert any(difference in line for line in caught.value.details)
    assert journal.snapshot().run is None


def test_an_edited_plan_is_refused(journal):
    with pytest.raises(StaleError) as caught:
        journal.begin_run(plan(), "f" * 64, "anna", [("2024.1", "2024.2")])
    assert "changed after it was made" in caught.value.details[0]


def test_the_plan_is_kept_as_it_was(journal):
    document = plan(hops=[{"from": "2024.1", "to": "2024.2"}], note="é")
    run = journal.begin_run(document, digest(document), "anna", [("2024.1", "2024.2")])
    assert journal.plan(run) == document
    assert digest(journal.plan(run)) == journal.snapshot().run.plan_sha256
    with pytest.raises(RefusedError):
        journal.plan("none")


def test_two_runs_at_once_are_refused(journal):
    begin(journal)
    with pytest.raises(RefusedError) as caught:
        journal.begin_run(plan(), digest(plan()), "anna", [("2024.1", "2024.2")])
    assert caught.value.reason == "run-active"


def test_a_second_hop_waits_for_the_first(journal):
    begin(journal)
    with pytest.raises(RefusedError) as caught:
        journal.begin_hop(1)
    assert caught.value.reason == "hop-order"


def test_one_attempt_without_a_result(journal):
    begin(journal)
    first = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    assert journal.snapshot().attempt == first
    for refused in (
        lambda: journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST),
        lambda: journal.move(0, Event.TAKE_BACK, "anna", ""),
    ):
        with pytest.raises(RefusedError) as caught:
            refused()
        assert caught.value.reason == "attempt-in-flight"


def test_an_attempt_has_a_number_and_a_key_of_its_own(journal):
    begin(journal)
    first = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    assert journal.next_number(0, State.PREFLIGHT) == 2
    journal.finish(first.id, UNKNOWN, Event.UNKNOWN)
    second = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST, attempt="11111111-2222-3333-4444-555555555555")
    assert second.id == "11111111-2222-3333-4444-555555555555"
    assert (first.number, second.number) == (1, 2)
    assert first.key != second.key
    assert (first.after_interrupt, second.after_interrupt) == (False, True)
    journal.finish(second.id, FAILED, Event.FAILED)
    journal.move(0, Event.RETRY, "anna", "")
    with pytest.raises(UpgraderError):
        journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST, attempt=second.id)
    assert journal.snapshot().attempt is None


def test_a_stage_cannot_be_worked_on_out_of_turn(journal):
    begin(journal)
    for stage in (State.BACKUP, State.UPGRADE, State.HOLD_UPGRADE, State.VERIFY):
        with pytest.raises(RefusedError) as caught:
            journal.intend(0, stage, request_sha256=REQUEST)
        assert caught.value.reason == "illegal-move"


def test_an_upgrade_over_an_open_migration_is_refused_even_if_the_table_led_there(journal):
    begin(journal)
    walk_to(journal, State.HOLD_UPGRADE)
    journal.move(0, Event.APPROVE, "anna", "go")
    journal._connection.execute("INSERT INTO facts SELECT run, idx, 'queue_migration', 'open' FROM hops WHERE idx = 0")
    with pytest.raises(InvariantError) as caught:
        journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    assert caught.value.reason == "I2"
    journal._connection.execute("DELETE FROM facts WHERE name = 'queue_migration'")


def test_launch_and_steps_show_in_the_snapshot(journal):
    begin(journal)
    row = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    assert row.state is AttemptState.INTENDED
    journal.launched(row.id, 4711, "boot-9")
    journal.step(row.id, "disk space", "warning", "ctl1: 3 GB free")
    seen = journal.snapshot().attempt
    assert (seen.state, seen.pid, seen.boot) == (AttemptState.LAUNCHED, 4711, "boot-9")
    assert (seen.step, seen.steps, seen.message) == ("disk space", 1, "ctl1: 3 GB free")
    with pytest.raises(InvariantError):
        journal.launched(row.id, 4712)
    journal.finish(row.id, SUCCEEDED, Event.SUCCEEDED, message="fine")
    for late in (
        lambda: journal.launched(row.id, 1),
        lambda: journal.step(row.id, "x", "success"),
        lambda: journal.finish(row.id, SUCCEEDED, Event.SUCCEEDED),
        lambda: journal.finish("nobody", SUCCEEDED, Event.SUCCEEDED),
    ):
        with pytest.raises(InvariantError):
            late()


@pytest.mark.parametrize(
    ("result", "event"),
    [(SUCCEEDED, Event.FAILED), (SUCCEEDED, None), (VOID, Event.SUCCEEDED), (UNKNOWN, Event.SUCCEEDED),
     (FAILED, Event.APPROVE), (AttemptState.LAUNCHED, Event.SUCCEEDED)],
)  # fmt: skip
def test_a_result_causes_only_its_own_events(journal, result, event):
    begin(journal)
    row = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    with pytest.raises(InvariantError):
        journal.finish(row.id, result, event)
    assert journal.snapshot().attempt.id == row.id
    assert hop(journal).state is State.PREFLIGHT


def test_a_stage_is_passed_by_only_with_a_reason(journal):
    begin(journal)
    walk_to(journal, State.HOLD_BROKER)
    with pytest.raises(InvariantError, match="has to be said"):
        journal.move(0, Event.SKIP, "engine", "")
    assert hop(journal).state is State.HOLD_BROKER
    journal.move(0, Event.SKIP, "engine", "no queue has to be migrated")
    assert hop(journal).state is State.HOLD_UPGRADE


def test_a_failure_before_the_upgrade_is_clean_and_starts_over(journal):
    begin(journal)
    walk_to(journal, State.PULL)
    assert attempt(journal, State.PULL, FAILED, message="registry is away").state is State.FAILED_CLEAN
    assert hop(journal).reason == "registry is away"
    assert not hop(journal).interrupted
    journal.move(0, Event.RETRY, "anna", "registry is back")
    attempt(journal, State.PREFLIGHT)
    with pytest.raises(RefusedError):
        journal.intend(0, State.PULL, request_sha256=REQUEST)  # the old backup does not count any more


def test_facts_of_a_stage_stay_with_the_hop(journal):
    begin(journal)
    attempt(journal, State.PREFLIGHT, facts={"free": "10"})
    attempt(journal, State.BACKUP, facts={"backup_set": "/b/1", "free": "9"})
    assert hop(journal).facts == {"backup_set": "/b/1", "free": "9"}
    assert journal.snapshot().hops[1].facts == {}


# ---------------------------------------------------------------- point of no return


@pytest.mark.parametrize(
    ("result", "event", "schema_started", "expected"),
    [
        (SUCCEEDED, Event.SUCCEEDED, False, Ponr.NO),
        (SUCCEEDED, Event.SUCCEEDED, True, Ponr.CROSSED),
        (SUCCEEDED, Event.SUCCEEDED, None, Ponr.CROSSED),
        (FAILED, Event.FAILED, False, Ponr.NO),
        (FAILED, Event.FAILED, None, Ponr.CROSSED),
        (CANCELED, Event.CANCELED, False, Ponr.NO),
        (UNKNOWN, Event.UNKNOWN, None, Ponr.CROSSED),
        (UNKNOWN, Event.UNKNOWN, True, Ponr.CROSSED),
        (UNKNOWN, Event.PROBED_COMPLETE, None, Ponr.CROSSED),
        (UNKNOWN, Event.PROBED_UNTOUCHED, None, Ponr.NO),
        (UNKNOWN, Event.PROBED_UNTOUCHED, True, Ponr.CROSSED),
        (VOID, None, None, Ponr.NO),
    ],
)
def test_the_point_of_no_return_is_settled_by_the_result(journal, result, event, schema_started, expected):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    assert hop(journal).ponr is Ponr.NO
    row = journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    assert hop(journal).ponr is Ponr.POSSIBLE, "in the intent, before anything is launched"
    journal.finish(row.id, result, event, schema_started=schema_started)
    assert hop(journal).ponr is expected


def test_once_crossed_always_crossed(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    row = journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    journal.ponr(0, Ponr.CROSSED, "neutron expand")
    journal.ponr(0, Ponr.NO, "no")
    assert hop(journal).ponr is Ponr.CROSSED
    journal.finish(row.id, FAILED, Event.FAILED, schema_started=False)
    journal.move(0, Event.RETRY, "anna", "")
    attempt(journal, State.UPGRADE, FAILED, schema_started=False)
    assert hop(journal).ponr is Ponr.CROSSED
    run = hop(journal).run
    with pytest.raises(UpgraderError, match="stays crossed"), journal._commit("test") as commit:
        commit.append("ponr", {"from": "crossed", "to": "no", "why": ""}, run=run, hop=0)
    assert hop(journal).ponr is Ponr.CROSSED


# ---------------------------------------------------------------- decisions


@pytest.mark.parametrize("actor", ["engine", "anna"])
def test_what_an_attempt_says_needs_an_attempt(journal, actor):
    begin(journal)
    for event in (Event.SUCCEEDED, Event.FAILED, Event.UNKNOWN):
        with pytest.raises(RefusedError):
            journal.move(0, event, actor, "")
    assert hop(journal).state is State.PREFLIGHT


def test_what_is_not_idempotent_needs_a_decision_to_run_again(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    assert attempt(journal, State.UPGRADE, UNKNOWN).state is State.DECIDE
    with pytest.raises(RefusedError):
        journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    with pytest.raises(RefusedError) as caught:
        journal.move(0, Event.RETRY, "engine", "")
    assert caught.value.reason == "not-yours-to-decide"
    journal.move(0, Event.RETRY, "anna", "looked at it")
    row = journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    assert row.after_interrupt


def test_a_probe_that_finds_nothing_changed_is_a_decision(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    assert attempt(journal, State.UPGRADE, UNKNOWN, Event.PROBED_UNTOUCHED).state is State.UPGRADE
    assert journal.intend(0, State.UPGRADE, request_sha256=REQUEST).number == 2


def test_the_guard_itself_without_the_table(journal):
    """I3 holds even if a hop came back into `upgrade` without a decision."""
    begin(journal)
    walk_to(journal, State.UPGRADE)
    attempt(journal, State.UPGRADE, UNKNOWN)
    run = hop(journal).run
    with journal._commit("test") as commit:
        body = {"from": "decide", "to": "upgrade", "event": "x", "actor": "engine", "reason": "", "data": {}}
        commit.append("hop_moved", body, run=run, hop=0)
    with pytest.raises(InvariantError) as caught:
        journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    assert caught.value.reason == "I3"


def test_the_guard_of_the_order_without_the_table(journal):
    """I2 holds even if a hop came into `upgrade` without a backup."""
    begin(journal)
    run = hop(journal).run
    with journal._commit("test") as commit:
        body = {"from": "preflight", "to": "upgrade", "event": "x", "actor": "engine", "reason": "", "data": {}}
        commit.append("hop_moved", body, run=run, hop=0)
    with pytest.raises(InvariantError) as caught:
        journal.intend(0, State.UPGRADE, request_sha256=REQUEST)
    assert caught.value.reason == "I2"


def test_the_way_back_needs_its_facts(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    attempt(journal, State.UPGRADE, FAILED, schema_started=True)
    for event in (Event.REDEPLOY, Event.RESTORE):
        with pytest.raises(RefusedError) as caught:
            journal.move(0, event, "anna", "")
        assert caught.value.reason == "illegal-move"
    with pytest.raises(RefusedError) as caught:  # crossed: never by itself
        journal.move(0, Event.REDEPLOY, "engine", "", redeploy_allowed=True)
    assert caught.value.reason == "not-yours-to-decide"
    with pytest.raises(RefusedError):
        journal.move(0, Event.RESTORE, "engine", "", restore_possible=True)
    assert journal.move(0, Event.RESTORE, "anna", "typed", restore_possible=True).state is State.ROLLBACK_RESTORE
    attempt(journal, State.ROLLBACK_RESTORE)
    assert attempt(journal, State.VERIFY_OLD).state is State.ROLLED_BACK
    shot = journal.snapshot()
    assert shot.run.state is RunState.ROLLED_BACK
    assert [row.state for row in shot.hops] == [State.ROLLED_BACK, State.ABORTED]
    assert shot.hop.index == 0


def test_the_engine_may_redeploy_before_the_point_of_no_return(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    attempt(journal, State.UPGRADE, FAILED, schema_started=False)
    assert journal.move(0, Event.REDEPLOY, "engine", "policy", redeploy_allowed=True).state is State.ROLLBACK_REDEPLOY


def test_the_way_back_closes_with_finalize(journal):
    begin(journal)
    walk_to(journal, State.FINALIZE)
    assert not hop(journal).closed
    row = journal.intend(0, State.FINALIZE, request_sha256=REQUEST)
    assert hop(journal).closed
    journal.finish(row.id, VOID, None)
    assert not hop(journal).closed, "it never started"
    attempt(journal, State.FINALIZE, FAILED)
    assert journal.snapshot().run.state is RunState.NEEDS_ATTENTION
    journal.move(0, Event.RECONSIDER, "anna", "")
    assert journal.snapshot().run.state is RunState.ACTIVE
    with pytest.raises(RefusedError) as caught:
        journal.move(0, Event.RESTORE, "anna", "", restore_possible=True, redeploy_allowed=True)
    assert "finalize" in caught.value.message
    journal.move(0, Event.GIVE_UP, "anna", "")
    journal.move(0, Event.REOPEN, "anna", "")
    journal.move(0, Event.APPROVE, "anna", "")
    assert attempt(journal, State.FINALIZE).state is State.HOP_DONE


def test_a_failed_way_back_leaves_the_cloud_inconsistent_until_a_verify_passes(journal):
    begin(journal)
    walk_to(journal, State.UPGRADE)
    attempt(journal, State.UPGRADE, FAILED, schema_started=False)
    journal.move(0, Event.REDEPLOY, "anna", "", redeploy_allowed=True)
    attempt(journal, State.ROLLBACK_REDEPLOY, FAILED, message="ctl2 is away")
    assert journal.snapshot().flags == {"inconsistent": "rollback_redeploy: ctl2 is away"}
    with pytest.raises(RefusedError):
        journal.clear_flag("inconsistent")
    journal.move(0, Event.RECHECK_OLD, "anna", "redeployed by hand")
    assert hop(journal).interrupted
    assert attempt(journal, State.VERIFY_OLD).state is State.ROLLED_BACK
    assert journal.snapshot().flags == {}
    assert not hop(journal).interrupted


def test_an_open_check_is_accepted_by_a_person_and_by_name(journal):
    begin(journal)
    walk_to(journal, State.VERIFY)
    assert attempt(journal, State.VERIFY, FAILED, Event.INCONCLUSIVE).state is State.HOLD_VERIFY
    with pytest.raises(RefusedError):
        journal.move(0, Event.ACCEPT, "engine", "")
    assert journal.move(0, Event.ACCEPT, "anna", "horizon is not used").state is State.SOAK
    (accepted,) = journal.acceptances()
    assert (accepted.name, accepted.reason, accepted.actor) == ("hold_verify", "horizon is not used", "anna")


def test_acceptances_are_recorded_before_the_intent_they_unlock(journal):
    begin(journal)
    journal.accept("not-rehearsed", "no staging site", "anna")
    row = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    (event,) = journal.events(kinds=["accepted"])
    (intent,) = journal.events(kinds=["attempt_intended"])
    assert event.seq < intent.seq
    assert journal.snapshot().acceptances[0].name == "not-rehearsed"
    journal.finish(row.id, VOID, None)


# ---------------------------------------------------------------- budgets, flags, ends


def test_a_stage_is_not_tried_for_ever(journal):
    begin(journal)
    for _ in range(3):
        attempt(journal, State.PREFLIGHT, UNKNOWN)
    assert journal.attempts_since_decision(0, State.PREFLIGHT) == 3
    with pytest.raises(AttentionError) as caught:
        journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    assert caught.value.reason == "attempt-budget"
    journal.move(0, Event.TAKE_BACK, "anna", "")
    journal.move(0, Event.RETRY, "anna", "")
    assert journal.attempts_since_decision(0, State.PREFLIGHT) == 0
    assert attempt(journal, State.PREFLIGHT).state is State.BACKUP


def test_attempts_that_never_started_are_no_tries_but_end_too(journal):
    begin(journal)
    for _ in range(16):
        attempt(journal, State.PREFLIGHT, VOID)
    assert journal.attempts_since_decision(0, State.PREFLIGHT) == 0
    with pytest.raises(AttentionError):
        journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)


def test_a_cancel_request_is_spent_by_the_attempts_end(journal):
    begin(journal)
    journal.set_flag("paused", "anna", "anna")
    row = journal.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
    journal.set_flag("cancel_requested", "anna", "anna")
    journal.finish(row.id, CANCELED, Event.CANCELED)
    assert journal.snapshot().flags == {"paused": "anna"}
    journal.clear_flag("paused", "anna")
    assert journal.snapshot().flags == {}


@pytest.mark.parametrize(("state", "event"), [(RunState.ABORTED, "abort"), (RunState.SUPERSEDED, "supersede")])
def test_ending_a_run_that_rests(journal, state, event):
    begin(journal)
    walk_to(journal, State.HOLD_UPGRADE)
    journal.end_run(state, "anna", "another plan")
    journal.end_run(state, "anna", "another plan")  # said twice is said once
    shot = journal.snapshot()
    assert shot.run.state is state
    assert {row.state.value for row in shot.hops} == {state.value}
    assert shot.run.ended_at
    begin(journal, serial=4)  # the next one may begin
    assert journal.snapshot().run.id != shot.run.id


def test_a_run_is_not_done_by_decree(journal):
    begin(journal)
    for state in (RunState.DONE, RunState.ROLLED_BACK, RunState.ACTIVE):
        with pytest.raises(RefusedError):
            journal.end_run(state, "anna", "")
    walk_to(journal, State.VERIFY)
    with pytest.raises(RefusedError):
        journal.end_run(RunState.ABORTED, "anna", "")  # the cloud was touched: decide first


def test_what_ended_never_changes(journal):
    begin(journal)
    walk_to(journal, State.HOLD_UPGRADE)
    journal.end_run(RunState.ABORTED, "anna", "")
    with pytest.raises(RefusedError):
        journal.move(0, Event.RETRY, "anna", "")
    run = journal.snapshot().run
    for kind, data, index in (
        ("hop_moved", {"from": "aborted", "to": "upgrade", "event": "x", "actor": "a", "reason": "", "data": {}}, 0),
        ("run_moved", {"from": "active", "to": "active", "reason": ""}, None),
    ):
        with pytest.raises(UpgraderError), journal._commit("test") as commit:
            commit.append(kind, data, run=run.id, hop=index)
    assert hop(journal).state is State.ABORTED


# ---------------------------------------------------------------- fence, clock


def test_a_replaced_owner_writes_nothing(tmp_path):
    with acquire(tmp_path, "run") as lease, open_journal(tmp_path) as old, open_journal(tmp_path) as new:
        old.enter(lease)
        begin(old)
        row = old.intend(0, State.PREFLIGHT, request_sha256=REQUEST)
        new.enter(lease)
        before = new.snapshot()
        for write in (
            lambda: old.finish(row.id, SUCCEEDED, Event.SUCCEEDED),
            lambda: old.launched(row.id, 1),
            lambda: old.step(row.id, "x", "success"),
            lambda: old.intend(0, State.PREFLIGHT, request_sha256=REQUEST),
            lambda: old.move(0, Event.TAKE_BACK, "anna", ""),
            lambda: old.ponr(0, Ponr.CROSSED, ""),
            lambda: old.accept("x", "", "anna"),
            lambda: old.set_flag("paused"),
            lambda: old.clear_flag("paused"),
            lambda: old.note("x", {}),
            lambda: old.begin_hop(1),
            lambda: old.begin_run(plan(), digest(plan()), "anna", [("a", "b")]),
            lambda: old.end_run(RunState.ABORTED, "anna", ""),
            old.rebuild,
        ):
            with pytest.raises(StaleEpochError) as caught:
                write()
            assert "you were replaced" in caught.value.message
            assert caught.value.exit_code == 5
        assert new.snapshot() == before
        assert new.verify() == ()
        new.finish(row.id, SUCCEEDED, Event.SUCCEEDED)


def test_every_entering_raises_the_epoch(tmp_path):
    for expected in (1, 2, 3):
        with entered(tmp_path) as journal:
            assert journal.epoch == expected == journal.snapshot().epoch


def test_a_jump_of_the_clock_leaves_an_event(tmp_path):
    clock = Ticking()
    with entered(tmp_path, clock=clock) as journal:
        clock.wall += 60_000_000_000
        clock.mono += 60_000_000_000
        journal.note("a", {})
        clock.wall -= 3600_000_000_000
        journal.note("b", {})
        journal.note("c", {})
        assert [event.data for event in journal.events(kinds=["clock_jumped"])] == [{"seconds": -3600}]
        kinds = [event.kind for event in journal.events(after=2)]
        assert kinds == ["note.a", "clock_jumped", "note.b", "note.c"]


def test_events_can_be_read_in_part(journal):
    begin(journal)
    for number in range(5):
        journal.note("n", {"n": number})
    assert [event.data["n"] for event in journal.events(kinds=["note.n"], limit=2)] == [0, 1]
    last = journal.snapshot().last_seq
    assert [event.seq for event in journal.events(after=last - 2)] == [last - 1, last]
    assert [event.seq for event in journal.snapshot(recent=3).recent] == [last - 2, last - 1, last]
