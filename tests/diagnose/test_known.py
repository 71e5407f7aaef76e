"""What the release graph knows is recognised by what is said, and only there."""

from __future__ import annotations

import re

import pytest

from tests.diagnose_kit import failure, story
from upgrader.diagnose.choose import HOSTS, choose, folders_of, role_of
from upgrader.diagnose.known import known
from upgrader.diagnose.rules import Line
from upgrader.graph import load_graph

GRAPH = load_graph()
SAYING = [
    (hop, action)
    for hop in (GRAPH.hop(*edge) for edge in GRAPH.edges)
    for action in GRAPH.actions(hop)
    if action.says
]  # fmt: skip
SAMPLES = {
    "2024.1-neutron-dns-domain": "The neutron_dns_domain value has to be non-empty and must end with a period '.'",
    "2024.1-rabbitmq-version": "RabbitMQ must be at most one version behind the target release version (3.13.7)",
    "2024.2-cinder-cluster": "Multiple cinder-volume instances detected but cinder_cluster_name is not set- please",
    "2025.1-rabbitmq-all-durable": "notifications.info is a non-quorum queue. Currently the procedure",
    "2025.1-jammy": "Ubuntu release jammy version 22.04 is not supported. Supported releases are: noble",
    "2025.1-cinder-coordination": "Please enable valkey or redis or etcd when using Cinder Ceph backend",
    "2025.2-coordination": "Please enable Valkey or etcd when running in multinode scenario.",
    "2025.2-el10": "Rocky release Blue Onyx version 9.5 is not supported. Supported releases are: 10",
    "2026.1-test-images": "Kolla images from quay.io/openstack.kolla namespace are meant only for testing purposes,",
    "2026.2-rabbitmq-42-first": "Invalid upgrade path detected!",
    "common-inventory": "Ansible inventory does not contain the expected group nova-metadata for service x in nova.",
    "common-old-computes": "nova.exception.TooOldComputeService: Current Nova version does not support computes",
}


def _known(text: str, role: str = "", planned=None, **changes):
    return known(GRAPH, story(failure(), **changes), role, (Line(text, "ctl1"),), planned or {})


def test_every_risk_that_says_something_has_a_sample():
    assert {action.id for _, action in SAYING} == set(SAMPLES)


@pytest.mark.parametrize(("hop", "action"), SAYING, ids=lambda one: getattr(one, "id", getattr(one, "key", "")))
def test_a_risk_is_recognised_by_what_it_says(hop, action):
    text = SAMPLES[action.id]
    found = _known(text, source=hop.source, target=hop.target)
    assert action.id in [match.id for match in found if match.kind == "risk" and match.line == text]
    assert not any(re.search(pattern, "all went well on every host") for pattern in action.says)


def test_a_fault_of_a_migration_is_recognised():
    text = "(1265, \"Data truncated for column 'use_quota' at row 1\")"
    found = _known(text, "cinder", source="2023.2", target="2024.1")
    assert (found[0].kind, found[0].id) == ("fault", "cinder-use-quota-null")
    assert found[0].fix and found[0].source
    assert not _known(text, "nova", source="2023.2", target="2024.1")


@pytest.mark.parametrize("role", ["keystone", "neutron", "nova-cell"])
def test_an_interrupted_migration_is_recognised(role):
    found = _known("(1050, \"Table 'keystone.standardattributes' already exists\")", role)
    assert [match.kind for match in found] == ["interrupted"]
    assert "standardattributes" in found[0].title


def test_a_role_without_databases_has_no_migration():
    assert _known("(1050, \"Table 'x' already exists\")", "loadbalancer") == ()


def test_what_only_concerns_the_service_is_said_to_be_no_more():
    rows = [
        {"id": "a-keystone", "title": "Keystone x", "severity": "blocker", "applies": "yes"},
        {"id": "b-keystone", "title": "Keystone y", "severity": "blocker", "applies": "no"},
        {"id": "c-keystone", "title": "Keystone z", "severity": "advised", "applies": "yes"},
        {"id": "d-nova", "title": "Nova", "severity": "blocker", "applies": "yes"},
    ]
    found = _known("nothing that is known", "keystone", {"by_hand": rows})
    assert [(match.id, match.kind, match.line) for match in found] == [("a-keystone", "concerns", "")]


# ---------------------------------------------------------------- whose logs


@pytest.mark.parametrize(
    ("task", "role", "play", "wanted"),
    [
        ("keystone : Running bootstrap", "keystone", "", "keystone"),
        ("service-ks-register : glance | Creating services", "service-ks-register", "Apply role glance", "glance"),
        ("haproxy-config : Copying", "haproxy-config", "Apply role placement", "placement"),
        ("Gather facts", "", "Gather facts for all hosts", ""),
        ("nova-cell : Waiting for nova-compute", "nova-cell", "Apply role nova-cell", "nova-cell"),
    ],
)
def test_the_role_that_failed(task, role, play, wanted):
    assert role_of(story(failure(task=task, role=role, play=play)), GRAPH) == wanted


INVENTORY = {
    **{f"ctl{number}": ("mariadb", "rabbitmq", "keystone") for number in (1, 2, 3)},
    **{f"cmp{number}": ("compute",) for number in range(1, 30)},
}


def test_logs_are_read_where_it_failed_and_where_the_cluster_lives():
    told = story(failure("cmp7", role="nova-cell", task="nova-cell : x"))
    choice = choose(told, GRAPH, INVENTORY)
    assert choice.hosts == ("cmp7", "ctl1", "ctl2", "ctl3")
    assert {"nova_compute", "nova_conductor", "rabbitmq", "mariadb", "placement_api"} <= set(choice.containers)
    assert choice.main == ("nova", "libvirt")
    assert "glance_api" not in choice.containers


def test_no_more_hosts_than_may_be_and_none_that_is_away():
    told = story(*(failure(f"cmp{number}", role="neutron") for number in range(1, 12)))
    choice = choose(told, GRAPH, INVENTORY, reachable=[name for name in INVENTORY if name != "cmp2"])
    assert len(choice.hosts) == HOSTS and "cmp2" not in choice.hosts


def test_a_sick_container_is_read_whatever_failed():
    choice = choose(story(failure()), GRAPH, INVENTORY, sick=["cinder_volume"])
    assert "cinder_volume" in choice.containers and "cinder" in choice.folders


def test_a_role_that_is_not_listed_stands_on_what_services_stand_on():
    choice = choose(story(failure(role="barbican", task="barbican : x")), GRAPH, INVENTORY)
    assert choice.roles[:2] == ("barbican", "keystone") and "barbican_api" in choice.containers
    assert folders_of("barbican") == ("barbican",)
