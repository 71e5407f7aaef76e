"""The queue migration on a small cloud of values: broken off at every action it comes right, and so does its way back.

Only the hands are replaced (plays and looks); files, records, steps and judgements are the real ones.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine_kit.place import MIGRATION, a_hop, graph, site_of
from tests.journal_kit import Crash
from upgrader.context import AttemptContext
from upgrader.kolla.globals_yml import read_globals
from upgrader.model import (
    BROKER_DONE,
    AttemptRequest,
    CloudFacts,
    ContainerFacts,
    HostFacts,
    Plan,
    ReleaseReading,
)
from upgrader.observed import BrokerFacts, Observed
from upgrader.stages import broker, configuration, rollback_redeploy
from upgrader.stages.base import StageContext, conduct_stage
from upgrader.stages.queue_record import QueueRecord

SWITCH = "om_enable_queue_manager"
NODES = ("rabbit@ctl1",)


class Cloud:
    """Queues, services and RabbitMQ's application; every action of kolla-ansible that changes them."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.queues, self.running, self.app, self.mirrored = "classic", True, True, False
        self.rendered = self.durable_wanted
        self.done: list[str] = []
        self.break_at = ""
        self.declares = True

    @property
    def durable_wanted(self) -> bool:
        return read_globals([self.config / "globals.yml"]).flag(SWITCH) is True

    def act(self, action: str, tags: tuple[str, ...]) -> None:
        name = "-".join((action, *tags[:1])) if action in ("reconfigure", "prechecks") else action
        self.done.append(name)
        for part in ("before", "after"):
            if self.break_at == f"{part} {name}":
                self.break_at = ""
                raise Crash(name)
            if part == "before":
                self._change(action)

    def _change(self, action: str) -> None:
        if action == "genconfig":
            self.rendered = self.durable_wanted
        elif action == "stop":
            self.running = False
        elif action == "reconfigure":
            self.mirrored = False
        elif action == "rabbitmq-reset-state":
            assert not self.running, "reset under running services"
            self.queues, self.app = "none", True
        elif action == "deploy":
            self.rendered = self.durable_wanted
            self.running = True
            if self.queues == "none":
                self.queues = "durable" if self.rendered else "classic"
        elif action == "prechecks":
            assert self.queues == "durable", "the target refuses"

    def facts(self) -> CloudFacts:
        count = {"classic": 34, "none": 0, "durable": 0}[self.queues]
        replicated = {"classic": 26, "none": 0, "durable": 60 if self.declares else 0}[self.queues]
        seen = BrokerFacts(
            version="3.13.7", expected=1, nodes=NODES, running=NODES if self.app else (), partitions=(), alarms=(),
            maintenance=(), disabled_flags=(), classic_queues=count, non_quorum_queues=count, transient_queues=count,
            mirrored_queues=5 if self.mirrored else 0, quorum_queues=replicated, stream_queues=replicated // 3,
            under_replicated_queues=0, non_default_exchanges=replicated,
        )  # fmt: skip
        state = "running" if self.running else "exited"
        containers = tuple(
            ContainerFacts(name=name, image=f"r/kolla/{name}:2024.2", state=now)
            for name, now in (("keystone", state), ("neutron_server", state), ("rabbitmq", "running"))
        )
        hosts = (HostFacts(name="ctl1", groups=("rabbitmq",), containers=containers),)
        return CloudFacts(
            site="s", observed_at="2026-11-22T14:00:00Z", hosts=hosts, reading=ReleaseReading(kind="unknown"),
            observed=Observed(rabbitmq=seen),
        )  # fmt: skip


class Place:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.number = folder, 0
        (folder / "globals.yml").write_text('---\nopenstack_release: "2024.2"  # kept\n')
        (folder / "set").mkdir()
        self.cloud = Cloud(folder)
        hop = a_hop("2024.2", "2025.1", queues=True)
        self.plan = Plan.model_validate(
            {
                "from": "2024.2", "to": "2025.1", "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (hop,),
            }
        )  # fmt: skip
        inventory = SimpleNamespace(hosts={"ctl1": ("baremetal", "rabbitmq")}, groups={"rabbitmq": ("ctl1",)})
        played = SimpleNamespace(hosts_seen=("ctl1",), seconds=1.0)

        def run_action(_ctx: Any, action: str, *_: Any, tags: tuple[str, ...] = (), **__: Any) -> Any:
            self.cloud.act(action, tags)
            return played

        def switched(*_: Any, **__: Any) -> Any:
            self.cloud.act("stop", ())
            return SimpleNamespace(verdict=True)

        for module in (broker, rollback_redeploy):
            patch.setattr(module, "run_action", run_action)
            patch.setattr(module, "look", lambda *_, **__: self.cloud.facts())
            patch.setattr(module, "inventory_of", lambda *_: inventory)
            patch.setattr(module, "restart_stale", lambda *_: "none")
        patch.setattr(broker, "ask", lambda *_: self.cloud.facts())
        patch.setattr(broker, "switch", switched)
        patch.setattr(broker, "extra_groups", lambda *_: ())
        patch.setattr(configuration, "put_back", self._put_back)
        patch.setattr(rollback_redeploy, "_stop_leftovers", lambda *_: "none is left")
        patch.setattr(rollback_redeploy, "leftovers", lambda *_, **__: "none")

    def _put_back(self, _ctx: StageContext) -> list[str]:
        (self.folder / "globals.yml").write_text('---\nopenstack_release: "2024.2"  # kept\n')
        return ["globals.yml"]

    def attempt(self, stage: str = "broker", **plan: Any) -> Any:
        """One attempt; a break in it is a killed supervisor: nothing is told, and the next one knows of it."""
        self.number += 1
        request = AttemptRequest(
            attempt=f"a{self.number}", run="r", epoch=1, hop=0, stage=stage, number=self.number, site_file="s",
            plan_file="p", state_dir=str(self.folder / "state"), after_interrupt=self.number > 1,
            backup_set=str(self.folder / "set"),
        )  # fmt: skip
        folder = self.folder / f"attempt-{self.number}"
        folder.mkdir()
        made = self.plan
        if plan:
            hop = made.hops[0].model_copy(update={"broker": MIGRATION.model_copy(update=plan)})
            made = made.model_copy(update={"hops": (hop,)})
        ctx = StageContext(request, site_of(self.folder), made, graph(), AttemptContext(folder))
        ctx.__dict__["source_toolchain"] = ctx.__dict__["target_toolchain"] = SimpleNamespace(release="2024.2")
        self.ctx = ctx
        work = broker.work if stage == "broker" else rollback_redeploy.work
        return conduct_stage(work, ctx)

    @property
    def record(self) -> QueueRecord:
        return QueueRecord.of(self.ctx.request)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


STEPS = ["genconfig", "stop", "rabbitmq-reset-state", "deploy", "prechecks-rabbitmq"]


def test_a_migration_from_end_to_end(place: Place) -> None:
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.done == STEPS
    assert (place.cloud.queues, place.cloud.running) == ("durable", True)
    text = (place.folder / "globals.yml").read_text()
    assert "# kept" in text and f'{SWITCH}: "true"' in text
    assert (place.record.begun, place.record.done) == (True, True)
    assert dict(outcome.facts)[BROKER_DONE] == "34 reply or fanout queues are classic"


@pytest.mark.parametrize(("tags", "verdict"), [(("keystone",), "succeeded"), (("keystone", "neutron"), "failed")])
def test_queues_are_waited_for_only_where_a_service_declares_some(
    place: Place, monkeypatch: pytest.MonkeyPatch, tags: tuple[str, ...], verdict: str
) -> None:
    """Seen on a cloud of Keystone alone: it publishes notifications, and RabbitMQ stays without a queue."""
    monkeypatch.setattr(broker, "PATIENCE_SECONDS", 0.0)
    place.cloud.declares = False
    outcome = place.attempt(services=tags)
    assert outcome.verdict == verdict, outcome.message
    assert verdict == "succeeded" or "no service has declared a queue yet" in outcome.message


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("part", ["before", "after"])
def test_broken_off_anywhere_the_next_attempt_ends_as_an_undisturbed_one(place: Place, step: str, part: str) -> None:
    place.cloud.break_at = f"{part} {step}"
    with pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert (place.cloud.queues, place.cloud.running, place.cloud.durable_wanted) == ("durable", True, True)
    assert place.record.done
    if part == "after" and step == "rabbitmq-reset-state":
        assert place.cloud.done.count("rabbitmq-reset-state") == 1, "an empty broker is not reset again"


@pytest.mark.parametrize("step", STEPS[:-1])
@pytest.mark.parametrize("part", ["before", "after"])
def test_broken_off_anywhere_the_way_back_has_the_old_queues(place: Place, step: str, part: str) -> None:
    place.cloud.break_at = f"{part} {step}"
    with pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt("rollback_redeploy")
    assert outcome.verdict == "succeeded", outcome.message
    assert (place.cloud.queues, place.cloud.running, place.cloud.durable_wanted) == ("classic", True, False)
    assert not place.record.begun


def test_after_a_finished_migration_the_way_back_keeps_the_new_queues_and_their_switches(place: Place) -> None:
    place.attempt()
    place.cloud.done.clear()
    assert place.attempt("rollback_redeploy").verdict == "succeeded"
    assert place.cloud.done == ["deploy"]
    assert (place.cloud.queues, place.cloud.durable_wanted) == ("durable", True)


def test_mirrored_queues_have_rabbitmq_reconfigured_also_when_nothing_shows_them_any_more(place: Place) -> None:
    place.cloud.mirrored = True
    place.cloud.break_at = "after stop"
    with pytest.raises(Crash):
        place.attempt()
    place.cloud.mirrored = False
    place.attempt()
    assert place.cloud.done == ["genconfig", "stop", "genconfig", "reconfigure-rabbitmq", *STEPS[2:]]


def test_queues_that_are_right_already_are_left_alone(place: Place) -> None:
    place.cloud.queues = "durable"
    outcome = place.attempt()
    assert outcome.verdict == "succeeded" and place.cloud.done == ["prechecks-rabbitmq"]
    assert BROKER_DONE not in dict(outcome.facts) and not place.record.begun


def test_a_migration_that_only_the_hops_checks_found_is_worked_out_on_the_spot(place: Place) -> None:
    outcome = place.attempt(migration="no", services=(), settings=())
    assert outcome.verdict == "succeeded", outcome.message
    assert place.record.services == ("keystone", "neutron")
    assert dict(place.record.settings)["om_enable_rabbitmq_stream_fanout"] == "true"


def test_a_cluster_that_is_not_whole_is_not_touched(place: Place) -> None:
    place.cloud.app = False
    outcome = place.attempt()
    assert outcome.verdict == "failed" and "rabbit@ctl1 does not run" in outcome.message
    assert place.cloud.done == [] and not place.record.begun


@pytest.mark.parametrize(
    ("leave", "words"),
    [("running", "still running after the stop: ctl1: keystone, neutron_server"), ("queues", "not as it should be")],
)
def test_assertions_end_the_stage_within_their_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, leave: str, words: str
) -> None:
    monkeypatch.setattr(broker, "PATIENCE_SECONDS", 0.0)
    real = place.cloud._change

    def change(action: str) -> None:
        before = getattr(place.cloud, leave)
        real(action)
        if action == ("stop" if leave == "running" else "rabbitmq-reset-state"):
            setattr(place.cloud, leave, before)

    monkeypatch.setattr(place.cloud, "_change", change)
    outcome = place.attempt()
    assert outcome.verdict == "failed" and words in outcome.message
    assert place.record.open, "the way back has to know"
