"""What a plan is bound to, and how differences are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud_kit.facts import cloud, container, heads_of, host, names
from tests.cloud_kit.hosts import FolderCloud, make_cloud
from upgrader.errors import ConfigError
from upgrader.facts.binding import bind, config_sha256, drift
from upgrader.model import Binding


@pytest.fixture
def site(tmp_path: Path) -> FolderCloud:
    made = make_cloud(tmp_path, {"control": ["ctl1"]})
    (made.site.config_dir / "globals.d").mkdir()
    (made.site.config_dir / "globals.d" / "50.yml").write_text("a: 1\n")
    return made


def binding(site: FolderCloud, key: bytes = b"k", release: str = "2025.1") -> Binding:
    facts = cloud(host("ctl1", container("keystone", release)), heads=heads_of(release, "keystone"))
    return bind(site.site, facts, "inv", key, names())


def test_nothing_changed_is_no_drift(site: FolderCloud) -> None:
    assert drift(binding(site), binding(site)) == ()
    assert binding(site).images == (("ctl1", "keystone", "registry:4000/kolla/keystone:2025.1-debian-bookworm"),)


@pytest.mark.parametrize("name", ["globals.yml", "globals.d/50.yml", "config/nova.conf"])
def test_every_file_of_the_configuration_counts(site: FolderCloud, name: str) -> None:
    before = config_sha256(site.site)
    path = site.site.config_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed: yes\n")
    assert config_sha256(site.site) != before


def test_names_and_contents_cannot_be_swapped_unseen(site: FolderCloud) -> None:
    folder = site.site.config_dir
    (folder / "a").write_text("1")
    (folder / "b").write_text("2")
    before = config_sha256(site.site)
    (folder / "a").write_text("2")
    (folder / "b").write_text("1")
    assert config_sha256(site.site) != before


def test_a_file_under_another_name_counts(site: FolderCloud) -> None:
    folder = site.site.config_dir
    (folder / "a").write_text("1")
    before = config_sha256(site.site)
    (folder / "a").rename(folder / "b")
    assert config_sha256(site.site) != before


def test_a_line_moved_from_one_file_to_the_next_counts(site: FolderCloud) -> None:
    folder = site.site.config_dir
    (folder / "a").write_text("12")
    (folder / "a2").write_text("3")
    before = config_sha256(site.site)
    (folder / "a").write_text("1")
    (folder / "a2").write_text("23")
    assert config_sha256(site.site) != before


def test_passwords_and_state_do_not_count_as_configuration(site: FolderCloud) -> None:
    before = config_sha256(site.site)
    site.site.passwords.write_text("database_password: other\n")
    (site.site.config_dir / "globals.yml~").write_text("x")
    assert config_sha256(site.site) == before
    assert drift(binding(site), binding(site)) == ()


def test_passwords_are_bound_by_a_keyed_hash_only(site: FolderCloud) -> None:
    before = binding(site)
    assert binding(site, key=b"other").passwords_hmac != before.passwords_hmac
    site.site.passwords.write_text("database_password: other\n")
    assert drift(before, binding(site)) == ("passwords.yml has changed",)


def test_differences_name_hosts_containers_and_schemas(site: FolderCloud) -> None:
    before = Binding(
        running="2025.1",
        images=(("a", "cron", "i:1"), ("a", "heat_api", "i:1")),
        heads=cloud(host("a"), heads={"heat": ("x",), "nova": ("y",)}).heads,
    )
    now = Binding(
        running="",
        images=(("a", "cron", "i:2"), ("b", "cron", "i:2")),
        heads=cloud(host("a"), heads={"heat": ("z",), "glance": ()}).heads,
    )
    assert drift(before, now) == (
        "running release: was 2025.1, is not known",
        "a: container cron runs i:2, was i:1",
        "a: container heat_api is gone (was i:1)",
        "b: container cron is new (i:2)",
        "schema of glance: was not there, is no head",
        "schema of heat: was x, is z",
        "schema of nova: was y, is not there",
    )


def test_a_file_that_cannot_be_read_is_named(site: FolderCloud) -> None:
    site.site.passwords.unlink()
    with pytest.raises(ConfigError, match=r"passwords\.yml cannot be read"):
        binding(site)
