"""What lies on this machine besides settings: own configuration, passwords, backups. Unreadable is unknown."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine_kit.place import prepare
from upgrader.config import Site
from upgrader.database.manifest import BackupSet, Manifest
from upgrader.keeping import HIDDEN, custom_files, custom_folder, custom_options, keeping
from upgrader.kolla.passwords import PasswordNames, names

PLAIN = PasswordNames(("a", "b"), ("a",), encrypted=False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = prepare(tmp_path)
    (tmp_path / "kolla").mkdir()
    found = replace(made, config_dir=tmp_path / "kolla", passwords=tmp_path / "kolla" / "passwords.yml")
    found.passwords.write_text("a: secret\nb:\n")
    found.passwords.chmod(0o640)
    return found


def test_the_folder_is_kollas_unless_it_is_said(site: Site) -> None:
    assert custom_folder(site) == site.config_dir / "config"
    assert custom_folder(site, "/srv/own") == Path("/srv/own")
    assert custom_folder(site, "{{ node_config }}/config") == site.config_dir / "config"


def test_files_and_options(tmp_path: Path) -> None:
    (tmp_path / "nova").mkdir()
    (tmp_path / "nova" / "nova-compute.conf").write_text(
        "# note\n[DEFAULT]\nreserved_host_memory_mb = 2048\ntransport_url=rabbit://u:pw@h\n"
        "[database]\nconnection = mysql://u:pw@h\nmax_retries=-1\n; x = 1\n"
    )
    (tmp_path / "galera.cnf").write_text("max_connections = 1\nmy_password = canary\n")
    (tmp_path / "policy.yaml").write_text("a: b\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    files = custom_files(tmp_path)
    assert files == ("galera.cnf", "nova/nova-compute.conf", "policy.yaml")
    assert custom_options(tmp_path, files) == (
        "galera.cnf max_connections = 1",
        f"galera.cnf my_password = {HIDDEN}",
        "nova/nova-compute.conf [DEFAULT] reserved_host_memory_mb = 2048",
        f"nova/nova-compute.conf [DEFAULT] transport_url = {HIDDEN}",
        f"nova/nova-compute.conf [database] connection = {HIDDEN}",
        "nova/nova-compute.conf [database] max_retries = -1",
    )


@pytest.mark.parametrize("content", [b"\xff\xfe", b"$ANSIBLE_VAULT;1.1;AES256\n00", b"a" * (1024 * 1024 + 1)])
def test_a_file_that_cannot_be_read_makes_the_options_unknown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nova.conf").write_bytes(content)
    files = custom_files(tmp_path)
    assert files == ("nova.conf",)
    assert custom_options(tmp_path, files) is None


def test_no_folder_is_no_file(tmp_path: Path) -> None:
    assert custom_files(tmp_path / "none") == ()
    assert custom_options(tmp_path / "none", ()) == ()


def test_names_of_passwords(site: Site) -> None:
    assert names(site.passwords) == PasswordNames(("a", "b"), ("a",), encrypted=False)
    site.passwords.write_text("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nb:\n")
    assert names(site.passwords).encrypted
    site.passwords.write_text("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nb: plain\n")
    assert not names(site.passwords).encrypted


def test_passwords_under_version_control(site: Site) -> None:
    kept = keeping(site, PLAIN, ())
    assert (kept.passwords_in_git, kept.passwords_mode, kept.passwords_encrypted) == (False, "0640", False)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (["init", "-q"], ["add", "passwords.yml"]):
        assert keeping(site, PLAIN, ()).passwords_in_git is False
        subprocess.run(["git", "-C", site.config_dir, *words], check=True, env=environment)
    assert keeping(site, PLAIN, ()).passwords_in_git is True
    (site.config_dir / ".git" / "HEAD").write_text("broken")
    assert keeping(site, None, ()).passwords_in_git is None
    assert keeping(site, None, ()).passwords_encrypted is None


def test_backups_are_those_of_this_site(site: Site) -> None:
    assert (keeping(site, PLAIN, ()).backups, keeping(site, PLAIN, ()).last_backup_at) == (0, "")
    rows = (("a", "prod", "unverified", "3"), ("b", site.name, "proved", "1"), ("c", site.name, "unverified", "2"),
            ("d", site.name, "in-progress", "4"))  # fmt: skip
    for name, owner, state, day in rows:
        made = Manifest(site=owner, release="2025.1", made_at=f"2026-01-0{day}T00:00:00Z", state=state)  # type: ignore[arg-type]
        BackupSet.begin(site.backup_dir / name, made)
    (site.backup_dir / "rubbish").mkdir()
    (site.backup_dir / "rubbish" / "manifest.json").write_text("{")
    kept = keeping(site, PLAIN, ("ctl1",))
    assert (kept.backups, kept.last_backup_at, kept.last_proved_at) == (
        2, "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert kept.backup_place == "this machine"
    assert keeping(site, PLAIN, ("localhost",)).backup_place == "host of the cloud"
