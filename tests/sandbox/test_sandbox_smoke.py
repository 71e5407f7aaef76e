"""The sandbox's answer to the trial of its APIs, and a whole verification of it with troubles planted."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import a_hop, graph
from tests.sandbox_kit import password
from upgrader import durable
from upgrader.config import load_site
from upgrader.context import AttemptContext
from upgrader.model import AttemptRequest, Code, Plan, StageOutcome
from upgrader.sandbox import schemas, smoke, world
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import damage_answer, damage_container, plant_log
from upgrader.smoke.inside import things
from upgrader.stages import verify
from upgrader.stages.base import StageContext, conduct_stage

RUNS = ["glance", "nova", "nova-compute", "neutron", "cinder"]


def tried(cloud: Path, runs: list[str] | None = None, mode: str = "full") -> dict[str, tuple[bool | None, str]]:
    host = world.Host(str(cloud), "ctl1")
    admin = password(cloud, "keystone_admin_password")
    said = smoke.answer(host, "http://vip:5000", "admin", admin, {"mode": mode, "runs": RUNS if runs is None else runs})
    return {step["step"]: (step["ok"], step["words"]) for step in said["steps"]}


def bad(steps: dict[str, tuple[bool | None, str]]) -> list[str]:
    return [name for name, (ok, _) in steps.items() if ok is not True]


def test_it_follows_from_what_runs(cloud: Path) -> None:
    assert (smoke.NAME, smoke.MARK) == (things.NAME, things.MARK)
    assert bad(tried(cloud)) == []
    assert "member" not in tried(cloud, mode="read-only")
    assert bad(tried(cloud, ["glance"])) == ["server"]
    damage_container(cloud, "cmp1", "nova_compute", status="exited")
    assert tried(cloud)["server"][1] == "status 503: No server is available to handle this request (nova_compute)"
    damage_container(cloud, "ctl1", "keystone", status="exited")
    assert bad(tried(cloud)) == ["token"]


def test_faults_and_leftovers_can_be_planted(cloud: Path) -> None:
    damage_answer(cloud, "smoke", **{"image-download": "status 500: planted", "quota-nova": None})
    steps = tried(cloud)
    assert steps["image-download"] == (False, "status 500: planted")
    assert steps["quota-nova"] == (None, "planted")
    keystone = schemas.load(str(cloud), "keystone")
    assert keystone
    keystone["tables"]["user"]["rows"].append(["u-9", "upgrader-smoke-0123abcd", ""])
    schemas.save(str(cloud), "keystone", keystone)
    assert tried(cloud)["leftovers"][1] == "1 things of an interrupted trial removed"
    assert tried(cloud)["leftovers"][1] == "none of an interrupted trial"


# ---------------------------------------------------------------- a whole verification, with the real Ansible


class Verified:
    """Stage verify on a sandbox whose hop began and ended some minutes ago."""

    def __init__(self, root: Path) -> None:
        self.root = root
        create_sandbox(root, "2025.1", (1, 1, 0), services=("glance", "placement", "nova", "neutron"))
        self.site = load_site(root / "site" / "upgrader.toml")
        self.began, self.ended = time.time() - 900, time.time() - 300
        at = {"started.json": {"at": iso(self.began)}, "exit.json": {"ended_at": iso(self.ended)}}
        self.folder({"request.json": {"run": "r", "hop": 0, "stage": "upgrade"}, **at})

    def folder(self, files: dict[str, dict[str, Any]]) -> Path:
        place = self.site.state_dir / "attempts" / str(uuid.uuid4())
        place.mkdir(parents=True)
        for name, document in files.items():
            durable.write_json(place / name, document)
        return place

    def log(self, host: str, path: str, at: float, text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        plant_log(self.root, host, path, f"{stamp}.000 7 {text}\n")

    def attempt(self) -> StageOutcome:
        plan = Plan.model_validate(
            {
                "from": "2024.2", "to": "2025.1", "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (a_hop("2024.2", "2025.1"),),
            }
        )  # fmt: skip
        folder = self.folder({})
        request = AttemptRequest(
            attempt=folder.name, run="r", epoch=1, hop=0, stage="verify", number=1, site_file=str(self.site.file),
            plan_file="p", state_dir=str(self.site.state_dir),
        )  # fmt: skip
        return conduct_stage(verify.work, StageContext(request, self.site, plan, graph(), AttemptContext(folder)))


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


@pytest.mark.slow
def test_a_verification_from_end_to_end(tmp_path: Path) -> None:
    made = Verified(tmp_path / "cloud")
    made.log("cmp1", "nova/nova-compute.log", made.began - 600, "ERROR nova.x [-] as ever 1")
    for second in range(12):
        made.log(
            "cmp1", "nova/nova-compute.log", made.ended + second, f"ERROR nova.x [-] lost {second} password=f00barbaz"
        )
    outcome = made.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    found = {finding.id: finding for finding in outcome.findings}
    assert found["smoke"].code is Code.SUCCESS
    assert (found["errors-rise"].code, found["errors-rise"].host) == (Code.WARNING, "cmp1")
    assert found["errors-rise"].evidence == "new, 12 times: nova.x [-] lost # password=..."
    admin = password(made.root, "keystone_admin_password")
    written = [path for path in made.site.state_dir.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if admin.encode() in path.read_bytes() or b"f00barbaz" in path.read_bytes()]

    damage_answer(made.root, "smoke", server="status 200: the server is in ERROR: No valid host was found.")
    outcome = made.attempt()
    assert (outcome.verdict, [one.id for one in outcome.findings if one.blocks]) == ("failed", ["smoke-server"])
    damage_answer(made.root, "smoke", server=None)
    assert made.attempt().verdict == "inconclusive"
    damage_container(made.root, "cmp1", "nova_compute", status="exited")
    outcome = made.attempt()
    assert outcome.verdict == "failed"
    assert {"container-not-running", "service-silent"} <= {one.id for one in outcome.findings if one.blocks}
