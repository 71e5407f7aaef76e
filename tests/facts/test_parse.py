"""What hosts and servers print, as it was really printed by docker 20.10 and podman 4.3."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.facts.host import host_facts, unreachable_host
from upgrader.facts.parse import sections
from upgrader.facts.server import database_answer, schema_heads
from upgrader.model import SchemaHead

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text()


def test_docker_host() -> None:
    facts = host_facts("control1", ["mariadb", "control"], sample("docker"))
    assert facts.reachable
    assert facts.error == ""
    assert (facts.engine, facts.engine_version, facts.os) == ("docker", "20.10.24+dfsg1", "debian-12")
    assert facts.groups == ("control", "mariadb")
    assert [container.name for container in facts.containers] == [
        "cron", "keystone", "keystone_fernet", "keystone_ssh", "kolla_toolbox", "mariadb", "memcached",
    ]  # fmt: skip
    mariadb = facts.containers[5]
    assert mariadb.image == "10.213.77.1:5000/kolla/mariadb-server:2025.1-debian-bookworm"
    assert mariadb.image_id.startswith("sha256:ed24cbc2")
    assert mariadb.labels == (("build-date", "20261122"), ("kolla_version", "20.6.0"), ("name", "mariadb-server"))
    assert (mariadb.state, mariadb.health) == ("running", "healthy")
    assert facts.containers[0].health == ""
    (disk,) = facts.disks
    assert (disk.path, disk.total_bytes, disk.free_bytes) == ("/var/lib/docker", 264212084 << 10, 73094668 << 10)


def test_podman_host() -> None:
    facts = host_facts("ctl1", [], sample("podman"))
    assert (facts.engine, facts.engine_version, facts.os) == ("podman", "4.3.1", "debian-12")
    (container,) = facts.containers
    assert container.name == "keystone"
    assert container.image_id == "sha256:5ac057e009fb0c7511a4746c11103e404f2384d7bd089984195743d9b4d8c3b5"
    assert (container.state, container.health) == ("created", "")
    assert facts.disks[0].path == "/var/lib/containers/storage"


def test_a_terminal_changes_nothing() -> None:
    text = sample("docker")
    banner = "Authorized use only\r\n"
    assert host_facts("a", [], banner + text.replace("\n", "\r\n")) == host_facts("a", [], text)


def test_older_podman_calls_health_otherwise() -> None:
    state = '{"Running":true,"Healthcheck":{"Status":"healthy"}}'
    line = f'@@containers\n{{"name":"a","image":"i","labels":null,"state":{state}}}'
    (container,) = host_facts("a", [], line).containers
    assert (container.state, container.health, container.labels) == ("running", "healthy", ())


def test_what_was_not_read_is_said_and_the_rest_kept() -> None:
    refused = "@@info\n@@containers\n@@failed containers Cannot connect to the daemon\n@@disks\n"
    text = refused + '@@os\nID=rocky\nVERSION_ID="9.4"\n'
    facts = host_facts("a", [], text)
    assert facts.error == "containers: Cannot connect to the daemon"
    assert (facts.os, facts.containers, facts.disks) == ("rocky-9.4", (), ())
    vanished = sample("docker").replace("@@disks", "@@failed inspect Error: No such container: x\n@@disks")
    facts = host_facts("a", [], vanished)
    assert facts.error == "inspect: Error: No such container: x"
    assert len(facts.containers) == 7


def test_silence_is_an_error() -> None:
    assert "no answer" in host_facts("a", [], "").error
    assert not unreachable_host("a", ["b"], "timed out").reachable
    assert unreachable_host("a", ["b"], "").error == "unreachable"


@given(st.text(alphabet=st.sampled_from('@{}[]":,\t\n abc01\x1b'), max_size=200))
def test_no_output_breaks_the_parsers(text: str) -> None:
    host_facts("a", [], "@@info\n@@containers\n" + text)
    host_facts("a", [], "@@disks\n" + text)
    database_answer("@@galera\n@@heads\n" + text)
    sections(text)


ANSWER = """@@galera
wsrep_cluster_size\t3
wsrep_cluster_status\tPrimary
wsrep_local_state_comment\tSynced
wsrep_ready\tON
version\t10.11.13-MariaDB-log
@@heads
heat\talembic_version\tc6214ca60943
heat\tmigrate_version\theat:86
keystone\talembic_version\t47147121
keystone\talembic_version\tc88cdce8f248
"""


def test_database_answer() -> None:
    answer = database_answer(ANSWER)
    assert answer.error == ""
    assert answer.galera.size == 3
    assert (answer.galera.status, answer.galera.state, answer.galera.ready) == ("Primary", "Synced", True)
    assert answer.galera.server_version == "10.11.13-MariaDB-log"
    assert answer.heads == (
        SchemaHead(database="heat", heads=("c6214ca60943",)),
        SchemaHead(database="keystone", heads=("47147121", "c88cdce8f248")),
    )


def test_a_server_that_refuses() -> None:
    answer = database_answer("@@galera\n@@failed galera ERROR 1045 denied\n@@heads\n@@failed heads ERROR 1045 denied\n")
    assert answer.heads is None
    assert answer.galera.size == 0
    assert "ERROR 1045" in answer.error
    assert database_answer("").error == "no answer"
    assert database_answer("").heads is None


@pytest.mark.parametrize(
    ("lines", "heads"),
    [
        (["heat\tmigrate_version\theat:86"], ("migrate_version:heat:86",)),
        (["heat\talembic_version\t", "heat\tmigrate_version\theat:86"], ("migrate_version:heat:86",)),
        (["heat\talembic_version\tabc", "heat\tmigrate_version\theat:86"], ("abc",)),
        (["heat\talembic_version\t"], ()),
        (["heat\talembic_version"], ()),
    ],
)
def test_the_old_version_table_counts_only_without_alembic(lines: list[str], heads: tuple[str, ...]) -> None:
    assert schema_heads(lines) == (SchemaHead(database="heat", heads=heads),)
