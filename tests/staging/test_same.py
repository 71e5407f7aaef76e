"""Two plans are the same when they differ in nothing but hosts, names and times; every other difference is told."""

from __future__ import annotations

import pytest

from tests.engine_kit.place import a_hop
from upgrader.model import Binding, ByHand, HopPlan, Plan, StagePlan, ToolchainPin, Way
from upgrader.staging.same import differences, parts, rehearsal_sha256

BY_HAND = ByHand(id="ovn-first", title="OVN first", when="before", severity="required", applies="yes")
STAGE = StagePlan(name="pull", when="before", changes_cloud=False, way_back=Way.NOTHING)
LOCK, OTHER = "a" * 64, "b" * 64


def hop(**changes: object) -> HopPlan:
    return a_hop("2024.1", "2024.2").model_copy(update=changes)


def plan(made: HopPlan, **changes: object) -> Plan:
    body = {
        "site": "prod", "from": "2024.1", "to": "2024.2", "tool_version": "0.4", "graph_version": "1",
        "graph_sha256": "c" * 64, "hops": (made,), "lineage": "l", "serial": 3, "made_at": "2026-11-22T10:00:00Z",
    }  # fmt: skip
    return Plan.model_validate({**body, **changes})


def pin(lock: str = "", version: str = "19.1.0") -> ToolchainPin:
    return ToolchainPin(
        release="2024.2", kolla_ansible=version, ansible_core="2.17.3", python="3.11.2", lock_sha256=lock
    )


def test_hosts_names_and_times_do_not_matter() -> None:
    here = plan(hop(), hosts=(("ctl1", ("control",)),), binding=Binding(config_sha256="x"))
    there = plan(hop(), site="staging", lineage="m", serial=0, made_at="2026-11-20T10:00:00Z", hosts=(("s1", ()),))
    assert differences(parts(here, here.hops[0], {}), parts(there, there.hops[0], {})) == ()
    assert rehearsal_sha256(here, here.hops[0], {}) == rehearsal_sha256(there, there.hops[0], {})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"toolchain": pin(OTHER)}, "toolchain 2024.2: here 19.1.0 2.17.3 3.11.2 aaaaaaaaaaaa, on staging"),
        ({"toolchain": pin(LOCK, "19.2.0")}, "toolchain 2024.2: here 19.1.0"),
        ({"settings": (("x", "y"),)}, "settings edited: only on staging x y"),
        ({"groups_added": ("valkey",)}, "groups added: here nothing, on staging valkey"),
        ({"passwords_added": ("p",)}, "passwords added"),
        ({"way_back": ()}, "services: only here"),
        ({"by_hand": (BY_HAND,)}, "done by hand: only on staging ovn-first yes"),
        ({"stages": (STAGE,)}, "stages: only on staging pull False nothing"),
    ],
)
def test_what_differs_is_named(change: dict[str, object], part: str) -> None:
    here, there = hop(toolchain=pin(LOCK)), hop(**{"toolchain": pin(LOCK), **change})
    lines = differences(parts(plan(here), here, {}), parts(plan(there), there, {}))
    assert len(lines) == 1
    assert lines[0].startswith(part)
    assert rehearsal_sha256(plan(here), here, {}) != rehearsal_sha256(plan(there), there, {})


def test_release_data_and_tool_are_part_of_it() -> None:
    made = hop()
    ours, theirs = plan(made), plan(made, graph_sha256="d" * 64, tool_version="0.5")
    lines = differences(parts(ours, made, {}), parts(theirs, made, {}))
    assert lines == ("upgrader: here 0.4, on staging 0.5", "release data: here cccccccccccc, on staging dddddddddddd")


def test_a_toolchain_built_after_the_plan_is_known_exactly() -> None:
    ranged, exact = hop(toolchain=pin()), hop(toolchain=pin(LOCK))
    ours = parts(plan(ranged), ranged, {"2024.2": pin(LOCK)})
    assert differences(ours, parts(plan(exact), exact, {})) == ()
    assert differences(parts(plan(ranged), ranged, {"2024.2": pin(OTHER)}), parts(plan(exact), exact, {})) != ()
