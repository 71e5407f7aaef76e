"""What is made of the plays' answers: parts that could not be taken, restores that did not end as they should."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, host
from tests.cloud_kit.hosts import FolderCloud, make_cloud
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.restore import KEYS, LOAD, restore
from upgrader.database.take import DUMP, IMAGES, Method, take_parts
from upgrader.errors import UpgraderError
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.keystone import ANSWER
from upgrader.runner.base import HostTrouble, Play, PlayResult
from upgrader.runner.recording import RecordingRunner

GROUPS = ("mariadb", "keystone")


@pytest.fixture
def made(tmp_path: Path) -> FolderCloud:
    return make_cloud(tmp_path / "site", {"mariadb": ["ctl1", "ctl2"], "keystone": ["ctl1", "ctl2"]})


def facts(**changes: object) -> CloudFacts:
    seen = SYNCED.model_copy(update=changes)
    return cloud(*(host(name, container("keystone"), groups=GROUPS, galera=seen) for name in ("ctl1", "ctl2")))


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FERNET = "@@fernet-keys\n" + base64.b64encode(tar(**{"fernet-keys__0": b"key"})).decode() + "\n"


def answering(
    folder: Path, *, keys: dict[str, str] | None = None, dump: dict[str, Any] | None = None, sent: bytes = b""
) -> Callable[[Play], PlayResult]:
    """A play that leaves these files in the set and shows these answers."""

    def play(asked: Play) -> PlayResult:
        for name, text in ({"ctl1": FERNET, "ctl2": FERNET} if keys is None else keys).items():
            (folder / "keys" / f"{name}.answer").write_text(text)
        if sent:
            (folder / "database" / "dump.tar").write_bytes(sent)
        (folder / "token.json").write_text('{"ok": true, "token": "t"}')
        images = dict(asked.extra_vars)["upgrader_images"]
        shown = {
            name: {"stdout": "".join(f'{image}\t{{"tags":["t"],"digests":["d"]}}\n' for image in ids)}
            for name, ids in images.items()
        }
        collected: dict[str, Any] = {
            DUMP: {"ctl1": {"msg": dump or {}}},
            IMAGES: shown,
            ANSWER: {"ctl1": {"msg": {"ok": True}}},
        }
        return PlayResult("take-backup", "successful", 0, collected=collected)

    return play


def taken(
    made: FolderCloud, seen: CloudFacts, method: Method = "mariadb-dump", **answer: Any
) -> tuple[BackupSet, list[str]]:
    new = BackupSet.begin(made.root / "set", Manifest(site="s", release="2025.1", made_at=now()))
    runner = RecordingRunner({"take-backup": answering(new.folder, **answer)})
    findings = take_parts(made.site, made.toolchain, runner, made.root / "play", new, seen, method=method)
    return new, failures(findings)


def failures(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.message for finding in findings if finding.code is Code.FAILURE]


def test_the_dump_has_to_be_the_one_that_left_the_host(made: FolderCloud) -> None:
    said = {"rc": 0, "stdout": "@@files\nnova.sql.gz\t" + "0" * 64 + "\n"}
    new, told = taken(made, facts(), dump=said, sent=tar(**{"nova.sql.gz": b"data"}))
    (line,) = told
    assert "'databases' could not be taken" in line
    assert "nova.sql.gz does not have the checksum it had on its host" in line
    assert new.manifest.part("databases") is None


@pytest.mark.parametrize(
    ("announced", "sent", "words"),
    [
        ("nova.sql.gz", {"more.sql.gz": b""}, "unexpected member"),
        ("../evil.sql.gz", {"../evil.sql.gz": b""}, "unexpected member"),
        ("nova.sql.gz", {}, "files are missing"),
    ],
)
def test_only_announced_files_are_unpacked(
    made: FolderCloud, announced: str, sent: dict[str, bytes], words: str
) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    said = {"rc": 0, "stdout": f"@@files\n{announced}\t{empty}\n"}
    _, told = taken(made, facts(), dump=said, sent=tar(**sent))
    assert words in told[0]
    assert not (made.root / "set" / "evil.sql.gz").exists()


def test_a_failed_dump_says_what_the_server_said(made: FolderCloud) -> None:
    said = {"rc": 1, "stdout": "@@files\n@@failed databases nova: Got error 1412\n"}
    _, told = taken(made, facts(), dump=said)
    assert told == ["backup part 'databases' could not be taken: ctl1: databases: nova: Got error 1412"]


def test_no_synced_server_no_dump(made: FolderCloud) -> None:
    new, told = taken(made, facts(state="Joining"))
    assert told == ["backup part 'databases' could not be taken: no database server is Synced in a Primary component"]
    assert new.manifest.part("fernet-keys") is not None


def test_lost_keys_are_named_by_host(made: FolderCloud) -> None:
    lost = {"ctl1": FERNET, "ctl2": "@@failed fernet-keys Could not find the file\n"}
    new, told = taken(made, facts(), method="", keys=lost)
    assert told == ["backup part 'fernet-keys' could not be taken: ctl2: Could not find the file"]
    assert new.manifest.part("fernet-keys") is None


@pytest.mark.parametrize("content", [b"", tar(), tar(**{"fernet-keys__0": b""})])
def test_an_archive_without_a_key_is_no_backup_of_keys(made: FolderCloud, content: bytes) -> None:
    keys = {"ctl1": FERNET, "ctl2": "@@fernet-keys\n" + base64.b64encode(content or b"junk").decode()}
    _, told = taken(made, facts(), method="", keys=keys)
    assert told[0].startswith("backup part 'fernet-keys' could not be taken: ctl2: unreadable answer")


def test_credential_keys_are_kept_where_there_are_any(made: FolderCloud) -> None:
    both = FERNET + "@@credential-keys\n" + base64.b64encode(tar(**{"credential-keys__0": b"c"})).decode() + "\n"
    new, told = taken(made, facts(), method="", keys={"ctl1": both, "ctl2": FERNET})
    assert told == []
    part = new.manifest.part("credential-keys")
    assert part is not None
    assert [entry.path for entry in part.files] == ["keys/ctl1.credential-keys.tar"]


def set_of(made: FolderCloud) -> BackupSet:
    new = BackupSet.begin(made.root / "set", Manifest(site="s", release="2025.1", made_at=now()))
    for name in ("databases", "grants", "configuration", "inventory", "passwords", "images"):
        path = new.folder / f"{name}.sql.gz"
        path.write_bytes(b"x")
        new.record(name, [path])
    (new.folder / "keys").mkdir()
    path = new.folder / "keys" / "ctl1.fernet-keys.tar"
    path.write_bytes(tar(**{"fernet-keys__0": b"key"}))
    new.record("fernet-keys", [path])
    new.note(server_version="10.11", heads={"nova": ("old",)}, rows={"nova.instances": 3})
    assert new.finish() == ()
    return new


def restored(made: FolderCloud, load: dict[str, Any], keys: dict[str, Any]) -> list[str]:
    new = set_of(made)
    answer = PlayResult(
        "restore", "successful", 0, collected={LOAD: {"ctl1": {"msg": load}}, KEYS: {"ctl1": {"msg": keys}}}
    )
    runner = RecordingRunner({"restore": answer})
    return failures(restore(made.site, made.toolchain, runner, made.root / "play", new.folder, facts()))


GOOD = "@@loaded\nnova\t1\n@@heads\nnova\talembic_version\told\n@@rows\nnova\tinstances\t3\n@@schemas\nnova\n"


def test_a_restore_is_proved_by_heads_and_rows(made: FolderCloud) -> None:
    assert restored(made, {"rc": 0, "stdout": GOOD}, {"rc": 0}) == []


@pytest.mark.parametrize(
    ("load", "keys", "words"),
    [
        (GOOD.replace("old", "new"), 0, "database nova is at new after the restore, the dump had old"),
        (GOOD.replace("\t3", "\t2"), 0, "nova.instances has 2 rows after the restore, at the dump it had 3"),
        (GOOD.replace("@@rows\nnova\tinstances\t3\n", ""), 0, "nova.instances has no rows"),
        (GOOD, 1, "ctl1: Keystone's keys were not put back: no space"),
    ],
)
def test_a_restore_that_ended_otherwise_fails(made: FolderCloud, load: str, keys: int, words: str) -> None:
    (line,) = restored(made, {"rc": 0, "stdout": load}, {"rc": keys, "stderr": "no space"})
    assert words in line


def test_a_load_that_failed_or_never_came_to_it(made: FolderCloud) -> None:
    told = restored(made, {"rc": 1, "stdout": "@@failed databases nova: ERROR 1064"}, {"rc": 0})
    assert told == [
        "ctl1: the databases were not restored: databases: nova: ERROR 1064 "
        "(no database was touched; the services stay stopped)"
    ]


def test_silence_is_a_failure(made: FolderCloud) -> None:
    new = set_of(made)
    answer = PlayResult("restore", "failed", 2, unreachable=(HostTrouble("ctl1", "Send the dump", "no route"),))
    runner = RecordingRunner({"restore": answer})
    told = failures(restore(made.site, made.toolchain, runner, made.root / "play", new.folder, facts()))
    assert len(told) == 2
    assert all("no route" in line for line in told)
    assert not (new.folder / ".restoring").exists()


@pytest.mark.parametrize("trouble", ["damaged", "unsynced", "mariabackup"])
def test_nothing_is_touched_when_it_cannot_end_well(made: FolderCloud, trouble: str) -> None:
    new = set_of(made)
    seen = facts(state="Joining") if trouble == "unsynced" else facts()
    if trouble == "damaged":
        (new.folder / "grants.sql.gz").write_bytes(b"y")
    elif trouble == "mariabackup":
        text = (new.folder / "manifest.json").read_text()
        document = json.loads(text) | {"method": "mariabackup"}
        document["parts"].append({"name": "mariabackup", "made_at": now(), "files": [], "facts": []})
        (new.folder / "manifest.json").write_text(json.dumps(document))
    runner = RecordingRunner()
    with pytest.raises(UpgraderError, match="cannot be restored") as caught:
        restore(made.site, made.toolchain, runner, made.root / "play", new.folder, seen)
    assert caught.value.cloud == "No database was touched."
    assert runner.plays == []
