"""Random crashes of the controller (and sometimes of the supervisor) anywhere: always the same end, nothing twice.

The journal is the real one. The cloud, the attempt folders and the supervisors are played by `World`, which
outlives every crash as disks and processes do. Each schedule is a seed, so a failing one can be run again alone.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from tests.journal_kit import FAST, HOPS, REQUEST, Crash, digest, plan, ram_folder
from tests.journal_kit.history import broken_laws
from upgrader import durable
from upgrader.errors import AttentionError
from upgrader.journal import acquire, open_journal
from upgrader.states import INFO, AttemptState, Event, Ponr, RunState, State

A, E, S = AttemptState, Event, State
CHANGING = (S.BROKER, S.UPGRADE, S.ROLLBACK_REDEPLOY, S.ROLLBACK_RESTORE)


@dataclass
class Folder:
    """What an attempt leaves on the disk, and its supervisor."""

    stage: State
    spawned: bool = False
    alive: bool = False
    started: bool = False
    void: bool = False
    exit: str = ""


@dataclass
class World:
    random: random.Random
    hops: int = 1
    pausing: bool = False
    calm: bool = False
    """From now on everything comes right and nothing crashes."""
    folders: dict[str, Folder] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)
    release: str = "old"
    schema: str = "old"
    launches: Counter[State] = field(default_factory=Counter)

    def chance(self, share):
        return not self.calm and self.random.random() < share

    def spawn(self, attempt):
        folder = self.folders[attempt]
        folder.spawned = folder.alive = True

    def tick(self, attempt):
        """The supervisor takes one step; it may be killed before any of them."""
        folder = self.folders[attempt]
        if not folder.alive:
            return
        if self.chance(0.01):
            folder.alive = False
        elif not folder.started:
            folder.alive = folder.started = not folder.void
        elif not self.effects[attempt]:
            self.effects[attempt] += 1
            self._change(folder.stage)
        else:
            folder.exit = self._verdict(folder.stage)
            folder.alive = False

    def _change(self, stage):
        half = self.chance(0.1)
        if stage is S.UPGRADE:
            self.release = "mixed" if half else "new"
            self.schema = "old" if half and self.chance(0.5) else "new"
        elif stage in (S.ROLLBACK_REDEPLOY, S.ROLLBACK_RESTORE):
            self.release = "mixed" if half else "old"
            if stage is S.ROLLBACK_RESTORE:
                self.schema = "old"

    def _verdict(self, stage):
        expected = {S.UPGRADE: "new", S.VERIFY: "new", S.ROLLBACK_REDEPLOY: "old", S.ROLLBACK_RESTORE: "old"}
        wrong = stage in expected and self.release != expected[stage]
        wrong = wrong or (stage is S.VERIFY_OLD and (self.release, self.schema) != ("old", "old"))
        if wrong or self.chance(0.05):
            return "inconclusive" if stage is S.VERIFY and self.chance(0.5) else "failed"
        return "canceled" if self.chance(0.02) else "succeeded"


class Controller:
    """A small engine: reads the journal, works, records. Keeps nothing that a crash could take."""

    def __init__(self, journal, world):
        self.journal, self.world = journal, world

    def drive(self):
        while True:
            shot = self.journal.snapshot(0)
            durable.failpoint("controller.read")
            if shot.run is None:
                self.journal.begin_run(plan(), digest(plan()), "anna", HOPS[: self.world.hops])
            elif shot.run.ended_at:
                return shot
            elif shot.attempt:
                self.settle(shot.attempt, shot.hop)
            elif shot.hop.state is S.PENDING:
                self.begin(shot.hop)
            elif INFO[shot.hop.state].kind == "stage":
                self.launch(shot.hop)
            else:
                self.decide(shot.hop)

    def begin(self, hop):
        if hop.index and self.world.pausing:
            self.journal.move(hop.index, E.PAUSE, "engine", "the hop before is done")
        else:
            self.journal.begin_hop(hop.index)

    def launch(self, hop):
        try:
            row = self.journal.intend(hop.index, hop.state, request_sha256=REQUEST)
        except AttentionError:
            late = (S.FINALIZE, S.VERIFY_OLD, S.ROLLBACK_REDEPLOY, S.ROLLBACK_RESTORE)
            event = E.GIVE_UP if hop.state in late else E.TAKE_BACK
            self.journal.move(hop.index, event, "anna", "tried often enough")
            return
        durable.failpoint("controller.intended")
        self.world.folders[row.id] = Folder(row.stage)
        durable.failpoint("controller.created")
        self.world.spawn(row.id)
        self.world.launches[row.stage] += 1
        durable.failpoint("controller.spawned")
        self.journal.launched(row.id, 1)

    def settle(self, row, hop):
        folder = self.world.folders.get(row.id)
        while folder and folder.alive and (folder.started or row.state is A.LAUNCHED):
            self.world.tick(row.id)
            durable.failpoint("controller.polled")
        if folder is None or not folder.started:
            if folder:
                folder.void = True
            durable.failpoint("controller.voided")
            if folder:
                self.world.tick(row.id)  # a supervisor that comes late finds the marker
                assert not folder.started
            self.journal.finish(row.id, A.VOID, None)
        elif folder.exit:
            event = E(folder.exit)
            result = A.FAILED if event is E.INCONCLUSIVE else A(folder.exit)
            self.journal.finish(row.id, result, event, schema_started=self.world.schema == "new")
        else:
            self.journal.finish(row.id, A.UNKNOWN, self.probe(row.stage), schema_started=None)

    def probe(self, stage):
        if stage is S.UPGRADE:
            if (self.world.release, self.world.schema) == ("new", "new"):
                return E.PROBED_COMPLETE
            if (self.world.release, self.world.schema) == ("old", "old"):
                return E.PROBED_UNTOUCHED
        return E.UNKNOWN

    def decide(self, hop):
        choices = {
            S.HOLD_HOP: (E.APPROVE,),
            S.HOLD_BROKER: (E.SKIP, E.APPROVE),
            S.DECIDE_BROKER: (E.RETRY, E.RETRY, E.REDEPLOY),
            S.HOLD_UPGRADE: (E.APPROVE,),
            S.HOLD_FINALIZE: (E.APPROVE, E.APPROVE, E.APPROVE, E.TAKE_BACK),
            S.HOLD_VERIFY: (E.RECHECK, E.ACCEPT, E.TAKE_BACK),
            S.FAILED_CLEAN: (E.RETRY,),
            S.NEEDS_ATTENTION: (E.RECONSIDER_BROKER if hop.broker_open else E.RECONSIDER,),
            S.DECIDE: (E.RETRY, E.RETRY, E.REDEPLOY, E.RESTORE),
        }[hop.state]
        event = choices[0] if self.world.calm else self.world.random.choice(choices)
        redeploy = self.world.schema == "old"
        if event is E.REDEPLOY and (not redeploy or hop.closed):
            event = E.RETRY
        if event is E.RESTORE and hop.closed:
            event = E.RETRY
        actor = "engine" if event is E.SKIP else "anna"
        reason = "nothing to migrate" if event is E.SKIP else ""
        self.journal.move(hop.index, event, actor, reason, redeploy_allowed=redeploy, restore_possible=True)


def live(folder, world, crash_after):
    """One life of the controller; it ends at the given number of failpoints, or with the run."""
    passed = 0

    def count(name):
        nonlocal passed
        passed += 1
        if passed == crash_after:
            raise Crash(name)

    lease = journal = None
    try:
        with durable.failpoints(count):
            lease = acquire(folder, "run")
            journal = open_journal(folder, durability=FAST)
            journal.enter(lease)
            return Controller(journal, world).drive()
    finally:
        if journal:
            journal.close()
        if lease and lease.held:
            os.close(lease._descriptor)  # as the kernel does it: the card stays


def schedule(seed, folder):
    generator = random.Random(seed)  # noqa: S311 - a seed names a schedule
    world = World(generator, hops=1 if generator.random() < 0.8 else 2, pausing=seed % 2 == 1)
    for _ in range(generator.randint(1, 5)):
        with suppress(Crash):
            live(folder, world, generator.randint(1, 120 * world.hops))
        for attempt, left in world.folders.items():
            if left.alive and generator.random() < 0.3:
                left.alive = False  # it died with its controller
            for _ in range(generator.randint(0, 3)):
                world.tick(attempt)  # it works on without one
    world.calm = True
    end = live(folder, world, 0)
    judge(seed, world, end, folder)
    return end


def judge(seed, world, end, folder):
    with open_journal(folder, readonly=True) as journal:
        assert journal.verify() == (), seed
        assert broken_laws(journal.events()) == [], seed
        finished = list(journal.events(kinds=["attempt_finished"]))
    assert all(count == 1 for count in world.effects.values()), seed
    assert end.run.state in (RunState.DONE, RunState.ROLLED_BACK), seed
    assert end.attempt is None
    assert world.release == ("new" if end.run.state is RunState.DONE else "old"), seed
    if end.run.state is RunState.ROLLED_BACK:
        assert world.schema == "old", seed
    for event in finished:
        assert event.data["result"] != "void" or not world.effects[event.attempt], (seed, "void, but it worked")
    crossed = {event.hop for event in finished if event.data["stage"] == "upgrade" and event.data["schema_started"]}
    for hop in end.hops:
        assert hop.index not in crossed or hop.ponr is Ponr.CROSSED, seed


def run(seeds):
    ends = Counter()
    with ram_folder() as folder:
        for seed in seeds:
            place = folder / str(seed)
            ends[schedule(seed, place).run.state] += 1
            for file in place.iterdir():
                file.unlink()
    assert ends[RunState.DONE] > len(seeds) / 2
    assert ends[RunState.ROLLED_BACK], "the schedules have to reach the way back too"


def end_of(seed, folder, *, pausing):
    """What an unlucky controller comes to in a lucky cloud: it dies again and again, nothing else goes wrong."""
    generator = random.Random(seed)  # noqa: S311
    world = World(generator, hops=2, calm=True, pausing=pausing)
    for _ in range(generator.randint(0, 6)):
        with suppress(Crash):
            live(folder, world, generator.randint(1, 150))
    end = live(folder, world, 0)
    judge(seed, world, end, folder)
    with open_journal(folder, readonly=True) as journal:
        rested = [
            event.data["event"] for event in journal.events(kinds=["hop_moved"]) if "hold_hop" in event.data.values()
        ]
        worked = [(row.hop, row.stage, row.state) for row in journal.attempts(end.run.id) if row.state is not A.VOID]
    assert rested == (["pause", "approve"] if pausing else []), seed
    hops = [(hop.state, hop.ponr, hop.closed, hop.interrupted, dict(hop.facts)) for hop in end.hops]
    return end.run.state, hops, worked, end.serial, world.release, world.schema, sorted(world.effects.values())


def test_a_rest_between_hops_changes_nothing_of_the_end():
    with ram_folder() as folder:
        ends = [end_of(seed, folder / f"{seed}{way}", pausing=way) for seed in range(12) for way in (False, True)]
    assert all(end == ends[0] for end in ends)


def test_random_crashes():
    run(range(60))


@pytest.mark.slow
def test_many_random_crashes():
    run(range(10_000, 20_000))
