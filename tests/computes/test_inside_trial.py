"""A trial instance, stretch by stretch, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.computes_kit import Apis
from upgrader.computes.inside import trial as inside
from upgrader.computes.inside.main import answer
from upgrader.sandbox import computes as sandbox
from upgrader.sandbox import nova, store


def stretch(apis: Apis, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return answer({"do": "trial", "host": "cmp1", "other": "cmp2", "seconds": 3, **more}, apis.cloud(tmp_path))


def steps(said: dict[str, Any]) -> dict[str, Any]:
    return {name: ok for name, ok, *_ in said["steps"]}


def words(said: dict[str, Any], step: str) -> str:
    return next(text for name, _, text, _ in said["steps"] if name == step)


def nothing_left(root: Path) -> bool:
    state = sandbox.state_of(root)
    return not any(state[kind] for kind in ("servers", "flavors", "images"))


def test_the_whole_way(apis: Apis, tmp_path: Path) -> None:
    said = stretch(apis, tmp_path)
    assert said["ended"] and steps(said) == dict.fromkeys(inside.STEPS, True)
    assert words(said, "create") == "ACTIVE on cmp1"
    assert words(said, "migrate-back") == "cmp2 → cmp1"
    assert nothing_left(apis.root) and said["left"] == []
    names = list(store.effects(str(apis.root)))
    assert names == ["create:cmp1", "moved:upgrader-trial:cmp1:cmp2", "moved:upgrader-trial:cmp2:cmp1"]


def test_in_many_stretches(apis: Apis, tmp_path: Path) -> None:
    said = stretch(apis, tmp_path, seconds=0)
    while not said["ended"]:
        time.sleep(0.02)
        said = stretch(apis, tmp_path, seconds=0, state=said["state"])
    assert steps(said) == dict.fromkeys(inside.STEPS, True)
    assert nothing_left(apis.root)


def test_a_host_that_we_disabled_is_opened_for_it(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_service(apis.root, "cmp1", disabled="upgrader: run 3 hop 1")
    said = stretch(apis, tmp_path)
    assert steps(said) == dict.fromkeys(inside.STEPS, True)
    about = sandbox.state_of(apis.root)["services"]["cmp1"]
    assert (about["disabled"], about["reason"]) == (True, "upgrader: run 3 hop 1")


def test_a_host_that_an_operator_disabled_is_not(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_service(apis.root, "cmp1", disabled="waiting for memory")
    said = stretch(apis, tmp_path)
    assert steps(said)["prepare"] is False and "not by this tool: waiting for memory" in words(said, "prepare")
    assert sandbox.state_of(apis.root)["services"]["cmp1"]["disabled"]
    assert nothing_left(apis.root)


def test_one_that_does_not_come_up_is_removed(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_service(apis.root, "cmp1", disabled="upgrader: x")
    sandbox.plant_trial(apis.root, "cmp1", create="Build of instance aborted: no bootable device")
    said = stretch(apis, tmp_path)
    assert steps(said) == {"clear": True, "prepare": True, "create": False, "delete": True}
    assert words(said, "create") == "Build of instance aborted: no bootable device"
    assert nothing_left(apis.root)
    assert sandbox.state_of(apis.root)["services"]["cmp1"]["disabled"]


def test_a_migration_that_fails(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_trial(apis.root, "cmp1", migrate="Unable to connect to libvirt on cmp2")
    said = stretch(apis, tmp_path)
    assert steps(said)["migrate-away"] is False and "migrate-back" not in steps(said)
    assert words(said, "migrate-away") == "cmp1 → cmp2: its migration failed: Unable to connect to libvirt on cmp2"
    assert nothing_left(apis.root)


@pytest.mark.parametrize(("other", "why"), [("", "no second host was given"), ("cmp2", "cmp2 is down")])
def test_without_a_second_host_it_stays(apis: Apis, tmp_path: Path, other: str, why: str) -> None:
    sandbox.plant_service(apis.root, "cmp2", silent="")
    said = stretch(apis, tmp_path, other=other)
    assert said["ended"] and steps(said)["migrate-away"] is None and steps(said)["migrate-back"] is None
    assert words(said, "migrate-away") == why
    assert steps(said)["delete"] is True


def test_what_an_interrupted_one_left_goes_first_and_nothing_else(apis: Apis, tmp_path: Path) -> None:
    said = stretch(apis, tmp_path, seconds=0)
    while "reach" not in steps(said):
        said = stretch(apis, tmp_path, seconds=0, state=said["state"])
    # others' things with the same name: without the mark, or in another project
    for project, metadata in (("p-demo", {"upgrader": "trial"}), (nova.PROJECT, {})):
        with nova.opened(str(apis.root)) as state:
            server = nova.new_server("upgrader-trial", "cmp3", project=project)
            state["servers"][server["id"]] = {**server, "metadata": metadata}
            image = {"id": f"i-{project}", "name": "upgrader-trial", "owner": project, "status": "active", **metadata}
            state["images"][image["id"]] = image
    again = stretch(apis, tmp_path)
    assert words(again, "clear") == "1 server removed" and steps(again)["delete"] is True
    left = sandbox.state_of(apis.root)
    assert {server["host"] for server in left["servers"].values()} == {"cmp3"} and len(left["servers"]) == 2
    assert set(left["images"]) == {"i-p-demo", f"i-{nova.PROJECT}"}
    assert left["flavors"] == {}


def test_finish_only_removes(apis: Apis, tmp_path: Path) -> None:
    said = stretch(apis, tmp_path, seconds=0)
    while "create" not in steps(said):
        said = stretch(apis, tmp_path, seconds=0, state=said["state"])
    last = stretch(apis, tmp_path, finish=True, state=said["state"])
    assert last["ended"] and list(steps(last))[-1] == "delete" and "migrate-away" not in steps(last)
    assert nothing_left(apis.root)


def test_a_step_has_its_limit(apis: Apis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inside.LIMITS, "migrate-away", 0.2)
    real = sandbox.nova.Api._act

    def endless(api: Any, server: Any, body: Any) -> Any:
        server["migration"] = "endless"
        return real(api, server, body)

    monkeypatch.setattr(sandbox.nova.Api, "_act", endless)
    said = stretch(apis, tmp_path, seconds=1)
    assert steps(said)["migrate-away"] is False
    assert words(said, "migrate-away") == "not done within 0.2 s: it is still migrating"


def test_an_api_that_is_away_for_a_moment(apis: Apis, tmp_path: Path) -> None:
    apis.fail[("POST", "/compute/v2.1/flavors")] = [503]
    apis.fail[("DELETE", "/compute/v2.1/servers")] = [504]
    said = stretch(apis, tmp_path)
    assert steps(said) == dict.fromkeys(inside.STEPS, True) and nothing_left(apis.root)


def test_what_it_needs_of_glance(apis: Apis, tmp_path: Path) -> None:
    apis.missing.add("image")
    said = stretch(apis, tmp_path)
    assert words(said, "clear") == "the catalogue has no internal endpoint of type image"
