"""The published packages themselves: their genconfig, rendered aside; their samples, against the graph's groups.

Builds real toolchains, or takes those in UPGRADER_TEST_TOOLCHAINS.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from upgrader.graph import load_graph
from upgrader.kolla.aside.compare import read_rendering
from upgrader.kolla.aside.conceal import marker, placeholders
from upgrader.kolla.aside.render import render
from upgrader.kolla.build import build_toolchain
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.inventory_patch import plan_patch, sample_groups
from upgrader.kolla.pins import pins_of
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.ansible import AnsibleRunner

pytestmark = pytest.mark.slow

RELEASES = ("2024.1", "2024.2", "2025.1", "2025.2", "2026.1")
GLOBALS = """\
kolla_base_distro: debian
kolla_internal_vip_address: 192.0.2.5
network_interface: eth0
enable_openstack_core: "no"
enable_keystone: "yes"
enable_fluentd: "no"
enable_proxysql: "no"
"""


@dataclass(frozen=True)
class Cloud:
    config_dir: Path
    inventory: Path
    passwords: Path
    extra_vars: tuple[Path, ...] = ()
    vault_password_file: Path | None = None
    forks: int = 2


@pytest.fixture(scope="session", params=RELEASES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    ready = os.environ.get("UPGRADER_TEST_TOOLCHAINS")
    if ready and (Path(ready) / request.param).exists():
        return Toolchain(request.param, Path(ready) / request.param)
    return build_toolchain(pins_of(request.param), tmp_path_factory.mktemp("toolchains"))


def cloud(folder: Path, toolchain: Toolchain) -> Cloud:
    """One controller at an address where nothing answers, in the release's own sample inventory."""
    folder.mkdir()
    (folder / "globals.yml").write_text(GLOBALS)
    (folder / "passwords.yml").write_text("database_password: canary-database\nkeystone_admin_password: canary-admin\n")
    lines, section = [], ""
    for line in toolchain.example_inventory.read_text().splitlines():
        section = line if line.startswith("[") else section
        hosts = section in ("[control]", "[network]", "[compute]", "[monitoring]", "[storage]")
        lines += [line] if line.startswith("[") or not hosts else []
        lines += ["ctl1 ansible_host=192.0.2.1 ansible_user=nobody"] if line in ("[control]", "[network]") else []
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    return Cloud(folder, folder / "hosts", folder / "passwords.yml")


def facts(folder: Path) -> Path:
    folder.mkdir()
    interface = {"active": True, "device": "eth0", "ipv4": {"address": "192.0.2.1", "prefix": "24"}, "ipv6": []}
    known = {
        "ansible_hostname": "ctl1",
        "ansible_nodename": "ctl1",
        "ansible_fqdn": "ctl1",
        "ansible_interfaces": ["eth0"],
        "ansible_eth0": interface,
        "ansible_processor_vcpus": 4,
        "ansible_os_family": "Debian",
        "ansible_distribution": "Debian",
        "ansible_distribution_release": "bookworm",
        "ansible_distribution_major_version": "12",
        "ansible_memtotal_mb": 8000,
        "ansible_architecture": "x86_64",
    }
    (folder / "ctl1.json").write_text(json.dumps(known))
    return folder


def test_a_keystone_cloud_is_rendered_whole_without_contacting_it(built: Toolchain, tmp_path: Path) -> None:
    site = cloud(tmp_path / "kolla", built)
    passwords = tmp_path / "placeholders.yml"
    passwords.write_text(placeholders(site.passwords, built.example_passwords))
    made = render(
        site,
        built,
        AnsibleRunner(),
        tmp_path / "work",
        hosts=["ctl1"],
        facts=facts(tmp_path / "facts"),
        passwords=passwords,
    )
    assert (made.error, made.failed) == ("", ())
    shown = {name: text for (_, name), text in read_rendering(made.root, marker(b"k")).items()}
    assert {"keystone/keystone.conf", "mariadb/galera.cnf", "haproxy/haproxy.cfg", "keepalived/keepalived.conf"} <= set(
        shown
    )
    assert "PASSWORD_keystone_database_password" in shown["keystone/keystone.conf"]
    assert "canary" not in "".join(shown.values()) and str(tmp_path) not in "".join(shown.values())
    placed = [line for line in made.left_out if " → " in line]
    assert all(str(made.root) not in line for line in placed), "what was left out was meant for elsewhere"


def test_the_sample_inventory_lacks_nothing_and_the_one_before_lacks_what_the_graph_says(
    built: Toolchain, tmp_path: Path
) -> None:
    graph = load_graph()
    sample = sample_groups(built)
    hop = next(graph.hop(*edge) for edge in graph.edges if edge[1] == built.release)
    whole = Inventory(hosts={}, groups=dict.fromkeys(sample, ()))
    path = tmp_path / "hosts"
    path.write_text("[control]\n")
    assert not plan_patch(path, whole, (hop,), {built.release: built}, prove=False).added
    before = (set(sample) - set(hop.groups.added)) | set(hop.groups.removed)
    patch = plan_patch(
        path, Inventory(hosts={}, groups=dict.fromkeys(before, ())), (hop,), {built.release: built}, prove=False
    )
    assert set(patch.added) == set(hop.groups.added) and not patch.hostless and not patch.strange
