"""The upgrade in waves: which plays run within which limits, what is done around compute hosts, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host
from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.computes.port import (
    Agent,
    ComputesError,
    ComputeService,
    ComputesStopped,
    Drained,
    Instance,
    Left,
    Switched,
    Trial,
    TrialStep,
)
from upgrader.context import AttemptContext
from upgrader.errors import EnvironmentMissingError
from upgrader.kolla.inventory import Inventory
from upgrader.model import AttemptRequest, CloudFacts, Code, Finding, Plan, StageOutcome
from upgrader.rolling import RollRecord, waves_of
from upgrader.rolling_rules import RollingRules
from upgrader.runner.base import HostTrouble, Play, PlayResult
from upgrader.stages import upgrade, waves
from upgrader.stages.base import StageContext, conduct_stage

GROUPS = {
    **{f"ctl{number}": ("baremetal", "control") for number in (1, 2, 3)},
    **{f"cmp{number}": ("baremetal", "compute") for number in (1, 2, 3)},
}
VERSION = 68
ALL_COMPUTES = "!cmp1:!cmp2:!cmp3"


@dataclass
class Nova:
    """Compute services as a table; every call is written down."""

    disabled: dict[str, str] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("cmp1", "cmp2", "cmp3"), 67))
    calls: list[str] = field(default_factory=list)
    drained: Callable[[str], Drained] = lambda host: Drained(host, "empty")
    trial_of: Callable[[str], Trial] = lambda host: Trial(host, True, (TrialStep("create", True),))
    refuse: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    def services(self) -> tuple[ComputeService, ...]:
        return tuple(
            ComputeService(name, "nova", name not in self.disabled, name not in self.silent,
                           self.disabled.get(name, ""), version)
            for name, version in self.version.items()
        )  # fmt: skip

    def instances(self, hosts: Sequence[str]) -> tuple[Instance, ...]:
        return ()

    def disable(self, hosts: Sequence[str], reason: str) -> tuple[Switched, ...]:
        self.calls.append(f"disable {' '.join(hosts)}")
        made = []
        for name in hosts:
            if name in self.refuse:
                made.append(Switched(name, "failed", "no"))
            elif name in self.disabled and not self.disabled[name].startswith("upgrader"):
                made.append(Switched(name, "theirs", self.disabled[name]))
            else:
                self.disabled[name] = f"upgrader: {reason}"
                made.append(Switched(name, "done"))
        return tuple(made)

    def enable(self, hosts: Sequence[str]) -> tuple[Switched, ...]:
        self.calls.append(f"enable {' '.join(hosts)}")
        ours = [name for name in hosts if self.disabled.get(name, "").startswith("upgrader")]
        for name in ours:
            del self.disabled[name]
        return tuple(Switched(name, "done" if name in ours else "already") for name in hosts)

    def drain(self, host: str, targets: Sequence[str], budget_seconds: float, cancelled: Any) -> Drained:
        self.calls.append(f"drain {host} {budget_seconds:.0f}")
        return self.drained(host)

    def trial(self, host: str, other: str = "") -> Trial:
        self.calls.append(f"trial {host} {other}")
        return self.trial_of(host)

    def agents(self, hosts: Sequence[str]) -> tuple[Agent, ...]:
        return ()


@dataclass
class Place:
    """A site of three controllers and three compute hosts whose plays are a list."""

    folder: Path
    patch: pytest.MonkeyPatch
    nova: Nova | None = field(default_factory=Nova)
    rules: RollingRules = field(default_factory=lambda: RollingRules(gate_seconds=0))
    plays: list[Play] = field(default_factory=list)
    troubles: dict[str, PlayResult] = field(default_factory=dict)
    """Limit → how that play ends, once."""
    ill: list[str] = field(default_factory=list)
    unreachable: tuple[str, ...] = ()
    cancel_after: str = ""

    def __post_init__(self) -> None:
        self.inventory = Inventory(GROUPS, {})
        patch = self.patch
        patch.setattr(upgrade, "inventory_of", lambda *_: self.inventory)
        patch.setattr(upgrade, "look", lambda *_, **__: self._facts())
        patch.setattr(upgrade, "must_be_whole", lambda *_: None)
        patch.setattr(upgrade, "leftovers", lambda *_: "nothing")
        patch.setattr(upgrade, "restart_stale", lambda *_: "nothing")
        patch.setattr(upgrade, "galera", lambda *_: ())
        patch.setattr(upgrade, "ills", lambda *_: ())
        patch.setattr(upgrade.configuration, "edit", lambda *_: ["globals.yml"])
        patch.setattr(waves, "computes_here", lambda *_: self.nova)
        patch.setattr(waves, "await_health", self._health)
        patch.setattr(waves, "action_play", self._play)
        self.release = dict.fromkeys(GROUPS, "2024.2")

    def _facts(self) -> CloudFacts:
        return cloud(
            *(
                host(name, container("nova_compute" if "compute" in groups else "nova_api", self.release[name]))
                .model_copy(update={"reachable": name not in self.unreachable})
                for name, groups in GROUPS.items()
            )
        )  # fmt: skip

    def _health(self, *_: Any, **__: Any) -> tuple[Finding, ...]:
        words = self.ill.pop(0) if self.ill else ""
        return (Finding(id="x", code=Code.FAILURE, message=words),) if words else ()

    def _play(self, _ctx: Any, action: str, *_: Any, hosts: Any, limit: str, tags: Any, **more: Any) -> Play:
        return Play(action, Path(), Path(), (), expected_hosts=tuple(hosts), limit=limit, tags=tuple(tags),
                    extra_vars=tuple(more.get("extra_vars", ())))  # fmt: skip

    def run(self, play: Play, folder: Path, **_: Any) -> PlayResult:
        self.plays.append(play)
        if self.cancel_after and play.limit == self.cancel_after:
            return PlayResult(play.name, "canceled", None)
        bad = self.troubles.pop(play.limit, None)
        if bad is not None:
            return bad
        for name in play.expected_hosts:
            self.release[name] = "2025.1"
            if self.nova is not None and name in self.nova.version:
                self.nova.version[name] = VERSION
        done = {name: {"ok": 1} for name in play.expected_hosts}
        return PlayResult(play.name, "successful", 0, stats=done, hosts_seen=play.expected_hosts)

    def attempt(self, number: int = 1, *, interrupted: bool = False) -> StageOutcome:
        site = replace(site_of(self.folder), rolling=self.rules)
        found = waves_of(GROUPS, self.rules, GROUPS)
        plan = Plan.model_validate(
            {
                "from": "2024.2", "to": "2025.1", "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (a_hop("2024.2", "2025.1"),), "waves": found.waves, "left": found.left,
            }
        )  # fmt: skip
        request = AttemptRequest(
            attempt="a1", run="r", epoch=1, hop=0, stage="upgrade", number=number, site_file="s", plan_file="p",
            state_dir=str(self.folder / "state"), after_interrupt=interrupted, backup_set=str(self.folder),
        )  # fmt: skip
        folder = self.folder / f"attempt{number}"
        folder.mkdir()
        self.ctx = StageContext(request, site, plan, graph(), AttemptContext(folder, runner=self))  # type: ignore[arg-type]
        self.ctx.__dict__["target_toolchain"] = SimpleNamespace(release="2025.1")
        return conduct_stage(upgrade.work, self.ctx)

    @property
    def limits(self) -> list[str]:
        return [play.limit for play in self.plays]

    def record(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.folder / "state/rolling/r-0.json").read_text())
        return made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def failed(name: str, *troubles: tuple[str, str]) -> PlayResult:
    return PlayResult(name, "failed", 2, stats={}, hosts_seen=tuple(host for host, _ in troubles),
                      failed=tuple(HostTrouble(host, "Copy", words) for host, words in troubles))  # fmt: skip


def test_an_undisturbed_upgrade(place: Place) -> None:
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert place.limits == [f"all:{ALL_COMPUTES}", "cmp1", "cmp2", "cmp3", ""]
    assert place.plays[-1].tags == ("nova-reload", "nova-online-data-migrations")
    assert place.nova is not None
    assert place.nova.calls == [
        "disable cmp1", "enable cmp1", "trial cmp1 cmp2", "disable cmp2", "enable cmp2", "disable cmp3", "enable cmp3",
    ]  # fmt: skip
    assert place.nova.disabled == {}
    assert dict(outcome.facts)["hosts_done"] == "6"
    # facts of hosts are gathered once for the attempt, and kept for the waves after it
    caches = {dict(play.env)["ANSIBLE_CACHE_PLUGIN_CONNECTION"] for play in place.plays}
    assert caches == {str(place.folder / "attempt1" / "facts")}


def test_without_nova_hosts_are_upgraded_all_the_same(place: Place) -> None:
    place.nova = None
    assert place.attempt().verdict == "succeeded"
    assert place.limits == [f"all:{ALL_COMPUTES}", "cmp1", "cmp2", "cmp3"]


def test_a_controller_that_is_lost_stops_before_any_compute_host(place: Place) -> None:
    gone = PlayResult("upgrade", "failed", 4, stats={}, hosts_seen=("ctl1",), unreachable=(HostTrouble("ctl2"),))
    place.troubles[f"all:{ALL_COMPUTES}"] = gone
    outcome = place.attempt()
    assert outcome.verdict == "failed"
    assert "control plane: ctl2: lost during the upgrade: it does not answer; 0 of 6 hosts are done" in outcome.message
    assert [(one.id, one.host) for one in outcome.findings][-1:] == [("host-not-upgraded", "ctl2")]
    assert place.limits == [f"all:{ALL_COMPUTES}"]


def test_a_cloud_that_cannot_be_looked_at_hides_no_reason(place: Place) -> None:
    def blind(*_: Any, **__: Any) -> tuple[Finding, ...]:
        raise EnvironmentMissingError("No host could be looked at.")

    place.patch.setattr(waves, "await_health", blind)
    place.troubles[f"all:{ALL_COMPUTES}"] = failed("upgrade", ("ctl1", "no space left"))
    outcome = place.attempt()
    assert "control plane: ctl1: failed in task 'Copy': no space left" in outcome.message
    assert "the cloud could not be looked at: No host could be looked at." in outcome.message


def test_a_failed_compute_host_serves_again_and_is_all_that_a_retry_works_on(place: Place) -> None:
    place.troubles["cmp2"] = failed("upgrade", ("cmp2", "no space left"))
    outcome = place.attempt()
    assert "batch 1: cmp2: failed in task 'Copy': no space left" in outcome.message
    assert place.nova is not None
    assert place.nova.disabled == {}
    assert place.record()["done"] == ["ctl1", "ctl2", "ctl3", "cmp1"]
    place.plays.clear()
    assert place.attempt(2).verdict == "succeeded"
    assert place.limits == ["cmp2", "cmp3", ""]


def test_what_no_longer_runs_the_target_is_worked_on_again(place: Place) -> None:
    place.troubles["cmp2"] = failed("upgrade", ("cmp2", "no space left"))
    place.attempt()
    place.release["cmp1"] = "2024.2"
    place.plays.clear()
    place.attempt(2)
    assert place.limits[0] == "cmp1"


def test_a_host_that_cannot_be_emptied_is_left_as_it_was(place: Place) -> None:
    assert place.nova is not None
    stuck = Left(Instance("i", "db1", "cmp2", "PAUSED"), "it is paused")
    place.nova.drained = lambda host: (
        Drained(host, "stuck", left=(stuck,)) if host == "cmp2" else Drained(host, "empty")
    )
    place.rules = replace(place.rules, drain=True, drain_seconds=60)
    outcome = place.attempt()
    assert "batch 1: cmp2: cannot be emptied (db1: it is paused)" in outcome.message
    assert "cmp2" not in place.limits and place.release["cmp2"] == "2024.2"
    assert place.nova.calls[-3:] == ["disable cmp2", "drain cmp2 60", "enable cmp2"]


def test_a_canary_on_which_no_instance_runs_stops_the_upgrade(place: Place) -> None:
    assert place.nova is not None
    place.nova.trial_of = lambda host: Trial(host, False, why="it went to ERROR: no valid host")
    outcome = place.attempt()
    assert "canary: cmp1: the trial instance: it went to ERROR: no valid host" in outcome.message
    assert "cmp2" not in place.limits


def test_a_service_of_the_old_version_has_not_arrived(place: Place) -> None:
    assert place.nova is not None
    place.nova.silent = ("cmp1",)
    assert "canary: cmp1: nova-compute is not up" in place.attempt().message
    place.nova.silent, place.nova.version["cmp1"] = (), 67
    place.run = lambda play, folder, **_: PlayResult(  # type: ignore[method-assign]
        play.name, "successful", 0, stats={}, hosts_seen=play.expected_hosts
    )
    assert "nova-compute says version 67, 68 is the release's" in place.attempt(2).message


def test_a_service_is_there_once_it_reports_again(place: Place) -> None:
    """Nova calls a service that was just stopped up for a minute more."""
    assert place.nova is not None
    told: list[str] = []
    services = place.nova.services

    def reporting() -> tuple[ComputeService, ...]:
        told.append(f"10:00:{len(told) // 2:02d}")
        return tuple(replace(one, seen=told[-1]) for one in services())

    place.nova.services = reporting  # type: ignore[method-assign]
    place.patch.setattr(waves, "PAUSE", 0.0)
    place.rules = replace(place.rules, gate_seconds=60)
    assert place.attempt().verdict == "succeeded"
    first = place.nova.calls.index("enable cmp1")
    assert len(told) >= 5 and first == 1, "two more reports than the first were waited for"


def test_a_service_that_an_operator_disabled_stays_so(place: Place) -> None:
    assert place.nova is not None
    place.nova.disabled["cmp3"] = "disk is dying"
    outcome = place.attempt()
    assert outcome.verdict == "succeeded"
    assert place.nova.disabled == {"cmp3": "disk is dying"}
    step = next(step for step in outcome.steps if step.name == "batch 2: out of scheduling")
    assert "cmp3 was already disabled (disk is dying) and stays so" in step.message


def test_stopping_brings_back_who_was_taken_out(place: Place) -> None:
    place.cancel_after = "cmp1"
    outcome = place.attempt()
    assert outcome.verdict == "canceled"
    assert place.nova is not None
    assert place.nova.calls == ["disable cmp1", "enable cmp1"] and not place.nova.disabled


def test_a_stop_while_nova_is_asked_is_a_stop(place: Place) -> None:
    def stopped(hosts: Sequence[str], reason: str) -> tuple[Switched, ...]:
        raise ComputesStopped("asked to stop")

    assert place.nova is not None
    place.nova.disable = stopped  # type: ignore[method-assign]
    assert place.attempt().verdict == "canceled"
    assert place.nova.calls == ["enable cmp1"]


def test_an_api_that_is_away_is_waited_for(place: Place) -> None:
    assert place.nova is not None
    answers, services = iter([ComputesError("503")]), place.nova.services

    def away() -> tuple[ComputeService, ...]:
        for error in answers:
            raise error
        return services()

    place.nova.services = away  # type: ignore[method-assign]
    place.patch.setattr(waves, "PAUSE", 0.0)
    place.rules = replace(place.rules, gate_seconds=60)
    assert place.attempt().verdict == "succeeded"


def test_an_unhealthy_cloud_stops_with_the_condition(place: Place) -> None:
    place.ill = ["", "the broker cluster is split"]
    outcome = place.attempt()
    assert "after canary: the broker cluster is split; 3 of 6 hosts are done" in outcome.message
    place.plays.clear()
    place.ill = ["it still is"]
    assert "after canary: it still is" in place.attempt(2).message, "the gate is asked again before the next wave"


def test_what_a_killed_attempt_left_disabled_is_enabled_first(place: Place) -> None:
    assert place.nova is not None
    place.nova.disabled |= {"cmp2": "upgrader: 2024.2→2025.1, batch 1", "cmp3": "disk is dying"}
    assert place.attempt(2, interrupted=True).verdict == "succeeded"
    assert place.nova.calls[0] == "enable cmp2"
    assert place.nova.disabled == {"cmp3": "disk is dying"}


def test_a_compute_host_that_is_away_counts_against_the_budget(place: Place) -> None:
    place.unreachable = ("cmp3",)
    place.rules = replace(place.rules, failed_hosts=1)
    outcome = place.attempt()
    assert "every wave was worked on; not upgraded: cmp3" in outcome.message
    assert place.limits == [f"all:{ALL_COMPUTES}", "cmp1", "cmp2"]
    delegates = dict(place.plays[0].extra_vars)["kolla_ansible_delegate_facts_hosts"]
    assert "cmp3" not in delegates and "cmp2" in delegates
    place.unreachable, place.plays = (), []
    assert place.attempt(2).verdict == "succeeded"
    assert place.limits == ["cmp3", ""]


def test_a_task_that_failed_elsewhere_fails_the_wave_that_sent_it(place: Place) -> None:
    place.troubles["cmp1"] = failed("upgrade", ("ctl1", "connection refused"))
    assert "canary: cmp1: ctl1: failed in task 'Copy': connection refused" in place.attempt().message


def test_the_control_plane_service_by_service(place: Place) -> None:
    place.rules = replace(place.rules, by_service=True)
    place.ill = ["nobody holds the VIP"]
    outcome = place.attempt()
    assert "control plane: ctl1: after nova: nobody holds the VIP" in outcome.message
    first = place.plays[0]
    assert first.limit == f"all:{ALL_COMPUTES}"
    assert first.tags[0] == "common" and first.tags[-1] == "nova" and "neutron" not in first.tags
    place.ill = ["", ""]
    place.plays.clear()
    assert place.attempt(2).verdict == "succeeded"
    tags = [play.tags for play in place.plays if play.limit.startswith("all")]
    assert tags[-1][-1] == "skyline" and "nova" not in tags[-1]


def test_the_record_of_one_hop_is_not_that_of_another(tmp_path: Path) -> None:
    request = AttemptRequest(
        attempt="a", run="r", epoch=1, hop=0, stage="upgrade", number=1, site_file="s", plan_file="p",
        state_dir=str(tmp_path),
    )  # fmt: skip
    RollRecord.of(request).keep(done=("cmp1",), failed=(("cmp2", "why"),), known=("x",))
    again = RollRecord.of(request)
    assert (again.done, again.failed, again.known) == (("cmp1",), (("cmp2", "why"),), ("x",))
    assert RollRecord.of(request.model_copy(update={"hop": 1})).done == ()
