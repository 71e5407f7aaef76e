"""`upgrader backup`: what it lists, checks and refuses without a cloud; a whole turn on the sandbox is slow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_bad_input import Call, call, nowhere, run, site, tree
from tests.cli.test_status import Run
from upgrader.cli import backup_cmd
from upgrader.config import Site
from upgrader.database.manifest import BackupSet, Manifest, ProofSummary, manifest_sha256, now, required_parts
from upgrader.errors import RefusedError
from upgrader.journal import acquire, open_journal
from upgrader.sandbox.create import create_sandbox
from upgrader.session import Session
from upgrader.states import AttemptState, Event, State

__all__ = ["call", "nowhere", "run", "site"]


def whole(site: Site, name: str, *, made_at: str = "", of: str = "", finish: bool = True) -> BackupSet:
    manifest = Manifest(site=of or site.name, release="2024.1", made_at=made_at or now())
    made = BackupSet.begin(site.backup_dir / name, manifest)
    for part in required_parts("logical"):
        path = made.folder / f"{part}.bin"
        path.write_bytes(part.encode() * 1000)
        made.record(part, [path])
    if finish:
        made.finish()
    return made


def listed(call: Call, site: Site) -> dict[str, dict[str, Any]]:
    said = call("--site", site.file, "backup", "--list", "--json")
    assert said.code == 0, said.err
    document = json.loads(said.out)
    assert document["kind"] == "backups"
    return {row["set"]: row for row in document["sets"]}


def test_every_state_is_listed_and_what_is_missing(call: Call, site: Site) -> None:
    whole(site, "proved").proved(ProofSummary(proved_at=now(), server="10.11.6"))
    whole(site, "unverified")
    whole(site, "of-another", of="another")
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
    whole(site, "old", made_at=old)
    whole(site, "cut", finish=False)
    BackupSet.begin(site.backup_dir / "empty", Manifest(site=site.name, release="2024.1", made_at=now())).finish()
    (whole(site, "damaged").folder / "grants.bin").unlink()
    (site.backup_dir / "torn").mkdir()
    (site.backup_dir / "torn" / "manifest.json").write_text("{")
    (site.backup_dir / "rubbish").mkdir()
    found = listed(call, site)
    assert {name: row["state"] for name, row in found.items()} == {
        "proved": "proved", "unverified": "unverified", "old": "expired", "cut": "in-progress", "empty": "incomplete",
        "damaged": "unverified", "torn": "unreadable",
    }  # fmt: skip
    assert {name for name, row in found.items() if row["usable"]} == {"proved", "unverified", "old"}
    assert found["damaged"]["lost"] == ["grants.bin"]
    assert "databases" in found["empty"]["missing"]
    said = call("--site", site.file, "backup", "--list")
    assert said.code == 0
    for words in ("proved", "missing: databases", "1 files gone or cut", "nobody finished it", "2 days"):
        assert words in said.out, words
    assert said.out.rstrip().splitlines()[-1].startswith("Next:  upgrader")


def test_listing_changes_nothing_and_needs_no_journal(call: Call, site: Site) -> None:
    whole(site, "one")
    before = tree(site.file.parent)
    assert call("--site", site.file, "backup", "--list").code == 0
    assert call("--site", site.file, "backup", "--check", "one").code == 0
    assert tree(site.file.parent) == before


@pytest.mark.parametrize("damage", ["gone", "changed", "unfinished"])
def test_a_check_reads_every_byte(call: Call, site: Site, damage: str) -> None:
    made = whole(site, "one", finish=damage != "unfinished")
    path = made.folder / "grants.bin"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(data[:-1] + b"x")
    said = call("--site", site.file, "backup", "--check", "one", "--json")
    assert said.code == 3
    document = json.loads(said.out)
    if damage == "unfinished":
        assert document["state"] == "in-progress"
    else:
        assert "'grants': grants.bin" in " ".join(finding["message"] for finding in document["findings"])
    if damage == "changed":
        path.write_bytes(data)
        assert call("--site", site.file, "backup", "--check", "newest").code == 0


def test_a_manifest_that_is_not_the_journals(call: Call, site: Site, run: Run) -> None:
    made = whole(site, "one")
    run.journal.note("backup", {"backup_set": str(made.folder), "backup_manifest_sha256": manifest_sha256(made.folder)})
    run.close()
    assert call("--site", site.file, "backup", "--check", "one").code == 0
    path = made.folder / "manifest.json"
    path.write_text(path.read_text().replace('"2024.1"', '"2024.2"'))
    said = call("--site", site.file, "backup", "--check", "one")
    assert said.code == 3
    assert "not the one that the journal recorded" in said.out


def test_a_set_of_another_journal(call: Call, site: Site, run: Run) -> None:
    head = run.journal.snapshot().head
    for name, known in (("ours", head), ("theirs", "0" * 64)):
        BackupSet.begin(
            site.backup_dir / name, Manifest(site=site.name, release="2024.1", made_at=now(), journal_head=known)
        )
    run.close()
    assert "another journal" not in call("--site", site.file, "backup", "--check", "ours").out
    assert "another journal" in call("--site", site.file, "backup", "--check", "theirs").out


def test_a_write_of_the_tool_makes_sets_expire_but_not_the_one_in_use(call: Call, site: Site, run: Run) -> None:
    other, used = whole(site, "other"), whole(site, "used")
    run.stage(State.PREFLIGHT)
    attempt = run.intend(State.BACKUP)
    facts = {"backup_set": str(used.folder)}
    run.journal.finish(attempt, AttemptState.SUCCEEDED, Event.SUCCEEDED, schema_started=False, facts=facts)
    run.stage(State.PULL)
    run.stage(State.REHEARSE)
    run.journal.move(0, Event.SKIP, actor="engine", reason="none")
    assert {row["state"] for row in listed(call, site).values()} == {"unverified"}
    run.journal.move(0, Event.APPROVE, actor="anna", reason="go")
    run.intend(State.UPGRADE)
    found = listed(call, site)
    assert (found[other.folder.name]["state"], found[used.folder.name]["state"]) == ("expired", "unverified")


@pytest.mark.parametrize("words", [["--list", "--check", "x"], ["--for-run", "--no-proof"], ["--prove", "a", "--list"]])
def test_options_that_exclude_each_other(call: Call, site: Site, words: list[str]) -> None:
    call("--site", site.file, "backup", *words).is_clear(2, "exclude each other")


@pytest.mark.parametrize("words", [["--check", "none"], ["--prove", "none"], ["--check", "newest"], ["--check", ".."]])
def test_a_set_that_is_not_there(call: Call, site: Site, words: list[str]) -> None:
    call("--site", site.file, "backup", *words).is_clear(2, "There is no backup set")
    assert not site.state_dir.exists()


def test_somebody_else_holds_the_site(call: Call, site: Site) -> None:
    whole(site, "one")
    with acquire(site.state_dir, "run"):
        for words in ([], ["--prove", "one"], ["--for-run"]):
            assert call("--site", site.file, "backup", *words).code == 5
        assert list(listed(call, site)) == ["one"]
    assert [path.name for path in site.backup_dir.iterdir()] == ["one"]


def test_no_set_is_taken_beside_a_stage_at_work(
    call: Call, site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begun(State.PREFLIGHT)
    run.close()
    monkeypatch.setattr("upgrader.cli.driving.settle_dead", lambda _opened: True)
    call("--site", site.file, "backup").is_clear(3, "Stage preflight is under way")
    assert not site.backup_dir.exists()


def test_a_run_without_a_set_has_none_to_replace(call: Call, site: Site, run: Run) -> None:
    run.close()
    call("--site", site.file, "backup", "--for-run").is_clear(3, "No hop waits")


def test_a_new_set_becomes_the_way_back_of_the_waiting_hop(
    call: Call, site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.stage(State.PREFLIGHT)
    attempt = run.intend(State.BACKUP)
    facts = {"backup_set": "/gone", "backup_manifest_sha256": "0"}
    run.journal.finish(attempt, AttemptState.SUCCEEDED, Event.SUCCEEDED, schema_started=False, facts=facts)
    run.close()
    made = whole(site, "new")

    def proved(_opened: Session, _folder: Path, _narrate: object) -> tuple[()]:
        made.proved(ProofSummary(proved_at="2026-11-22T12:00:00Z", server="10.11.6"))
        return ()

    monkeypatch.setattr("upgrader.cli.backup_taking.take", lambda *_, **__: made.folder)
    monkeypatch.setattr(backup_cmd, "_proved", proved)
    said = call("--site", site.file, "backup", "--for-run", "--json")
    assert said.code == 0, said.out
    assert json.loads(said.out)["state"] == "proved"
    with open_journal(site.state_dir, readonly=True) as journal:
        hop = journal.snapshot().hop
        assert journal.verify() == ()
        kinds = [event.kind for event in journal.events()]
    assert hop is not None
    assert hop.facts["backup_set"] == str(made.folder)
    assert hop.facts["backup_manifest_sha256"] == manifest_sha256(made.folder)
    assert hop.facts["restore_point"] == "2026-11-22T12:00:00Z"
    assert kinds[-2:] == ["note.backup", "backup_replaced"]


def test_a_hop_whose_upgrade_began_keeps_its_set(call: Call, site: Site, run: Run) -> None:
    run.until(State.UPGRADE)
    run.stage(State.UPGRADE, AttemptState.FAILED, Event.FAILED)
    with pytest.raises(RefusedError, match="would not lead back"):
        run.journal.replace_backup(0, {"backup_set": "/x"}, "anna")
    assert run.journal.rebuild() == ()
    run.close()
    call("--site", site.file, "backup", "--for-run").is_clear(3)


@pytest.mark.slow
def test_a_whole_turn_on_the_sandbox(call: Call, tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    create_sandbox(root, "2024.1", (1, 0, 0), services=())
    file = root / "site" / "upgrader.toml"
    said = call("--site", file, "backup", "--json")
    assert said.code == 0, said.out
    document = json.loads(said.out)
    assert (document["state"], document["missing"]) == ("proved", [])
    assert {"definitions", "toolchain", "databases", "fernet-keys"} <= document["parts"].keys()
    assert document["rows"] > 0
    with open_journal(root / "state", readonly=True) as journal:
        notes = [event.data for event in journal.events(kinds=["note.backup"])]
    assert notes[-1]["backup_manifest_sha256"] == manifest_sha256(Path(document["folder"]))
    assert call("--site", file, "backup", "--check", "newest").code == 0
    path = next(Path(document["folder"]).glob("database/keystone.sql.*"))
    path.write_bytes(path.read_bytes()[:-1])
    assert call("--site", file, "backup", "--prove", document["set"]).code != 0
    (one,) = json.loads(call("--site", file, "backup", "--list", "--json").out)["sets"]
    assert (one["usable"], one["lost"]) == (False, [f"database/{path.name}"])
