"""Questions to a real copy, and production's addresses taken out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from upgrader.database import questions
from upgrader.database.throwaway import Server, programs, throwaway
from upgrader.errors import EnvironmentMissingError, RefusedError, UpgraderError
from upgrader.rehearsal import copies, ddl

pytestmark = pytest.mark.skipif(not has_server(), reason="no MariaDB server is installed")

CELL0 = "00000000-0000-0000-0000-000000000000"
SCHEMAS = f"""
CREATE DATABASE nova_api; CREATE DATABASE nova; CREATE DATABASE keystone;
CREATE TABLE nova_api.cell_mappings (uuid VARCHAR(36), transport_url TEXT, database_connection TEXT);
INSERT INTO nova_api.cell_mappings VALUES
  ('{CELL0}', 'none:///', 'mysql+pymysql://nova:pw@10.0.0.5/nova_cell0'),
  ('c1', 'rabbit://u:p@10.0.0.5:5672,u:p@10.0.0.6:5672//', 'mysql+pymysql://nova:pw@db.example/nova');
CREATE TABLE nova.alembic_version (version_num VARCHAR(32)); INSERT INTO nova.alembic_version VALUES ('2903cd72dc14');
CREATE TABLE nova.instances (id INT PRIMARY KEY, host VARCHAR(30)); INSERT INTO nova.instances VALUES (1,'a'),(2,'b');
CREATE TABLE keystone.endpoint (id VARCHAR(9), url TEXT, extra TEXT);
INSERT INTO keystone.endpoint VALUES ('e1', 'https://api.example.org:5000/v3', 'see https://docs.example.org'),
  ('e2', 'http://127.0.0.1:8774/v2.1/%(tenant_id)s', NULL), ('e3', 'http://[2001:db8::5]:9292', NULL);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        with throwaway(tmp_path_factory.mktemp("copy"), programs(), pool="16M", redo="8M") as running:
            running.sql(SCHEMAS)
            yield running
    except EnvironmentMissingError as error:
        pytest.skip(error.message)


def test_what_another_server_has_in_the_common_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts takes temporary tables in its folder for its own of an earlier life."""
    (tmp_path / "common").mkdir()
    theirs = tmp_path / "common" / "#sql-temptable-1-1-4.MAI"
    theirs.touch()
    monkeypatch.setenv("TMPDIR", str(theirs.parent))
    try:
        with throwaway(tmp_path / "copy", programs(), pool="16M", redo="8M"):
            assert list(theirs.parent.iterdir()) == [theirs]
    except EnvironmentMissingError as error:
        if "did not start" in error.message:
            raise
        pytest.skip(error.message)


def test_heads_rows_and_structure(server: Server) -> None:
    assert questions.databases(server) == ("keystone", "nova", "nova_api")
    assert questions.heads(server, ["nova", "keystone"]) == {"nova": ("2903cd72dc14",)}
    assert questions.row_counts(server, ["nova"]) == {"nova.alembic_version": 1, "nova.instances": 2}
    assert "PRIMARY KEY" in copies.structure(server, ["nova"])["nova.instances"]


def test_whether_a_statement_locks_is_asked_of_the_server(server: Server) -> None:
    before = copies.structure(server, ["nova"])
    wider, added = "ALTER TABLE instances MODIFY host INT", "ALTER TABLE instances ADD COLUMN compute_id BIGINT"
    statements = [ddl.Statement("nova", text, 0.1) for text in (added, wider)]
    judged = ddl.judged(server, statements, before, {"nova.instances": 2})
    assert [change.locks for change in judged] == [False, True]
    assert judged[1].why and judged[1].rows == 2
    assert "upgrader_scratch" not in questions.databases(server)


def test_no_address_of_another_machine_remains(server: Server) -> None:
    names = questions.databases(server)
    assert dict(copies.foreign_addresses(server, names))["nova_api.cell_mappings.transport_url"] == 1
    changed = dict(copies.sanitise(server, names))
    assert changed == {"nova_api.cell_mappings": 2, "keystone.endpoint.url": 2}
    assert copies.foreign_addresses(server, names) == ()
    rows = server.sql("SELECT transport_url, database_connection FROM nova_api.cell_mappings ORDER BY uuid")
    assert rows == [["none:///", server.url("nova_cell0")], ["none:///", server.url("nova")]]
    urls = [row[0] for row in server.sql("SELECT url FROM keystone.endpoint ORDER BY id")]
    assert urls[0] == "https://localhost:5000/v3" and urls[1] == "http://127.0.0.1:8774/v2.1/%(tenant_id)s"
    assert urls[2] == "http://localhost:9292"
    assert copies.sanitise(server, names)[0] == ("nova_api.cell_mappings", 0), "a second time changes nothing"


def test_nothing_is_run_while_an_address_remains(server: Server) -> None:
    server.sql("CREATE DATABASE odd; CREATE TABLE odd.hooks (url VARCHAR(90) UNIQUE); INSERT INTO odd.hooks VALUES "
               "('http://a.example/x'), ('http://b.example/x')")  # fmt: skip
    with pytest.raises(RefusedError, match=r"still names other machines \(odd.hooks.url: 1 row\)") as refused:
        copies.sanitise(server, ["odd"])
    assert refused.value.reason == "not-sanitised"
    server.sql("DROP DATABASE odd")


def test_the_server_reaches_no_network_and_refuses_in_its_own_words(server: Server) -> None:
    assert server.sql("SELECT @@skip_networking, @@event_scheduler") == [["1", "OFF"]]
    with pytest.raises(UpgraderError, match="ERROR 1146"):
        server.sql("SELECT * FROM nova.nothing")


def test_another_series_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="but the cloud runs 9") as refused:
        programs(like="9.9.1-MariaDB")
    assert refused.value.reason == "mariadb-other-series"
    with pytest.raises(EnvironmentMissingError) as missing:
        programs(tmp_path)
    assert missing.value.reason == "mariadb-missing"
