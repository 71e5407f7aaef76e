"""What a staging cloud shares with production is refused, and every shared thing is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine_kit.place import site_of
from upgrader.errors import RefusedError
from upgrader.model import CloudFacts, HostFacts, ReleaseReading
from upgrader.staging.apart import (
    _addresses,
    refuse_shared,
    same_addresses,
    same_hosts,
    same_interfaces,
    same_site,
)

VIP, EXTERNAL = "kolla_internal_vip_address", "kolla_external_vip_address"


def cloud(**hosts: tuple[tuple[str, str], ...]) -> CloudFacts:
    found = tuple(HostFacts(name=name, addresses=held) for name, held in hosts.items())
    reading = ReleaseReading(kind="exact", release="2024.1")
    return CloudFacts(site="s", observed_at="2026-11-22T10:00:00Z", hosts=found, reading=reading)


def test_production_itself_is_no_staging(tmp_path: Path) -> None:
    production = site_of(tmp_path)
    assert same_site(production, production) == (f"the site file {production.file} is production's own",)


def test_shared_files_are_named_one_by_one(tmp_path: Path) -> None:
    production = site_of(tmp_path)
    staging = replace(production, file=tmp_path / "other.toml", backup_dir=tmp_path / "b")
    found = same_site(production, staging)
    assert [line.split(" (")[0] for line in found] == [
        "both sites are named crash", "both have the journal", "both have the configuration folder",
        "both have the inventory", "both have the passwords file",
    ]  # fmt: skip
    apart = replace(
        staging, name="st", state_dir=tmp_path / "s", config_dir=tmp_path / "k", inventory=tmp_path / "i",
        passwords=tmp_path / "p",
    )  # fmt: skip
    assert same_site(production, apart) == ()


def test_a_journal_reached_by_a_link_is_the_same(tmp_path: Path) -> None:
    production = site_of(tmp_path)
    production.state_dir.mkdir()
    (tmp_path / "link").symlink_to(production.state_dir)
    staging = replace(production, name="st", file=tmp_path / "o.toml", state_dir=tmp_path / "link")
    assert any("journal" in line for line in same_site(production, staging))


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ({VIP: "10.0.0.250"}, {VIP: "10.0.0.250"}, f"{VIP} is 10.0.0.250 on both"),
        ({VIP: "1", EXTERNAL: "2"}, {VIP: "2", EXTERNAL: "3"}, f"{VIP} is 2 on both (production's {EXTERNAL})"),
        ({VIP: "1"}, {}, f"{VIP} is not set on staging"),
        ({VIP: "1", "kolla_internal_fqdn": "a"}, {VIP: "2", "kolla_internal_fqdn": "a"}, "kolla_internal_fqdn is a"),
    ],
)
def test_shared_addresses(ours: dict[str, str], theirs: dict[str, str], found: str) -> None:
    assert same_addresses(ours, theirs)[0].startswith(found)


def test_addresses_of_their_own_and_expressions_pass() -> None:
    expression = "{{ kolla_internal_vip_address }}"
    assert same_addresses({VIP: "1", EXTERNAL: expression}, {VIP: "2", EXTERNAL: expression}) == ()


def test_hosts_are_known_by_the_address_they_are_reached_at() -> None:
    listed = {
        "_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1"}, "b": {"ansible_host": "{{ inventory_hostname }}.s"}}},
        "control": {"hosts": ["a", "b", "c"]},
        "deployment": {"hosts": ["localhost"]},
    }
    assert _addresses(listed) == {"a": "10.0.0.1", "b": "b.s", "c": "c"}
    assert same_hosts({"a": "10.0.0.1"}, {"a": "10.9.0.1"}) == (), "the same name elsewhere is another host"
    assert same_hosts({"a": "a"}, {"a": "a"}) == ("host a is in both inventories",)
    assert same_hosts({"a": "10.0.0.1"}, {"s": "10.0.0.1"}) == (
        "host s is in both inventories (10.0.0.1, which is a here)",
    )


def test_interfaces_that_hold_one_address() -> None:
    ours = cloud(ctl1=(("eth0", "10.0.0.1"), ("lo", "127.0.0.1"), ("docker0", "172.17.0.1")))
    theirs = cloud(s1=(("eth0", "10.0.0.1"), ("lo", "127.0.0.1"), ("docker0", "172.17.0.1")))
    assert same_interfaces(ours, theirs) == ("address 10.0.0.1 is held by s1 (eth0) and by production's ctl1 (eth0)",)
    assert same_interfaces(ours, None) == ()


def test_a_refusal_names_everything() -> None:
    refuse_shared([])
    with pytest.raises(RefusedError) as refused:
        refuse_shared(["host a is in both inventories", "x"])
    assert "host a is in both" in refused.value.message
    assert refused.value.details == ("host a is in both inventories", "x")
