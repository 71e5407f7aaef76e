"""The faults of released migrations, made to happen with the services' own programs on a real server, and named."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from upgrader.database import questions
from upgrader.database.inspect_dump import inspect
from upgrader.database.isolation import without_network
from upgrader.database.throwaway import Server, programs, throwaway
from upgrader.graph import load_graph
from upgrader.graph.migrations import ServiceMigrations
from upgrader.rehearsal.clerk import EnvironmentPrograms
from upgrader.rehearsal.commands import Workplace
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.faults import HALF, INTERRUPTED, foresee, recognise
from upgrader.rehearsal.half import half_migrated, read_copy
from upgrader.rehearsal.report import CommandResult, Fault, ServiceResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_server(), reason="no MariaDB server is installed"),
]

GRAPH = load_graph()
SERVICES = {service.name: service for service in GRAPH.migrations}
LIMIT = 300.0
DEADLINE = 120.0
Environments = Callable[[str], Services]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with throwaway(tmp_path / "server", programs()) as running:
        for service in SERVICES.values():
            for name in service.databases:
                running.sql(f"CREATE DATABASE {name}")
        yield running


class Cloud:
    """The programs of any release, on one server."""

    def __init__(self, folder: Path, server: Server, environments: Environments) -> None:
        self.folder, self.server, self.environments = folder, server, environments
        self._count = 0

    @contextmanager
    def place(self, release: str, service: str) -> Iterator[Workplace]:
        self._count += 1
        folder = self.folder / f"{self._count}-{release}-{service}"
        folder.mkdir(parents=True)
        with (
            EnvironmentPrograms(self.environments(release), folder / "clerk") as found,
            Workplace(folder / "place", self.server, found, SERVICES[service]) as place,
        ):
            yield place

    def migrate(self, release: str, service: str, phases: Sequence[str] = ()) -> ServiceResult:
        """Run the service's steps up to the first that fails, and look at the heads before and after."""
        known: ServiceMigrations = SERVICES[service]
        before = questions.heads(self.server, known.databases)
        done: list[CommandResult] = []
        with self.place(release, service) as place:
            for step in known.steps:
                if not phases or step.phase in phases:
                    done.append(place.run(step.phase, step.command, limit=LIMIT))
                    if done[-1].code != 0:
                        break
        return self.result(service, release, before, done)

    def result(
        self, service: str, release: str, before: dict[str, tuple[str, ...]], done: Sequence[CommandResult]
    ) -> ServiceResult:
        names = SERVICES[service].databases
        now, wanted = questions.heads(self.server, names), GRAPH.heads(release)
        return ServiceResult(
            service=service,
            databases=names,
            verdict="failed" if any(command.code for command in done) else "passed",
            commands=tuple(done),
            heads=tuple((name, before.get(name, ()), now.get(name, ()), wanted[name]) for name in names),
        )

    def must(self, release: str, service: str, phases: Sequence[str] = ()) -> ServiceResult:
        result = self.migrate(release, service, phases)
        assert result.verdict == "passed", result.commands[-1].last_words
        return result


@pytest.fixture
def cloud(tmp_path: Path, server: Server, services_of: Environments) -> Cloud:
    return Cloud(tmp_path / "places", server, services_of)


def only(faults: Sequence[Fault]) -> Fault:
    assert len(faults) == 1, [fault.id for fault in faults]
    assert faults[0].fix and faults[0].source
    return faults[0]


def test_cinder_stops_at_rows_without_use_quota(cloud: Cloud) -> None:
    server = cloud.server
    cloud.must("2023.1", "cinder")
    hop = GRAPH.hop("2023.2", "2024.1")
    server.sql("INSERT INTO cinder.volume_types (id, name, deleted) VALUES ('t1', 'plain', 0)")
    columns = "id, volume_type_id, use_quota, deleted"
    server.sql(
        f"INSERT INTO cinder.volumes ({columns}) VALUES "
        "('v1', 't1', NULL, 0), ('v2', 't1', NULL, 1), ('v3', 't1', 1, 0)"
    )
    server.sql(
        "INSERT INTO cinder.snapshots (id, volume_id, volume_type_id, use_quota, deleted) "
        "VALUES ('s1', 'v1', 't1', NULL, 0)"
    )
    told = only(foresee(server, hop))
    assert (told.id, told.count) == ("cinder-use-quota-null", 3)
    assert told.table == "cinder.volumes, cinder.snapshots"
    assert told.rows == ("volumes: id=v1 state=in use", "volumes: id=v2 state=deleted", "snapshots: id=s1 state=in use")
    assert foresee(server, GRAPH.hop("2024.1", "2024.2")) == ()

    result = cloud.migrate("2024.1", "cinder")
    assert result.verdict == "failed"
    found = only(recognise(server, SERVICES["cinder"], result, hop=hop))
    assert (found.id, found.count, found.rows) == (told.id, 3, told.rows)
    half = half_migrated(server, GRAPH)
    assert [reading.database for reading in half] == ["cinder"] and "b8660621f1b9" in half[0].note

    # the first fix looks at rows in use only, as the second says
    cloud.must("2023.1", "cinder", ["online"])
    assert only([fault for fault in foresee(server, hop) if fault.id != HALF]).count == 1
    server.sql("UPDATE cinder.volumes SET use_quota = 1 WHERE deleted = 1 AND use_quota IS NULL")
    assert recognise(server, SERVICES["cinder"], cloud.must("2024.1", "cinder"), hop=hop) == ()
    assert foresee(server, hop) == ()


def test_neutron_stops_at_a_second_ha_network(cloud: Cloud) -> None:
    server = cloud.server
    cloud.must("2023.1", "neutron")
    hop = GRAPH.hop("2023.1", "2023.2")
    assert foresee(server, hop) == ()
    server.sql(
        "SET foreign_key_checks = 0; INSERT INTO neutron.ha_router_networks (project_id, network_id) "
        "VALUES ('p1', 'n1'), ('p1', 'n2'), ('p2', 'n3')"
    )
    told = only(foresee(server, hop))
    assert (told.id, told.count) == ("neutron-duplicate-ha-networks", 1)
    assert told.rows == ("ha_router_networks: project_id=p1 networks=2 network_ids=n1 n2",)
    for again in (False, True):
        result = cloud.migrate("2024.1", "neutron")
        assert result.verdict == "failed", again
        assert only(recognise(server, SERVICES["neutron"], result, hop=hop)).id == told.id
        half = half_migrated(server, GRAPH)
        assert [reading.database for reading in half] == ["neutron"] and "6f1145bff34c" in half[0].note
    server.sql("DELETE FROM neutron.ha_router_networks WHERE network_id = 'n2'")
    cloud.must("2024.1", "neutron")
    assert half_migrated(server, GRAPH) == () and foresee(server, hop) == ()


def test_nova_leaves_instances_without_a_compute_node(cloud: Cloud) -> None:
    server = cloud.server
    cloud.must("2024.1", "nova")
    server.sql(
        "INSERT INTO nova.compute_nodes (id, uuid, host, hypervisor_hostname, deleted, vcpus, memory_mb, local_gb, "
        "vcpus_used, memory_mb_used, local_gb_used, hypervisor_type, hypervisor_version, cpu_info) VALUES "
        "(1, 'c1', 'cmp1', 'cmp1.example', 0, 1, 1, 1, 0, 0, 0, 'QEMU', 1, '{}')"
    )
    server.sql(
        "INSERT INTO nova.instances (uuid, host, node, deleted) VALUES ('i1', 'cmp1', 'cmp1.example', 0), "
        "('i2', 'gone', 'gone.example', 0), ('i3', NULL, NULL, 3)"
    )
    hop = GRAPH.hop("2024.1", "2024.2")
    told = only(foresee(server, hop))
    assert (told.id, told.count) == ("nova-instances-without-compute-node", 2)
    result = cloud.must("2024.1", "nova", ["online"])
    assert result.commands[-1].code == 0, "the program itself says nothing"
    left = [batch for batch in result.commands[-1].batches if batch[0] == "populate_instance_compute_id"]
    assert left and left[0][1] > left[0][2]
    found = only(recognise(server, SERVICES["nova"], result, hop=hop))
    assert (found.id, found.count) == (told.id, 2)
    assert "instances: uuid=i2 host=gone node=gone.example state=in use" in found.rows
    server.sql("DELETE FROM nova.instances WHERE uuid IN ('i2', 'i3')")
    assert recognise(server, SERVICES["nova"], cloud.must("2024.1", "nova", ["online"]), hop=hop) == ()


def test_keystone_2025_2_does_not_apply_its_own_migration(cloud: Cloud) -> None:
    server = cloud.server
    cloud.must("2025.1", "keystone")
    earlier = cloud.must("2025.1", "keystone")
    assert recognise(server, SERVICES["keystone"], earlier, hop=GRAPH.hop("2024.2", "2025.1")) == ()
    result = cloud.must("2025.2", "keystone")
    found = only(recognise(server, SERVICES["keystone"], result, hop=GRAPH.hop("2025.1", "2025.2")))
    assert found.id == "keystone-2025.2-unapplied-index" and found.table == "keystone.project_endpoint_group"
    with cloud.place("2025.2", "keystone") as place:
        check = place.run("check", ["keystone-manage", "--config-file", "$CONF", "db_sync", "--check"], limit=LIMIT)
    assert check.code == 0
    assert half_migrated(server, GRAPH) == ()
    server.sql("CREATE INDEX idx_project_id ON keystone.project_endpoint_group (project_id)")
    assert "idx_project_id" in half_migrated(server, GRAPH)[0].note


def test_keystone_2024_1_checks_the_database_against_itself(cloud: Cloud) -> None:
    server, hop = cloud.server, GRAPH.hop("2023.2", "2024.1")
    cloud.must("2023.1", "keystone")
    before = questions.heads(server, ["keystone"])
    with cloud.place("2024.1", "keystone") as place:
        check = place.run("check", ["keystone-manage", "--config-file", "$CONF", "db_sync", "--check"], limit=LIMIT)
    assert check.code == 0, "on the schema of 2023.1"
    result = cloud.result("keystone", "2024.1", before, [check])
    assert only(recognise(server, SERVICES["keystone"], result, hop=hop)).id == "keystone-check-compares-with-itself"
    assert recognise(server, SERVICES["keystone"], cloud.must("2024.1", "keystone"), hop=hop) == ()


def test_a_migration_killed_inside_a_script(cloud: Cloud, tmp_path: Path, services_of: Environments) -> None:
    """Nova's script alters four tables. A lock on the second holds it there, and it is killed."""
    server, hop = cloud.server, GRAPH.hop("2023.1", "2023.2")
    cloud.must("2023.1", "nova", ["sync"])
    before = questions.heads(server, ["nova"])
    holder = subprocess.Popen(
        server.client(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdin is not None
    holder.stdin.write("START TRANSACTION; SELECT * FROM nova.migrations; SELECT SLEEP(3600);\n")
    holder.stdin.flush()
    conf = tmp_path / "nova.conf"
    conf.write_text(
        f"[DEFAULT]\nstate_path = {tmp_path}\n[api_database]\nconnection = {server.url('nova_api')}\n"
        f"[database]\nconnection = {server.url('nova')}\n"
    )
    nova = services_of("2024.1")
    log = tmp_path / "killed.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            without_network(
                [str(nova.program("nova-manage")), "--config-file", str(conf), "db", "sync", "--local_cell"]
            ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        )
    try:
        waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE migrations%'"
        ends = time.monotonic() + DEADLINE
        while server.sql(waiting) == [["0"]]:
            assert running.poll() is None and time.monotonic() < ends, log.read_text()
            time.sleep(0.1)
    finally:
        running.kill()
        running.wait()
        holder.kill()
        holder.wait()
    ends = time.monotonic() + DEADLINE
    while server.sql(waiting) != [["0"]]:
        assert time.monotonic() < ends
        time.sleep(0.1)

    assert questions.heads(server, ["nova"]) != before, "an earlier script of the same run ended"
    half = half_migrated(server, GRAPH)
    assert [reading.database for reading in half] == ["nova"]
    assert "compute_id of instances" in half[0].note and "restore" in half[0].way_out
    told = foresee(server, hop)
    assert [fault.id for fault in told] == [HALF] and any("by hand" in fix for fix in told[0].fix)

    result = cloud.migrate("2024.1", "nova", ["sync"])
    assert result.verdict == "failed"
    found = recognise(server, SERVICES["nova"], result, hop=hop)
    assert [fault.id for fault in found] == [INTERRUPTED]
    assert "compute_id" in found[0].message and found[0].source == "MariaDB error 1060"
    assert "ALTER TABLE instances ADD COLUMN compute_id" in found[0].rows[0]

    dump = tmp_path / "anything.sql"
    with dump.open("wb") as out:
        words = ["--no-defaults", f"--socket={server.socket}", "--user=root", "nova"]
        subprocess.run(["mariadb-dump", *words], stdout=out, check=True)
    inspection = inspect([str(dump)], GRAPH)
    assert inspection.verdict == "half-migrated" and inspection.troubles == ()
    assert "compute_id of instances" in inspection.databases[0].note


@pytest.mark.parametrize("release", ["2023.1", "2025.2"])
def test_a_whole_schema_is_not_called_half_migrated(release: str, cloud: Cloud) -> None:
    """Tables and indexes of real schemas, against the marks: before all of them, and after most."""
    for service in SERVICES:
        cloud.must(release, service)
    reading = read_copy(cloud.server, GRAPH)
    assert (reading.kind, reading.releases) == ("agree", (release,)), reading.evidence
    tables = {name: {table for _, table in questions.tables(cloud.server, [name])} for name in GRAPH.heads(release)}
    for marks in GRAPH.marks:
        fitting = {name for name, found in tables.items() if found.issuperset(marks.tables)}
        assert fitting == ({"nova", "nova_cell0"} if marks.database == "nova" else {marks.database})
