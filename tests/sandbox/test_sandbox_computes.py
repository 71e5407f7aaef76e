"""Nova of a whole sandbox: through its engine as a shell calls it, and through real Ansible."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_kit import PYTHON
from upgrader.computes.plays import NovaComputes, computes_of
from upgrader.computes.port import ComputesError, ComputesStopped
from upgrader.computes.program import program
from upgrader.config import load_site
from upgrader.errors import UsageError
from upgrader.kolla.inventory import read_inventory
from upgrader.kolla.toolchain import locate
from upgrader.runner.ansible import AnsibleRunner
from upgrader.sandbox import computes as planted
from upgrader.sandbox import engine, store, world
from upgrader.sandbox.create import create_sandbox


@pytest.fixture
def nova(tmp_path: Path) -> Path:
    root = tmp_path / "cloud"
    create_sandbox(root, "2024.1", (1, 3, 0), services=("glance", "placement", "nova", "neutron"))
    return root


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(nova: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The engine's command line, in this process."""

    def asked(host: str = "ctl1", **request: Any) -> dict[str, Any]:
        monkeypatch.setattr("sys.stdin", io.StringIO(program(request)))
        code = engine.main([f"{nova}/hosts/{host}", "exec", "-i", "nova_api", PYTHON, "-", "computes"])
        out, err = capsys.readouterr()
        return json.loads(out) if code == 0 else {"refused": err.strip()}

    return asked


def test_a_cloud_and_its_troubles(nova: Path, ask: Ask) -> None:
    found = ask(do="services")
    assert [(row["name"], row["up"], row["enabled"], row["version"]) for row in found["services"]] == [
        (name, True, True, 67) for name in ("cmp1", "cmp2", "cmp3")
    ]
    assert len(ask(do="instances", hosts=["cmp1", "cmp2", "cmp3"])["instances"]) == 12
    assert {row["kind"] for row in ask(do="agents")["agents"]} >= {"Open vSwitch agent", "DHCP agent"}
    world.Host(str(nova), "cmp1").stop("nova_compute")
    planted.plant_service(nova, "cmp2", silent="2024.1")
    planted.plant_service(nova, "cmp3", silent="2025.1")
    assert {row["name"]: row["up"] for row in ask(do="services")["services"]} == {
        "cmp1": False,
        "cmp2": False,
        "cmp3": True,
    }
    ask(do="disable", hosts=["cmp3"], reason="x")
    assert store.effects(str(nova))["compute-disable:cmp3"] == 1
    with pytest.raises(UsageError, match="no compute host ctl1"):
        planted.plant_service(nova, "ctl1", silent="")
    world.Host(str(nova), "ctl1").stop("haproxy")
    assert ask(do="services") == {"error": "HTTP 503: no haproxy runs", "status": 503}
    assert "No such container: nova_api" in ask("cmp1", do="services")["refused"]


def over_ansible(root: Path, folder: Path, **more: Any) -> NovaComputes:
    site = load_site(root / "site" / "upgrader.toml")
    toolchain = locate(site, "2024.1")
    inventory = read_inventory(toolchain, site.inventory)
    numbers = itertools.count()
    options: dict[str, Any] = {"cancelled": lambda: False, **more}
    return computes_of(
        site, toolchain, AnsibleRunner(cancel_files=(folder / "cancel",)), inventory,
        lambda name: folder / f"{next(numbers)}-{name}", **options,
    )  # fmt: skip


@pytest.mark.slow
def test_a_host_from_disabling_to_enabling_with_real_plays(nova: Path, tmp_path: Path) -> None:
    planted.plant_name(nova, "cmp2", "node8")
    computes = over_ansible(nova, tmp_path, last=AnsibleRunner())
    assert [(item.host, item.name) for item in computes.services()] == [
        ("cmp1", "cmp1"),
        ("cmp3", "cmp3"),
        ("cmp2", "node8"),
    ]
    assert [item.how for item in computes.disable(["cmp2"], "run 1")] == ["done"]
    done = computes.drain("cmp2", ["cmp1", "cmp3"], 60, lambda: False)
    assert done.complete and len(done.moved) == 4 and {to for _, to in done.moved} == {"cmp1", "cmp3"}
    trial = computes.trial("cmp2", "cmp1")
    assert trial.passed, trial.why
    (tmp_path / "cancel").touch()
    with pytest.raises(ComputesStopped):
        computes.services()
    assert [item.how for item in computes.enable(["cmp1", "cmp2"])] == ["already", "done"]
    assert planted.state_of(nova)["services"]["node8"]["disabled"] is False


@pytest.mark.slow
def test_no_api_with_real_plays(nova: Path, tmp_path: Path) -> None:
    world.Host(str(nova), "ctl1").remove("nova_api")
    with pytest.raises(ComputesError) as error:
        over_ansible(nova, tmp_path).services()
    assert error.value.details == ("ctl1: Error response from daemon: No such container: nova_api",)
