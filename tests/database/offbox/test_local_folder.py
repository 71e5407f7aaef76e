"""Copies in a folder, made by the real restic: what counts, what does not, and how a set comes back."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.offbox_kit import PASSWORD, a_set, a_site, again, contents, locks, need, proved, recording
from upgrader.config import Site
from upgrader.database.offbox import copy_set
from upgrader.database.offbox_copies import copies, repository, start_repository
from upgrader.database.offbox_fetch import fetch_set
from upgrader.database.restic import Restic
from upgrader.database.retention import remove_copies, remove_local
from upgrader.errors import RefusedError
from upgrader.model import Code


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh repository, made once."""
    need("restic")
    site = a_site(tmp_path_factory.mktemp("empty"))
    start_repository(site)
    return Path(repository(site).offbox.repository)


@pytest.fixture
def site(tmp_path: Path, empty: Path) -> Site:
    made = a_site(tmp_path)
    shutil.copytree(empty, tmp_path / "elsewhere")
    return made


def ids(found: tuple[object, ...]) -> list[str]:
    return [one.id for one in found]  # type: ignore[attr-defined]


def test_a_set_is_copied_read_back_and_comes_back(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tools = recording(tmp_path)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    folder = a_set(site)
    before, said = contents(folder), []
    first = copy_set(site, folder, said.append)
    assert [(one.id, one.code) for one in first.findings] == [("offbox-verified", Code.SUCCESS)]
    assert first.facts["offbox_verified"] == "yes"
    (copy,) = copies(repository(site))
    assert copy.verified and copy.id == first.facts["offbox_snapshot"]
    assert (copy.set_name, copy.site, copy.state) == ("2025.1-a", "prod", "unverified")
    # asked again, nothing is copied or read
    (tools / "arguments").unlink()
    assert copy_set(site, folder).facts == first.facts
    assert not {"backup", "dump"} & set((tools / "arguments").read_text().split())
    shutil.rmtree(site.backup_dir)
    fetched = fetch_set(site, "latest", said.append)
    assert fetched.folder == folder and contents(folder) == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "database")} == {0o700}
    told = [*said, str(first), *capfd.readouterr()]
    seen = [(tools / name).read_text() for name in ("arguments", "environment")]
    assert not any(PASSWORD in text for text in (*told, *seen))


def test_no_repository_is_made_unasked(tmp_path: Path) -> None:
    need("restic")
    site = a_site(tmp_path)
    copied = copy_set(site, a_set(site))
    assert ids(copied.findings) == ["offbox-no-repository"]
    assert copied.findings[0].blocks and copied.findings[0].next == "upgrader backup --init-offbox"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_a_repository_is_never_made_over_another(site: Site) -> None:
    with pytest.raises(RefusedError, match="already"):
        start_repository(site)


def test_a_wrong_password_is_named_and_not_shown(site: Site) -> None:
    folder = a_set(site)
    repository(site).offbox.password_file.write_text("canary-of-another-one")
    copied = copy_set(site, folder)
    assert ids(copied.findings) == ["offbox-wrong-password"]
    assert "canary" not in str(copied)


@pytest.mark.slow
def test_a_copy_that_was_not_read_back_does_not_count(site: Site) -> None:
    copied = copy_set(again(site, reread=False), a_set(site))
    assert ids(copied.findings) == ["offbox-not-verified"]
    assert copied.facts["offbox_verified"] == "no"
    assert [one.verified for one in copies(repository(site))] == [False]


@pytest.mark.slow
def test_a_damaged_copy_is_found_and_never_counts(site: Site, tmp_path: Path) -> None:
    folder = a_set(site)
    copy_set(again(site, reread=False), folder)
    largest = max((tmp_path / "elsewhere" / "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[1000] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)
    copied = copy_set(site, folder)
    assert ids(copied.findings) == ["offbox-not-verified"] and copied.findings[0].blocks
    assert copied.facts["offbox_verified"] == "no"
    assert not any(one.verified for one in copies(repository(site)))
    here = contents(folder)
    with pytest.raises(RefusedError):
        fetch_set(site, "latest")
    assert [path.name for path in site.backup_dir.iterdir()] == [folder.name] and contents(folder) == here


@pytest.mark.slow
def test_a_set_damaged_here_is_not_blamed_on_the_copy(site: Site) -> None:
    folder = a_set(site)
    damaged = folder / "grants.bin"
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    copied = copy_set(site, folder)
    assert "was damaged before it was copied" in copied.findings[0].message
    assert "grants.bin" in copied.findings[0].evidence


@pytest.mark.slow
def test_fetching_overwrites_nothing_and_takes_no_foreign_set(site: Site) -> None:
    folder = a_set(site)
    copied = copy_set(site, folder)
    fetched = fetch_set(site, copied.facts["offbox_snapshot"][:8])
    assert fetched.folder.name.startswith(f"{folder.name}-fetched-")
    with pytest.raises(RefusedError, match="does not hold the copy 00000000"):
        fetch_set(site, "00000000")
    with pytest.raises(RefusedError, match="of the site 'prod'"):
        fetch_set(replace(site, name="other"), folder.name)
    with pytest.raises(RefusedError, match="does not hold a copy"):
        fetch_set(replace(site, name="other"), "latest")


@pytest.mark.slow
def test_what_is_needed_survives_every_rule(site: Site) -> None:
    """Four sets, one may stay: so do the proved one, the one of the run, and another site's."""
    names = ["a-running", "b-proved", "c-old", "d-new"]
    folders = [a_set(site, name, made_at=f"2026-03-0{day}T10:00:00Z") for day, name in enumerate(names, 1)]
    proved(folders[1])
    stranger = replace(site, name="other", backup_dir=site.backup_dir / "other")
    assert copy_set(stranger, a_set(stranger, "z-foreign", made_at="2020-01-01T00:00:00Z")).facts
    for folder in folders:
        assert copy_set(site, folder).facts["offbox_verified"] == "yes"
    tight = replace(again(site, keep_last=1), backup_keep=1)
    assert ids(remove_copies(tight, {"a-running"}, print)) == ["offbox-copies-removed"]
    assert {one.set_name for one in copies(repository(site))} == {"a-running", "b-proved", "d-new", "z-foreign"}
    assert ids(remove_local(tight, {"a-running"}, print)) == ["backup-sets-removed"]
    assert {path.name for path in site.backup_dir.iterdir()} == {"a-running", "b-proved", "d-new", "other"}
    assert fetch_set(site, "b-proved").manifest.state == "proved"


@pytest.fixture
def lock_holder(site: Site) -> subprocess.Popen[bytes]:
    """A restic that holds a lock, as one that copies does: it waits for what it is to copy."""
    there = repository(site)
    process = subprocess.Popen(
        ["restic", "backup", "--stdin"],
        env={**os.environ, **there._environment},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ends = time.monotonic() + 60
    while not locks(site):
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_lock_of_our_own_dead_process_is_taken_away(site: Site, lock_holder: subprocess.Popen[bytes]) -> None:
    lock_holder.send_signal(signal.SIGKILL)
    lock_holder.wait(60)
    assert len(locks(site)) == 1
    copied = copy_set(again(site, timeout_seconds=60), a_set(site))
    assert ids(copied.findings) == ["offbox-verified"]
    assert locks(site) == []


@pytest.mark.slow
def test_a_lock_of_a_living_process_is_left_alone(
    site: Site, lock_holder: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Restic.await_lock
    monkeypatch.setattr(
        Restic, "await_lock", lambda there, _until, **words: waiting(there, 0.0, **words)
    )  # as when time is up
    try:
        copied = copy_set(site, a_set(site))
        # copies may be made beside each other; only the mark has to wait
        assert ids(copied.findings) == ["offbox-not-marked", "offbox-verified"]
        assert len(locks(site)) == 1 and str(lock_holder.pid) in str(copied.findings[0])
    finally:
        lock_holder.kill()
        lock_holder.wait(60)
