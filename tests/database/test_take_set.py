"""A whole set from nothing to checked: what is in it, and what is left when it is cut off or the disk is full."""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import io
import os
import signal
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, host
from tests.cloud_kit.hosts import FolderCloud, make_cloud
from upgrader import durable
from upgrader.database.manifest import BackupSet, manifest_sha256, must_be_whole, read_manifest
from upgrader.database.sets import sets_of
from upgrader.database.take import DUMP, IMAGES, switched_off
from upgrader.database.take_set import Taking, begin_set, take_set
from upgrader.database.take_state import STATE
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.errors import RefusedError as Refusal
from upgrader.model import CloudFacts, Finding
from upgrader.observed import GaleraFacts
from upgrader.probes.keystone import ANSWER
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.recording import RecordingRunner

HEADS = "nova\talembic_version\tabc\n"
SQL = (
    "CREATE TABLE `alembic_version` (\n);\nINSERT INTO `alembic_version` VALUES\n('abc');\n"
    "CREATE TABLE `instances` (\n);\nINSERT INTO `instances` VALUES\n(1),\n(2);\n-- Dump completed\n"
)
TABLES = "nova\talembic_version\nnova\tinstances\n"
CANARY = "c4n4ry-Fernet-key"


class RefusedError(Exception):
    """What a stage or a verb raises for a part that is missing."""


@pytest.fixture
def made(tmp_path: Path) -> FolderCloud:
    folders = make_cloud(tmp_path / "site", {"mariadb": ["ctl1"], "keystone": ["ctl1"]})
    (folders.toolchain.dir / "lock.txt").write_text("kolla-ansible==20.6.0\n")
    return folders


def seen(*more: str, galera: GaleraFacts = SYNCED) -> CloudFacts:
    names = ("keystone", "mariadb", "rabbitmq", *more)
    return cloud(host("ctl1", *map(container, names), groups=("mariadb", "keystone"), galera=galera))


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lines(files: dict[str, bytes]) -> str:
    return "".join(f"{name}\t{hashlib.sha256(content).hexdigest()}\n" for name, content in files.items())


def answers(folder: Path, **other: Any) -> Callable[[Play], PlayResult]:
    """A play that leaves in the set what the real one leaves."""
    dump = {"nova.sql.gz": gzip.compress(other.get("sql", SQL).encode()), "grants.sql.gz": gzip.compress(b"GRANT x;\n")}
    state = {"definitions.json.gz": gzip.compress(b'{"users": []}')}
    state |= other.get("state", {})
    text = (
        f"@@galera\nversion\t10.11.6-MariaDB\n@@heads\n{HEADS}@@rows\nnova\tinstances\t7\n"
        f"@@tables\n{other.get('tables', TABLES)}@@schemas\nnova\n@@files\n{lines(dump)}"
        f"@@heads-after\n{other.get('after', HEADS)}"
    )

    def play(asked: Play) -> PlayResult:
        (folder / "database" / "dump.tar").write_bytes(packed(dump))
        keys = base64.b64encode(packed({"fernet-keys/0": CANARY.encode()})).decode()
        (folder / "keys" / "ctl1.answer").write_text(f"@@fernet-keys\n{keys}\n")
        (folder / "token.json").write_text('{"token": "t"}')
        wanted = dict(asked.extra_vars)
        (folder / "arrived" / "ctl1").mkdir(parents=True)
        for name, content in state.items():
            (folder / "arrived" / "ctl1" / name).write_bytes(content)
        ids = wanted["upgrader_images"]["ctl1"]
        shown = {"stdout": "".join(f'{one}\t{{"tags":[],"digests":[]}}\n' for one in ids)}
        said: dict[str, Any] = {
            DUMP: {"ctl1": {"msg": {"rc": 0, "stdout": text}}},
            IMAGES: {"ctl1": shown},
            ANSWER: {"ctl1": {"msg": {"ok": True}}},
            STATE: {"ctl1": {"msg": {"rc": 0, "stdout": f"@@files\n{lines(state)}" + other.get("words", "")}}},
        }
        return PlayResult("take-backup", "successful", 0, collected=said)

    return play


@contextmanager
def step(_name: str) -> Iterator[list[str]]:
    yield []


def judge(findings: Sequence[Finding], _words: str) -> None:
    bad = [finding.message for finding in findings if finding.blocks]
    if bad:
        raise RefusedError("; ".join(bad))


def begin(made: FolderCloud) -> BackupSet:
    return begin_set(made.site, "2025.1", "mark", journal_head="head")


def take(made: FolderCloud, new: BackupSet, facts: CloudFacts | None = None, **other: Any) -> None:
    runner = RecordingRunner({"take-backup": answers(new.folder, **other)})
    take_set(
        Taking(
            site=made.site, toolchain=made.toolchain, runner=runner, play_folder=lambda name: made.root / name,
            look=lambda: facts or seen(), physical=lambda: None, step=step, judge=judge,
        ),
        new,
    )  # fmt: skip


def test_a_whole_set(made: FolderCloud) -> None:
    new = begin(made)
    take(made, new)
    manifest = must_be_whole(new.folder)
    assert manifest.state == "unverified"
    assert manifest.journal_head == "head"
    assert {table.name: table.rows for table in manifest.tables} == {"nova.alembic_version": 1, "nova.instances": 2}
    # the server was asked at another moment; what counts is what the dump holds
    assert manifest.rows == (("nova.instances", 2),)
    assert manifest.needs == ("definitions", "toolchain")
    assert (new.folder / "toolchain" / "lock.txt").read_text() == "kolla-ansible==20.6.0\n"
    files = [path for path in new.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in new.folder.rglob("*") if path.is_dir()} == {0o700}
    # a key is in its own part and nowhere else, neither in text nor in the form it travelled in
    holders = {path.parent.name for path in files if CANARY.encode() in path.read_bytes()}
    assert holders == {"keys"}
    assert not [path for path in files if path.suffix in (".answer", ".part", ".tmp")]
    assert manifest_sha256(new.folder) == hashlib.sha256((new.folder / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"after": HEADS.replace("abc", "def")}, "nova was at abc before, at abc in the dump, at def after it"),
        ({"sql": SQL.replace("'abc'", "'def'")}, "a migration ran"),
        ({"tables": TABLES + "nova\tmore\n"}, "not dumped: nova.more"),
        ({"tables": "nova\tinstances\n"}, "made meanwhile: nova.alembic_version"),
        ({"sql": SQL.replace("-- Dump completed\n", "")}, "nova.sql.gz has no end"),
        ({"state": {"definitions.json.gz": b"torn"}}, "'definitions' could not be taken"),
        ({"state": {"definitions.json.gz": gzip.compress(b"{}")[:-3]}}, "'definitions' could not be taken"),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_set_is_incomplete(
    made: FolderCloud, other: dict[str, Any], words: str
) -> None:
    new = begin(made)
    with pytest.raises(RefusedError, match=words):
        take(made, new, **other)
    assert read_manifest(new.folder).state == "incomplete"
    (one,) = sets_of(made.site, datetime.now(UTC))
    assert not one.usable
    assert one.missing


def test_ovn_is_wanted_where_it_runs_and_both_databases_of_it(made: FolderCloud) -> None:
    both = {name: gzip.compress(b"OVSDB x") for name in ("OVN_Northbound.db.gz", "OVN_Southbound.db.gz")}
    state = both | {"definitions.json.gz": gzip.compress(b"{}")}
    new = begin(made)
    take(made, new, seen("ovn_nb_db", "ovn_sb_db"), state=state)
    part = must_be_whole(new.folder).part("ovn")
    assert part is not None
    assert [entry.path for entry in part.files] == ["ovn/OVN_Northbound.db.gz", "ovn/OVN_Southbound.db.gz"]
    begun = begin_set(made.site, "2025.1", "other")
    del state["OVN_Southbound.db.gz"]
    with pytest.raises(RefusedError, match=r"'ovn' could not be taken: OVN_Southbound\.db\.gz: ctl1: not the leader"):
        take(made, begun, seen("ovn_nb_db", "ovn_sb_db"), state=state, words="@@failed ovn-sb not the leader\n")


def failpoints_of(made: FolderCloud) -> list[str]:
    met: list[str] = []
    with durable.failpoints(met.append):
        take(made, begin(made))
    return list(dict.fromkeys(met))


def test_killed_at_every_step_no_set_is_usable_and_the_next_is_whole(made: FolderCloud) -> None:
    names = failpoints_of(made)
    assert len(names) > 20, names
    assert {"backup.databases.recorded", "backup.played", "backup.finish", "backup.token.arrived"} <= set(names)
    usable = {one.folder for one in sets_of(made.site, datetime.now(UTC))}
    for number, name in enumerate(names):
        new = begin_set(made.site, "2025.1", f"{number:08d}")
        pid = os.fork()
        if pid == 0:
            _killed_there(made, new, name)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL, name
        state = read_manifest(new.folder).state
        assert state == ("unverified" if name == "backup.finished" else "in-progress"), name
        if name != "backup.finished":
            with pytest.raises(UpgraderError, match="cannot be restored"):
                must_be_whole(new.folder)
            usable_now = {one.folder for one in sets_of(made.site, datetime.now(UTC)) if one.usable}
            assert usable_now <= usable, name
    again = begin(made)
    take(made, again)
    assert must_be_whole(again.folder).state == "unverified"


def _killed_there(made: FolderCloud, new: BackupSet, name: str) -> None:
    """In a child: never returns."""

    def kill(point: str) -> None:
        if point == name:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        with durable.failpoints(kill):
            take(made, new)
    finally:
        os._exit(3)


def test_a_full_disk_at_every_write_is_named_and_leaves_no_usable_set(made: FolderCloud) -> None:
    writes: list[durable.Operation] = []
    with durable.recorded(lambda operation: writes.append(operation) if operation.kind == "write" else None):
        take(made, begin(made))
    assert len(writes) > 15
    for number in range(len(writes)):
        left = number

        def full(operation: durable.Operation) -> None:
            nonlocal left
            if operation.kind != "write":
                return
            if left == 0:
                raise OSError(errno.ENOSPC, "No space left on device", str(operation.path))
            left -= 1

        with durable.recorded(full), pytest.raises(EnvironmentMissingError, match="No space left") as caught:
            take(made, begin_set(made.site, "2025.1", f"{number:08d}"))
        assert "It was only read" in caught.value.cloud
    every = sets_of(made.site, datetime.now(UTC))
    assert sum(one.usable for one in every) == 1
    assert {one.state for one in every if not one.usable} <= {"in-progress", "incomplete"}


def test_a_set_in_progress_is_no_set(made: FolderCloud) -> None:
    new = begin(made)
    with pytest.raises(UpgraderError, match="cannot be restored"):
        must_be_whole(new.folder)
    (one,) = sets_of(made.site, datetime.now(UTC))
    assert (one.state, one.usable) == ("in-progress", False)
    assert "databases" in one.missing


@pytest.mark.parametrize(("value", "refused"), [("no", True), ("yes", False), ("", False)])
def test_a_physical_backup_that_kolla_would_not_make_is_refused_by_name(
    made: FolderCloud, value: str, refused: bool
) -> None:
    site = replace(made.site, backup_database="mariabackup")
    if value:
        (site.config_dir / "globals.yml").write_text(f'enable_mariabackup: "{value}"\n')
    assert switched_off(made.site) is None, "nobody wants one"
    assert (switched_off(site) is not None) == refused
    if refused:
        with pytest.raises(Refusal, match="enable_mariabackup is off"):
            begin_set(site, "2025.1", "mark")
        assert not site.backup_dir.exists() or not list(site.backup_dir.iterdir())
