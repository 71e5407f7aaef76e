"""A real play of the sandbox is killed between a role's setting and its unsetting; what it left is put right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox_kit import configure, kill_play_when
from upgrader.config import load_site
from upgrader.graph import load_graph
from upgrader.kolla.inventory import remembered_inventory
from upgrader.kolla.toolchain import locate
from upgrader.leftovers.work import Asked, probe, put_right
from upgrader.model import Code
from upgrader.runner.ansible import AnsibleRunner
from upgrader.sandbox import left, world
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault, clear_faults

pytestmark = pytest.mark.slow
HOP = ("2025.1", "2025.2")


@pytest.fixture
def killed(tmp_path: Path) -> Callable[[str, str], tuple[Asked, Path]]:
    def make(task: str, name: str) -> tuple[Asked, Path]:
        root = tmp_path / "cloud"
        site = load_site(create_sandbox(root, "2025.1", (3, 0, 0), services=("glance",)))
        configure(root, "2025.2")
        add_fault(root, "slow", task=task, seconds=60)
        hosts = [world.Host(str(root), host) for host in world.hosts(str(root))]
        kill_play_when(root, "2025.2", "upgrade", lambda: any(left.values(host).get(name) for host in hosts))
        clear_faults(root)
        toolchain = locate(site, "2025.2")
        inventory = remembered_inventory(toolchain, site.inventory, None, tmp_path / "inventories")
        asked = Asked(site, toolchain, AnsibleRunner(), inventory, lambda play: _fresh(tmp_path, play))
        return asked, root

    return make


def _fresh(folder: Path, name: str) -> Path:
    return folder / f"{len(list(folder.iterdir()))}-{name}"


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [
        ("Set wsrep_sst_method to mariabackup", "wsrep_sst_method", "leftover-sst-method"),
        ("Restart rabbitmq container", left.MAINTENANCE, "leftover-broker-maintenance"),
        ("Restart keystone container", "log_bin_trust_function_creators", "leftover-function-creators"),
    ],
)
def test_what_a_killed_role_left_is_put_right(
    killed: Callable[[str, str], tuple[Asked, Path]], task: str, name: str, expected: str
) -> None:
    asked, root = killed(task, name)
    findings = put_right(asked, load_graph(), HOP)
    assert {(one.id, one.code) for one in findings} == {(expected, Code.SUCCESS)}, findings
    assert not any(left.values(world.Host(str(root), host)) for host in world.hosts(str(root)))
    assert probe(asked, load_graph(), HOP).found == ()
