"""Which release runs: exact, mixed or unknown, and never a guess."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import upgrader
from tests.cloud_kit.facts import cloud, container, heads_of, host, names
from upgrader.facts.host import host_facts
from upgrader.facts.reading import is_kolla, read_release
from upgrader.graph import load_graph
from upgrader.model import ReleaseReading, SchemaHead

SERVICES = ("cron", "keystone", "mariadb", "memcached", "neutron_server", "nova_api")


def controller(name: str, release: str = "2025.1") -> object:
    return host(name, *(container(service, release) for service in SERVICES), groups=("mariadb",))


def test_all_agree_and_the_heads_with_them() -> None:
    facts = cloud(controller("ctl1"), controller("ctl2"), heads=heads_of("2025.1", "keystone", "neutron", "nova"))
    reading = facts.reading
    assert (reading.kind, reading.release) == ("exact", "2025.1")
    assert reading.how == "container images, agreeing with the schema heads of 3 databases"
    assert ("keystone", "2025.1", ("ctl1", "ctl2")) in reading.by_service


def test_two_releases_are_told_host_by_host() -> None:
    half = host("ctl1", container("mariadb", "2025.2"), container("keystone", "2025.1"))
    reading = cloud(half, controller("ctl2", "2025.2")).reading
    assert (reading.kind, reading.release) == ("mixed", "")
    assert reading.evidence == (
        "ctl1: 2025.1: keystone; 2025.2: mariadb",
        "ctl2: 2025.2: cron, keystone, mariadb, memcached, neutron_server, nova_api",
    )


def test_an_upgrade_under_way_as_docker_really_showed_it() -> None:
    text = (Path(__file__).parent / "samples" / "docker.txt").read_text()
    reading = cloud(host_facts("control1", [], text)).reading
    assert reading.kind == "mixed"
    assert reading.evidence == (
        "control1: 2025.1: keystone, keystone_fernet, keystone_ssh, mariadb, memcached; 2025.2: cron, kolla_toolbox",
    )


def test_newer_heads_than_images_are_mixed() -> None:
    reading = cloud(controller("ctl1"), heads=heads_of("2025.2", "keystone", "neutron")).reading
    assert reading.kind == "mixed"
    assert reading.how == "container images say 2025.1, schema heads do not"
    (line,) = reading.evidence
    assert line.startswith("database neutron: ")
    assert "the schema of 2025.2" in line


def test_a_half_done_migration_is_named() -> None:
    before, after = names().heads["2025.1"]["neutron"], names().heads["2025.2"]["neutron"]
    both = tuple(sorted({*before, *after}))
    reading = cloud(controller("ctl1"), heads={"neutron": both}).reading
    assert reading.kind == "mixed"
    assert "half-migrated: a migration was interrupted" in reading.evidence[0]
    reading = cloud(controller("ctl1"), heads={"neutron": ("5c85685d616d", "6f1145bff34c")}).reading
    assert "half-migrated: a migration was interrupted" in reading.evidence[0]
    reading = cloud(controller("ctl1"), heads={"neutron": ("5c85685d616d", "ffffffffffff")}).reading
    assert "a revision of no release the graph knows" in reading.evidence[0]
    reading = cloud(controller("ctl1"), heads={"neutron": ()}).reading
    assert "half-migrated: its version table is empty" in reading.evidence[0]


def test_the_database_of_a_service_that_does_not_run_proves_nothing() -> None:
    facts = cloud(controller("ctl1"), heads=heads_of("2025.1", "keystone") | heads_of("2023.1", "octavia", "heat"))
    assert facts.reading.kind == "exact"


@pytest.mark.parametrize("image", ["registry/kolla/keystone:prod-7", "registry/kolla/keystone@sha256:" + "0" * 64, ""])
def test_a_label_names_what_a_tag_does_not(image: str) -> None:
    reading = cloud(host("ctl1", container("keystone", image=image or "sha256:abc"))).reading
    assert (reading.kind, reading.release, reading.how) == ("exact", "2025.1", "image labels")


def test_a_tag_that_lies_about_its_content_is_mixed() -> None:
    reading = cloud(host("ctl1", container("keystone", "2025.1", label="21.3.0"))).reading
    assert reading.kind == "mixed"
    assert "its tag says 2025.1, but the image was made by kolla 21.3.0, which is 2025.2" in reading.evidence[0]


def nameless(service: str) -> object:
    return container(service, image=f"registry/kolla/{service.replace('_', '-')}:prod", label="")


def test_heads_name_what_neither_tag_nor_label_does() -> None:
    facts = cloud(host("ctl1", nameless("neutron_server"), nameless("keystone")), heads=heads_of("2025.1", "neutron"))
    assert (facts.reading.kind, facts.reading.release, facts.reading.how) == ("exact", "2025.1", "schema heads")
    assert facts.reading.evidence == (
        "ctl1: neutron_server (registry/kolla/neutron-server:prod) names no release",
        "ctl1: keystone (registry/kolla/keystone:prod) names no release",
    )


def test_heads_that_fit_several_releases_are_no_answer() -> None:
    reading = cloud(host("ctl1", nameless("keystone")), heads=heads_of("2025.1", "keystone")).reading
    assert (reading.kind, reading.release) == ("unknown", "")
    assert reading.evidence[0] == "schema heads fit 2024.1, 2024.2, 2025.1, 2025.2 alike"


def test_a_nameless_container_beside_named_ones_is_not_taken_for_one_of_them() -> None:
    hosts = (host("ctl1", container("keystone"), nameless("mariadb")),)
    assert cloud(*hosts).reading.kind == "unknown"
    assert cloud(*hosts, heads=heads_of("2025.1", "keystone")).reading.kind == "unknown"


def test_unreachable_hosts_are_named_and_the_others_still_say_what_they_run() -> None:
    lost = host("ctl2", reachable=False, error="Connection timed out", disks=())
    reading = cloud(controller("ctl1"), lost).reading
    assert (reading.kind, reading.release) == ("exact", "2025.1")
    assert reading.evidence == ("ctl2: not read (Connection timed out)",)
    reading = cloud(lost).reading
    assert reading.kind == "unknown"
    assert reading.evidence == ("no container of the cloud was found", "ctl2: not read (Connection timed out)")


def test_left_overs_and_strangers_do_not_count() -> None:
    strangers = (
        container("ceph-mon-a", image="quay.io/ceph/ceph:v18", label=""),
        container("bootstrap_keystone", "2024.2", state="exited"),
        container("old_service", "2024.1", state="exited"),
    )
    assert cloud(host("ctl1", container("keystone"), *strangers)).reading.kind == "exact"
    assert not is_kolla(strangers[0], names())


def test_a_stopped_cloud_still_says_what_it_is() -> None:
    stopped = (container("keystone", state="exited"), container("mariadb", state="exited"))
    assert cloud(host("ctl1", *stopped)).reading.release == "2025.1"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(SERVICES), st.sampled_from(["2024.2", "2025.1"])),
        min_size=1, max_size=12, unique_by=lambda row: row[:2],
    )
)  # fmt: skip
def test_exact_means_that_nobody_says_otherwise(rows: list[tuple[str, str, str]]) -> None:
    hosts = [
        host(name, *(container(service, release) for where, service, release in rows if where == name))
        for name in sorted({row[0] for row in rows})
    ]
    reading = read_release(hosts, (), names())
    said = {release for _, _, release in rows}
    assert (reading.kind == "exact") == (len(said) == 1)
    assert {(service, release) for service, release, _ in reading.by_service} == {row[1:] for row in rows}


def test_a_foreign_image_under_a_services_name_is_asked_for_not_passed_over() -> None:
    """`keystone` from a private registry without release tag or Kolla label: nobody may guess what it runs."""
    from upgrader.facts.names import release_names
    from upgrader.facts.reading import read_release
    from upgrader.graph import load_graph
    from upgrader.model import ContainerFacts

    known = release_names(load_graph())
    odd = ContainerFacts(name="keystone", image="quay.io/x/identity:v9", state="running")
    one = host("ctl1", container("mariadb", "2025.1"), odd)
    reading = read_release((one,), (), known)
    assert reading.kind == "unknown"
    assert any("keystone" in line for line in reading.evidence)


def interrupted(*items: str, heads: dict[str, tuple[str, ...]]) -> ReleaseReading:
    rows = tuple(SchemaHead(database=name, heads=known) for name, known in heads.items())
    structures = {name: frozenset(items) for name in heads}
    return read_release([controller("ctl1")], rows, names(), structures)


def test_a_script_that_was_killed_shows_in_the_structure_alone() -> None:
    heads = heads_of("2025.1", "neutron")
    assert interrupted("ports", heads=heads).kind == "exact"
    reading = interrupted("ports", "subnet_bgp_leak_routes", heads=heads)
    assert (reading.kind, reading.how) == ("mixed", "container images say 2025.1, database structures do not")
    assert reading.evidence == (
        "database neutron: half-migrated: table subnet_bgp_leak_routes of c7f8d9e0f1a2 is there already, but the "
        "version row is 5c85685d616d + ad80a9f07c5c: that script was interrupted",
    )
    assert interrupted(heads=heads).kind == "exact", "nobody said"
    unknown = interrupted("subnet_bgp_leak_routes", heads={"neutron": ("5c85685d616d", "ffffffffffff")})
    assert "a revision of no release" in unknown.evidence[0] and len(unknown.evidence) == 1


def test_the_question_names_what_the_release_graph_knows() -> None:
    graph = load_graph()
    items = {item for marks in graph.marks for item in marks.items if "/" not in item}
    tables = {item.partition(".")[0] for item in items} | {name for marks in graph.marks for name in marks.tables}
    text = (Path(upgrader.__file__).parent / "facts" / "marks.sh").read_text()
    asked = [set(re.findall(r"'([^']+)'", part)) for part in re.findall(r"IN \(\n(.*?)\n  \)", text, re.DOTALL)]
    assert asked == [tables, {item for item in items if "." in item}]
