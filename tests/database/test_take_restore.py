"""A backup taken and put back for real: Ansible, a MariaDB server and its own programs; the engine is a stand-in.

Each play costs seconds, so there is one of each; what the scripts do when something fails is in test_scripts.py, what
is made of their answers in test_answers.py.
"""

from __future__ import annotations

import json
import tarfile

import pytest

from tests.cloud_kit.facts import names
from tests.cloud_kit.hosts import ADMIN_PASSWORD, PASSWORD, has_server
from tests.cloud_kit.whole import SMILE, WholeCloud
from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.restore import restore
from upgrader.database.services import database_users, switch
from upgrader.database.take import take_parts
from upgrader.database.unpacked import opened
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.verify import look

pytestmark = pytest.mark.skipif(not has_server(), reason="needs mariadb-server: mariadbd and mariadb-dump on PATH")


@pytest.fixture(scope="module")
def facts(whole: WholeCloud) -> CloudFacts:
    return whole.look()


@pytest.fixture(scope="module")
def taken(whole: WholeCloud, facts: CloudFacts) -> BackupSet:
    site, toolchain = whole.folders.site, whole.folders.toolchain
    made = BackupSet.begin(whole.scratch / "set", Manifest(site="folders", release="2025.1", made_at=now()))
    findings = take_parts(site, toolchain, whole.runner, whole.folder(), made, facts)
    assert [(finding.id, finding.code) for finding in findings] == [("token-issue", Code.SUCCESS)]
    save_configuration(site, made)
    assert made.finish() == ()
    return made


def failures(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.message for finding in findings if finding.code is Code.FAILURE]


def test_an_observation_of_the_whole_cloud(facts: CloudFacts) -> None:
    assert (facts.reading.kind, facts.reading.release) == ("exact", "2025.1")
    assert {row.database: row.heads for row in facts.heads} == {
        "heat": ("c6214ca60943",),
        "keystone": ("47147121", "c88cdce8f248"),
    }
    assert facts.heads_error == ""
    galera = {host.name: host.galera for host in facts.hosts}
    assert galera["cmp1"] is None
    assert galera["ctl1"] is not None
    assert (galera["ctl1"].size, galera["ctl1"].state) == (2, "Synced")


def text(taken: BackupSet, schema: str) -> bytes:
    (path,) = (taken.folder / "database").glob(f"{schema}.sql.*")
    with opened(path) as stream:
        return stream.read()


def test_what_a_set_holds(taken: BackupSet) -> None:
    manifest = taken.manifest
    assert {part.name for part in manifest.parts} == {
        "configuration", "databases", "fernet-keys", "grants", "images", "inventory", "passwords", "token",
    }  # fmt: skip
    assert manifest.heads == (("heat", ("c6214ca60943",)), ("keystone", ("47147121", "c88cdce8f248")))
    tables = {table.name: table.rows for table in manifest.tables}
    assert tables == {
        "heat.alembic_version": 1, "heat.migrate_version": 1, "heat.stack": 0, "keystone.alembic_version": 2,
        "keystone.endpoint": 2, "keystone.service": 1, "keystone.user": 2,
    }  # fmt: skip
    assert (manifest.counted, manifest.dump_format) == ("dump", "mariadb-dump")
    assert dict(manifest.rows) == {
        "heat.stack": 0, "keystone.endpoint": 2, "keystone.service": 1, "keystone.user": 2,
    }  # fmt: skip
    assert "MariaDB" in manifest.server_version
    grants = text(taken, "grants").decode()
    assert "CREATE OR REPLACE USER `keystone`@`%` IDENTIFIED BY PASSWORD" in grants
    assert "`root`" not in grants
    assert SMILE.encode() in text(taken, "keystone")
    with tarfile.open(taken.folder / "keys" / "ctl2.fernet-keys.tar") as tar:
        stored = tar.extractfile("fernet-keys/1")
        assert stored is not None
        assert stored.read() == b"fernet key 1 of ctl2"
    images = json.loads((taken.folder / "images.json").read_text())["images"]
    assert len(images) == 7


def test_services_stop(whole: WholeCloud, facts: CloudFacts) -> None:
    users = database_users(facts, names())
    assert users == dict.fromkeys(("ctl1", "ctl2"), ("heat_api", "keystone", "keystone_fernet"))
    site, toolchain = whole.folders.site, whole.folders.toolchain

    def states() -> set[str]:
        seen = json.loads((whole.folders.host("ctl2") / "containers.json").read_text())
        return {container["name"] for container in seen if container["state"]["Status"] == "exited"}

    assert switch(site, toolchain, whole.runner, whole.folder(), users, start=False).verdict
    assert states() == {"/heat_api", "/keystone", "/keystone_fernet"}
    for host in users:
        seen = json.loads((whole.folders.host(host) / "containers.json").read_text())
        for container in seen:
            container["state"]["Status"] = "running"
        whole.folders.put(host, *seen)


@pytest.mark.slow
def test_everything_comes_back(whole: WholeCloud, facts: CloudFacts, taken: BackupSet) -> None:
    whole.server.sql(
        "DROP TABLE user; UPDATE alembic_version SET version_num = 'newer'; DROP USER 'keystone'@'%';"
        "DROP DATABASE heat; CREATE DATABASE since; INSERT INTO service VALUES (2, 'new');",
        "keystone",
    )
    keys = whole.folders.host("ctl2") / "fs/etc/keystone/fernet-keys"
    (keys / "1").write_text("another key")
    (keys / "2").write_text("a key made since")
    site, toolchain = whole.folders.site, whole.folders.toolchain
    findings = restore(site, toolchain, whole.runner, whole.folder(), taken.folder, facts)
    assert failures(findings) == []
    assert any("left alone: since" in finding.message for finding in findings)
    assert whole.server.sql("SELECT name, HEX(secret) FROM user ORDER BY id", "keystone") == f"{SMILE}\t00FF\nb\t\n"
    assert "47147121" in whole.server.sql("SELECT * FROM alembic_version", "keystone")
    assert "ALL PRIVILEGES ON `keystone`" in whole.server.sql("SHOW GRANTS FOR 'keystone'@'%'")
    assert whole.server.sql("CALL answer(); INSERT INTO stack VALUES (1); SELECT * FROM stacks", "heat") == "42\n101\n"
    assert (keys / "1").read_text() == "fernet key 1 of ctl2"
    assert (keys / "2").read_text() == "a key made since"
    assert not (taken.folder / ".restoring").exists()


def test_tokens_before_and_after(whole: WholeCloud, taken: BackupSet) -> None:
    made = whole.folders
    kept = taken.folder / "token.json"
    facts, findings, host, url = look(
        made.site, made.toolchain, whole.runner, whole.folder(), names(), inventory=made.inventory, token_file=kept
    )
    assert {finding.id: finding.code for finding in findings} == {
        "token-issue": Code.SUCCESS,
        "token-old": Code.SUCCESS,
    }
    assert facts.reading.release == "2025.1"
    assert host in made.inventory.hosts
    assert url.startswith("http")


def test_no_secret_is_left_anywhere(whole: WholeCloud, taken: BackupSet) -> None:
    """Runs last: over all that the plays above wrote, and every argument the engine was given."""
    token = json.loads((taken.folder / "token.json").read_text())["token"]
    secrets = [PASSWORD, ADMIN_PASSWORD, token, "fernet key 1 of ctl2", SMILE]
    places = [path for path in whole.scratch.glob("play*/**/*") if path.is_file()]
    places += list(whole.folders.root.glob("hosts/*/*.log"))
    assert len(places) > 10
    for path in places:
        content = path.read_bytes()
        for secret in secrets:
            for form in (secret, json.dumps(secret)[1:-1]):
                assert form.encode() not in content, (path, secret)
    for host in whole.folders.inventory.hosts:
        work = whole.folders.host(host) / "var/tmp"
        assert not work.exists() or list(work.iterdir()) == []
