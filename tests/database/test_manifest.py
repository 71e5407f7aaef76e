"""Backup sets: nothing missing, torn or changed passes unnamed."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upgrader.database import manifest as parts
from upgrader.database.manifest import (
    BackupSet,
    Manifest,
    ProofSummary,
    check,
    must_be_whole,
    now,
    read_manifest,
    required_parts,
)
from upgrader.errors import ConfigError, UpgraderError
from upgrader.model import Code

REQUIRED = required_parts("logical")


def whole(folder: Path, *, without: str = "") -> BackupSet:
    made = BackupSet.begin(folder, Manifest(site="s", release="2025.1", made_at=now()))
    for name in REQUIRED:
        if name != without:
            path = folder / f"{name}.bin"
            path.write_bytes(name.encode() * 10)
            made.record(name, [path], {"host": "ctl1"})
    return made


def test_a_whole_set(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    made.note(server_version="10.11", heads={"nova": ("b", "a")}, rows={"nova.instances": 3})
    assert made.finish() == ()
    again = BackupSet.open(made.folder).manifest
    assert again == made.manifest
    assert again.state == "unverified"
    assert again.heads == (("nova", ("a", "b")),)
    assert must_be_whole(made.folder) == again
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_part_is_named(tmp_path: Path, name: str) -> None:
    made = whole(tmp_path / "set", without=name)
    (finding,) = made.finish()
    assert finding.message == f"backup part {name!r} is missing from set"
    assert made.manifest.state == "incomplete"
    with pytest.raises(UpgraderError, match=name) as caught:
        must_be_whole(made.folder)
    assert caught.value.cloud == "No database was touched."


def test_mariabackup_needs_its_own_part() -> None:
    assert parts.MARIABACKUP in required_parts("mariabackup")
    assert parts.DATABASES not in required_parts("mariabackup")
    assert parts.FERNET_KEYS in required_parts("mariabackup")


@pytest.mark.parametrize("damage", ["gone", "short", "changed", "directory"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    made = whole(tmp_path / "set")
    made.finish()
    path = made.folder / "grants.bin"
    data = path.read_bytes()
    path.unlink()
    if damage == "short":
        path.write_bytes(data[:-1])
    elif damage == "changed":
        path.write_bytes(data[:-1] + b"x")
    elif damage == "directory":
        path.mkdir()
    (finding,) = check(made.folder, made.manifest)
    assert finding.code is Code.FAILURE
    assert "'grants': grants.bin" in finding.message
    with pytest.raises(UpgraderError):
        must_be_whole(made.folder)


def test_a_set_that_was_never_finished_is_not_restored(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    with pytest.raises(UpgraderError, match="in-progress"):
        must_be_whole(made.folder)


def test_sets_are_never_overwritten(tmp_path: Path) -> None:
    whole(tmp_path / "set")
    with pytest.raises(FileExistsError):
        whole(tmp_path / "set")


def test_a_part_recorded_again_replaces_itself(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    path = made.folder / "grants.bin"
    path.write_bytes(b"new")
    made.record("grants", [path])
    assert len(made.manifest.parts) == len(REQUIRED)
    assert made.finish() == ()


def test_others_may_not_look_in(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    made.folder.chmod(0o755)
    (finding,) = made.finish()
    assert (finding.code, finding.next) == (Code.WARNING, f"chmod 0700 {made.folder}")
    assert made.manifest.state == "unverified"


def test_a_manifest_that_is_missing_or_from_the_future(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no manifest"):
        read_manifest(tmp_path)
    made = whole(tmp_path / "set")
    document = json.loads((made.folder / "manifest.json").read_text()) | {"schema_version": 3}
    (made.folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="schema_version"):
        read_manifest(made.folder)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_no_cut_of_the_manifest_passes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    made = whole(tmp_path_factory.mktemp("cut") / "set")
    made.finish()
    path = made.folder / "manifest.json"
    content = path.read_bytes().rstrip()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ConfigError):
        must_be_whole(made.folder)


NEW = ("dump_format", "journal_head", "needs", "counted", "tables", "proof")


def test_a_set_of_version_1_is_as_good_as_it_was(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    made.note(server_version="10.11", heads={"nova": ("a",)}, rows={"nova.instances": 3})
    made.finish()
    path = made.folder / "manifest.json"
    document = {name: value for name, value in json.loads(path.read_text()).items() if name not in NEW}
    path.write_text(json.dumps(document | {"schema_version": 1}))
    old = must_be_whole(made.folder)
    assert (old.schema_version, old.dump_format, old.counted, old.tables) == (1, "mariadb-dump", "asked", ())
    assert old.rows == (("nova.instances", 3),)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "made_at", "last_write", "now_is"),
    [
        ("proved", "2026-11-22T11:00:00Z", "", "proved"),
        ("unverified", "2026-11-22T11:00:00Z", "2026-11-22T10:59:59Z", "unverified"),
        ("proved", "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", "expired"),
        ("proved", "2026-11-22T09:59:59Z", "", "expired"),
        ("proved", "yesterday", "", "expired"),
        ("incomplete", "2026-11-22T09:00:00Z", "", "incomplete"),
        ("in-progress", "2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z", "in-progress"),
    ],
)
def test_a_set_expires_by_age_and_by_what_was_written_since(
    state: Any, made_at: str, last_write: str, now_is: str
) -> None:
    manifest = Manifest(site="s", release="2025.1", made_at=made_at, state=state)
    assert manifest.state_now(NOON, timedelta(hours=2), last_write) == now_is


def test_only_a_whole_set_is_proved(tmp_path: Path) -> None:
    proof = ProofSummary(proved_at=now(), server="10.11.6")
    unfinished = whole(tmp_path / "a")
    with pytest.raises(UpgraderError, match="in-progress"):
        unfinished.proved(proof)
    made = whole(tmp_path / "b")
    made.finish()
    made.proved(proof)
    assert BackupSet.open(made.folder).manifest.state == "proved"
    made.disproved()
    assert BackupSet.open(made.folder).manifest.proof is None


def test_what_the_cloud_needs_is_missing_by_name(tmp_path: Path) -> None:
    made = whole(tmp_path / "set")
    made.demand("ovn", "definitions")
    assert [finding.message for finding in made.finish()] == [
        "backup part 'definitions' is missing from set",
        "backup part 'ovn' is missing from set",
    ]
