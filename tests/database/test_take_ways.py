"""The other ways to take the databases, for real: mydumper from this machine, its stand-in, and the physical backup.

Ansible, a MariaDB server and its own programs; slow, because every play costs seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import ADMIN_PASSWORD, PASSWORD, has_server
from tests.cloud_kit.whole import SMILE, WholeCloud
from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import BackupSet, Manifest, must_be_whole, now
from upgrader.database.prove import prove
from upgrader.database.take import Method, take_parts
from upgrader.database.unpacked import opened
from upgrader.model import CloudFacts, Code

CI = os.environ.get("UPGRADER_CI") == "1"
PROGRAMS = ("mydumper", "mariadb-backup")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CI and not has_server(), reason="needs mariadb-server"),
    pytest.mark.skipif(not CI and not all(map(shutil.which, PROGRAMS)), reason=f"needs {' and '.join(PROGRAMS)}"),
]
KEYS = frozenset({"proof-token", "proof-keys", "proof-credential"})
TABLES = {
    "heat.alembic_version": 1, "heat.migrate_version": 1, "heat.stack": 0, "keystone.alembic_version": 2,
    "keystone.endpoint": 2, "keystone.service": 1, "keystone.user": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def facts(whole: WholeCloud) -> CloudFacts:
    return whole.look()


@pytest.fixture(autouse=True)
def no_secret_is_left(whole: WholeCloud) -> Iterator[None]:
    """Nothing that a play wrote, and no argument of the engine, holds a password or a row."""
    yield
    places = [path for path in whole.scratch.glob("play*/**/*") if path.is_file()]
    for path in (*places, *whole.folders.root.glob("hosts/*/*.log")):
        content = path.read_bytes()
        for secret in (PASSWORD, ADMIN_PASSWORD, SMILE):
            assert not any(form.encode() in content for form in (secret, json.dumps(secret)[1:-1])), path


def taken(
    whole: WholeCloud,
    facts: CloudFacts,
    name: str,
    method: Method,
    *,
    address: str = "",
    fall_back: bool = False,
    asked_ago: int = 600,
) -> tuple[BackupSet, list[str]]:
    site = replace(whole.folders.site, backup_address=address)
    made = BackupSet.begin(whole.scratch / name, Manifest(site="folders", release="2025.1", made_at=now()))
    save_configuration(site, made)
    findings = take_parts(
        site, whole.folders.toolchain, whole.runner, whole.folder(), made, facts,
        method=method, fall_back=fall_back, asked_ago=asked_ago,
    )  # fmt: skip
    return made, [finding.message for finding in findings if finding.code is not Code.SUCCESS]


def content_is_proved(whole: WholeCloud, made: BackupSet) -> None:
    """The set restored: heads, rows and content are right. This cloud's keys and tokens are no real ones."""
    proof = prove(made.folder, whole.scratch / "proofs")
    failed = [(finding.id, finding.message) for finding in proof.failures if finding.id not in KEYS]
    assert failed == []
    assert {name: count for name, count in proof.rows if name in TABLES} == TABLES
    assert dict(proof.heads)["keystone"] == ("47147121", "c88cdce8f248")


def test_mydumper_dumps_into_the_set_from_here(whole: WholeCloud, facts: CloudFacts) -> None:
    made, told = taken(whole, facts, "mydumper", "mydumper", address=str(whole.server.socket))
    assert told == []
    assert made.finish() == ()
    manifest = must_be_whole(made.folder)
    assert manifest.dump_format == "mydumper"
    assert {table.name: table.rows for table in manifest.tables} == TABLES
    assert manifest.heads == (("heat", ("c6214ca60943",)), ("keystone", ("47147121", "c88cdce8f248")))
    names = {path.name.partition(".")[0] for path in (made.folder / "database" / "mydumper").iterdir()}
    assert not [name for name in names if name.startswith(("mysql", "sys", "performance"))]
    assert len(list((made.folder / "database").glob("grants.sql.*"))) == 1
    content_is_proved(whole, made)


def test_where_there_is_no_way_mariadb_dump_takes_over_or_it_is_said(whole: WholeCloud, facts: CloudFacts) -> None:
    made, told = taken(whole, facts, "instead", "mydumper", address="127.0.0.1:1", fall_back=True)
    assert len(told) == 1
    assert "mydumper could not dump (Error connecting to database" in told[0] and "mariadb-dump took over" in told[0]
    assert made.manifest.dump_format == "mariadb-dump"
    assert {table.name: table.rows for table in made.manifest.tables} == TABLES
    other, told = taken(whole, facts, "not-instead", "mydumper", address="127.0.0.1:1")
    assert "'databases' could not be taken" in told[0]
    assert "mydumper could not dump from this machine: Error connecting to database" in told[0]
    assert not (other.folder / "database" / "mydumper").exists()


def test_the_physical_backup_is_fetched_whole(whole: WholeCloud, facts: CloudFacts, tmp_path: Path) -> None:
    volume = whole.folders.host("ctl2") / "volumes" / "mariadb_backup"
    volume.mkdir(parents=True)
    stream = volume / "mysqlbackup-22-11-2026.qp.xbc.xbs.gz"
    _, told = taken(whole, facts, "physical-none", "mariabackup")
    assert "no database host has a backup as young as it should be" in " ".join(told)
    with stream.open("wb") as out:
        command = ["mariadb-backup", "--no-defaults", "--backup", "--stream=xbstream", f"--target-dir={tmp_path}",
                   f"--datadir={whole.scratch}/data", f"--socket={whole.server.socket}", "--user=root"]  # fmt: skip
        env = {"PATH": os.environ["PATH"], "MYSQL_PWD": PASSWORD}
        backup = subprocess.Popen([*command, f"--password={PASSWORD}"], stdout=subprocess.PIPE, env=env,
                                  stderr=subprocess.DEVNULL)  # fmt: skip
        subprocess.run(["gzip", "-1"], stdin=backup.stdout, stdout=out, check=True)
        assert backup.wait() == 0
    # asked for at this moment: how long ago is not the play's own time too
    os.utime(stream)
    made, told = taken(whole, facts, "physical", "mariabackup", asked_ago=0)
    assert told == []
    assert made.finish() == ()
    manifest = must_be_whole(made.folder)
    assert (manifest.method, manifest.dump_format) == ("mariabackup", "mariabackup")
    part = manifest.part("mariabackup")
    assert part is not None
    assert [entry.bytes for entry in part.files] == [stream.stat().st_size]
    with opened(made.folder / "database" / "mariabackup.xbs.gz") as plain:
        assert plain.read(8) == b"XBSTCK01"
    content_is_proved(whole, made)
