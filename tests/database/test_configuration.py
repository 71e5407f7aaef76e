"""The site's own files in a backup set."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.cloud_kit.hosts import PASSWORD, FolderCloud, make_cloud
from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.errors import ConfigError


@pytest.fixture
def site(tmp_path: Path) -> FolderCloud:
    return make_cloud(tmp_path, {"control": ["ctl1"]})


def begun(site: FolderCloud) -> BackupSet:
    return BackupSet.begin(site.root / "backups" / "one", Manifest(site="s", release="2025.1", made_at=now()))


def members(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return {Path(member.name).name for member in tar if member.isfile()}


def test_three_parts_and_passwords_in_their_own(site: FolderCloud) -> None:
    (site.site.config_dir / "config").mkdir()
    (site.site.config_dir / "config" / "nova.conf").write_text("[DEFAULT]\n")
    made = begun(site)
    save_configuration(site.site, made)
    assert {part.name for part in made.manifest.parts} == {"configuration", "inventory", "passwords"}
    assert members(made.folder / "configuration.tar") == {"globals.yml", "nova.conf", "upgrader.toml"}
    assert members(made.folder / "passwords.tar") == {"passwords.yml"}
    assert members(made.folder / "inventory.tar") == {"inventory"}
    assert PASSWORD.encode() not in (made.folder / "configuration.tar").read_bytes()


def test_modes_come_back(site: FolderCloud) -> None:
    made = begun(site)
    save_configuration(site.site, made)
    with tarfile.open(made.folder / "passwords.tar") as tar:
        (member,) = tar.getmembers()
    assert member.mode & 0o777 == 0o600
    assert Path("/", member.name) == site.site.passwords


def test_a_missing_file_is_named(site: FolderCloud) -> None:
    site.site.inventory.unlink()
    with pytest.raises(ConfigError, match="inventory cannot be saved"):
        save_configuration(site.site, begun(site))
