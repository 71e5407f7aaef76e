"""What preflight says of an inventory that changed between two hops."""

from __future__ import annotations

from upgrader.findings import accept_all
from upgrader.model import Plan
from upgrader.stages.preflight import other_hosts


def a_plan(*hosts: str) -> Plan:
    return Plan.model_validate(
        {
            "from": "2024.1", "to": "2025.2", "site": "s", "tool_version": "0", "graph_version": "1",
            "graph_sha256": "0", "hops": (), "hosts": tuple((name, ("compute",)) for name in hosts),
        }
    )  # fmt: skip


def test_hosts_that_came_or_went_since_the_plan_stop_the_hop_until_somebody_takes_their_word() -> None:
    (found,) = other_hosts(a_plan("cmp1", "cmp2"), ["cmp2", "cmp3"])
    assert found.blocks and found.message.endswith("cmp3 is new, cmp1 is gone")
    assert found.next == "upgrader abort; upgrader plan --to 2025.2"
    assert not accept_all((found,), {"hosts-changed": "cmp1 burnt down"})[0].blocks


def test_the_same_hosts_in_any_order_and_a_plan_that_names_none() -> None:
    assert other_hosts(a_plan("cmp1", "cmp2"), ["cmp2", "cmp1"]) == ()
    assert other_hosts(a_plan(), ["cmp1"]) == ()
