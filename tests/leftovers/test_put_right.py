"""Looking, repairing, looking again: who is asked what, how long is waited, and what ends a stage's step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.hosts import make_cloud
from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.context import AttemptContext
from upgrader.leftovers.work import ANSWER, DONE, STATES, Asked, probe, put_right
from upgrader.model import AttemptRequest, Code, Plan
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.recording import RecordingRunner, done
from upgrader.stages import leftovers as step
from upgrader.stages.base import StageCanceled, StageContext, StepFailed

GROUPS = {"control": ["ctl1", "ctl2"], "mariadb": ["ctl1", "ctl2"], "rabbitmq": ["ctl1", "ctl2"], "compute": ["cmp1"]}
HOP = ("2025.1", "2025.2")


class Cloud:
    """Containers by host, and what the services say; repairs take effect unless they are refused."""

    def __init__(self, folder: Path, **containers: str) -> None:
        self.made = make_cloud(folder / "site", GROUPS)
        self.folder = folder
        self.containers = {"ctl1": dict(containers), "ctl2": {}, "cmp1": {}}
        self.refuses = ""
        self.works = 0
        """How many more looks a one-shot container is at work."""
        self.jobs: list[str] = []
        self.runner = RecordingRunner({"leftovers": self._look, "put-leftovers-right": self._repair})

    @property
    def asked(self) -> Asked:
        numbers: Iterator[int] = iter(range(100))
        made = self.made
        return Asked(
            made.site, made.toolchain, self.runner, made.inventory, lambda name: self.folder / f"{next(numbers)}-{name}"
        )

    def _look(self, play: Play) -> PlayResult:
        self.works -= 1
        states = {
            host: {"stdout": "".join(f"{name}\t{state}\r\n" for name, state in known.items() if self._there(name))}
            for host, known in self.containers.items()
        }
        answers = {host: {"msg": {"stdout": "@@settings\n@@leftovers\n", "trouble": ""}} for host in ("ctl1", "ctl2")}
        return done(play, {STATES: states, ANSWER: answers})

    def _there(self, name: str) -> bool:
        return not name.startswith("bootstrap") or self.works >= 0

    def _repair(self, play: Play) -> PlayResult:
        shows: dict[str, Any] = {}
        for host, jobs in dict(play.extra_vars)["upgrader_jobs"].items():
            self.jobs += jobs
            lines = []
            for job in jobs:
                name = "-".join(job.split(" ")[:2])
                if job == self.refuses:
                    lines.append(f"@@failed {name} no such image")
                    continue
                lines.append(f"@@done {name}")
                if job.startswith("start "):
                    self.containers[host][job.split()[1]] = "Up 1 second"
            shows[host] = {"msg": {"stdout": "\n".join(lines), "trouble": ""}}
        return done(play, {DONE: shows})


def names(cloud: Cloud) -> list[str]:
    return [play.name for play in cloud.runner.plays]


def test_nothing_left_is_one_look(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, haproxy="Up 2 days")
    assert put_right(cloud.asked, graph(), HOP) == ()
    assert names(cloud) == ["leftovers"]
    play = dict(cloud.runner.plays[0].extra_vars)
    assert play["upgrader_asked"] == "ctl1,ctl2", "hosts without such services are only asked for their containers"
    assert play["upgrader_variables"] == "'WSREP_SST_METHOD', 'LOG_BIN_TRUST_FUNCTION_CREATORS'"


def test_what_is_stopped_is_started_and_what_waits_for_the_play_is_not(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, keepalived="Exited (0)", haproxy="Exited (0)", nova_api="Exited (0)")
    findings = put_right(cloud.asked, graph(), HOP)
    assert cloud.jobs == ["start haproxy", "start keepalived"]
    assert [one.code for one in findings] == [Code.SUCCESS, Code.SUCCESS, Code.WARNING]
    assert names(cloud) == ["leftovers", "put-leftovers-right", "leftovers"]


def test_kinds_that_are_not_looked_for(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, keepalived="Exited (0)")
    assert probe(cloud.asked, graph(), HOP, but=("load-balancer-stopped",)).found == ()


def test_a_container_at_work_is_waited_for(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, bootstrap_glance="Up 3 minutes")
    cloud.works = 4
    (finding,) = put_right(cloud.asked, graph(), HOP)
    assert finding.code is Code.SUCCESS
    assert cloud.jobs == ["wait bootstrap_glance"] * 4


def test_patience_has_an_end(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, bootstrap_glance="Up 3 minutes")
    cloud.works = 1000
    clock = iter(range(0, 10_000, 10))
    (finding,) = put_right(cloud.asked, graph(), HOP, patience=35, clock=lambda: float(next(clock)))
    assert finding.code is Code.FAILURE and "docker wait bootstrap_glance" in finding.next
    assert len(cloud.jobs) == 4


def stage(cloud: Cloud) -> StageContext:
    plan = Plan.model_validate(
        {
            "from": HOP[0], "to": HOP[1], "site": "s", "tool_version": "0", "graph_version": "1", "graph_sha256": "0",
            "hops": (a_hop(*HOP),),
        }
    )  # fmt: skip
    request = AttemptRequest(
        attempt="a1", run="r", epoch=1, hop=0, stage="upgrade", number=2, site_file="s", plan_file="p",
        state_dir=str(cloud.folder / "state"),
    )  # fmt: skip
    folder = cloud.folder / "attempt"
    folder.mkdir()
    attempt = AttemptContext(folder, runner=cloud.runner)
    attempt.play_folder = cloud.asked.folders  # type: ignore[method-assign, assignment]
    return StageContext(request, site_of(cloud.folder), plan, graph(), attempt)


def test_a_stage_goes_on_only_when_what_has_to_be_is_put_right(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, keepalived="Exited (0)")
    ctx = stage(cloud)
    assert step.interrupted(ctx)
    cloud.refuses = "start keepalived"
    with pytest.raises(StepFailed, match="no such image") as failed:
        step.leftovers(ctx, cloud.made.toolchain, cloud.made.inventory)  # type: ignore[arg-type]
    assert failed.value.findings[0].next == "on ctl1: docker start keepalived"
    cloud.refuses = ""
    said = step.leftovers(ctx, cloud.made.toolchain, cloud.made.inventory)  # type: ignore[arg-type]
    assert said.startswith("1 put right")
    ctx.attempt.stop()
    with pytest.raises(StageCanceled):
        step.leftovers(ctx, cloud.made.toolchain, cloud.made.inventory)  # type: ignore[arg-type]
