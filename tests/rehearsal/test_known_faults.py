"""Known faults against rows of a real server, and what failed programs say; the programs themselves: test_faults.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import upgrader
from tests.cloud_kit.hosts import has_server
from upgrader.database.throwaway import Server, programs, throwaway
from upgrader.errors import EnvironmentMissingError
from upgrader.facts.server import structures
from upgrader.graph import load_graph
from upgrader.rehearsal.faults import HALF, INTERRUPTED, SHOWN, foresee, recognise
from upgrader.rehearsal.half import half_migrated
from upgrader.rehearsal.report import CommandResult, ServiceResult

pytestmark = pytest.mark.skipif(not has_server(), reason="no MariaDB server is installed")

GRAPH = load_graph()
SERVICES = {service.name: service for service in GRAPH.migrations}
SCHEMAS = """
CREATE DATABASE neutron; CREATE DATABASE cinder; CREATE DATABASE nova; CREATE DATABASE horizon;
CREATE TABLE neutron.alembic_version (version_num VARCHAR(32));
INSERT INTO neutron.alembic_version VALUES ('5c85685d616d'), ('fc153938cdc1');
CREATE TABLE neutron.subnets (id INT, in_use BOOL);
CREATE TABLE neutron.ha_router_networks (project_id VARCHAR(255), network_id VARCHAR(36));
INSERT INTO neutron.ha_router_networks SELECT CONCAT('p', seq MOD 9), CONCAT('n', seq) FROM neutron.seq_1_to_18;
CREATE TABLE cinder.volumes (id VARCHAR(36), use_quota BOOL, deleted BOOL);
INSERT INTO cinder.volumes VALUES ('v1', NULL, 0), ('v2', 1, 0);
CREATE TABLE nova.instances (uuid VARCHAR(36), host VARCHAR(9), node VARCHAR(9), deleted INT);
CREATE TABLE nova.compute_nodes (host VARCHAR(9), hypervisor_hostname VARCHAR(9));
INSERT INTO nova.compute_nodes VALUES ('a', 'a');
INSERT INTO nova.instances VALUES ('i1', 'a', 'a', 0), ('00000000-0000-0000-0000-000000000000', NULL, NULL, 0);
CREATE TABLE horizon.django_session (x INT);
"""
DUPLICATE = (
    "sqlalchemy.exc.IntegrityError: (pymysql.err.IntegrityError) (1062, \"Duplicate entry 'p1' for key "
    "'uniq_ha_router_networks0project_id'\")",
    "[SQL: ALTER TABLE ha_router_networks ADD CONSTRAINT uniq_ha_router_networks0project_id UNIQUE (project_id)]",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        with throwaway(tmp_path_factory.mktemp("faults"), programs(), pool="16M", redo="8M") as running:
            running.sql(SCHEMAS)
            yield running
    except EnvironmentMissingError as error:
        pytest.skip(error.message)


def failed(service: str, *words: str, code: int | None = 1) -> ServiceResult:
    heads = ("5c85685d616d", "fc153938cdc1")
    return ServiceResult(
        service=service,
        databases=(service,),
        verdict="failed",
        commands=(CommandResult(phase="sync", command=("program",), code=code, last_words=words),),
        heads=((service, heads, heads, ("x",)),),
    )


def test_rows_are_foreseen_for_the_hop_that_they_stop(server: Server) -> None:
    told = {fault.id: fault for fault in foresee(server, GRAPH.hop("2023.1", "2023.2"), graph=GRAPH)}
    assert set(told) == {"neutron-duplicate-ha-networks"}
    fault = told["neutron-duplicate-ha-networks"]
    assert (fault.count, len(fault.rows), fault.table) == (9, SHOWN, "neutron.ha_router_networks")
    assert fault.rows[0] == "ha_router_networks: project_id=p0 networks=2 network_ids=n18 n9"
    told = {fault.id: fault for fault in foresee(server, GRAPH.hop("2023.2", "2024.1"), graph=GRAPH)}
    assert set(told) == {"cinder-use-quota-null"}, "nova's one row of that kind is its own marker"
    assert told["cinder-use-quota-null"].rows == ("volumes: id=v1 state=in use",), "no table of snapshots to ask"


def test_a_failure_is_recognised_by_its_words(server: Server) -> None:
    found = recognise(server, SERVICES["neutron"], failed("neutron", *DUPLICATE), graph=GRAPH)
    assert [fault.id for fault in found] == ["neutron-duplicate-ha-networks"] and found[0].count == 9
    assert recognise(server, SERVICES["cinder"], failed("cinder", *DUPLICATE), graph=GRAPH) == (), "another service"
    assert recognise(server, SERVICES["neutron"], failed("neutron", "killed", code=None), graph=GRAPH) == ()
    assert recognise(server, SERVICES["neutron"], failed("neutron", *DUPLICATE, code=0), graph=GRAPH) == ()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("(1050, \"Table 'porthints' already exists\")", "porthints: the table is there already"),
        ("(1050, \"Table 'neutron.porthints' already exists\")", "porthints: the table is there already"),
        ("(1060, \"Duplicate column name 'qinq'\")", "qinq: the column is there already"),
        ("(1061, \"Duplicate key name 'idx_project_id'\")", "idx_project_id: the index is there already"),
        ('(1091, "Can\'t DROP COLUMN `in_use`; check that it exists")', "in_use: it is gone already"),
        ("(1054, \"Unknown column 'x' in 'field list'\")", "x: a column that the script needs is not there"),
        ("(1146, \"Table 'neutron.x' doesn't exist\")", "x: a table that the script needs is not there"),
    ],
)
def test_a_script_that_was_interrupted(server: Server, words: str, told: str) -> None:
    lines = ("pymysql.err.OperationalError: " + words, "[SQL: ALTER TABLE t ADD COLUMN c INT]", "(Background on this)")
    (fault,) = recognise(server, SERVICES["neutron"], failed("neutron", *lines), graph=GRAPH)
    assert fault.id == INTERRUPTED and fault.message.startswith(told)
    assert (fault.table, fault.rows) == ("neutron", ("ALTER TABLE t ADD COLUMN c INT",))
    assert fault.fix[0].startswith("restore the backup") and "by hand" in fault.fix[1]


def test_a_copy_that_is_half_migrated(server: Server) -> None:
    assert half_migrated(server, GRAPH) == ()
    server.sql("CREATE TABLE neutron.porthints (x INT)")
    try:
        (reading,) = half_migrated(server, GRAPH)
        assert "table porthints of 6f1145bff34c is there already" in reading.note
        told = foresee(server, GRAPH.hop("2024.1", "2024.2"), graph=GRAPH)
        assert [fault.id for fault in told] == [HALF] and told[0].table == "neutron"
        server.sql("DELETE FROM neutron.alembic_version")
        assert "its version table is empty, but" in half_migrated(server, GRAPH)[0].note
    finally:
        server.sql("DROP TABLE neutron.porthints; DELETE FROM neutron.alembic_version")
        server.sql("INSERT INTO neutron.alembic_version VALUES ('5c85685d616d'), ('fc153938cdc1')")


def test_the_question_to_a_live_cloud_is_one_that_a_server_answers(server: Server) -> None:
    text = (Path(upgrader.__file__).parent / "facts" / "marks.sh").read_text()
    asked = text.partition("<<'SQL'\n")[2].partition("\nSQL\n")[0]
    found = structures("\t".join(row) for row in server.sql(asked))
    assert found == {
        "neutron": {"subnets", "subnets.in_use"},
        "cinder": {"volumes"},
        "nova": {"instances"},
    }
