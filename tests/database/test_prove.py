"""Proofs with a real MariaDB: what is right is proved, what is wrong is named, nothing is registered by half."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.database.proof_kit import Keys, cloud, damage_key, has_programs, key_tar, make_set
from tests.process_kit import wait_until
from upgrader import processes
from upgrader.database import load_client, load_tables
from upgrader.database import prove as proving
from upgrader.database.load import open_copy
from upgrader.database.manifest import BackupSet, DumpFormat, read_manifest
from upgrader.database.prove import Proof, prove
from upgrader.database.throwaway import Server
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.model import Code

NEEDED = ("mydumper", "mariadb-backup", "mbstream")
pytestmark = pytest.mark.skipif(
    not has_programs() and "UPGRADER_CI" not in os.environ, reason="needs mariadb-server: mariadbd and mariadb-dump"
)


@dataclass
class Source:
    """A cloud's databases and keys, and where sets of them go."""

    server: Server
    keys: Keys
    folder: Path
    made: int = 0

    def set(self, dump_format: DumpFormat = "mariadb-dump", **more: object) -> BackupSet:
        self.made += 1
        return make_set(self.folder / f"set{self.made}", self.server, self.keys, dump_format=dump_format, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("source")
    keys = Keys()
    keys.credential = {0: Keys().fernet[0], 1: Keys().fernet[1]}
    try:
        with cloud(folder / "cloud") as server:
            server.sql(keys.credentials())
            yield Source(server, keys, folder)
    except EnvironmentMissingError as error:
        if "UPGRADER_CI" in os.environ:
            raise
        pytest.skip(error.message)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def found(proof: Proof) -> dict[str, str]:
    return {finding.id: finding.code.value for finding in proof.findings}


GOOD = ["proof-heads", "proof-rows", "proof-content", "proof-token", "proof-credential"]


def test_a_good_set_is_proved(source: Source, work: Path) -> None:
    made = source.set()
    proof = prove(made.folder, work)
    assert proof.proved
    assert found(proof) == dict.fromkeys([*GOOD, "proof-definitions"], "success")
    assert dict(proof.rows)["nova.instances"] == 2000
    assert dict(proof.heads) == {"keystone": ("47147121", "c88cdce8f248"), "nova": ("2903cd72dc14",)}
    manifest = read_manifest(made.folder)
    text = (made.folder / "proof.json").read_bytes()
    assert manifest.state == "proved" and manifest.proof is not None
    assert manifest.proof.file_sha256 == hashlib.sha256(text).hexdigest()
    assert list(work.iterdir()) == []
    secrets = [*source.keys.fernet.values(), *source.keys.credential.values()]
    assert not any(secret in text for secret in secrets)


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", ["mydumper", "mariabackup"])
def test_every_format_is_proved(source: Source, work: Path, dump_format: DumpFormat) -> None:
    if not has_programs(*NEEDED) and "UPGRADER_CI" not in os.environ:
        pytest.skip(f"needs {', '.join(NEEDED)}")
    proof = prove(source.set(dump_format).folder, work)
    assert proof.proved
    assert {finding.id for finding in proof.findings} >= set(GOOD)


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", ["mariadb-dump", "mydumper", "mariabackup"])
def test_a_copy_is_a_whole_database(source: Source, work: Path, dump_format: DumpFormat) -> None:
    with open_copy(source.set(dump_format).folder, work) as server:
        assert server.sql("CALL nova.answer(); SELECT COUNT(*) FROM nova.hosts;") == [["42"], ["7"]]
        assert server.sql("INSERT INTO nova.instances (uuid) VALUES ('new'); SELECT host, id FROM nova.instances "
                          "WHERE uuid = 'new';") == [["none", "2001"]]  # fmt: skip
        with pytest.raises(UpgraderError, match="foreign key constraint"):
            server.sql("INSERT INTO nova.instance_extra VALUES (1, 'nowhere', '');")
        assert "UNIQUE KEY `uniq`" in server.sql("SHOW CREATE TABLE nova.instances;")[0][1]
    assert list(work.iterdir()) == []


def rewritten(schema: str, before: str, after: str) -> object:
    """Change the dump of one schema after its contents were noted, as a fault of a disk or of a program would."""

    def change(folder: Path) -> None:
        path = folder / "database" / f"{schema}.sql.gz"
        text = gzip.decompress(path.read_bytes()).decode()
        assert before in text
        path.write_bytes(gzip.compress(text.replace(before, after, 1).encode()))

    return change


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "before", "after", "named"),
    [
        ("nova", "(1,'uuid-1','host1'),\n", "", "rows differ from the dump: nova.instances (1999 instead of 2000)"),
        ("keystone", "'47147121'", "'47147122'", "keystone is at 47147122 + c88cdce8f248 in the copy"),
        ("nova", "`instance_extra` (\n", "`other` (\n", "tables are not in the copy: nova.instance_extra"),
    ],
)
def test_a_difference_is_named_by_table(
    source: Source, work: Path, schema: str, before: str, after: str, named: str
) -> None:
    change = rewritten(schema, before, after)
    if after == "`other` (\n":

        def change(folder: Path) -> None:  # every mention
            path = folder / "database" / "nova.sql.gz"
            text = gzip.decompress(path.read_bytes()).replace(b"`instance_extra`", b"`other`")
            path.write_bytes(gzip.compress(text))

    made = source.set(change=change)
    proof = prove(made.folder, work)
    assert not proof.proved
    assert any(named in finding.message for finding in proof.failures), proof.failures
    assert read_manifest(made.folder).state == "unverified"
    assert json.loads((made.folder / "proof.json").read_text())["findings"]


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", ["mariadb-dump", "mydumper"])
def test_a_copy_that_is_not_the_dump_is_no_proof(
    source: Source, work: Path, monkeypatch: pytest.MonkeyPatch, dump_format: DumpFormat
) -> None:
    compared = proving.compare

    def spoiled(server: Server, *rest: object) -> object:
        server.sql("UPDATE nova.instances SET host = 'other' WHERE id = 3; ALTER TABLE keystone.user DROP KEY part;")
        return compared(server, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(proving, "compare", spoiled)
    failures = {finding.id: finding.message for finding in prove(source.set(dump_format).folder, work).failures}
    assert failures == {
        "proof-content": "content differs from the dump: nova.instances",
        "proof-definitions": "definitions differ from the dump: keystone.user",
    }


@pytest.mark.slow
def test_rows_in_another_order_are_the_same_content(source: Source, work: Path) -> None:
    """The digests decide where the text differs: here two rows of a table changed places."""
    made = source.set(change=rewritten("nova", "(1,'uuid-1','host1'),\n(2,'uuid-2','host2'),\n",
                                       "(2,'uuid-2','host2'),\n(1,'uuid-1','host1'),\n"))  # fmt: skip
    proof = prove(made.folder, work)
    assert proof.proved
    assert any("1 by the digests of their rows" in finding.message for finding in proof.findings)


def cut(folder: Path) -> None:
    path = folder / "database" / "nova.sql.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4000]))


def torn(folder: Path) -> None:
    path = folder / "database" / "nova.sql.gz"
    path.write_bytes(path.read_bytes()[:-100])


def replaced_by(text: bytes) -> object:
    def change(folder: Path) -> None:
        for path in (folder / "database").glob("*.sql.gz"):
            path.write_bytes(gzip.compress(text))

    return change


USERS = b"CREATE USER `nova`@`%` IDENTIFIED BY PASSWORD '*AB';\n-- Dump completed on 2026-11-22\n"
NEWER = b"USE `nova`;\nCREATE TABLE `t` (\n  `id` vector(3) NOT NULL\n) ENGINE=InnoDB;\n-- Dump completed\n"
BAD = {
    "cut off": (cut, "ends too early"),
    "torn": (torn, "cut off"),
    "empty": (replaced_by(b""), "ends too early"),
    "users but no schemas": (replaced_by(USERS), "holds no table|refused the dump"),
    "another program's": (replaced_by(b"PGDMP\x00\x01\x0e\n\n"), "ends too early"),
    "wrong character set": (replaced_by("CREATE TABLE `t` (\n".encode("utf-16")), "ends too early"),
    "newer": (replaced_by(b"CREATE DATABASE `nova`;\n" + NEWER), "refused the dump"),
    "commands for the shell": (replaced_by(b"\\! touch /tmp/upgrader-pwned\n" + NEWER), "refused the dump"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_a_bad_dump_is_refused_and_the_set_stays_as_it_was(source: Source, work: Path, name: str) -> None:
    change, words = BAD[name]
    made = source.set(change=change)
    with pytest.raises(UpgraderError, match=words) as refused:
        prove(made.folder, work)
    assert "not touched" in refused.value.cloud or refused.value.cloud
    assert read_manifest(made.folder).state == "unverified"
    assert not (made.folder / "proof.json").exists()
    assert list(work.iterdir()) == []
    assert not Path("/tmp/upgrader-pwned").exists()


@pytest.mark.slow
def test_a_proof_that_fails_takes_an_older_one_back(source: Source, work: Path) -> None:
    made = source.set()
    assert prove(made.folder, work).proved
    other = {number: damage_key(key) for number, key in source.keys.fernet.items()}
    (path,) = (made.folder / "keys").glob("ctl2.fernet-keys.tar")
    key_tar(path, "fernet-keys", other)
    again = BackupSet.open(made.folder)
    again.record("fernet-keys", (made.folder / "keys").glob("*.fernet-keys.tar"))
    proof = prove(made.folder, work)
    assert [finding.id for finding in proof.failures] == ["proof-token"]
    assert read_manifest(made.folder).state == "unverified"


@pytest.mark.slow
def test_wrong_credential_keys_are_found(source: Source, work: Path) -> None:
    right, source.keys.credential = source.keys.credential, Keys().fernet
    try:
        made = source.set()
    finally:
        source.keys.credential = right
    (failure,) = {finding.id for finding in prove(made.folder, work).failures}
    assert failure == "proof-credential"


def test_without_mariadb_or_with_another_series_nothing_is_said_of_the_set(source: Source, work: Path) -> None:
    made = source.set()
    with pytest.raises(EnvironmentMissingError, match=r"not found in .*work") as missing:
        prove(made.folder, work, programs_dir=work)
    assert missing.value.next_command
    made.note(server_version="9.9.1-MariaDB", heads={}, rows={})
    with pytest.raises(EnvironmentMissingError, match="but the cloud runs 9"):
        prove(made.folder, work)
    assert read_manifest(made.folder).state == "unverified"


@pytest.mark.slow
def test_no_space_in_the_middle_of_the_restore(source: Source, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = source.set()
    looks = iter(range(10**6))
    monkeypatch.setattr(load_client.shutil, "disk_usage", _usage(looks))
    monkeypatch.setattr(load_tables, "_LOOK_SECONDS", 0.001)  # however quick the load is, it is looked at
    with pytest.raises(EnvironmentMissingError, match="is full") as full:
        prove(made.folder, work)
    assert full.value.reason == "no-space"
    assert read_manifest(made.folder).state == "unverified"
    assert list(work.iterdir()) == []


def _usage(looks: Iterator[int]) -> object:
    """Room for the look before the restore and the one at its beginning, none afterwards."""

    class Usage:
        def __init__(self, *_: object) -> None:
            self.free = 10**12 if next(looks) < 2 else 0

    return Usage


POINTS = ["prove.begun", "prove.loaded", "prove.compared", "prove.written", "prove.proved"]
KILLED = "import sys; from pathlib import Path; from upgrader.database.prove import prove\n" \
         "prove(Path(sys.argv[1]), Path(sys.argv[2]))"  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_the_next_proof_ends_the_same(source: Source, work: Path, point: str) -> None:
    made = source.set()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(made.folder), str(work)],
        env={**os.environ, "UPGRADER_FAILPOINT": point}, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_manifest(made.folder).state == ("proved" if point == "prove.proved" else "unverified")
    for pid in work.glob("throwaway-*/pid"):
        server = int(pid.read_text())
        wait_until(lambda server=server: not processes.alive(server), "the end of the killed proof's server")
    assert prove(made.folder, work).proved
    assert list(work.iterdir()) == [], "what the killed one left is gone too"
    assert read_manifest(made.folder).state == "proved"


@pytest.mark.slow
def test_the_proof_is_written_before_the_state_that_names_it(source: Source, work: Path) -> None:
    made = source.set()
    seen: list[str] = []
    from upgrader import durable

    with durable.failpoints(lambda name: seen.append(f"{name} {read_manifest(made.folder).state}")):
        assert prove(made.folder, work).proved
    assert [line for line in seen if line.startswith("prove.")] == [
        *(f"{point} unverified" for point in POINTS[:-1]), "prove.proved proved",
    ]  # fmt: skip
    assert proving.FILE == "proof.json" and Code.FAILURE not in {f.code for f in prove(made.folder, work).findings}
