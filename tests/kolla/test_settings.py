"""globals.yml and globals.d encrypted as a whole: read and edited with the site's key, and left alone without it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runner_kit import sealed
from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.globals_yml import apply_edit, globals_files, plan_edit
from upgrader.kolla.settings import site_key, site_settings
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import decrypt, encrypted

PLAIN = b'---\r\n# mine\r\nopenstack_release:  "2025.1"  # leave\r\nhidden_word: canary-word'


@dataclass
class Site:
    config_dir: Path
    toolchains_dir: Path
    vault_password_file: Path | None
    extra_vars: tuple[Path, ...] = ()

    @property
    def main(self) -> Path:
        return self.config_dir / "globals.yml"

    @property
    def files(self) -> tuple[Path, ...]:
        return globals_files(self.config_dir, "2025.2", self.extra_vars)


@pytest.fixture
def site(tmp_path: Path, toolchain: Toolchain) -> Site:
    (tmp_path / "right").write_text("open sesame\n")
    (tmp_path / "kolla" / "globals.d").mkdir(parents=True)
    toolchain.site_yml.parent.mkdir(parents=True, exist_ok=True)
    toolchain.site_yml.touch()
    made = Site(tmp_path / "kolla", toolchain.dir.parent, tmp_path / "right")
    made.main.write_bytes(sealed(b"open sesame", PLAIN, "prod"))
    made.main.chmod(0o640)
    return made


def test_it_is_read_beside_files_in_the_clear(site: Site) -> None:
    (site.config_dir / "globals.d" / "a.yml").write_text("enable_x: yes\n")
    other = site.config_dir / "globals.d" / "b.yml"
    other.write_bytes(sealed(b"open sesame", b"enable_x: no\n"))
    said = site_settings(site)
    assert (said.get("openstack_release"), said.get("enable_x")) == ("2025.1", "no")
    assert said.where["enable_x"] == (other, 1)


@pytest.mark.slow
def test_an_edit_changes_the_line_alone_and_keeps_it_encrypted(site: Site, tmp_path: Path) -> None:
    before = site.main.read_bytes()
    (edit,) = plan_edit(site.files, {"openstack_release": "2025.2"}, site_key(site))
    assert site.main.read_bytes() == before, "planning writes nothing"
    assert edit.diff == () and b"2025" not in edit.after
    apply_edit(edit, tmp_path / "keep")
    apply_edit(edit, tmp_path / "keep")
    after = site.main.read_bytes()
    assert encrypted(after) and after.split(b"\n")[0].endswith(b";prod")
    assert decrypt(after, site.main, site_key(site)()) == PLAIN.replace(b"2025.1", b"2025.2")
    assert stat.S_IMODE(site.main.stat().st_mode) == 0o640
    assert [copy.read_bytes() for copy in (tmp_path / "keep").iterdir()] == [before]
    assert plan_edit(site.files, {"openstack_release": "2025.2"}, site_key(site)) == ()
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary-word" not in everything, "the plain text is on no disk"


def test_where_the_setting_stands_in_the_clear_nothing_is_encrypted_anew(site: Site, tmp_path: Path) -> None:
    (site.config_dir / "globals.d" / "upgrader.yml").write_text('openstack_release: "2025.1"\n')
    before = site.main.read_bytes()
    (edit,) = plan_edit(site.files, {"openstack_release": "2025.2"}, site_key(site))
    apply_edit(edit, tmp_path / "keep")
    assert site.main.read_bytes() == before
    assert site_settings(site).get("openstack_release") == "2025.2"


@pytest.mark.parametrize(
    ("password", "words"),
    [(None, "no vault password file"), ("gone", "does not exist"), ("wrong", "wrong vault password for")],
)
def test_a_locked_file_is_named_and_left_alone(site: Site, tmp_path: Path, password: str | None, words: str) -> None:
    (tmp_path / "wrong").write_text("canary-wrong\n")
    site.vault_password_file = tmp_path / password if password else None
    before = site.main.read_bytes()
    with pytest.raises(ConfigError, match=words) as read:
        site_settings(site)
    with pytest.raises(ConfigError, match=words):
        plan_edit(site.files, {"openstack_release": "2025.2"}, site_key(site))
    assert str(site.main) in read.value.message or "vault_password_file" in read.value.message
    assert "canary" not in read.value.message
    assert site.main.read_bytes() == before


def test_without_a_toolchain_nothing_opens_it_and_plain_settings_need_none(site: Site, tmp_path: Path) -> None:
    site.toolchains_dir = tmp_path / "none"
    with pytest.raises(EnvironmentMissingError, match="No toolchain is built"):
        site_settings(site)
    site.main.write_bytes(PLAIN)
    assert site_settings(site).get("openstack_release") == "2025.1"
