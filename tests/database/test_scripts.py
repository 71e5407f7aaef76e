"""The scripts for database servers against a real one: what they do when something is not as it should be."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import has_server
from tests.cloud_kit.scripts import run_script
from tests.cloud_kit.whole import SMILE, WholeCloud
from upgrader.facts.parse import sections
from upgrader.facts.server import database_answer

pytestmark = pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd and mariadb-dump on PATH")

LOOK = ("facts/questions.sh", "facts/database.sh")
TAKE = ("facts/questions.sh", "database/take.sh")
RESTORE = ("facts/questions.sh", "database/restore.sh")


@pytest.fixture
def ctl1(whole: WholeCloud) -> Path:
    return whole.folders.host("ctl1")


def dump(host: Path, folder: Path) -> bytes:
    folder.mkdir()
    done = run_script(host, *TAKE, dir=str(folder), wanted="schemas")
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "dump.tar").read_bytes()


def load(host: Path, folder: Path, data: bytes) -> tuple[int, dict[str, str]]:
    folder.mkdir()
    (folder / "dump.tar").write_bytes(data)
    done = run_script(host, *RESTORE, dir=str(folder))
    return done.returncode, sections(done.stdout).failed


def test_a_wrong_password_is_said_and_nothing_else(ctl1: Path) -> None:
    answer = database_answer(run_script(ctl1, *LOOK, password="wrong").stdout)
    assert answer.heads is None
    assert "Access denied" in answer.error


def test_the_password_is_in_no_argument(ctl1: Path) -> None:
    run_script(ctl1, *LOOK)
    assert "sQl-9f" not in (ctl1 / "argv.log").read_text()
    assert '"MYSQL_PWD"' in (ctl1 / "argv.log").read_text()


def test_an_empty_version_table_and_strange_names(whole: WholeCloud, ctl1: Path) -> None:
    whole.server.sql("CREATE DATABASE `odd'db`; CREATE TABLE `odd'db`.alembic_version (version_num VARCHAR(32));")
    try:
        answer = database_answer(run_script(ctl1, *LOOK).stdout)
    finally:
        whole.server.sql("DROP DATABASE `odd'db`;")
    assert answer.heads is not None
    assert {row.database: row.heads for row in answer.heads}["odd'db"] == ()


def test_no_schema_at_all_is_an_answer(whole: WholeCloud, ctl1: Path, tmp_path: Path) -> None:
    data = dump(ctl1, tmp_path / "dump")
    whole.server.sql("DROP DATABASE heat; DROP DATABASE keystone;")
    try:
        assert database_answer(run_script(ctl1, *LOOK).stdout).heads == ()
    finally:
        assert load(ctl1, tmp_path / "load", data) == (0, {})


def test_a_dump_without_its_end_is_refused(ctl1: Path, tmp_path: Path) -> None:
    (ctl1 / "cut-dumps").touch()
    try:
        done = run_script(ctl1, *TAKE, dir=str(tmp_path), wanted="schemas")
    finally:
        (ctl1 / "cut-dumps").unlink()
    assert done.returncode != 0
    assert sections(done.stdout).failed["databases"].endswith("has no end")
    assert not (tmp_path / "dump.tar").exists()


def test_a_schema_that_cannot_be_a_file_is_named(whole: WholeCloud, ctl1: Path, tmp_path: Path) -> None:
    whole.server.sql("CREATE DATABASE `a/b`")
    try:
        done = run_script(ctl1, *TAKE, dir=str(tmp_path), wanted="schemas")
    finally:
        whole.server.sql("DROP DATABASE `a/b`")
    assert done.returncode != 0
    assert "a/b" in sections(done.stdout).failed["databases"]


def test_only_looking_leaves_no_file(ctl1: Path, tmp_path: Path) -> None:
    done = run_script(ctl1, *TAKE, dir=str(tmp_path), wanted="")
    assert done.returncode == 0
    assert "keystone.user" in ".".join(sections(done.stdout).get("rows")[-1].split("\t")[:2])
    assert list(tmp_path.iterdir()) == []


def test_loading_twice_ends_the_same(whole: WholeCloud, ctl1: Path, tmp_path: Path) -> None:
    data = dump(ctl1, tmp_path / "dump")
    whole.server.sql("DELETE FROM user; CREATE TABLE more (id INT);", "keystone")
    for name in ("first", "second"):
        assert load(ctl1, tmp_path / name, data) == (0, {})
        assert whole.server.sql("SELECT name FROM user ORDER BY id", "keystone") == f"{SMILE}\nb\n"
        assert "more" not in whole.server.sql("SHOW TABLES", "keystone")


def test_a_schema_that_does_not_load_is_named_and_the_others_are_loaded(
    whole: WholeCloud, ctl1: Path, tmp_path: Path
) -> None:
    data = dump(ctl1, tmp_path / "dump")
    broken = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=broken, mode="w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = stream.read()
            if member.name == "heat.sql.gz":
                content = gzip.compress(b"CREATE DATABASE heat; THIS IS A SECRET;")
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    whole.server.sql("DELETE FROM user", "keystone")
    code, failed = load(ctl1, tmp_path / "load", broken.getvalue())
    assert code != 0
    # the client's own words, without the statement it repeats: that may be a row or a password hash
    assert failed["databases"].startswith("heat: ERROR 1064")
    assert "A SECRET" not in str(failed)
    assert whole.server.sql("SELECT COUNT(*) FROM user", "keystone") == "2\n"
    assert load(ctl1, tmp_path / "again", data) == (0, {})


def test_containers_that_do_not_obey_are_named(ctl1: Path) -> None:
    done = run_script(ctl1, "database/services.sh", host_root=str(ctl1), action="stop", names="nosuch heat_api")
    assert done.returncode == 1
    assert "@@failed nosuch Error response from daemon: No such container: nosuch" in done.stdout
    assert '["stop", "heat_api"]' in (ctl1 / "argv.log").read_text()
    again = run_script(ctl1, "database/services.sh", host_root=str(ctl1), action="start", names="heat_api")
    assert again.returncode == 0
