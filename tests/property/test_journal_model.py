"""Random calls on the real journal and on an independent model of it: the same answers, the same condition.

Calls may crash inside, owners may be replaced, the journal may be closed and opened at any point.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.journal_kit import FAST, HOPS, REQUEST, Crash, digest, plan
from tests.journal_kit.history import broken_laws
from tests.journal_kit.model import NEXT, Model
from upgrader import durable
from upgrader.errors import UpgraderError
from upgrader.journal import StaleEpochError, acquire, open_journal

RESULTS = ("succeeded", "failed", "canceled", "unknown", "void")
EVENTS = (None, *RESULTS[:4], "inconclusive", "probed_complete", "probed_untouched")
OPERATOR = (
    "start", "pause", "approve", "accept", "retry", "recheck", "recheck_old", "take_back", "redeploy", "restore",
    "reconsider", "reopen", "give_up", "abort", "supersede", "succeeded",
)  # fmt: skip
FITTING = [
    ("succeeded", "succeeded"), ("succeeded", "succeeded"), ("succeeded", "succeeded"), ("failed", "failed"),
    ("failed", "inconclusive"), ("canceled", "canceled"), ("unknown", "unknown"), ("unknown", "probed_complete"),
    ("unknown", "probed_untouched"), ("void", None),
]  # fmt: skip
TROUBLES = ("upgrade", "verify", "soak", "finalize", "rollback_redeploy")
POINTS = ("before_promise", "before_commit", "after_commit", "done")
RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class JournalMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.place = Path(self.folder.name)
        self.model = Model()
        self.crash_at = ""
        self.last = ""
        self.open()

    def open(self):
        self.lease = acquire(self.place, "run")
        self.journal = open_journal(self.place, durability=FAST)
        self.journal.enter(self.lease)
        self.model.epoch += 1

    def die(self):
        self.journal.close()
        os.close(self.lease._descriptor)
        self.lease._descriptor = -1

    def teardown(self):
        assert self.journal.verify() == ()
        assert self.journal.rebuild() == ()
        assert broken_laws(self.journal.events()) == []
        self.die()
        self.folder.cleanup()

    def both(self, expect, call):
        """`expect()` changes the model and says whether `call()` has to be accepted."""
        before = self.journal.snapshot(0)
        point, self.crash_at = self.crash_at, ""

        def crash(name):
            if point and name.endswith(f".{point}"):
                raise Crash(name)

        if point.startswith("before"):
            # either it is refused, or it dies before the commit: nothing may be seen of it
            with durable.failpoints(crash), suppress(Crash, UpgraderError):
                call()
                return self.settle(expect)
            assert self.journal.snapshot(0) == before
            self.die()
            self.open()
            return None
        accepted = expect()
        try:
            with durable.failpoints(crash):
                call()
        except Crash:
            self.die()
            self.open()
        except UpgraderError:
            assert not accepted
            assert self.journal.snapshot(0) == before
            return None
        assert accepted
        return None

    def settle(self, expect):
        """A call that needed no commit ran through its crash point."""
        assert expect()

    @initialize(
        hops=st.integers(1, 2),
        ahead=st.sampled_from([0, 2, 5, 9, 12, 14, 16, 20, 30]),
        trouble=st.sampled_from(["", *TROUBLES]),
    )
    def first(self, hops, ahead, trouble):
        """Begin at any place of the way, or where it was left, for from its start chance rarely comes far."""
        self.begin_run(hops)
        for _ in range(ahead):
            if not self.model.open:
                break
            if not self.model.attempt:
                self.go_on("anna", "redeploy")
            elif self.model.attempt.stage == trouble:
                self.finish(("failed", "failed"), False)
            else:
                self.come_right()

    @rule(point=st.sampled_from(POINTS))
    def crash_soon(self, point):
        self.crash_at = point

    @rule(hops=st.integers(1, 2))
    def begin_run(self, hops):
        assume(self.model.runs < 4)
        document = plan(serial=self.model.serial)
        self.both(
            lambda: self.model.begin_run(hops),
            lambda: self.journal.begin_run(document, digest(document), "anna", HOPS[:hops]),
        )

    @precondition(lambda self: self.model.hops)
    @rule(data=st.data())
    def begin_hop(self, data):
        index = data.draw(st.integers(0, len(self.model.hops) - 1))
        self.both(lambda: self.model.begin_hop(index), lambda: self.journal.begin_hop(index))

    def current(self):
        for index, hop in enumerate(self.model.hops):
            if hop.state not in ("hop_done", "rolled_back", "aborted", "superseded"):
                return index
        return len(self.model.hops) - 1

    @precondition(lambda self: self.model.hops)
    @rule(right=st.sampled_from([True] * 9 + [False]), stage=st.sampled_from(sorted(NEXT)))
    def intend(self, right, stage):
        index = self.current()
        stage = self.model.hops[index].state if right and self.model.hops[index].state in NEXT else stage
        self.both(
            lambda: self.model.intend(index, stage),
            lambda: self.journal.intend(index, stage, request_sha256=REQUEST),
        )

    @precondition(lambda self: self.model.attempt)
    @rule()
    def launched(self):
        row = self.journal.snapshot(0).attempt
        self.both(self.model.launched, lambda: self.journal.launched(row.id, 4711))

    @precondition(lambda self: self.model.attempt)
    @rule(fitting=st.sampled_from(FITTING), schema=st.sampled_from([None, True, False]))
    def finish(self, fitting, schema):
        result, event = fitting
        row = self.journal.snapshot(0).attempt
        self.both(
            lambda: self.model.finish(result, event, schema),
            lambda: self.journal.finish(row.id, result, event, schema_started=schema),
        )
        if not self.model.attempt:
            self.last = row.id

    @precondition(lambda self: self.model.attempt)
    @rule(result=st.sampled_from(RESULTS), event=st.sampled_from(EVENTS))
    def finish_oddly(self, result, event):
        self.finish((result, event), None)

    @precondition(lambda self: self.last)
    @rule()
    def finish_twice(self):
        self.both(lambda: False, lambda: self.journal.finish(self.last, "succeeded", "succeeded"))

    @precondition(lambda self: self.model.hops)
    @rule(
        event=st.sampled_from(OPERATOR),
        actor=st.sampled_from(["anna", "anna", "engine"]),
        redeploy=st.booleans(),
        restore=st.booleans(),
    )
    def move(self, event, actor, redeploy, restore):
        index = self.current()
        assume(event != "start")  # begin_hop is the way to say it
        self.both(
            lambda: self.model.move(index, event, actor, redeploy, restore),
            lambda: self.journal.move(
                index,
                event,
                actor,
                "nothing to migrate" if event == "skip" else "",
                redeploy_allowed=redeploy,
                restore_possible=restore,
            ),
        )

    @precondition(lambda self: self.model.hops and not self.model.attempt)
    @rule(actor=st.sampled_from(["anna", "engine"]), choice=st.sampled_from(["redeploy", "restore", "retry"]))
    def go_on(self, actor, choice):
        """What usually comes next, so that the far states are reached."""
        index = self.current()
        state = self.model.hops[index].state
        usual = {"hold_upgrade": "approve", "hold_finalize": "approve", "failed_clean": "retry"}.get(state)
        usual = {"decide": choice, "needs_attention": "reconsider", "hold_verify": "accept"}.get(state, usual)
        if state == "pending" and choice == "redeploy" and actor == "engine" and index:
            usual = "pause"
        if state == "hold_hop":
            usual = "approve"
        if state == "hold_broker":
            actor, usual = ("engine", "skip") if choice == "restore" else (actor, "approve")
        if state == "decide_broker":
            usual = "retry" if choice == "restore" else choice
        if state == "needs_attention" and self.model.hops[index].migrating:
            usual = "reconsider_broker"
        if state == "pending" and not usual:
            self.both(lambda: self.model.begin_hop(index), lambda: self.journal.begin_hop(index))
        elif usual:
            self.move(usual, actor, True, True)
        elif state in NEXT:
            self.intend(True, state)

    @precondition(lambda self: self.model.attempt)
    @rule()
    def come_right(self):
        self.finish(("succeeded", "succeeded"), False)

    @precondition(lambda self: self.model.open)
    @rule(value=st.sampled_from(["no", "possible", "crossed"]))
    def ponr(self, value):
        assume(self.model.attempt and self.model.attempt.stage == "upgrade")
        index = self.model.attempt.hop
        self.both(lambda: self.model.raise_line(index, value), lambda: self.journal.ponr(index, value, "seen"))

    @rule(name=st.sampled_from(["paused", "cancel_requested"]))
    def set_flag(self, name):
        self.both(lambda: self.model.flags.add(name) or True, lambda: self.journal.set_flag(name))

    @rule(name=st.sampled_from(["paused", "cancel_requested", "inconsistent"]))
    def clear_flag(self, name):
        def expect():
            if name == "inconsistent":
                return False
            self.model.flags.discard(name)
            return True

        self.both(expect, lambda: self.journal.clear_flag(name))

    @rule()
    def reopen(self):
        self.journal.close()
        self.lease.release()
        self.open()

    @rule()
    def be_replaced(self):
        newer = open_journal(self.place, durability=FAST)
        newer.enter(self.lease)
        self.model.epoch += 1
        before = newer.snapshot(0)
        with pytest.raises(StaleEpochError):
            self.journal.set_flag("stale")
        assert newer.snapshot(0) == before
        self.journal.close()
        self.journal = newer

    @invariant()
    def agree(self):
        shot, model = self.journal.snapshot(0), self.model
        assert (shot.run.state if shot.run else "") == model.run
        seen = [(hop.state, hop.ponr, hop.interrupted, hop.closed, hop.unattended) for hop in shot.hops]
        flying = model.attempt
        closing = flying.hop if flying and flying.stage == "finalize" else -1
        assert seen == [
            (hop.state, hop.ponr, hop.interrupted, hop.finalized or index == closing, hop.unattended)
            for index, hop in enumerate(model.hops)
        ]
        assert bool(shot.attempt) == bool(flying)
        if flying:
            row = shot.attempt
            assert (row.hop, row.stage, row.number) == (flying.hop, flying.stage, flying.number)
            assert row.state == ("launched" if flying.launched else "intended")
        assert set(shot.flags) == model.flags
        assert (shot.serial, shot.epoch) == (model.serial, model.epoch)


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def run(examples, steps, *phases):
    run_state_machine_as_test(
        JournalMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=CHECKS,
            database=None,
            print_blob=True,
            phases=(Phase.generate, *phases),
        ),
    )


def test_the_journal_is_its_model():
    run(15, 40)


@pytest.mark.slow
def test_the_journal_is_its_model_at_length():
    run(300, 50, Phase.shrink)
