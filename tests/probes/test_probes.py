"""Health questions answered from observations made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, heads_of, host, names
from upgrader.model import CloudFacts, Code, DiskFacts, Finding
from upgrader.observed import GaleraFacts
from upgrader.probes.base import ask
from upgrader.probes.containers import containers
from upgrader.probes.disk import disk, local_disk, size
from upgrader.probes.galera import galera
from upgrader.probes.heads import heads

GOOD = ("keystone", "mariadb", "memcached")


def healthy(name: str = "ctl1") -> object:
    return host(name, *(container(service, health="healthy") for service in GOOD))


def told(findings: tuple[Finding, ...]) -> list[tuple[str, Code, str]]:
    return [(finding.id, finding.code, finding.message) for finding in findings]


def test_all_well_is_one_good_word() -> None:
    assert told(containers(cloud(healthy(), healthy("ctl2")), names(), "2025.1")) == [
        ("containers", Code.SUCCESS, "6 containers on 2 hosts run from images of 2025.1")
    ]


@pytest.mark.parametrize(
    ("changes", "identifier", "code", "message"),
    [
        ({"state": "exited"}, "container-not-running", Code.FAILURE, "ctl1: heat_api is exited"),
        ({"state": "restarting"}, "container-not-running", Code.FAILURE, "ctl1: heat_api is restarting"),
        ({"health": "unhealthy"}, "container-unhealthy", Code.FAILURE, "ctl1: heat_api is unhealthy"),
        ({"health": "starting"}, "container-starting", Code.WARNING, "ctl1: heat_api has not been healthy yet"),
        ({"release": "2025.2"}, "container-release", Code.FAILURE, "ctl1: heat_api runs 2025.2 instead of 2025.1"),
        ({"label": "21.3.0"}, "container-release", Code.FAILURE, "its tag says 2025.1"),
        (
            {"image": "r/kolla/heat-api:mine", "label": ""},
            "container-release-unknown", Code.WARNING, "heat_api runs r/kolla/heat-api:mine, which names no release",
        ),
        ({"state": "exited", "release": "2024.2"}, "container-left-behind", Code.WARNING, "a removed service?"),
    ],
)  # fmt: skip
def test_one_bad_container(changes: dict[str, str], identifier: str, code: Code, message: str) -> None:
    release = changes.pop("release", "2025.1")
    facts = cloud(host("ctl1", container("keystone"), container("heat_api", release, **changes)))
    (finding,) = containers(facts, names(), "2025.1")
    assert (finding.id, finding.code, finding.host) == (identifier, code, "ctl1")
    assert message in finding.message


def test_without_a_release_only_health_is_asked() -> None:
    facts = cloud(host("ctl1", container("keystone"), container("heat_api", "2025.2")))
    assert [finding.code for finding in containers(facts, names())] == [Code.SUCCESS]


def test_hosts_that_do_not_answer_are_failures() -> None:
    facts = cloud(healthy(), host("ctl2", reachable=False, error="timed out"), host("ctl3", error="engine: no daemon"))
    assert told(containers(facts, names(), "2025.1")) == [
        ("host-unreachable", Code.FAILURE, "ctl2 could not be reached"),
        ("engine-unreadable", Code.FAILURE, "ctl3: engine: no daemon"),
    ]
    (finding,) = containers(cloud(host("ctl1")), names())
    assert finding.code is Code.FAILURE


def servers(*states: GaleraFacts | None) -> CloudFacts:
    return cloud(*(host(f"ctl{n}", groups=("mariadb",), galera=state) for n, state in enumerate(states, 1)))


def test_a_whole_cluster() -> None:
    assert told(galera(servers(SYNCED, SYNCED, SYNCED))) == [
        ("galera", Code.SUCCESS, "3 of 3 database servers are Synced (10.11.13-MariaDB-log)")
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 2}, "ctl1: its cluster has 2 of 3 servers"),
        ({"status": "non-Primary"}, "non-Primary component"),
        ({"state": "Donor/Desynced"}, "is Donor/Desynced, not Synced"),
        ({"ready": False}, "takes no queries"),
    ],
)
def test_a_cluster_that_is_not_whole(changes: dict[str, object], words: str) -> None:
    (finding,) = galera(servers(SYNCED.model_copy(update=changes), SYNCED, SYNCED))
    assert finding.code is Code.FAILURE
    assert words in finding.message


@pytest.mark.parametrize("state", [None, GaleraFacts()])
def test_a_server_that_cannot_be_read_fails_by_name(state: GaleraFacts | None) -> None:
    (finding,) = galera(servers(SYNCED, state, SYNCED))
    assert (finding.code, finding.host) == (Code.FAILURE, "ctl2")


def test_no_servers_is_a_warning() -> None:
    assert [finding.code for finding in galera(cloud(healthy()))] == [Code.WARNING]


def test_disks(tmp_path: Path) -> None:
    facts = cloud(healthy(), host("ctl2", disks=()), host("ctl3", reachable=False, disks=()))
    assert [finding.code for finding in disk(facts, 1 << 30)] == [Code.WARNING]
    (finding,) = disk(cloud(healthy()), 101 << 30)
    assert finding.message == "ctl1: /var/lib/docker has 100.0 GiB free, 101.0 GiB are wanted"
    here = DiskFacts(path="/backups", total_bytes=10, free_bytes=5)
    (finding,) = disk(cloud(healthy()), 6, (here,))
    assert finding.message == "this machine: /backups has 5 B free, 6 B are wanted"
    assert disk(cloud(healthy()), 5, (here,))[0].code is Code.SUCCESS
    assert local_disk(tmp_path / "not" / "yet").free_bytes == pytest.approx(local_disk(tmp_path).free_bytes, rel=0.2)
    assert size(3 << 40) == "3.0 TiB"


def test_heads_of_the_expected_release() -> None:
    facts = cloud(healthy(), heads=heads_of("2025.1", "keystone") | {"unknown": ("x",)} | heads_of("2023.1", "octavia"))
    assert told(heads(facts, names(), "2025.1")) == [
        ("schema-heads", Code.SUCCESS, "1 databases have the schema of 2025.1")
    ]


def test_heads_of_another_release_are_named() -> None:
    facts = cloud(host("ctl1", container("neutron_server")), heads=heads_of("2025.1", "neutron"))
    (finding,) = heads(facts, names(), "2025.2")
    assert finding.code is Code.FAILURE
    assert finding.message.startswith("database neutron is at ")
    assert "(the schema of 2025.1), 2025.2 has " in finding.message


def test_missing_and_unreadable_schemas() -> None:
    (finding,) = heads(cloud(healthy()), names(), "2025.1")
    assert (finding.id, finding.code) == ("schema-missing", Code.WARNING)
    assert "database keystone" in finding.message
    (finding,) = heads(cloud(healthy(), heads_error="ctl1: denied"), names(), "2025.1")
    assert (finding.code, finding.evidence) == (Code.FAILURE, "ctl1: denied")


def test_several_questions_at_once() -> None:
    facts = servers(SYNCED, SYNCED, SYNCED)
    findings = ask([galera, lambda seen: containers(seen, names())], facts)
    assert [finding.id for finding in findings] == ["galera", "containers"]
