"""The questions about what services keep, against a real server with the tables of two releases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.hosts import container, has_server, make_cloud
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.server import Server, running_server
from upgrader.facts.parse import sections
from upgrader.facts.records import observed_records
from upgrader.facts.server import database_answer

pytestmark = pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd and mariadb-dump on PATH")

LOOK = ("facts/questions.sh", "facts/records.sh", "facts/database.sh")
SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("records")) as made:
        made.sql((SAMPLES / "older.sql").read_text())
        yield made


@pytest.fixture
def ctl1(server: Server, tmp_path: Path) -> Path:
    made = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"]}, server.socket)
    made.put("ctl1", container("mariadb"))
    return made.host("ctl1")


def look(host: Path, **variables: str) -> dict[str, Any]:
    answer = database_answer(run_script(host, *LOOK, **{"servers": "1"} | variables).stdout)
    return observed_records(answer.said)


def test_two_releases_and_every_part_of_both(server: Server, ctl1: Path) -> None:
    seen = look(ctl1)
    assert {name: part.error for name, part in seen.items() if part.error} == {}
    nova = seen["nova"]
    assert nova.services_down == ("cmp2: nova-compute", "ctl2: nova-scheduler")
    assert nova.services_disabled == nova.left_disabled == ("cmp3: nova-compute",)
    rows = [row.rpartition(": ") for row in nova.silence]
    late = [(row[0], int(row[2]) > 60) for row in rows]
    assert late == [("cmp2: nova-compute", True), ("ctl2: nova-scheduler", True)]
    assert {"cmp3: nova-compute: 60", "odd\\t\\n@read: nova-compute: 66"} <= set(nova.versions)
    assert [row.rpartition(": ")[0] for row in seen["neutron"].silence] == ["ctl1: neutron-dhcp-agent"]
    assert [row.rpartition(": ")[0] for row in seen["cinder"].silence] == ["sto2@lvm-1: cinder-volume"]
    assert nova.computes == ("cmp1", "cmp2", "cmp3", "odd\\t\\n@read")
    assert (nova.hypervisors, nova.oldest_service_version, nova.soft_deleted) == (("qemu",), 64, 2)
    assert nova.unmigrated == (
        "block_device_mapping.uuid: 2", "compute_nodes.allocation_ratio: 1", "instance_mappings.user_id: 1",
        "instances.availability_zone: 1",
    )  # fmt: skip
    assert nova.vif_types == ("bridge", "ovs")
    assert seen["neutron"].agents_down == ("ctl1: neutron-dhcp-agent",)
    assert seen["neutron"].agent_types == ("DHCP agent", "L3 agent")
    assert seen["cinder"].services_down == ("sto2@lvm-1: cinder-volume",)
    assert seen["cinder"].backends == ("lvm-1", "rbd-1")
    assert seen["cinder"].unmigrated == ("volumes.use_quota: 1",), "temporary metadata are in use until 2023.2"
    ironic = seen["ironic"]
    assert (ironic.nodes, ironic.waiting, ironic.drivers) == (
        4,
        ("n1: clean wait", "n3: wait call-back"),
        ("idrac", "ipmi"),
    )
    assert ironic.interfaces == ("inspect=inspector", "management=idrac-wsman", "management=ipmitool")
    assert (seen["heat"].busy, seen["octavia"].busy) == (1, 1)
    assert (seen["octavia"].providers, seen["octavia"].protocols) == (("amphora", "amphorav1"), ("UDP",))
    assert seen["magnum"].drivers == ("kubernetes/k8s_fedora_coreos_v1",)
    server.sql((SAMPLES / "newer.sql").read_text())
    seen = look(ctl1)
    assert {name: part.error for name, part in seen.items() if part.error} == {}
    assert "instances.compute_id: 1" in seen["nova"].unmigrated
    assert seen["cinder"].unmigrated == ("volume_admin_metadata.temporary: 1",)
    assert "firmware=no-firmware" in seen["ironic"].interfaces
    assert seen["magnum"].drivers == ("kubernetes/k8s_capi_helm_v1",)


def test_a_part_that_takes_too_long_or_fails_costs_only_itself(server: Server, ctl1: Path) -> None:
    server.sql(
        "RENAME TABLE octavia.load_balancer TO octavia.kept, heat.stack TO heat.kept;"
        "CREATE VIEW octavia.load_balancer AS SELECT IF(SLEEP(9), '', '') AS provider, 'ACTIVE' AS provisioning_status;"
        "CREATE VIEW heat.stack AS SELECT (SELECT id FROM nova.instances) AS status, NULL AS deleted_at;"
    )
    try:
        seen = look(ctl1, statement_seconds="0.3")
    finally:
        server.sql(
            "DROP VIEW octavia.load_balancer; DROP VIEW heat.stack;"
            "RENAME TABLE octavia.kept TO octavia.load_balancer, heat.kept TO heat.stack;"
        )
    octavia, heat = seen["octavia"], seen["heat"]
    assert octavia.providers is None
    assert octavia.error.startswith("providers: ERROR 1969")
    assert octavia.protocols == ("UDP",)
    assert heat.busy is None
    assert "ERROR 1242" in heat.error
    assert seen["magnum"].error == "", "asked after both"
    assert seen["nova"].computes


def test_the_question_as_a_whole_ends_in_time(ctl1: Path) -> None:
    late = look(ctl1, whole_seconds="-1")
    assert late["nova"].computes is None
    assert "computes: the database server took too long" in late["nova"].error


def test_nothing_can_be_written_in_the_session_of_the_question(ctl1: Path) -> None:
    write = "part heat.busy 'heat.stack status' 'SELECT 1 AS v'; echo 'INSERT INTO heat.stack VALUES (1, NULL);'"
    done = run_script(ctl1, *LOOK[:2], tail=f"other_parts() {{ {write}; }}\nask_records")
    failed = sections(done.stdout).failed
    assert "READ ONLY transaction" in failed["records"]


@pytest.mark.parametrize(
    ("index", "size", "servers", "asked"),
    [("0", "3", "3", True), ("2", "3", "3", False), ("2", "3", "2", True), ("1", "2", "3", True), ("", "1", "1", True)],
)
def test_one_server_of_a_whole_cluster_answers(ctl1: Path, index: str, size: str, servers: str, asked: bool) -> None:
    rows = {"cluster_size": size, "cluster_status": "Primary", "local_state_comment": "Synced", "local_index": index}
    (ctl1 / "galera").write_text("".join(f"wsrep_{name}\t{value}\n" for name, value in rows.items() if value))
    answer = database_answer(run_script(ctl1, *LOOK, servers=servers).stdout)
    assert ("records" in answer.said.lines) is asked
    assert answer.galera.lost_settings == ()


def test_a_refused_password_is_said_of_every_service(ctl1: Path) -> None:
    seen = observed_records(database_answer(run_script(ctl1, *LOOK, password="wrong", servers="1").stdout).said)
    assert "Access denied" in seen["nova"].error
    assert seen["nova"].computes is None
