"""What coming back takes, hop by hop: restore where schema or data changed, redeploy only where that is known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import ReleaseGraph, load_graph, services_of, way_back
from upgrader.graph.wayback import same_series
from upgrader.model import Way, WayBack

GRAPH = load_graph()
HOPS = list(pairwise(GRAPH.ids))


def rows(source: str, target: str, enabled: set[str] | None = None, **servers: tuple[str, str]) -> dict[str, WayBack]:
    found = way_back(GRAPH, GRAPH.hop(source, target), enabled, servers)
    return {row.database or row.service: row for row in found}


@pytest.mark.parametrize(
    ("source", "target", "changed"),
    [
        ("2024.1", "2024.2", {"neutron"}),
        ("2024.2", "2025.1", {"nova", "nova_cell0", "neutron", "octavia"}),
        ("2025.1", "2025.2", {"neutron"}),
        ("2025.2", "2026.1", {"neutron", "keystone", "heat"}),
    ],
)
def test_databases_that_need_a_restore(source: str, target: str, changed: set[str]) -> None:
    found = rows(source, target)
    known = set(GRAPH.heads(source))
    assert {name for name in known if found[name].way is Way.RESTORE} == changed
    assert {name for name in known if found[name].way is Way.REDEPLOY} == known - changed


@pytest.mark.parametrize(("source", "target"), HOPS)
def test_a_schema_changes_exactly_where_the_heads_differ(source: str, target: str) -> None:
    found = rows(source, target)
    for database, before in GRAPH.heads(source).items():
        row = found[database]
        assert (row.heads_before, row.heads_after) == (before, GRAPH.heads(target)[database])
        assert row.changes_schema == (set(before) != set(GRAPH.heads(target)[database]))
        assert row.way is (Way.RESTORE if row.changes_schema else Way.REDEPLOY)


def test_scripts_that_are_shipped_but_not_loaded_change_nothing() -> None:
    """keystone 2025.2 ships a script in a folder it does not read; the heads decide, not the files."""
    hop = GRAPH.hop("2025.1", "2025.2")
    assert next(change.changes for change in hop.schema_.services if change.name == "keystone") == 1
    assert rows("2025.1", "2025.2")["keystone"].way is Way.REDEPLOY


@pytest.mark.parametrize(
    ("source", "target", "stores"),
    [
        ("2023.1", "2023.2", {"mariadb", "rabbitmq", "etcd", "ovn"}),
        ("2023.2", "2024.1", {"rabbitmq", "ovn"}),
        ("2024.1", "2024.2", {"etcd", "ovn"}),
        ("2024.2", "2025.1", {"rabbitmq", "prometheus", "ovn"}),
        ("2025.1", "2025.2", {"mariadb", "rabbitmq", "etcd", "opensearch", "ovn"}),
        ("2025.2", "2026.1", {"rabbitmq", "ovn"}),
    ],
)
def test_data_stores_that_a_newer_server_converts(source: str, target: str, stores: set[str]) -> None:
    found = way_back(GRAPH, GRAPH.hop(source, target))
    assert {row.service for row in found if not row.database and row.way is Way.RESTORE} == stores


def test_redis_to_valkey_says_what_is_lost() -> None:
    row = rows("2025.1", "2025.2", {"redis"})["valkey"]
    assert row.way is Way.REDEPLOY
    assert row.changes_schema
    assert "jobboard" in row.why
    assert "valkey" not in rows("2025.1", "2025.2", {"keystone"})


def test_dropped_drivers_are_forward_only_where_they_run() -> None:
    assert rows("2024.2", "2025.1", {"neutron", "neutron-linuxbridge-agent"})["dropped-drivers"].way is Way.FORWARD_ONLY
    assert "dropped-drivers" not in rows("2024.2", "2025.1", {"neutron", "nova"})


def test_observed_servers_beat_the_record() -> None:
    same = rows("2025.1", "2025.2", mariadb=("10.11.11-MariaDB", "10.11.14-MariaDB"))["mariadb"]
    assert same.way is Way.REDEPLOY
    assert not same.changes_schema
    assert "10.11.11-MariaDB" in same.why
    assert rows("2025.1", "2025.2", mariadb=("10.11.11", "11.4.8"))["mariadb"].way is Way.RESTORE
    assert rows("2024.1", "2024.2")["mariadb"].way is Way.REDEPLOY
    assert rows("2024.1", "2024.2", mariadb=("10.11.11", "11.4.8"))["mariadb"].way is Way.RESTORE
    assert rows("2025.1", "2025.2", mariadb=("", "10.11.14"))["mariadb"].way is Way.RESTORE


def test_services_without_heads_follow_the_recorded_scripts() -> None:
    found = rows("2025.1", "2025.2")
    assert found["designate"].way is Way.RESTORE
    assert "f828412479ee" in found["designate"].why
    assert found["magnum"].way is Way.REDEPLOY


def test_a_service_of_which_nothing_is_known_counts_as_changed() -> None:
    row = rows("2025.1", "2025.2", {"aodh"})["aodh"]
    assert row.way is Way.RESTORE
    assert "nothing is recorded" in row.why
    assert "aodh" not in rows("2025.1", "2025.2")


def test_the_lab_of_mariadb_and_keystone() -> None:
    running = ["mariadb", "memcached", "keystone", "keystone_fernet", "keystone_ssh", "kolla_toolbox", "cron"]
    enabled = services_of(GRAPH, running)
    found = way_back(GRAPH, GRAPH.hop("2025.1", "2025.2"), enabled)
    assert {(row.service, row.way) for row in found} == {("keystone", Way.REDEPLOY), ("mariadb", Way.RESTORE)}
    assert all(row.enabled for row in found)


def test_containers_become_services() -> None:
    assert {"nova", "nova-cell", "nova-libvirt"} <= services_of(GRAPH, ["nova_libvirt"])
    assert {"ovn", "ovn-db"} <= services_of(GRAPH, ["ovn_nb_db"])
    assert services_of(GRAPH, ["some_thing"]) == {"some-thing"}


NAMES = sorted({task.service for release in GRAPH.ids for task in GRAPH.schema_tasks(release)} | {"redis", "swift"})


@given(st.sampled_from(HOPS), st.sets(st.sampled_from(NAMES)))
def test_rows_are_unique_explained_and_a_part_of_the_paper_plan(hop: tuple[str, str], enabled: set[str]) -> None:
    found = way_back(GRAPH, GRAPH.hop(*hop), enabled)
    keys = [(row.service, row.database) for row in found]
    assert len(set(keys)) == len(keys)
    assert all(row.why and row.enabled for row in found)
    paper = {(row.service, row.database): row.way for row in way_back(GRAPH, GRAPH.hop(*hop))}
    for row in found:
        if (row.service, row.database) in paper:
            assert row.way is paper[row.service, row.database]
        else:
            assert row.way is Way.RESTORE


@given(st.sampled_from(HOPS))
def test_every_row_of_a_paper_plan_says_that_nobody_looked(hop: tuple[str, str]) -> None:
    assert {row.enabled for row in way_back(GRAPH, GRAPH.hop(*hop))} == {None}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("10.11.11-MariaDB-log", "10.11.2", True),
        ("5.5.5-10.11.11-MariaDB", "11.4.2", False),
        ("5.5.5-10.11.11-MariaDB", "5.5.5-11.4.2-MariaDB", False),
        ("5.5.5-10.11.11-MariaDB", "10.11.14-MariaDB", True),
        ("10.11", "10.6", False),
        ("v3.5.16", "3.5.20", True),
        ("", "", False),
        ("unknown", "unknown", False),
        ("2.x", "2.x", False),
    ],
)
def test_series(before: str, after: str, same: bool) -> None:
    assert same_series(before, after) is same


def test_facts_of_every_way_back_are_there(graph: ReleaseGraph) -> None:
    assert "ovn-schema" in {fact.id for fact in graph.way_back_facts}
