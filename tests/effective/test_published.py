"""The published packages themselves: builds real toolchains, or takes those in UPGRADER_TEST_TOOLCHAINS."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.effective.conftest import make_site
from upgrader.effective import compute
from upgrader.effective.released import Released
from upgrader.gates import variables_needed
from upgrader.graph import load_graph
from upgrader.kolla.build import build_toolchain
from upgrader.kolla.inventory import read_inventory
from upgrader.kolla.pins import pins_of
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import HostFacts
from upgrader.record import Effective
from upgrader.runner.ansible import AnsibleRunner

pytestmark = pytest.mark.slow

EXPECTED = {
    # enable_proxysql, om_enable_rabbitmq_quorum_queues
    "2024.1": ("no", True),
    "2024.2": ("yes", True),
    "2025.1": ("yes", None),
    "2025.2": ("yes", None),
    "2026.1": (True, None),
}
"""kolla-ansible 18.8.0, 19.8.0, 20.6.0: ansible/group_vars/all.yml; 21.3.0, 22.2.0: all/proxysql.yml."""
GLOBALS = """---
kolla_internal_vip_address: "10.1.2.3"
network_interface: eth0
enable_cinder: yes  # block storage
"""


@pytest.fixture(scope="module", params=sorted(EXPECTED))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    ready = os.environ.get("UPGRADER_TEST_TOOLCHAINS")
    if ready and (Path(ready) / request.param).exists():
        return Toolchain(request.param, Path(ready) / request.param)
    return build_toolchain(pins_of(request.param), tmp_path_factory.mktemp("toolchains"))


@pytest.fixture(scope="module")
def found(built: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Effective:
    """Every variable that gates ask for, on the release's own sample inventory, with passwords that are canaries."""
    root = tmp_path_factory.mktemp("site")
    names = Released(built).example_passwords
    passwords = "".join(f"{name}: canary-{number}-{name}\n" for number, name in enumerate(sorted(names)))
    files = {"kolla/globals.yml": GLOBALS, "kolla/globals.d/n.yml": "neutron_plugin_agent: ovn\n"}
    site = make_site(root, {**files, "kolla/passwords.yml": passwords})
    shutil.copy(built.example_inventory, site.inventory)
    inventory = read_inventory(built, site.inventory)
    hosts = tuple(
        HostFacts(name=name, os="ubuntu-24.04", addresses=(("eth0", f"10.1.2.{number}"),))
        for number, name in enumerate(sorted(inventory.hosts), start=10)
    )
    wanted = variables_needed(load_graph()) | {"database_address", "cinder_target_helper", "rpc_transport_url"}
    return compute(site, built, inventory, wanted, AnsibleRunner(), root / "f", hosts=hosts)


def value(found: Effective, name: str) -> object:
    variable = found.find(name)
    return None if variable is None or variable.value is None else json.loads(variable.value)


def test_what_a_release_makes_of_a_small_site(found: Effective):
    assert (found.error, found.by) == ("", "toolchain")
    assert value(found, "enable_cinder") is True
    assert value(found, "neutron_plugin_agent") == "ovn"
    assert value(found, "database_address") == "10.1.2.3"
    assert (value(found, "enable_proxysql"), value(found, "om_enable_rabbitmq_quorum_queues")) == EXPECTED[
        found.release
    ]
    assert value(found, "cinder_target_helper") == "tgtadm"


def test_a_removed_variable_is_not_there(found: Effective):
    assert (found.find("om_enable_rabbitmq_quorum_queues") is None) == (found.release >= "2025.1")


def test_little_is_unknown_and_nothing_without_a_reason(found: Effective):
    unknown = {item.name: item.error for item in found.variables if item.value is None and not item.per_host}
    assert all(unknown.values())
    assert len(unknown) < 25, unknown
    assert not any(name.startswith("enable_") for name in unknown)


def test_where_it_comes_from(found: Effective):
    variable = found.find("neutron_plugin_agent")
    assert variable is not None and variable.configured
    assert [item.kind for item in variable.definitions] == ["release default", "globals"]
    assert variable.definitions[-1].place == "globals.d/n.yml:1"


def test_no_password_is_told(found: Effective):
    assert "canary-" not in json.dumps(found.document())
    assert "withheld" in found.find("rpc_transport_url").error  # type: ignore[union-attr]
