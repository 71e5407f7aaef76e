"""Staging's configuration made from production's: what is taken over, what is refused, and nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from upgrader.config import Site, load_site
from upgrader.errors import ConfigError, RefusedError, UsageError
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import Toolchain, locate
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.secrets import value
from upgrader.staging import apart
from upgrader.staging import prepare as module
from upgrader.staging.passwords import in_the_data, not_production
from upgrader.staging.prepare import prepare

VIP = "kolla_internal_vip_address"
OWN_VIP = f'{VIP} = "10.30.0.250"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clouds")
    create_sandbox(root / "prod", "2024.1", (1, 0, 0), (), name="prod")
    (root / "hosts").write_text((root / "prod/site/inventory").read_text().replace("ctl", "stg"))
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Production's operator files in a folder of their own. Ansible is not asked for hosts: that costs seconds."""
    shutil.copytree(made / "prod/site", tmp_path / "site")
    shutil.copy(made / "hosts", tmp_path / "hosts")
    (tmp_path / "toolchains").symlink_to(made / "prod/toolchains")
    monkeypatch.setattr(module, "reached", hosts_of)
    return tmp_path


def hosts_of(_toolchain: Toolchain, inventory: Path, _vault: Path | None) -> dict[str, str]:
    names = [line for line in inventory.read_text().splitlines() if line.startswith(("ctl", "stg"))]
    return {f"{name}": name for name in names}


def site(root: Path, overrides: str = OWN_VIP, keys: str = 'inventory = "../hosts"\n') -> Site:
    file = root / "site/upgrader.toml"
    text = file.read_text().split("[staging]")[0]
    file.write_text(f'{text}[staging]\nsite = "../staging/upgrader.toml"\n{keys}[staging.overrides]\n{overrides}')
    return load_site(file)


def toolchain(production: Site) -> Toolchain:
    return locate(production, "2024.1")


def test_a_folder_and_a_site_file_are_made(root: Path) -> None:
    production = site(root, OWN_VIP + 'network_interface = "ens3"\nenable_x = true\n')
    (production.config_dir / "config/nova.conf").write_text("url = http://10.20.0.250:8774\n")
    (production.config_dir / "certificates").mkdir()
    done = prepare(production, toolchain(production))
    staging = load_site(done.site_file)
    said = site_settings(staging).values
    assert (staging.name, said[VIP], said["network_interface"]) == ("prod-staging", "10.30.0.250", "ens3")
    assert (said["enable_x"], said["openstack_release"], done.release) == ("yes", "2024.1", "2024.1")
    assert (staging.config_dir / "config/nova.conf").read_text() == "url = http://10.30.0.250:8774\n"
    assert "certificates" in done.left_out
    assert staging.inventory == root / "hosts"
    assert apart.same_site(production, staging) == ()
    assert (staging.config_dir / "globals.yml").stat().st_mode & 0o77 == 0
    assert staging.passwords.stat().st_mode & 0o77 == 0
    comment = "# moved by the upgrade"
    assert comment in (staging.config_dir / "globals.yml").read_text(), "the operator's comments stay"


def test_passwords_in_the_data_are_production_s_and_no_others(root: Path) -> None:
    production = site(root)
    done = prepare(production, toolchain(production))
    theirs = load_site(done.site_file).passwords
    for name in ("nova_database_password", "keystone_admin_password", "glance_keystone_password"):
        assert value(theirs, name) == value(production.passwords, name)
    for name in ("database_password", "rabbitmq_password", "keepalived_password", "horizon_secret_key"):
        assert value(theirs, name) not in ("", value(production.passwords, name)), "staging's own door, its own key"
    assert not_production(production, load_site(done.site_file), toolchain(production)) == ()


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("database_password", False), ("nova_api_database_password", True), ("mariadb_monitor_password", True),
        ("keystone_ssh_key", False), ("rabbitmq_password", False), ("barbican_crypto_key", True),
        ("designate_pool_id", True), ("heat_domain_admin_password", True), ("redis_master_password", False),
    ],
)  # fmt: skip
def test_which_passwords_the_data_stand_for(name: str, shared: bool) -> None:
    assert in_the_data(name) is shared


def test_staging_s_own_passwords_stay_when_it_is_made_again(root: Path) -> None:
    production = site(root)
    staging = load_site(prepare(production, toolchain(production)).site_file)
    before = value(staging.passwords, "rabbitmq_password")
    with pytest.raises(RefusedError, match="is there already"):
        prepare(production, toolchain(production))
    done = prepare(production, toolchain(production), replace=True)
    assert value(staging.passwords, "rabbitmq_password") == before
    assert done.kept is not None
    assert (done.kept / "globals.yml").read_bytes() == (staging.config_dir / "globals.yml").read_bytes()
    assert done.kept.stat().st_mode & 0o77 == 0
    assert not list(staging.config_dir.glob(".*making*")), "no copy of secrets is left"


def test_a_password_that_does_not_fit_is_named_and_never_shown(root: Path) -> None:
    production = site(root)
    staging = load_site(prepare(production, toolchain(production)).site_file)
    text = staging.passwords.read_text()
    staging.passwords.write_text(text.replace(value(staging.passwords, "nova_database_password"), "another-one"))
    assert not_production(production, staging, toolchain(production)) == ("nova_database_password",)


@pytest.mark.parametrize(
    ("overrides", "extra", "reason", "words"),
    [
        ("", "", "staging-override-missing", f"Staging has no {VIP} of its own."),
        (f'{VIP} = "10.20.0.250"\n', "", "staging-shared", f"{VIP} is 10.20.0.250 on both"),
        (OWN_VIP, 'kolla_external_vip_address: "1.2.3.4"\n', "staging-override-missing", "no kolla_external_vip_addr"),
        (OWN_VIP, "keepalived_virtual_router_id: 60\n", "staging-override-missing", "keepalived_virtual_router_id"),
        (OWN_VIP, "proxy_for: ctl1\n", "staging-names-production", "globals.yml, line"),
    ],
)
def test_what_both_would_share_is_refused_and_nothing_is_written(
    root: Path, overrides: str, extra: str, reason: str, words: str
) -> None:
    production = site(root, overrides)
    with (production.config_dir / "globals.yml").open("a") as file:
        file.write(extra)
    with pytest.raises(RefusedError) as refused:
        prepare(production, toolchain(production))
    assert refused.value.reason == reason
    assert words in refused.value.message
    assert not (root / "staging/upgrader.toml").exists()
    assert not (root / "staging/kolla").exists()


def test_hosts_in_both_inventories_are_refused(root: Path) -> None:
    production = site(root, keys='inventory = "../hosts"\n')
    (root / "hosts").write_text((production.inventory).read_text())
    with pytest.raises(RefusedError, match="host ctl1 is in both inventories"):
        prepare(production, toolchain(production))


def test_files_that_lead_to_production_s_storage_are_refused(root: Path) -> None:
    production = site(root, keys='inventory = "../hosts"\nconfig = "../own"\n')
    for name in ("glance/ceph.conf", "cinder/cinder-volume/ceph.client.cinder.keyring"):
        file = production.config_dir / "config" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("[global]\nmon_host = 10.1.1.1\n")
    (root / "own/config/glance").mkdir(parents=True)
    (root / "own/config/glance/ceph.conf").write_text("mon_host = 10.9.9.9\n")
    with pytest.raises(RefusedError) as refused:
        prepare(production, toolchain(production))
    assert refused.value.reason == "staging-storage"
    assert "ceph.client.cinder.keyring" in refused.value.message
    (root / "own/config/cinder/cinder-volume").mkdir(parents=True)
    (root / "own/config/cinder/cinder-volume/ceph.client.cinder.keyring").write_text("own\n")
    done = prepare(production, toolchain(production))
    assert (done.config_dir / "config/glance/ceph.conf").read_text() == "mon_host = 10.9.9.9\n"


def test_a_site_without_staging_or_hosts_says_what_is_missing(root: Path) -> None:
    production = load_site(root / "site/upgrader.toml")
    with pytest.raises(UsageError, match="names no staging site"):
        prepare(production, toolchain(production))
    production = site(root, keys="")
    with pytest.raises(ConfigError, match="inventory is not set"):
        prepare(production, toolchain(production))


def test_the_release_is_asked_for_where_nothing_says_it(root: Path) -> None:
    production = site(root)
    settings = production.config_dir / "globals.yml"
    settings.write_text(settings.read_text().replace("openstack_release:", "other:"))
    with pytest.raises(UsageError, match="do not say which release"):
        prepare(production, toolchain(production))
    assert prepare(production, toolchain(production), release="2024.1").release == "2024.1"


def test_nothing_of_production_s_is_written(root: Path) -> None:
    production = site(root)
    before = {path: path.read_bytes() for path in sorted((root / "site").rglob("*")) if path.is_file()}
    prepare(production, toolchain(production))
    assert {path: path.read_bytes() for path in sorted((root / "site").rglob("*")) if path.is_file()} == before


def test_a_host_named_like_a_word_of_the_files_is_no_stranger() -> None:
    ours = {"controller": "controller", "cmp1": "cmp1", "db": "10.0.0.5"}
    found = module._strangers({VIP: "10.0.0.250", "kolla_internal_fqdn": "{{ x }}"}, ours, {"cmp1": "10.9.0.1"})
    assert set(found) == {"10.0.0.250", "10.0.0.5"}
