"""The same decisions on the rows that the shipped release data gives, not on rows made for a test."""

from __future__ import annotations

import pytest

from upgrader.decisions import Situation, data_stores, schema_changers, ways
from upgrader.graph import load_graph, services_of
from upgrader.model import HopPlan, Way
from upgrader.planner import Goal, plan

CONTROL = ("mariadb", "memcached", "keystone", "keystone_fernet", "keystone_ssh", "kolla_toolbox", "cron")


def hop_of(source: str, target: str, *containers: str) -> HopPlan:
    """The hop as a plan has it, with the way back of a cloud that runs these containers."""
    from upgrader.graph import way_back

    graph = load_graph()
    made = plan(graph, Goal(target=target, source=source)).hops[0]
    rows = way_back(graph, graph.hop(source, target), services_of(graph, containers))
    return made.model_copy(update={"way_back": rows})


def situation(hop: HopPlan, **about: object) -> Situation:
    heads = {row.database: row.heads_before for row in hop.way_back if row.database}
    known = {"ponr": "no", "upgrade_began": True, "heads": heads, "backup_set": "set", "backup_complete": True}
    return Situation(hop=hop, **(known | about))  # type: ignore[arg-type]


def test_stores_and_schemas_are_told_apart() -> None:
    hop = hop_of("2025.1", "2025.2", *CONTROL, "rabbitmq", "neutron_server")
    assert {row.service for row in schema_changers(hop)} == {"neutron"}
    assert {"mariadb", "rabbitmq"} <= {row.service for row in data_stores(hop)}


def test_files_converted_by_a_newer_mariadb_are_not_opened_by_the_old_one() -> None:
    hop = hop_of("2025.1", "2025.2", *CONTROL)
    converted = ways(situation(hop, server_before="10.11.13-MariaDB", server_now="11.4.8-MariaDB"))
    assert not converted.redeploy
    assert not converted.restore
    assert any("mariadb" in reason for reason in converted.redeploy_reasons)
    same = ways(situation(hop, server_before="10.11.13-MariaDB", server_now="10.11.14-MariaDB"))
    assert same.redeploy
    assert same.restore


@pytest.mark.parametrize("server_now", ["", "11.4.8-MariaDB"])
def test_an_unknown_server_is_no_reason_to_go_back(server_now: str) -> None:
    assert not ways(situation(hop_of("2025.1", "2025.2", *CONTROL), server_now=server_now)).redeploy


def test_a_converted_broker_is_not_redeployed_on_and_is_made_anew_by_a_restore() -> None:
    hop = hop_of("2025.1", "2025.2", *CONTROL, "rabbitmq")
    servers = {"server_before": "10.11.13-MariaDB", "server_now": "10.11.13-MariaDB"}
    touched = ways(situation(hop, **servers))
    assert (touched.redeploy, touched.restore, touched.best) == (False, True, Way.RESTORE)
    assert any("rabbitmq: made anew with 2025.1" in reason for reason in touched.restore_reasons)
    untouched = ways(situation(hop, **servers, untouched=frozenset({"rabbitmq"})))
    assert (untouched.redeploy, untouched.restore) == (True, True)


def test_before_the_upgrade_nothing_stands_against_the_old_release() -> None:
    found = ways(situation(hop_of("2024.2", "2025.1", *CONTROL, "rabbitmq"), upgrade_began=False))
    assert found.redeploy
    assert not found.restore
