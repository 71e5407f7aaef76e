"""What was written since a backup: the questions against a real server, and what their answers mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cloud_kit.facts import cloud, container, host
from tests.cloud_kit.hosts import has_server, make_cloud
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.whole import WholeCloud
from upgrader.database.losses import KINDS, losses, read, server_time, unknown
from upgrader.database.manifest import Manifest
from upgrader.facts.parse import sections
from upgrader.runner.recording import RecordingRunner

AT = "2026-02-01T00:00:00Z"
SET = Manifest(
    site="s", release="2025.1", made_at=AT, heads=(("glance", ("a",)), ("nova", ("b",))),
    rows=(("glance.images", 6), ("nova.instances", 2), ("nova.services", 4)),
)  # fmt: skip
QUIET = "".join(f"@@since-{kind.name}\ncount\t0\n" for kind in KINDS if kind.schema in ("glance", "nova"))
ROWS = "@@rows\nglance\timages\t6\nnova\tinstances\t2\nnova\tservices\t4\n@@schemas\nglance\nnova\n"
TABLES = """
CREATE DATABASE nova; USE nova;
CREATE TABLE instances (uuid VARCHAR(36), display_name VARCHAR(255), created_at DATETIME, updated_at DATETIME,
  deleted_at DATETIME, deleted INT);
INSERT INTO instances VALUES ('u1', 'old', '2026-01-01', '2026-03-01', NULL, 0),
  ('u2', 'new', '2026-02-01 00:00:01', NULL, NULL, 0), ('u3', 'gone', '2026-01-01', NULL, '2026-02-05', 3),
  ('u4', 'a\\tb\\n@@failed x', '2026-02-03', NULL, NULL, 0);
CREATE DATABASE neutron; USE neutron;
CREATE TABLE standardattributes (id INT, resource_type VARCHAR(20), created_at DATETIME, updated_at DATETIME);
CREATE TABLE networks (id VARCHAR(36), name VARCHAR(255), standard_attr_id INT);
INSERT INTO standardattributes VALUES (1, 'networks', '2026-02-01 00:00:01', NULL), (2, 'networks', '2026-01-01', NULL);
INSERT INTO networks VALUES ('n1', 'net', 1), ('n2', 'older', 2);
"""


@pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd on PATH")
def test_the_questions_against_a_real_server(whole: WholeCloud) -> None:
    whole.server.sql(TABLES)
    try:
        done = run_script(
            whole.folders.host("ctl1"), "facts/questions.sh", "database/losses.sh", since="2026-02-01 00:00:00"
        )
    finally:
        whole.server.sql("DROP DATABASE nova; DROP DATABASE neutron;")
    asked = sections(done.stdout)
    assert {f"since-{kind.name}" for kind in KINDS} == {name for name in asked.lines if name.startswith("since-")}
    found = read(SET, asked)
    told = {row.kind: (row.count, [one.id for one in row.first]) for row in found.created}
    assert told["instances"] == (2, ["u2", "u4"])
    assert told["instances-deleted"] == (1, ["u3"])
    assert told["instances-changed"] == (1, ["u1"])
    assert told["networks"] == (1, ["n1"])
    assert told["ports"][0] is None, "the table is not there: unknown, not none"
    assert "volumes" not in told, "there is no such service"
    named = next(row for row in found.created if row.kind == "instances").first[1]
    assert named.name == "a\\tb\\n@@failed x", "what users write is data"
    rows = {change.table: (change.then, change.now) for change in found.rows}
    assert rows["nova.instances"] == (2, 4)
    assert rows["glance.images"] == (6, 0), "its schema is gone"
    assert rows["nova.services"] == (4, None), "the schema is there, the table was not counted"


def test_nothing_written_is_said_schema_by_schema() -> None:
    found = read(SET, sections(ROWS + QUIET))
    assert (found.rows, found.created, found.unknown) == ((), (), ())
    assert found.unchanged == ("glance", "nova")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nova\tservices\t4", "nova\tservices\t5"),
        ("nova\tservices\t4\n", ""),
        ("@@since-instances\ncount\t0", "@@since-instances\ncount\t1\nrow\tu\tn\tt"),
        ("@@since-instances\ncount\t0", "@@since-instances\n@@failed since-instances ERROR 1317 interrupted"),
        ("@@since-instances\ncount\t0\n", ""),
        ("@@since-instances\ncount\t0\n", "@@since-instances\n"),
        ("@@schemas", "@@failed rows ERROR 2013\n@@schemas"),
    ],
)
def test_a_schema_is_quiet_only_when_every_answer_says_so(old: str, new: str) -> None:
    text = ROWS + QUIET
    assert old in text
    found = read(SET, sections(text.replace(old, new)))
    assert "nova" not in found.unchanged
    assert found.rows or found.created


def test_a_table_that_cannot_be_read_is_unknown_and_not_empty() -> None:
    found = read(SET, sections("@@rows\n@@failed rows ERROR 1045\n@@schemas\nglance\nnova\n" + QUIET))
    assert {change.now for change in found.rows} == {None}
    assert found.unknown == ("glance.images", "nova.instances", "nova.services")


def test_nobody_to_ask_is_said_of_every_table(tmp_path: Path) -> None:
    made = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"]})
    found = losses(
        made.site, made.toolchain, RecordingRunner(), tmp_path / "play", SET, cloud(host("ctl1", container("mariadb")))
    )
    assert found.error == "no database server is Synced in a Primary component"
    assert found == unknown(SET, found.error)
    assert found.unchanged == ()


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-02-01T00:00:00Z", "2026-02-01 00:00:00"), ("2026-02-01T00:00:00.5+00:00", "2026-02-01 00:00:00"),
        ("2026-02-01T00:00:00+02:00", ""), ("'; DROP", ""), ("", ""),
    ],
)  # fmt: skip
def test_only_a_time_becomes_a_part_of_the_question(at: str, told: str) -> None:
    assert server_time(at) == told


def test_the_script_is_sound_shell() -> None:
    script = Path(losses.__code__.co_filename).with_name("losses.sh")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
