"""A real hop in waves: controllers, a canary, a batch; killed in the batch, resumed, verified.

`UPGRADER_LAB_WAVES_DIR` names a lab to use, which then stays; `UPGRADER_LAB_CONTROLLERS` how many controllers it gets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.test_hop import ACCEPT, FROM, TO, Cloud, kill_in_mid_upgrade
from upgrader import attempts
from upgrader.config import load_site
from upgrader.graph import load_graph
from upgrader.lab import LabSite, lab_down, lab_up
from upgrader.states import State
from upgrader.survey import ask_of, looking_glass

pytestmark = [pytest.mark.lab_wide, pytest.mark.timeout(7200)]

COMPUTES = ("compute1", "compute2")


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSite]:
    chosen = os.environ.get("UPGRADER_LAB_WAVES_DIR")
    folder = Path(chosen or "/var/lib/upgrader-lab-waves")
    try:
        yield lab_up(folder, controllers=int(os.environ.get("UPGRADER_LAB_CONTROLLERS", "3")), computes=len(COMPUTES))
    finally:
        if not chosen:
            lab_down(folder)


class Waves(Cloud):
    """The lab's site, with Nova as this tool sees it."""

    def services(self) -> dict[str, tuple[bool, str, int]]:
        """Compute host → whether it takes instances, why not, and the version that its service has."""
        from upgrader.computes.plays import computes_of
        from upgrader.kolla.inventory import read_inventory

        site = load_site(self.site_file)
        toolchain = looking_glass(site, load_graph(), TO)
        inventory = read_inventory(toolchain, site.inventory)
        runner, folder = ask_of(site, toolchain, "waves")
        numbers = iter(range(99))
        nova = computes_of(
            site, toolchain, runner, inventory, lambda name: folder.with_name(f"{folder.name}-{next(numbers)}-{name}"),
            lambda: False,
        )  # fmt: skip
        return {one.host: (one.enabled, one.reason, one.version) for one in nova.services()}

    def steps(self) -> list[str]:
        """Names of the steps of every attempt at the upgrade, in order."""
        found = []
        for path in sorted(self.state_dir.glob("attempts/*/progress.jsonl"), key=os.path.getmtime):
            lines, _ = attempts.read_progress(path.parent)
            found += [str(line["step"]) for line in lines if line.get("kind") == "step_end"]
        return found


def test_a_real_hop_in_waves(lab: LabSite, tmp_path: Path) -> None:
    cloud = Waves(lab)
    plan = tmp_path / "plan.json"
    old_token = cloud.token()
    assert cloud.release() == FROM
    cloud.upgrader("toolchain", "build", TO)
    cloud.keep_services()
    cloud.upgrader("plan", "--to", TO, "--out", str(plan))
    waves = [(wave["kind"], tuple(wave["hosts"])) for wave in cloud.document("plan", "--to", TO)["waves"]]
    assert [kind for kind, _ in waves] == ["control", "canary", "batch"]
    assert [hosts for _, hosts in waves[1:]] == [COMPUTES[:1], COMPUTES[1:]]
    before = cloud.services()
    assert {host: row[:2] for host, row in before.items()} == dict.fromkeys(COMPUTES, (True, ""))

    # killed while the batch is upgraded: by then its host is out of scheduling
    cloud.upgrader("run", str(plan), *ACCEPT, expect=9)
    cloud.upgrader("approve")
    kill_in_mid_upgrade(cloud, ["resume"], after="", step="batch 1: upgrade")
    left = cloud.services()
    assert left[COMPUTES[0]][0], "the canary serves"
    assert not left[COMPUTES[1]][0] and left[COMPUTES[1]][1].startswith("upgrader: ")

    # resumed: what is done is not done again, whoever was left out serves again
    seen = len(cloud.steps())
    cloud.upgrader("resume", expect=9)
    again = cloud.steps()[seen:]
    assert "control plane: upgrade" not in again and "canary: upgrade" not in again
    assert "batch 1: upgrade" in again
    assert cloud.state() is State.HOLD_FINALIZE
    after = cloud.services()
    assert all(row[0] for row in after.values())
    assert all(after[host][2] > before[host][2] for host in COMPUTES)
    assert cloud.release() == TO
    assert cloud.valid(old_token)
    cloud.upgrader("approve")
    cloud.upgrader("resume")
    assert cloud.document("history", "--verify")["chain"]["whole"]
