"""What services' programs and the server's log print, as values."""

from __future__ import annotations

from pathlib import Path

from upgrader.rehearsal.commands import batches
from upgrader.rehearsal.copies import structure_difference
from upgrader.rehearsal.ddl import Statement, read_log
from upgrader.rehearsal.status_check import read_checks

ONLINE = """\
Running batches of 50 until complete
+---------------------------------+--------------+-----------+
|            Migration            | Total Needed | Completed |
+---------------------------------+--------------+-----------+
|   populate_instance_compute_id  |      21      |     20    |
|         populate_user_id        |      0       |     0     |
+---------------------------------+--------------+-----------+
"""
CHECKS = """\
+------------------------------------------------+
| Upgrade Check Results                          |
+------------------------------------------------+
| Check: Policy File JSON to YAML Migration      |
| Result: Success                                |
| Details: None                                  |
+------------------------------------------------+
| Check: Gateway external network                |
| Result: Warning                                |
| Details: Some router gateways are in networks  |
|   without the external flag.                   |
+------------------------------------------------+
"""
LOG = """\
/usr/sbin/mariadbd, Version: 10.11.19-MariaDB. started with:
Tcp port: 0  Unix socket: /tmp/s
# Time: 261122 15:59:01
# User@Host: root[root] @ localhost []
# Thread_id: 41  Schema: neutron  QC_hit: No
# Query_time: 0.000120  Lock_time: 0.000010  Rows_sent: 1  Rows_examined: 1
use neutron;
SET timestamp=1795363141;
SELECT version_num FROM alembic_version;
# User@Host: root[root] @ localhost []
# Thread_id: 41  Schema: neutron  QC_hit: No
# Query_time: 1.250000  Lock_time: 0.000100  Rows_sent: 0  Rows_examined: 0
SET timestamp=1795363142;
ALTER TABLE tags CONVERT TO CHARACTER SET utf8mb4
    COLLATE utf8mb4_bin;
# User@Host: root[root] @ localhost []
# Thread_id: 44  Schema: nova  QC_hit: No
# Query_time: 0.030000  Lock_time: 0.000100  Rows_sent: 0  Rows_examined: 0
use nova;
SET timestamp=1795363143;
CREATE UNIQUE INDEX `instances_x` ON instances (compute_id);
"""


def test_an_online_migration_says_what_it_left_undone() -> None:
    assert batches(ONLINE) == (("populate_instance_compute_id", 21, 20), ("populate_user_id", 0, 0))
    assert batches("it ended before its table") == ()


def test_a_services_own_check_is_read_with_details_over_lines() -> None:
    assert read_checks(CHECKS) == (
        ("Policy File JSON to YAML Migration", "Success", "None"),
        ("Gateway external network", "Warning", "Some router gateways are in networks without the external flag."),
    )


def test_schema_statements_are_found_with_database_table_and_time(tmp_path: Path) -> None:
    log = tmp_path / "slow.log"
    log.write_text(LOG)
    found = read_log(log)
    text = "ALTER TABLE tags CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    assert found[0] == Statement("neutron", text, 1.25)
    assert [(statement.database, statement.table) for statement in found] == [
        ("neutron", "tags"),
        ("nova", "instances"),
    ]
    assert read_log(tmp_path / "missing") == ()


def test_the_difference_of_two_structures_names_table_and_line() -> None:
    before = {"n.a": "CREATE TABLE `a` (\n  `id` int,\n  `old` int\n)", "n.gone": "CREATE TABLE `gone` (\n)"}
    after = {"n.a": "CREATE TABLE `a` (\n  `id` int,\n  `new` int\n)", "n.fresh": "CREATE TABLE `fresh` (\n)"}
    assert structure_difference(before, after) == ("- n.a: `old` int", "+ n.a: `new` int", "+ n.fresh", "- n.gone")
    assert structure_difference(before, before) == ()
