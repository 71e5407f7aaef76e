"""Real places for off-box copies: folders, an OpenSSH server of our own, an object store; and sets to copy."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine_kit.place import site_of
from upgrader.config import Offbox, Site
from upgrader.database.manifest import BackupSet, Manifest, required_parts

PASSWORD = "canary-of-the-repository-4711"


def need(*programs: str) -> None:
    """Skip by name where a program is missing; in CI that is a failure, for there nothing may go untested."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [name for name in programs if shutil.which(name, path=places) is None]
    if missing:
        absent(f"{', '.join(missing)} not installed")


def absent(why: str) -> None:
    if os.environ.get("UPGRADER_CI"):
        pytest.fail(why)
    pytest.skip(why)


def a_site(place: Path, repository: str = "", **changes: object) -> Site:
    """A site whose copies go to `repository`, a folder of its own by default."""
    place.mkdir(parents=True, exist_ok=True)
    secret = place / "restic.password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    offbox = replace(Offbox(repository or str(place / "elsewhere"), secret), **changes)  # type: ignore[arg-type]
    return site_of(place, name="prod", offbox=offbox)


def again(site: Site, **changes: object) -> Site:
    """The same site with other settings for its copies."""
    assert site.offbox is not None
    return replace(site, offbox=replace(site.offbox, **changes))  # type: ignore[arg-type]


def a_set(
    site: Site, name: str = "2025.1-a", *, made_at: str = "2026-03-01T10:00:00Z", size: int = 3000, seed: int = 1
) -> Path:
    """A finished set: every part is there, `unverified`. What is in the files is chance, the same every time."""
    made = BackupSet.begin(site.backup_dir / name, Manifest(site=site.name, release="2025.1", made_at=made_at))
    chance = random.Random(f"{name}{seed}")  # noqa: S311 - nothing secret
    for part in required_parts("logical"):
        path = made.folder / ("database" if part == "databases" else ".") / f"{part}.bin"
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.write_bytes(chance.randbytes(size))
        made.record(part, [path])
    assert made.finish() == ()
    return made.folder


def proved(folder: Path) -> None:
    """Say of a set that it was restored, as the proof does."""
    found = BackupSet.open(folder)
    found.manifest = found.manifest.model_copy(update={"state": "proved"})
    found._write()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def recording(place: Path) -> Path:
    """A folder with a `restic` that notes its arguments and environment beside it, then is the real one."""
    real = shutil.which("restic")
    folder = place / "bin"
    folder.mkdir()
    (folder / "restic").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {folder / "arguments"}\nenv >> {folder / "environment"}\nexec {real} "$@"\n'
    )
    (folder / "restic").chmod(0o755)
    return folder


def locks(site: Site) -> list[Path]:
    """The repository's locks; a lock that is being written has a longer name, and is none yet."""
    assert site.offbox is not None
    return [path for path in Path(site.offbox.repository, "locks").iterdir() if len(path.name) == 64]
