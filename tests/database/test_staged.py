"""Every format of a set becomes what a client on a host can read; loaded into a real server, it is the same again."""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import PASSWORD, has_server
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.whole import SMILE, WholeCloud
from tests.offbox_kit import need
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.staged import schema_files, stage_dump
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.facts.parse import sections

RESTORE = ("facts/questions.sh", "database/restore.sh")
ODD = """
CREATE DATABASE `odd-db` CHARACTER SET utf8mb4; USE `odd-db`;
CREATE TABLE parent (id INT PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE TABLE achild (id INT, FOREIGN KEY (id) REFERENCES parent (id)); INSERT INTO achild VALUES (1);
CREATE TABLE `we ird.t` (id INT PRIMARY KEY, g INT GENERATED ALWAYS AS (id + 1) STORED, b BIT(3), t TEXT);
INSERT INTO `we ird.t` (id, b, t) VALUES (1, b'101', 'a;\\nDROP TABLE parent;\\n');
CREATE FUNCTION three() RETURNS INT RETURN 3;
CREATE VIEW zz AS SELECT id FROM parent; CREATE VIEW aa AS SELECT id, three() AS three FROM zz;
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO SELECT 1;
"""
BODY = "DELIMITER //\nCREATE PROCEDURE twice()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND//\nDELIMITER ;\n"
CHECK = "SELECT * FROM achild; SELECT id, g, b + 0, t FROM `we ird.t`; SELECT * FROM aa; CALL twice(); SHOW EVENTS;"


def a_set(folder: Path, dump_format: str = "mariadb-dump", **files: bytes) -> BackupSet:
    new = BackupSet.begin(
        folder,
        Manifest.model_validate({"site": "s", "release": "2025.1", "made_at": now(), "dump_format": dump_format}),
    )
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    new.record("databases", [folder / name.replace("__", ".") for name in files if not name.startswith("grants")])
    new.record("grants", [folder / name.replace("__", ".") for name in files if name.startswith("grants")])
    return new


def members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as packed:
        return {item.name: gzip.decompress(packed.extractfile(item).read()) for item in packed}  # type: ignore[union-attr]


def zstd(data: bytes) -> bytes:
    need("zstd")
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def test_every_packing_becomes_gzip_and_keeps_its_text(tmp_path: Path) -> None:
    old, new = b"-- old dump\n" * 99_000, b"-- new dump\n"
    made = a_set(
        tmp_path / "set", heat__sql__gz=gzip.compress(old), nova__sql__zst=zstd(new), grants__sql__zst=zstd(b"-- g\n")
    )
    (tmp_path / "stage").mkdir()
    tar, schemas = stage_dump(made.folder, made.manifest, tmp_path / "stage")
    assert schemas == ("heat", "nova")
    assert members(tar) == {"heat.sql.gz": old, "nova.sql.gz": new, "grants.sql.gz": b"-- g\n"}
    assert [path.name for path in (tmp_path / "stage").iterdir()] == ["dump.tar"]


def test_only_some_schemas_and_then_no_accounts(tmp_path: Path) -> None:
    made = a_set(
        tmp_path / "set", heat__sql__gz=gzip.compress(b"-- h\n"), nova__sql__gz=gzip.compress(b"-- n\n"),
        grants__sql__gz=gzip.compress(b"-- g\n"),
    )  # fmt: skip
    tar, schemas = stage_dump(made.folder, made.manifest, tmp_path, ("nova",))
    assert (schemas, members(tar)) == (("nova",), {"nova.sql.gz": b"-- n\n"})
    with pytest.raises(UpgraderError, match="does not hold cinder"):
        stage_dump(made.folder, made.manifest, tmp_path, ("nova", "cinder"))


def test_a_dump_that_cannot_be_unpacked_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    made = a_set(tmp_path / "set", nova__sql__gz=gzip.compress(os.urandom(9000).hex().encode())[:-4000])
    with pytest.raises(UpgraderError, match="gzip cannot unpack it"):
        stage_dump(made.folder, made.manifest, tmp_path)


def test_no_room_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of a real gzip that writes to a full device."""
    made = a_set(tmp_path / "set", nova__sql__gz=gzip.compress(os.urandom(900_000).hex().encode()))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pigz").write_text('#!/bin/sh\n[ "$1" = -dc ] && exec gzip -dc\nexec gzip -1 -c >/dev/full\n')
    (programs / "pigz").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(EnvironmentMissingError, match="No space left on device on this machine") as caught:
        stage_dump(made.folder, made.manifest, tmp_path)
    assert caught.value.cloud == "No database was touched; the services are stopped."
    assert "upgrader rollback" in caught.value.next_command


def test_files_of_mydumper_by_schema(tmp_path: Path) -> None:
    names = (
        "metadata", "nova-schema-create.sql.gz", "nova.instances-schema.sql.gz", "nova.instances.00001.sql.gz",
        "nova_api-schema-create.sql.gz", "nova_api-schema-post.sql.gz", "odd-db-schema-create.sql.gz",
        "odd-db.we ird.t-schema.sql.gz", "grants-schema-create.sql.gz",
    )  # fmt: skip
    made = BackupSet.begin(
        tmp_path / "set", Manifest(site="s", release="2025.1", made_at=now(), dump_format="mydumper")
    )
    for name in names:
        (made.folder / name).write_bytes(b"")
    made.record("databases", [made.folder / name for name in names])
    found = schema_files(made.manifest)
    assert {schema: len(files) for schema, files in found.items()} == {
        "grants": 1, "nova": 3, "nova_api": 2, "odd-db": 2,
    }  # fmt: skip


@pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd on PATH")
def test_a_folder_of_mydumper_loaded_by_a_client_is_the_same_again(whole: WholeCloud, tmp_path: Path) -> None:
    """Tables, rows, keys between tables, views upon views, routines with bodies, triggers, events, strange names."""
    need("mydumper")
    whole.server.sql(ODD)
    whole.server.sql(BODY, "odd-db")
    whole.server.sql("INSERT INTO stack VALUES (1)", "heat")
    before = (whole.server.sql(CHECK, "odd-db"), whole.server.sql("SELECT * FROM stacks", "heat"))
    made = BackupSet.begin(
        tmp_path / "set", Manifest(site="s", release="2025.1", made_at=now(), dump_format="mydumper")
    )
    folder = made.folder / "mydumper"
    options = tmp_path / "options"
    options.write_text(f'[client]\npassword="{PASSWORD}"\n[mydumper]\npassword="{PASSWORD}"\n'.replace("\\", "\\\\"))
    options.chmod(0o600)
    subprocess.run(
        ["mydumper", f"--defaults-file={options}", f"--outputdir={folder}", f"--socket={whole.server.socket}",
         "--user=root", "--threads=2", "--compress", "--triggers", "--events", "--routines", "--trx-consistency-only",
         r"--regex=^(heat|keystone|odd-db)\."],
        check=True, capture_output=True,
    )  # fmt: skip
    made.record("databases", folder.iterdir())
    try:
        work = tmp_path / "work"
        work.mkdir()
        tar, schemas = stage_dump(made.folder, made.manifest, work)
        assert schemas == ("heat", "keystone", "odd-db")
        whole.server.sql("DROP DATABASE `odd-db`; DELETE FROM heat.stack; DELETE FROM keystone.user;")
        assert tar == work / "dump.tar"
        done = run_script(whole.folders.host("ctl1"), *RESTORE, dir=str(work))
        assert done.returncode == 0, done.stdout + done.stderr
        assert sections(done.stdout).failed == {}
        after = (whole.server.sql(CHECK, "odd-db"), whole.server.sql("SELECT * FROM stacks", "heat"))
        assert after == before
        assert whole.server.sql("SELECT name, HEX(secret) FROM user ORDER BY id", "keystone") == f"{SMILE}\t00FF\nb\t\n"
        # the trigger is back, and did not change the rows on their way
        assert whole.server.sql("INSERT INTO stack VALUES (5); SELECT id FROM stack", "heat") == "101\n105\n"
    finally:
        whole.server.sql("DROP DATABASE IF EXISTS `odd-db`; DELETE FROM heat.stack;")


@pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd on PATH")
def test_a_server_that_has_no_room_is_named_and_what_comes_after_is_left_alone(
    whole: WholeCloud, tmp_path: Path
) -> None:
    """Real words of a real server: a table in memory that may not grow says what a full tablespace says."""
    big = b"CREATE DATABASE heat2; USE heat2; CREATE TABLE t (v CHAR(250)) ENGINE=MEMORY;\n"
    big += b"INSERT INTO t VALUES ('x');\n" + b"INSERT INTO t SELECT * FROM t;\n" * 12
    small = b"CREATE DATABASE nova2; USE nova2; CREATE TABLE t (id INT);\n"
    made = a_set(tmp_path / "set", heat2__sql__gz=gzip.compress(big), nova2__sql__gz=gzip.compress(small))
    work = tmp_path / "work"
    work.mkdir()
    stage_dump(made.folder, made.manifest, work)
    before = whole.server.sql("SELECT @@GLOBAL.max_heap_table_size").strip()
    whole.server.sql("SET GLOBAL max_heap_table_size = 65536; CREATE DATABASE nova2; CREATE TABLE nova2.kept (id INT);")
    try:
        done = run_script(whole.folders.host("ctl1"), *RESTORE, dir=str(work))
        kept = whole.server.sql("SHOW TABLES", "nova2")
    finally:
        whole.server.sql(
            f"SET GLOBAL max_heap_table_size = {before}; DROP DATABASE IF EXISTS heat2; DROP DATABASE nova2"
        )
    assert done.returncode == 1
    failed = sections(done.stdout).failed
    assert failed["disk-full"] == "heat2"
    assert failed["databases"].startswith("heat2: ERROR 1114")
    assert kept == "kept\n", "a schema is not dropped where nothing can be loaded"
