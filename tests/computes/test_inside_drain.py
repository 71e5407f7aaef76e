"""A drain, stretch by stretch, over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.computes_kit import Apis
from upgrader.computes.inside.main import answer
from upgrader.sandbox import computes as sandbox
from upgrader.sandbox import store


def stretch(apis: Apis, tmp_path: Path, host: str = "cmp1", **more: Any) -> dict[str, Any]:
    return answer({"do": "drain", "host": host, "seconds": 3, **more}, apis.cloud(tmp_path))


def test_everything_that_runs_moves(apis: Apis, tmp_path: Path) -> None:
    ids = [sandbox.plant_instance(apis.root, "cmp1", f"web-{number}") for number in range(3)]
    ids.append(sandbox.plant_instance(apis.root, "cmp1", "asleep", status="PAUSED"))
    off = sandbox.plant_instance(apis.root, "cmp1", "off", status="SHUTOFF")
    sandbox.plant_service(apis.root, "cmp2", disabled="no")
    said = stretch(apis, tmp_path)
    assert said["ended"]
    assert sorted(said["moved"]) == sorted([name, "cmp3"] for name in ids)
    assert [(row["id"], row["why"]) for row in said["left"]] == [(off, "is stopped: there is no running guest to move")]


def test_targets_are_kept_to_and_shared(apis: Apis, tmp_path: Path) -> None:
    for number in range(8):
        sandbox.plant_instance(apis.root, "cmp1", f"web-{number}")
    assert {to for _, to in stretch(apis, tmp_path, targets=["cmp2"])["moved"]} == {"cmp2"}
    back = stretch(apis, tmp_path, host="cmp2", targets=["cmp1", "cmp3"])
    assert {to for _, to in back["moved"]} == {"cmp1", "cmp3"}


def test_another_target_is_tried_and_novas_words_are_kept(apis: Apis, tmp_path: Path) -> None:
    good = sandbox.plant_instance(apis.root, "cmp1", "good")
    bad = sandbox.plant_instance(apis.root, "cmp1", "bad", migration="fails", words="Unsupported CPU flag.")
    sandbox.plant_service(apis.root, "cmp2", silent="")
    said = stretch(apis, tmp_path, targets=["cmp2", "cmp3"])
    assert said["ended"] and said["moved"] == [[good, "cmp3"]]
    assert [row["id"] for row in said["left"]] == [bad]
    assert sorted(said["left"][0]["why"].split("; ")) == [
        "to cmp2: its migration failed: No valid host was found. There are not enough hosts available.",
        "to cmp3: its migration failed: Unsupported CPU flag.",
    ]
    assert sorted(said["state"]["tried"][bad]) == ["cmp2", "cmp3"]


def test_what_cannot_move_says_why_without_being_tried(apis: Apis, tmp_path: Path) -> None:
    sandbox.plant_instance(apis.root, "cmp1", "a", status="ERROR")
    sandbox.plant_instance(apis.root, "cmp1", "b", extra={"pci_passthrough:alias": "gpu:1"})
    sandbox.plant_instance(apis.root, "cmp1", "c", extra={"hw:mem_encryption": "True"})
    sandbox.plant_instance(apis.root, "cmp1", "d", status="RESCUE")
    said = stretch(apis, tmp_path)
    assert said["ended"] and said["moved"] == []
    assert {row["name"]: row["why"] for row in said["left"]} == {
        "a": "is in state ERROR: Nova refuses to move it",
        "b": "has a device of its host (gpu:1)",
        "c": "has encrypted memory",
        "d": "is in rescue mode: Nova refuses to move it",
    }
    assert not any(method == "POST" and kind == "compute" for method, kind, _ in apis.asked)


def test_one_that_never_ends_is_ended(apis: Apis, tmp_path: Path) -> None:
    slow = sandbox.plant_instance(apis.root, "cmp1", "big", migration="endless")
    first = stretch(apis, tmp_path, seconds=0.1)
    assert not first["ended"] and first["left"][0]["why"] == "is still migrating"
    # the answer of the stretch was lost, with its state: what this user began is found in Nova
    last = stretch(apis, tmp_path, abort=True)
    assert last["ended"] and [row["status"] for row in last["left"]] == ["ACTIVE"]
    assert slow in sandbox.state_of(apis.root)["servers"]


def test_somebody_elses_migration_is_waited_for_and_never_ended(apis: Apis, tmp_path: Path) -> None:
    mine = sandbox.plant_instance(apis.root, "cmp1", "mine", migration="endless")
    stretch(apis, tmp_path, seconds=0.1)
    with sandbox.nova.opened(str(apis.root)) as state:
        state["servers"][mine]["actions"][-1]["user_id"] = "anna"
    sandbox.plant_instance(apis.root, "cmp1", "zz-waits")
    said = stretch(apis, tmp_path, abort=True, seconds=0.2)
    assert {row["name"]: row["status"] for row in said["left"]} == {"mine": "MIGRATING", "zz-waits": "ACTIVE"}
    assert stretch(apis, tmp_path, seconds=0.1)["moved"] == []


def test_an_api_that_is_away_for_a_moment_costs_no_target(apis: Apis, tmp_path: Path) -> None:
    one = sandbox.plant_instance(apis.root, "cmp1", "one")
    apis.fail[("POST", "/compute")] = [503, 502]
    said = stretch(apis, tmp_path, targets=["cmp2"])
    assert said["ended"] and said["moved"] == [[one, "cmp2"]]
    # what is refused by Nova itself is final for this target, and the next one is tried
    apis.fail[("POST", "/compute")] = [500]
    back = stretch(apis, tmp_path, host="cmp2", targets=["cmp1"])
    assert back["ended"] and back["left"][0]["why"] == "to cmp1: HTTP 500: Internal Server Error"
    apis.fail[("POST", "/compute")] = [400]
    other = stretch(apis, tmp_path, host="cmp2", targets=["cmp1", "cmp3"])
    assert other["ended"] and other["left"] == [] and sorted(other["state"]["tried"][one]) == ["cmp1", "cmp3"]


def test_an_instance_that_is_busy_holds_up_nobody_else(apis: Apis, tmp_path: Path) -> None:
    busy = sandbox.plant_instance(apis.root, "cmp1", "a-busy")
    with sandbox.nova.opened(str(apis.root)) as state:
        state["servers"][busy]["task"] = "rebooting"
    free = sandbox.plant_instance(apis.root, "cmp1", "b-free")
    said = stretch(apis, tmp_path, seconds=0.6)
    assert [name for name, _ in said["moved"]] == [free] and not said["ended"]
    assert said["left"][0]["why"] == "is still rebooting"


def test_killed_between_two_stretches(apis: Apis, tmp_path: Path) -> None:
    """A stretch without the state of the one before comes to the same end, and moves nothing twice."""
    for number in range(3):
        sandbox.plant_instance(apis.root, "cmp1", f"web-{number}")
    while not stretch(apis, tmp_path, seconds=0)["ended"]:
        time.sleep(0.02)
    assert sum(store.effects(str(apis.root)).values()) == 3
    assert stretch(apis, tmp_path)["left"] == []
