"""Killed, stopped and out of space at every step: asked again, it goes on, and nothing half-made counts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.house.tree import REPO
from tests.offbox_kit import a_set, a_site, again, contents, locks, need
from upgrader.config import Site
from upgrader.database.offbox import copy_set
from upgrader.database.offbox_copies import copies, repository, start_repository
from upgrader.database.offbox_fetch import fetch_set
from upgrader.database.retention import local_sets, remove_local
from upgrader.durable import FAILPOINT
from upgrader.errors import EnvironmentMissingError, UpgraderError

pytestmark = pytest.mark.slow

_COPY = """
import sys
from pathlib import Path
from tests.offbox_kit import a_site
from upgrader.database.offbox import copy_set
print(copy_set(a_site(Path(sys.argv[1]), sys.argv[2]), Path(sys.argv[3])).facts["offbox_verified"], flush=True)
"""


def copying(site: Site, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    assert site.offbox is not None
    return subprocess.Popen(
        [sys.executable, "-c", _COPY, str(site.file.parent), site.offbox.repository, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPO), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=REPO,
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    need("restic", "setpriv")
    made = a_site(tmp_path / "site")
    start_repository(made)
    return made


def data_bytes(site: Site) -> int:
    assert site.offbox is not None
    return sum(path.stat().st_size for path in Path(site.offbox.repository, "data").rglob("*") if path.is_file())


@pytest.mark.parametrize("point", ["offbox:copied", "offbox:read-back"])
def test_killed_between_two_steps(site: Site, point: str) -> None:
    folder = a_set(site)
    process = copying(site, folder, **{FAILPOINT: point})
    assert process.wait(120) == -signal.SIGKILL
    assert [copy.verified for copy in copies(repository(site))] == [False]
    held = data_bytes(site)
    assert copy_set(site, folder).facts["offbox_verified"] == "yes"
    assert [copy.verified for copy in copies(repository(site))] == [True]
    assert data_bytes(site) - held < 3000, "what was there was copied again"


def test_killed_while_it_copies(site: Site) -> None:
    """restic is ended with us, its lock is taken away, and the next call makes a whole copy."""
    folder = a_set(site, size=12_000_000)
    process = copying(site, folder)
    ends = time.monotonic() + 120
    while data_bytes(site) == 0:
        assert time.monotonic() < ends and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait(60)
    copied = copy_set(again(site, timeout_seconds=120), folder)
    assert copied.facts["offbox_verified"] == "yes", copied.findings
    assert [one.verified for one in copies(repository(site))] == [True], (copied.findings, locks(site))
    assert locks(site) == []


def test_stopped_by_the_operator(site: Site) -> None:
    folder = a_set(site)
    with pytest.raises(UpgraderError) as stopped:
        copy_set(site, folder, cancelled=lambda: True)
    assert stopped.value.exit_code == 130
    # restic may have been quicker with so small a set; what it left does not count
    assert not any(copy.verified for copy in copies(repository(site)))
    assert copy_set(site, folder).facts["offbox_verified"] == "yes"


def test_killed_while_a_set_is_removed(site: Site) -> None:
    for day in (1, 2, 3):
        a_set(site, f"set-{day}", made_at=f"2026-03-0{day}T10:00:00Z")
    script = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\nfrom tests.offbox_kit import a_site\n"
        "from upgrader.database.retention import remove_local\n"
        "remove_local(replace(a_site(Path(sys.argv[1])), backup_keep=1), (), print)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(site.file.parent)], cwd=REPO, check=False, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(REPO), FAILPOINT: "retention:renamed"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert [folder.name for folder, _ in local_sets(site)] == ["set-2", "set-3"]
    remove_local(replace(site, backup_keep=1), (), print)
    assert [path.name for path in site.backup_dir.iterdir()] == ["set-3"]


# ---------------------------------------------------------------- no space


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    need("mount", "umount")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_no_space_at_the_other_place(small_disk: Path, tmp_path: Path) -> None:
    need("restic")
    site = a_site(tmp_path / "site", str(small_disk / "store"))
    start_repository(site)
    folder = a_set(site, size=2_000_000)
    before = contents(folder)
    copied = copy_set(site, folder)
    assert [one.id for one in copied.findings] == ["offbox-full"], copied
    assert copied.facts["offbox_verified"] == "no" and contents(folder) == before
    assert copies(repository(site)) == ()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert copy_set(site, folder).facts["offbox_verified"] == "yes"


def test_no_space_for_a_set_that_is_fetched(small_disk: Path, site: Site) -> None:
    copy_set(site, a_set(site, size=2_000_000))
    narrow = replace(site, backup_dir=small_disk / "backups")
    with pytest.raises(EnvironmentMissingError, match="No space left") as full:
        fetch_set(narrow, "latest")
    assert full.value.reason == "fetch-no-room"
    assert list(narrow.backup_dir.iterdir()) == []


def test_a_fetch_that_was_killed_is_begun_anew(site: Site) -> None:
    copied = copy_set(site, a_set(site))
    before = contents(site.backup_dir)
    shutil.rmtree(site.backup_dir)
    half = site.backup_dir / f".fetching-{copied.facts['offbox_snapshot'][:8]}"
    half.mkdir(parents=True)
    (half / "grants.bin").write_text(json.dumps("half"))
    fetch_set(site, "latest")
    assert contents(site.backup_dir) == before
