"""The port over plays: who is asked, what is stopped when, and how long work is cut into stretches."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.computes_kit import computes_over
from upgrader.computes import plays
from upgrader.computes.port import ComputesError, ComputesStopped
from upgrader.computes.program import program, request_of
from upgrader.runner.base import Play, PlayResult
from upgrader.sandbox import computes as sandbox


@pytest.fixture(autouse=True)
def apis_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no whole cloud here."""
    monkeypatch.setattr(sandbox, "_silent", lambda _: "")


def test_the_program_stands_alone_and_carries_its_request() -> None:
    """In a Python that has nothing of ours; there is no nova.conf, which it says."""
    request = {"do": "services", "odd": "{{ x }} 'ö' \" \n"}
    text = program(request)
    assert request_of(text) == request
    assert "\n" not in text and "{" not in text and "'" not in text
    command = [sys.executable, "-I", "-S", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd="/")
    assert json.loads(done.stdout) == {"error": "/etc/nova/nova.conf cannot be read: FileNotFoundError", "status": 0}
    with pytest.raises(ValueError, match="no program of this kind"):
        request_of("print(1)")


def test_services_by_the_inventorys_names(root: Path) -> None:
    sandbox.plant_name(root, "cmp1", "node7.example.org")
    computes, runner = computes_over(root)
    found = {item.host: item for item in computes.services()}
    assert set(found) == {"cmp1", "cmp2", "cmp3"} and found["cmp1"].name == "node7.example.org"
    assert (found["cmp3"].version, found["cmp1"].version, found["cmp1"].hypervisor) == (67, 68, "QEMU")
    computes.services()
    # names are asked once
    assert [bool(dict(play.extra_vars)["upgrader_named"]) for play in runner.plays] == [True, False]
    assert "ctl1" in str(dict(runner.plays[0].extra_vars)["upgrader_hosts"])


def test_another_host_is_asked_where_one_does_not_answer(root: Path) -> None:
    computes, runner = computes_over(root, api=("ctl1", "ctl2"))
    (root / "hosts" / "ctl1" / "gone").touch()
    assert len(computes.services()) == 3
    computes.services()
    assert [dict(play.extra_vars)["upgrader_hosts"] for play in runner.plays] == ["ctl1", "ctl2", "ctl2"]
    (root / "hosts" / "ctl2" / "gone").touch()
    with pytest.raises(ComputesError, match="no container nova_api") as error:
        computes.services()
    assert error.value.details == ("ctl2: No such container: nova_api", "ctl1: No such container: nova_api")


def test_novas_own_trouble_is_not_asked_elsewhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_silent", lambda _: "HTTP 503: no nova_api runs")
    computes, runner = computes_over(root, api=("ctl1", "ctl2"))
    with pytest.raises(ComputesError, match="HTTP 503: no nova_api runs"):
        computes.services()
    assert len(runner.plays) == 1


def test_switching(root: Path) -> None:
    sandbox.plant_name(root, "cmp1", "node7")
    sandbox.plant_service(root, "cmp2", disabled="its fan")
    computes, _ = computes_over(root)
    first = computes.disable(["cmp1", "cmp2", "cmp9"], "run 7, hop 1")
    assert [(item.host, item.how, item.reason) for item in first] == [
        ("cmp1", "done", "upgrader: run 7, hop 1"),
        ("cmp2", "theirs", "its fan"),
        ("cmp9", "absent", ""),
    ]
    assert [item.host for item in computes.services() if item.ours] == ["cmp1"]
    # another process, after a kill
    again, _ = computes_over(root)
    assert [item.how for item in again.enable(["cmp1", "cmp2", "cmp3"])] == ["done", "theirs", "already"]
    assert [item.host for item in again.services() if not item.enabled] == ["cmp2"]


def test_enabling_is_not_stopped_with_the_rest(root: Path) -> None:
    first, _ = computes_over(root)
    first.disable(["cmp1"], "x")
    stopped, runner = computes_over(root, cancelled=lambda: True)
    with pytest.raises(ComputesStopped):
        stopped.services()
    assert [item.how for item in stopped.enable(["cmp1"])] == ["done"]
    assert runner.last == 2, "names and enabling, both by the runner that does not stop"


def test_agents_and_instances(root: Path) -> None:
    sandbox.plant_name(root, "cmp1", "node7")
    sandbox.plant_instance(root, "cmp1", "web")
    sandbox.plant_instance(root, "cmp2", "db")
    computes, _ = computes_over(root)
    assert [(item.host, item.name) for item in computes.instances(["cmp1"])] == [("cmp1", "web")]
    assert [(item.host, item.kind) for item in computes.agents([])] == [("ctl1", "DHCP agent")]
    assert computes.agents(["cmp1"]) == ()


# ---------------------------------------------------------------- long work


def ticking(step: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds whenever it is looked at."""
    moments = itertools.count(0.0, step)
    return lambda: next(moments)


def requests(runner: Any, do: str) -> list[dict[str, Any]]:
    found = [request_of(str(dict(play.extra_vars)["upgrader_program"])) for play in runner.plays]
    return [request for request in found if request["do"] == do]


def test_a_drain(root: Path) -> None:
    sandbox.plant_name(root, "cmp2", "node8")
    one = sandbox.plant_instance(root, "cmp1", "one")
    off = sandbox.plant_instance(root, "cmp1", "off", status="SHUTOFF")
    computes, runner = computes_over(root)
    done = computes.drain("cmp1", ["cmp2"], 100, lambda: False)
    assert done.complete and done.moved == ((one, "cmp2"),)
    assert [(left.instance.id, left.instance.runs) for left in done.left] == [(off, False)]
    assert len(requests(runner, "drain")) == 1


def test_a_drain_that_never_ends_ends_with_its_budget(root: Path) -> None:
    sandbox.plant_instance(root, "cmp1", "a-small")
    sandbox.plant_instance(root, "cmp1", "big", migration="endless")
    computes, runner = computes_over(root, clock=ticking(30.0), stretch=0.4)
    done = computes.drain("cmp1", [], 100, lambda: False)
    assert (done.how, done.complete) == ("budget", False)
    assert len(done.moved) == 1
    assert [(left.instance.name, left.instance.status) for left in done.left] == [("big", "ACTIVE")]
    asked = requests(runner, "drain")
    assert [bool(request.get("abort")) for request in asked] == [*[False] * (len(asked) - 1), True]
    assert 2 <= len(asked) <= 5


def test_a_drain_that_is_stopped_ends_what_it_began(root: Path) -> None:
    sandbox.plant_instance(root, "cmp1", "big", migration="endless")
    sandbox.plant_instance(root, "cmp1", "zz-later")
    looks = itertools.count()
    computes, _runner = computes_over(root, stretch=0.2)
    done = computes.drain("cmp1", [], 100, lambda: next(looks) >= 2)
    assert done.how == "canceled" and done.moved == ()
    assert {left.instance.name: left.instance.status for left in done.left} == {"big": "ACTIVE", "zz-later": "ACTIVE"}


def test_a_drain_that_nova_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.plant_instance(root, "cmp1", "one")
    computes, _runner = computes_over(root)
    computes.services()
    monkeypatch.setattr(sandbox, "_silent", lambda _: "HTTP 503: no haproxy runs")
    done = computes.drain("cmp1", [], 100, lambda: False)
    assert done.how == "trouble" and "no haproxy runs" in done.words and not done.complete


def test_a_trial(root: Path) -> None:
    sandbox.plant_name(root, "cmp1", "node7")
    computes, _ = computes_over(root)
    done = computes.trial("cmp1", "cmp2")
    assert done.passed and done.why == "" and done.left == ()
    assert [step.name for step in done.steps if step.ok] == [
        "clear", "prepare", "create", "reach", "migrate-away", "migrate-back", "delete",
    ]  # fmt: skip
    sandbox.plant_trial(root, "cmp1", create="no bootable device")
    failed = computes.trial("cmp1")
    assert (failed.passed, failed.why) == (False, "create: no bootable device")


def test_a_trial_that_is_stopped_is_cleared_away(root: Path) -> None:
    looks = itertools.count()
    computes, runner = computes_over(root, cancelled=lambda: next(looks) >= 4, stretch=0)
    done = computes.trial("cmp1", "cmp2")
    assert (done.passed, done.why) == (False, "stopped on request")
    assert done.steps[-1].name == "delete" and done.left == ()
    assert sandbox.state_of(root)["servers"] == {} and runner.last == 1


def test_a_trial_whose_nova_went_away_says_that_something_may_be_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computes, _ = computes_over(root, stretch=0)
    computes.services()
    real, count = sandbox.run, itertools.count()

    def away(*words: Any) -> dict[str, Any]:
        return real(*words) if next(count) < 1 else {"error": "HTTP 503: busy", "status": 503}

    monkeypatch.setattr(sandbox, "run", away)
    done = computes.trial("cmp1")
    assert not done.passed and "HTTP 503" in done.why
    assert done.left[-1] == "what the trial made: Nova could not be asked to remove it"


def test_the_play_names_its_hosts_and_holds_no_file_of_secrets(root: Path) -> None:
    computes, runner = computes_over(root)
    computes.services()
    play: Play = runner.plays[0]
    assert play.extra_vars_files == () and play.collect == (plays.ANSWER, plays.NAME)
    assert json.loads(json.dumps(play.document())) == play.document()
    assert isinstance(runner.results[0], PlayResult)
