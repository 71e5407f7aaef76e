"""A small, complete plan made by hand, for tests that do not need the release graph."""

from __future__ import annotations

from upgrader.model import (
    Binding,
    ByHand,
    Code,
    Component,
    Finding,
    HopPlan,
    Plan,
    SchemaHead,
    StagePlan,
    ToolchainPin,
    Way,
    WayBack,
)


def a_hop(source: str = "2024.1", target: str = "2024.2") -> HopPlan:
    pin = {"python": ">=3.10", "ansible_core": ">=2.16,<2.18"}
    return HopPlan.model_validate(
        {
            "from": source,
            "to": target,
            "summary": "RabbitMQ 3.12 to 3.13.",
            "toolchain": ToolchainPin(release=target, kolla_ansible="19.8.0", **pin),
            "toolchain_back": ToolchainPin(release=source, kolla_ansible="18.8.0", **pin),
            "stages": (
                StagePlan(name="preflight", when="before", changes_cloud=False, way_back=Way.NOTHING),
                StagePlan(name="upgrade", when="window", changes_cloud=True, way_back=Way.RESTORE),
            ),
            "components": (Component(name="rabbitmq", before="3.12", after="3.13"),),
            "by_hand": (
                ByHand(id="notes", title="Read the notes", when="before", severity="required", condition="always"),
                ByHand(id="zun", title="Zun goes", when="before", severity="blocker", condition="enable_zun"),
            ),
            "way_back": (
                WayBack(
                    service="keystone", database="keystone", changes_schema=False, way=Way.REDEPLOY, why="same heads"
                ),
                WayBack(service="neutron", database="neutron", changes_schema=True, way=Way.RESTORE, why="new heads"),
                WayBack(service="mariadb", changes_schema=False, way=Way.RESTORE, why="files are converted"),
            ),
            "ponr": "the first schema change of neutron",
            "settings": (("openstack_release", target),),
        }
    )


def a_plan() -> Plan:
    return Plan.model_validate(
        {
            "site": "prod",
            "lineage": "line-1",
            "serial": 7,
            "from": "2024.1",
            "to": "2024.2",
            "known_by": "all 9 containers",
            "made_at": "2026-11-22T14:03:00Z",
            "tool_version": "0.1.0",
            "graph_version": "1.0",
            "graph_sha256": "0" * 64,
            "hops": (a_hop(),),
            "findings": (Finding(id="disk", code=Code.FAILURE, message="no room", host="ctl1", next="free some"),),
            "binding": Binding(running="2024.1", heads=(SchemaHead(database="neutron", heads=("abc",)),)),
            "hosts": (("ctl1", ("control",)), ("cmp1", ("compute",))),
        }
    )
