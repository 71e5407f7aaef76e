"""Addresses of production in databases loaded on staging, on a real server: all of them lead to staging afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import PASSWORD
from tests.cloud_kit.server import Server, running_server
from upgrader.facts.parse import Sections, sections

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[2] / "upgrader"
CELL0 = "00000000-0000-0000-0000-000000000000"
STAGING_CELLS = f"""
CREATE DATABASE nova_api; USE nova_api;
CREATE TABLE cell_mappings (id INT PRIMARY KEY, uuid VARCHAR(36), name VARCHAR(255), transport_url TEXT,
  database_connection TEXT, disabled TINYINT);
INSERT INTO cell_mappings VALUES
 (1, '{CELL0}', 'cell0', 'none:///', 'mysql+pymysql://nova:s@10.30.0.250:3306/nova_cell0', 0),
 (2, 'aaaa-staging', 'cell1', 'rabbit://openstack:s@10.30.0.11:5672//',
  'mysql+pymysql://nova:s@10.30.0.250:3306/nova', 0);
"""
PRODUCTION = f"""
DROP DATABASE IF EXISTS nova_api; CREATE DATABASE nova_api; USE nova_api;
CREATE TABLE cell_mappings (id INT PRIMARY KEY, uuid VARCHAR(36), name VARCHAR(255), transport_url TEXT,
  database_connection TEXT, disabled TINYINT);
INSERT INTO cell_mappings VALUES
 (1, '{CELL0}', '{{cell0}}', 'none:///', 'mysql+pymysql://nova:p@10.0.0.250:3306/nova_cell0', 0),
 (5, 'bbbb-production', '{{cell1}}', 'rabbit://openstack:p@10.0.0.11:5672,openstack:p@10.0.0.12:5672//',
  'mysql+pymysql://nova:p@10.0.0.250:3306/nova', 0);
CREATE DATABASE keystone; USE keystone;
CREATE TABLE endpoint (id INT PRIMARY KEY, url TEXT);
INSERT INTO endpoint VALUES (1, 'http://10.0.0.250:5000'), (2, 'https://cloud.example.com:8774/v2.1'),
 (3, 'http://[fd00::1]:9292/'), (4, 'http://$(host)s/%(tenant_id)s'), (5, 'http://10.30.0.250:9696'), (6, NULL),
 (7, 'https://staging.example.com:9876'), (8, 'http://10.30.0.2500:1'), (9, 'http://user:pw@10.0.0.9/x,y');
CREATE TABLE `odd ``table` (id INT PRIMARY KEY, note TEXT);
CREATE DATABASE glance; USE glance;
CREATE TABLE image_locations (id INT PRIMARY KEY, value TEXT);
INSERT INTO image_locations VALUES (1, 'file:///var/lib/glance/images/1'), (2, 'http://10.0.0.7/image');
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("staging")) as running:
        yield running


@pytest.fixture
def empty(server: Server) -> Server:
    for name in server.sql("SHOW DATABASES").split():
        if name in ("nova_api", "keystone", "glance", "upgrader_staging"):
            server.sql(f"DROP DATABASE `{name}`")
    return server


def ask(server: Server, word: str) -> tuple[int, Sections]:
    """The script as the play runs it: the password on standard input, a container engine before the client."""
    script = f"""
engine() {{ shift 5; "$@" --socket={server.socket}; }}
database_user=root
word={word}
address=10.30.0.250
staying='10\\\\.30\\\\.0\\\\.250|staging\\\\.example\\\\.com'
. {SCRIPTS}/facts/questions.sh
. {SCRIPTS}/staging/sanitise.sh
"""
    run = subprocess.run(["bash", "-c", script], input=f"{PASSWORD}\n", capture_output=True, text=True, check=False)
    return run.returncode, sections(run.stdout)


def test_every_address_leads_to_staging_and_cells_are_its_own(empty: Server) -> None:
    empty.sql(STAGING_CELLS)
    assert ask(empty, "keep")[1].get("cells") == ["cell0", "cell1"]
    empty.sql(PRODUCTION.format(cell0="cell0", cell1="cell1"))
    assert ask(empty, "keep")[1].get("cells") == ["cell0", "cell1"], "an earlier try's rows are kept"
    code, found = ask(empty, "rewrite")
    assert code == 0, found.failed
    assert [line for line in found.get("remaining") if not line.endswith("\t0")] == []
    assert empty.sql("SELECT url FROM keystone.endpoint ORDER BY id").splitlines() == [
        "http://10.30.0.250:5000",
        "https://10.30.0.250:8774/v2.1",
        "http://10.30.0.250:9292/",
        "http://10.30.0.250/%(tenant_id)s",
        "http://10.30.0.250:9696",
        "NULL",
        "https://staging.example.com:9876",
        "http://10.30.0.250:1",
        "http://user:pw@10.30.0.250/x,10.30.0.250",
    ]
    assert empty.sql("SELECT value FROM glance.image_locations ORDER BY id").splitlines() == [
        "file:///var/lib/glance/images/1",
        "http://10.30.0.250/image",
    ]
    assert empty.sql("SELECT id, uuid, transport_url FROM nova_api.cell_mappings ORDER BY id").splitlines() == [
        f"1\t{CELL0}\tnone:///",
        "5\tbbbb-production\trabbit://openstack:s@10.30.0.11:5672//",
    ]
    assert ask(empty, "drop")[0] == 0
    assert "upgrader_staging" not in empty.sql("SHOW DATABASES")


def test_a_cell_without_a_counterpart_is_counted_and_left_alone(empty: Server) -> None:
    empty.sql(STAGING_CELLS)
    ask(empty, "keep")
    empty.sql(PRODUCTION.format(cell0="cell0", cell1="cell-east"))
    code, found = ask(empty, "rewrite")
    assert code == 0, found.failed
    assert [line for line in found.get("remaining") if not line.endswith("\t0")] == ["nova_api.cell_mappings\t1"]
    assert "10.0.0.11" in empty.sql("SELECT transport_url FROM nova_api.cell_mappings WHERE id = 5")


def test_cells_without_staging_s_own_are_refused(empty: Server) -> None:
    empty.sql(PRODUCTION.format(cell0="cell0", cell1="cell1"))
    code, found = ask(empty, "rewrite")
    assert code == 1
    assert "upgrader_staging" in found.failed["rewrite"]
