"""What a restore says when it did not end well: the condition of every database, and what to do."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, host
from tests.cloud_kit.hosts import FolderCloud, make_cloud
from upgrader.database.manifest import BackupSet, Manifest, now, required_parts
from upgrader.database.restore import LOAD, restore
from upgrader.errors import UpgraderError
from upgrader.model import Code, Finding
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.recording import RecordingRunner

SCHEMAS = ("cinder", "glance", "nova")
FACTS = cloud(host("ctl1", container("keystone"), groups=("mariadb", "keystone"), galera=SYNCED))
GOOD = "@@loaded\n{}@@heads\nnova\talembic_version\told\n@@rows\nnova\tinstances\t3\n@@schemas\n{}"


@pytest.fixture
def made(tmp_path: Path) -> FolderCloud:
    return make_cloud(tmp_path / "site", {"mariadb": ["ctl1"], "keystone": ["ctl1"]})


def a_set(made: FolderCloud) -> Path:
    new = BackupSet.begin(made.root / "set", Manifest(site="s", release="2025.1", made_at=now()))
    for name in required_parts("logical"):
        files = [new.folder / f"{schema}.sql.gz" for schema in SCHEMAS] if name == "databases" else [new.folder / name]
        for path in files:
            path.write_bytes(gzip.compress(f"-- {path.name}\n".encode()))
        if name != "fernet-keys":
            new.record(name, files)
    new.record("fernet-keys", [])
    new.note(server_version="10.11", heads={"nova": ("old",), "glance": ("g",)}, rows={"nova.instances": 3})
    new.finish()
    return new.folder


def load(made: FolderCloud, rc: int, stdout: str, **more: Any) -> tuple[tuple[Finding, ...], Play]:
    answer = PlayResult("restore", "successful", 0, collected={LOAD: {"ctl1": {"msg": {"rc": rc, "stdout": stdout}}}})
    runner = RecordingRunner({"restore": answer})
    found = restore(made.site, made.toolchain, runner, made.root / "play", a_set(made), FACTS, **more)
    return found, runner.plays[0]


def test_a_full_disk_is_named_with_the_condition_of_every_database(made: FolderCloud) -> None:
    text = "@@loaded\ncinder\t1\n@@failed databases glance: ERROR 1114 (HY000): The table 'images' is full\n"
    (bad,), _ = load(made, 1, text + "@@failed disk-full glance\n")
    assert bad.id == "restore-disk-full"
    assert "the disk of ctl1 is full: databases: glance: ERROR 1114" in bad.message
    assert "loaded back: cinder; in pieces: glance; as they were: nova; the services stay stopped" in bad.message
    assert bad.next.startswith("make room")
    assert bad.next.endswith("upgrader rollback")


def test_what_never_began_touched_nothing(made: FolderCloud) -> None:
    (bad,), _ = load(made, 1, "@@failed databases what arrived on this host is no tar\n")
    assert "no database was touched" in bad.message


def test_only_some_schemas_are_compared_and_no_key_is_sent(made: FolderCloud) -> None:
    found, play = load(made, 0, GOOD.format("nova\t1\n", "nova\nglance\ncinder\nmagnum\n"), only=("nova",))
    assert [finding.code for finding in found] == [Code.SUCCESS, Code.WARNING], "glance's head is not looked at"
    assert dict(play.extra_vars)["upgrader_keystone_hosts"] == "upgrader_none"


def test_a_schema_that_is_not_in_the_set_is_left_and_told(made: FolderCloud) -> None:
    text = GOOD.format("nova\t1\n", "nova\nglance\ncinder\nmagnum\n").replace(
        "old\n", "old\nglance\talembic_version\tg\n"
    )
    found, _ = load(made, 0, text)
    left = found[1]
    assert (left.id, left.code) == ("restore-left", Code.WARNING)
    assert "magnum" in left.message and "nova" not in left.message
    assert left.next == "before the next upgrade, for those that it made: DROP DATABASE `magnum`;"


def test_a_schema_the_set_lacks_is_not_restored(made: FolderCloud) -> None:
    with pytest.raises(UpgraderError, match="does not hold placement"):
        load(made, 0, "", only=("nova", "placement"))
    assert not (made.root / "set" / ".restoring").exists()
