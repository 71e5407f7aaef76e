"""A restore on a small cloud of values, three database servers: broken off anywhere it comes right the next time.

Only the hands are replaced (plays and looks). Steps, choices, judgements and the order of things are the real ones.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine_kit.place import a_hop, graph, site_of
from tests.journal_kit import Crash
from upgrader import durable
from upgrader.back_map import RESTORE_ALL, RESTORE_CHANGED
from upgrader.context import AttemptContext
from upgrader.database.losses import Losses
from upgrader.database.manifest import BackupSet, Manifest, now, required_parts
from upgrader.model import (
    AttemptRequest,
    CloudFacts,
    Code,
    ContainerFacts,
    Finding,
    HostFacts,
    Plan,
    ReleaseReading,
    SchemaHead,
    Way,
    WayBack,
)
from upgrader.observed import GaleraFacts
from upgrader.runner.base import PlayResult
from upgrader.stages import old_server, one_server, rollback_redeploy, rollback_restore
from upgrader.stages.base import StageContext, StepFailed, conduct_stage

OLD, NEW = "2024.1", "2024.2"
HOSTS = ("ctl1", "ctl2", "ctl3")
BEFORE = "10.11.6-MariaDB-log"
SCHEMAS = ("keystone", "neutron")
HEADS = {name: graph().heads(OLD)[name] for name in SCHEMAS}


class Server:
    """A database server: its rows by schema, and how far its history goes. `joined`: in the Primary component."""

    def __init__(self) -> None:
        self.running = self.joined = True
        self.there = True
        self.history = 10
        self.series = "10.11"
        self.rows = dict.fromkeys(SCHEMAS, "new")


class Cloud:
    """Servers, services and settings, and every action that changes them. Ends at `break_at`, before or after one."""

    def __init__(self) -> None:
        self.servers = {host: Server() for host in HOSTS}
        self.services = dict.fromkeys(HOSTS, "running")
        self.release = dict.fromkeys(HOSTS, NEW)
        self.settings = NEW
        self.done: list[str] = []
        self.break_at = ""
        self.full = ""
        self.kept: dict[str, dict[str, str]] = {}
        self.brokers: dict[str, str] = {}
        """Host → release of its broker, none: it has none; no entry at all: the cloud has no broker."""

    @property
    def members(self) -> list[Server]:
        return [server for server in self.servers.values() if server.joined]

    def act(self, name: str, change: Any) -> None:
        self.done.append(name)
        for part in ("before", "after"):
            if self.break_at == f"{part} {name}":
                self.break_at = ""
                raise Crash(name)
            if part == "before":
                change()

    def leave(self, host: str) -> None:
        self.servers[host].running = self.servers[host].joined = False

    def join(self, host: str) -> None:
        server, donors = self.servers[host], self.members
        server.running = True
        if donors and not server.joined:
            # a server that did not miss anything takes nothing over, whatever its rows are
            if server.history != donors[0].history:
                server.history, server.rows = donors[0].history, dict(donors[0].rows)
            server.joined = True

    def take_away(self, host: str) -> None:
        server = self.servers[host]
        if server.there:
            self.kept.setdefault(host, server.rows)
        server.there = server.running = server.joined = False
        server.rows = {}

    def bootstrap(self) -> None:
        """A deploy of the old release on hosts of which none has the volume."""
        assert not any(server.there for server in self.servers.values()), "the role takes it for a stopped cluster"
        for server in self.servers.values():
            server.there = server.running = server.joined = True
            server.series, server.history = "10.11", 1

    def recover(self) -> None:
        assert {server.series for server in self.servers.values()} == {"10.11"}, "the old server on newer files"
        first = max(self.servers.values(), key=lambda server: server.history)
        first.running = first.joined = True
        for host in HOSTS:
            self.join(host)

    def load(self, schemas: tuple[str, ...]) -> None:
        assert set(self.services.values()) == {"exited"}, "loaded under running services"
        (server,) = self.members
        for schema in schemas:
            server.history += 1
            server.rows[schema] = "in pieces"
            if self.full == schema:
                raise RuntimeError("full")
            self.act(f"drop {schema}", lambda: None)
            server.rows[schema] = "old"
            server.history += 1
        if schemas == SCHEMAS:
            self.act("keys", lambda: None)

    def facts(self) -> CloudFacts:
        hosts = []
        for name in HOSTS:
            server = self.servers[name]
            galera = None
            if server.running:
                galera = GaleraFacts(
                    size=len(self.members) if server.joined else 1,
                    status="Primary" if server.joined else "non-Primary",
                    state="Synced" if server.joined else "Initialized", ready=server.joined,
                    server_version=f"{server.series}.9-MariaDB",
                )  # fmt: skip
            state = "running" if server.running else "exited"
            containers = (
                *(
                    [ContainerFacts(name="mariadb", image=f"r/kolla/mariadb:{OLD}", state=state)]
                    if server.there
                    else []
                ),
                *(
                    [ContainerFacts(name="rabbitmq", image=f"r/kolla/r:{self.brokers[name]}")]
                    if self.brokers.get(name)
                    else []
                ),
                ContainerFacts(name="keystone", image=f"r/kolla/k:{self.release[name]}", state=self.services[name]),
            )
            hosts.append(HostFacts(name=name, groups=("mariadb", "rabbitmq"), containers=containers, galera=galera))
        rows = self.members[0].rows if self.members else {}
        after = graph().heads(NEW)
        heads = tuple(
            SchemaHead(database=name, heads=HEADS[name] if value == "old" else after[name])
            for name, value in rows.items()
        )
        return CloudFacts(
            site="s", observed_at="2026-11-22T14:00:00Z", hosts=tuple(hosts), heads=heads,
            reading=ReleaseReading(kind="unknown"),
        )  # fmt: skip

    def condition(self) -> Any:
        servers = [(server.joined, tuple(server.rows.items())) for server in self.servers.values()]
        assert {server.series for server in self.servers.values()} == {"10.11"}
        return servers, self.services, self.release, self.settings, len({s.history for s in self.servers.values()})


class Place:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.number, self.cloud = folder, 0, Cloud()
        self.quiet: tuple[str, ...] = ()
        hop = a_hop(OLD, NEW)
        body = {"site": "s", "tool_version": "0", "graph_version": "1", "graph_sha256": "0", "hops": (hop,)}
        self.plan = Plan.model_validate({"from": OLD, "to": NEW, **body})
        self._set()
        inventory = SimpleNamespace(hosts=dict.fromkeys(HOSTS, ("baremetal", "mariadb")))
        for module in (rollback_restore, rollback_redeploy, one_server, old_server):
            patch.setattr(module, "look", lambda *_, **__: self.cloud.facts())
            patch.setattr(module, "inventory_of", lambda *_: inventory, raising=False)
        for module in (rollback_restore, one_server):
            patch.setattr(module, "switch", self._switch)
        for module in (rollback_redeploy, one_server, old_server):
            patch.setattr(module, "run_action", self._action)
        for module in (one_server, old_server):
            patch.setattr(module, "own_play", lambda *words, **_: SimpleNamespace(name=words[2], hosts=words[4]))
        patch.setattr(AttemptContext, "run", self._run)
        patch.setattr(AttemptContext, "runner", lambda *_: None)
        patch.setattr(rollback_restore, "put_back", self._put_back)
        patch.setattr(rollback_restore, "restore", self._restore)
        patch.setattr(rollback_restore, "losses", self._losses)
        patch.setattr(rollback_restore, "migrations_end", lambda *_: "none")
        patch.setattr(rollback_redeploy, "put_back", self._put_back)
        patch.setattr(rollback_redeploy, "restart_stale", lambda *_: "none")
        patch.setattr(rollback_redeploy, "_stop_leftovers", lambda *_: "none is left")

    def _set(self) -> None:
        made = BackupSet.begin(
            self.folder / "set", Manifest(site="s", release=OLD, made_at=now(), server_version=BEFORE)
        )
        for part in required_parts("logical"):
            names = [f"{schema}.sql.gz" for schema in SCHEMAS] if part == "databases" else [part]
            for name in names:
                (made.folder / name).write_text(name)
            made.record(part, [made.folder / name for name in names])
        assert made.finish() == ()

    # ------------------------------------------------------------ hands

    def _switch(self, *words: Any, start: bool) -> Any:
        chosen = words[4]
        for host, names in chosen.items():
            for name in names:
                verb = "start" if start else "stop"
                if name == "mariadb":
                    self.cloud.act(f"{verb} mariadb {host}", lambda host=host: self.cloud.leave(host))
                else:
                    state = "running" if start else "exited"
                    change = lambda host=host, state=state: self.cloud.services.__setitem__(host, state)  # noqa: E731
                    self.cloud.act(f"{verb} keystone {host}", change)
        return SimpleNamespace(verdict=True)

    def _action(self, _ctx: Any, action: str, *_: Any, tags: tuple[str, ...] = (), **__: Any) -> Any:
        if tags == ("rabbitmq",):
            missing = [host for host in HOSTS if not self.cloud.brokers[host]]
            self.cloud.act("deploy-rabbitmq", lambda: self.cloud.brokers.update(dict.fromkeys(missing, OLD)))
            return None
        if tags:
            self.cloud.act("deploy-mariadb", self.cloud.bootstrap)
            return None

        def deploy() -> None:
            assert {server.joined for server in self.cloud.servers.values()} == {True}, "deployed on half a cluster"
            for host in HOSTS:
                self.cloud.release[host], self.cloud.services[host] = self.cloud.settings, "running"

        self.cloud.act(action, deploy if action == "deploy" else self.cloud.recover)
        return SimpleNamespace(hosts_seen=HOSTS, seconds=1.0)

    def _run(self, play: Any) -> PlayResult:
        if play.name in ("take-mariadb-away", "take-rabbitmq-away"):
            for host in play.hosts:
                if "rabbitmq" in play.name:
                    self.cloud.act(f"broker away {host}", lambda host=host: self.cloud.brokers.update({host: ""}))
                    continue
                self.cloud.act(f"take away {host}", lambda host=host: self.cloud.take_away(host))
            return PlayResult(play.name, "successful", 0, stats={}, hosts_seen=tuple(play.hosts))
        said = {}
        for host in play.hosts:
            self.cloud.act(f"join {host}", lambda host=host: self.cloud.join(host))
            joined = self.cloud.servers[host].joined
            text = "" if joined else "@@failed rejoin not Synced after 7200 s: silent\n"
            said[host] = {"msg": {"rc": 0 if joined else 1, "stdout": text}}
        good = all(self.cloud.servers[host].joined for host in play.hosts)
        status, rc = ("successful", 0) if good else ("failed", 2)
        collected = {one_server.ANSWER: said}
        return PlayResult(play.name, status, rc, stats={}, hosts_seen=tuple(play.hosts), collected=collected)

    def _restore(self, *_: Any, only: tuple[str, ...] | None = None) -> tuple[Finding, ...]:
        try:
            self.cloud.load(only or SCHEMAS)
        except RuntimeError:
            words = "ctl1: the databases were not restored: the disk of ctl1 is full (in pieces: neutron)"
            return (
                Finding(id="restore-disk-full", code=Code.FAILURE, message=words, next="make room, then: upgrader"),
            )
        return (Finding(id="restore-databases", code=Code.SUCCESS, message="loaded"),)

    def _losses(self, *_: Any, **__: Any) -> Losses:
        return Losses(since="2026-02-01T00:00:00Z", unchanged=self.quiet)

    def _put_back(self, _ctx: StageContext) -> list[str]:
        self.cloud.act("settings", lambda: setattr(self.cloud, "settings", OLD))
        return ["globals.yml"]

    # ------------------------------------------------------------ attempts

    def attempt(self, *taken: str) -> Any:
        self.number += 1
        request = AttemptRequest(
            attempt=f"a{self.number}", run="r", epoch=1, hop=0, stage="rollback_restore", number=self.number,
            site_file="s", plan_file="p", state_dir=str(self.folder / "state"), after_interrupt=self.number > 1,
            backup_set=str(self.folder / "set"), acceptances=tuple((name, "why") for name in taken),
        )  # fmt: skip
        folder = self.folder / f"attempt-{self.number}"
        folder.mkdir()
        ctx = StageContext(request, site_of(self.folder), self.plan, graph(), AttemptContext(folder))
        ctx.__dict__["source_toolchain"] = ctx.__dict__["target_toolchain"] = SimpleNamespace(release=OLD)
        return conduct_stage(rollback_restore.work, ctx)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


GOOD = (
    [(True, (("keystone", "old"), ("neutron", "old")))] * 3, dict.fromkeys(HOSTS, "running"), dict.fromkeys(HOSTS, OLD),
    OLD, 1,
)  # fmt: skip
ACTIONS = [
    *(f"stop keystone {host}" for host in HOSTS), "settings", "stop mariadb ctl2", "stop mariadb ctl3", "drop keystone",
    "drop neutron", "keys", "join ctl2", "join ctl3", "deploy",
]  # fmt: skip
STEPS = [
    "backup set", "migrations that still run", "stop the services", "configuration",
    "database servers of the old series",
    "message brokers of the old series", "one database server", "load databases, accounts and keys",
    "the other database servers rejoin", "start what still is of the old release",
    f"kolla-ansible deploy of {OLD}", f"containers that only {NEW} has", "restarts that an interruption swallowed",
    "start what the deployment left stopped",
]  # fmt: skip


def test_a_restore_from_end_to_end(place: Place) -> None:
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert [step.name for step in outcome.steps] == STEPS
    assert place.cloud.done == ACTIONS
    assert place.cloud.condition() == GOOD
    said = {step.name: step.message for step in outcome.steps}
    assert said["one database server"] == "ctl1 alone; stopped on ctl2, ctl3"
    assert said["the other database servers rejoin"] == "ctl2, ctl3 took over the state; 3 servers Synced"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("part", ["before", "after"])
def test_broken_off_at_any_action_the_next_attempt_ends_as_an_undisturbed_one(
    place: Place, action: str, part: str
) -> None:
    place.cloud.break_at = f"{part} {action}"
    with pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", ["begun", "ended"])
def test_broken_off_at_either_end_of_any_step(place: Place, step: str, end: str) -> None:
    def hook(name: str) -> None:
        if name == f"stage.rollback_restore.{step}.{end}":
            raise Crash(name)

    with durable.failpoints(hook), pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD


@pytest.mark.parametrize("alone", [True, False])
def test_the_loaded_server_dies_as_well(place: Place, alone: bool) -> None:
    """Nobody is Primary any more: kolla-ansible's recovery begins with the one that saw most: the loaded one."""
    place.cloud.break_at = "after drop neutron"
    with pytest.raises(Crash):
        place.attempt()
    place.cloud.servers["ctl1"].joined = False
    place.cloud.servers["ctl1"].running = not alone
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert "mariadb-recovery" in place.cloud.done
    assert place.cloud.condition() == GOOD


def test_a_deployment_that_fails_once_is_tried_once_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    action, troubles = place._action, [StepFailed("deploy: ctl1 failed in task 'Check keystone': no words")]

    def trouble(ctx: Any, name: str, *words: Any, **more: Any) -> Any:
        if name == "deploy" and not more.get("tags") and troubles:
            raise troubles.pop()
        return action(ctx, name, *words, **more)

    monkeypatch.setattr(rollback_redeploy, "run_action", trouble)
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    step = next(step for step in outcome.steps if step.name.startswith("kolla-ansible deploy"))
    assert "at the second try (first: deploy: ctl1 failed in task 'Check keystone': no words)" in step.evidence


def test_a_full_disk_leaves_what_it_says_and_the_next_attempt_mends_it(place: Place) -> None:
    place.cloud.full = "neutron"
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "the disk of ctl1 is full" in outcome.message
    assert "ctl1 alone; stopped on ctl2, ctl3" in outcome.message, "the condition of the cluster is said as well"
    assert [finding.id for finding in outcome.findings] == ["restore-disk-full"]
    assert place.cloud.services == dict.fromkeys(HOSTS, "exited"), "no service runs on a database in pieces"
    place.cloud.full = ""
    assert place.attempt().verdict == "succeeded"
    assert place.cloud.condition() == GOOD


def test_a_server_that_does_not_rejoin_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = place.cloud.join
    monkeypatch.setattr(place.cloud, "join", lambda host: None if host == "ctl3" else real(host))
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "not every server has rejoined: ctl3: not Synced after 7200 s" in outcome.message
    assert "deploy" not in place.cloud.done
    monkeypatch.setattr(place.cloud, "join", real)
    assert place.attempt().verdict == "succeeded"
    assert place.cloud.condition() == GOOD


def test_a_server_that_is_not_left_alone_is_not_loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.cloud, "leave", lambda _host: None)
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "ctl1 is not a cluster of its own after the others were stopped" in outcome.message
    assert "No database was touched" in outcome.message
    assert {name for server in place.cloud.members for name in server.rows.values()} == {"new"}


def test_a_donor_is_waited_for_and_nothing_is_recovered_under_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_server.time, "sleep", lambda _seconds: None)
    real, looks = place.cloud.facts, []

    def facts() -> CloudFacts:
        looks.append(1)
        seen = real()
        if len(looks) > 3:
            return seen
        hosts = tuple(
            host.model_copy(update={"galera": host.galera.model_copy(update={"state": "Donor/Desynced"})})
            for host in seen.hosts
            if host.galera
        )
        return seen.model_copy(update={"hosts": hosts})

    monkeypatch.setattr(place.cloud, "facts", facts)
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert "mariadb-recovery" not in place.cloud.done


# ---------------------------------------------------------------- a server of another series

REBUILT = [*(f"take away {host}" for host in HOSTS), "deploy-mariadb"]


def newer(place: Place, *hosts: str) -> None:
    for host in hosts or HOSTS:
        place.cloud.servers[host].series = "11.4"


@pytest.mark.parametrize("hosts", [HOSTS, ("ctl1",), ("ctl2", "ctl3")])
def test_servers_of_the_old_series_are_made_anew_and_the_newer_data_kept(place: Place, hosts: tuple[str, ...]) -> None:
    newer(place, *hosts)
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.done == [*ACTIONS[:4], *REBUILT, *ACTIONS[4:]]
    assert place.cloud.condition() == GOOD
    assert place.cloud.kept == dict.fromkeys(HOSTS, dict.fromkeys(SCHEMAS, "new"))
    (line,) = (step.message for step in outcome.steps if step.name == "database servers of the old series")
    assert "new servers of series 10.11" in line and "series 11.4 are kept there in volume mariadb_kept_r_0" in line


@pytest.mark.parametrize("action", [*REBUILT, *ACTIONS[4:]])
@pytest.mark.parametrize("part", ["before", "after"])
def test_broken_off_while_servers_are_made_anew(place: Place, action: str, part: str) -> None:
    newer(place)
    place.cloud.break_at = f"{part} {action}"
    with pytest.raises(Crash):
        place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.condition() == GOOD
    assert place.cloud.kept == dict.fromkeys(HOSTS, dict.fromkeys(SCHEMAS, "new")), "what was there before all of this"


BROKERS = [*(f"broker away {host}" for host in HOSTS), "deploy-rabbitmq"]


def with_brokers(place: Place, way: Way = Way.RESTORE) -> None:
    hop = place.plan.hops[0]
    row = WayBack(service="rabbitmq", changes_schema=False, way=way, why="its files are converted", enabled=True)
    hop = hop.model_copy(update={"way_back": (*hop.way_back, row)})
    place.plan = place.plan.model_copy(update={"hops": (hop,)})
    place.cloud.brokers = dict.fromkeys(HOSTS, NEW)


@pytest.mark.parametrize("cut", ["", *(f"{part} {action}" for part in ("before", "after") for action in BROKERS)])
def test_brokers_of_the_old_series_are_made_anew(place: Place, cut: str) -> None:
    with_brokers(place)
    place.cloud.break_at = cut
    if cut:
        with pytest.raises(Crash):
            place.attempt()
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.cloud.brokers == dict.fromkeys(HOSTS, OLD)
    assert place.cloud.condition() == GOOD
    place.cloud.done.clear()
    place.attempt()
    assert not set(BROKERS) & set(place.cloud.done), "not twice"


def test_brokers_whose_files_stay_what_they_are_are_left_alone(place: Place) -> None:
    with_brokers(place, Way.REDEPLOY)
    assert place.attempt().verdict == "succeeded"
    assert not set(BROKERS) & set(place.cloud.done)


def test_servers_are_not_made_anew_twice(place: Place) -> None:
    newer(place)
    place.attempt()
    place.cloud.done.clear()
    assert place.attempt().verdict == "succeeded"
    assert not set(REBUILT) & set(place.cloud.done)


def test_a_new_server_of_a_wrong_series_is_not_loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    newer(place)
    real = place.cloud.bootstrap

    def bootstrap() -> None:
        real()
        newer(place)

    monkeypatch.setattr(place.cloud, "bootstrap", bootstrap)
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "not those of series 10.11: ctl1: 11.4" in outcome.message
    assert not any(name.startswith("drop") for name in place.cloud.done)


def test_only_what_changed_goes_not_into_empty_servers(place: Place) -> None:
    newer(place)
    place.quiet = ("neutron",)
    outcome = place.attempt(RESTORE_CHANGED)
    assert outcome.verdict == "failed"
    assert "which empties all of them" in outcome.message
    assert place.cloud.kept == {}


# ---------------------------------------------------------------- only what changed


def test_only_what_changed_is_loaded(place: Place) -> None:
    place.quiet = ("neutron",)
    for server in place.cloud.servers.values():
        server.rows["keystone"] = "old"
    outcome = place.attempt(RESTORE_ALL, RESTORE_CHANGED)
    assert outcome.verdict == "succeeded", outcome.message
    assert "drop keystone" not in place.cloud.done
    assert "keys" not in place.cloud.done
    assert place.cloud.condition() == GOOD


@pytest.mark.parametrize(("quiet", "keystone", "words"), [((), "old", "neutron was written to"),
                                                          (("neutron",), "new", "keystone: ")])  # fmt: skip
def test_what_was_sound_when_it_was_chosen_is_asked_again(
    place: Place, quiet: tuple[str, ...], keystone: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.quiet = quiet
    real = place.cloud.facts

    def facts() -> CloudFacts:
        odd = SchemaHead(database="keystone", heads=HEADS["keystone"] if keystone == "old" else ("later",))
        return real().model_copy(update={"heads": (odd,)})

    monkeypatch.setattr(place.cloud, "facts", facts)
    outcome = place.attempt(RESTORE_CHANGED)
    assert outcome.verdict == "failed"
    assert "not sound any more" in outcome.message and words in outcome.message
    assert "No database was touched" in outcome.message
    assert not any(name.startswith("drop") for name in place.cloud.done)


def test_all_of_it_said_afterwards_counts(place: Place) -> None:
    assert place.attempt(RESTORE_CHANGED, RESTORE_ALL).verdict == "succeeded"
    assert "drop keystone" in place.cloud.done
