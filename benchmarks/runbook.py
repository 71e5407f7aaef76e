"""Measures the change document: `python benchmarks/runbook.py`. Whole commands, from a cold start, three hops.

Prints the seconds of the median round (wall and processor), the size of the page, and how both grow with hosts.
Exit code 1 when 300 hosts take more than 1.5 s or make a page of more than 1 MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.runbook.made import graph, site_plan  # noqa: E402
from upgrader.config import load_site  # noqa: E402
from upgrader.facts.binding import config_sha256  # noqa: E402
from upgrader.journal import open_journal  # noqa: E402
from upgrader.model import Binding  # noqa: E402
from upgrader.plan_file import write_plan  # noqa: E402

SECONDS, BYTES = 1.5, 1_000_000
SITE = (
    '[site]\nname = "prod-fra"\n[kolla]\nconfig_dir = "kolla"\ninventory = "kolla/multinode"\n[state]\ndir = "state"\n'
)
CONTAINERS = ("cron", "fluentd", "kolla_toolbox", "nova_compute", "nova_libvirt", "neutron_openvswitch_agent")


def prepare(folder: Path, hosts: int) -> Path:
    """A site with a journal and the plan of three hops for that many hosts, as `upgrader plan --out` writes it."""
    (folder / "kolla").mkdir()
    (folder / "kolla" / "globals.yml").write_text('openstack_release: "2024.1"\n')
    (folder / "kolla" / "passwords.yml").write_text("")
    (folder / "kolla" / "multinode").write_text("[control]\nctl1\n")
    (folder / "upgrader.toml").write_text(SITE)
    site = load_site(folder / "upgrader.toml")
    with open_journal(site.state_dir, create=True) as journal:
        snapshot = journal.snapshot()
    names = [f"cmp{number:03}" for number in range(hosts)]
    images = tuple((host, name, f"registry:4000/kolla/{name}:2024.1") for host in names for name in CONTAINERS)
    made = site_plan("2024.1", "2025.2", site=site).model_copy(
        update={
            "lineage": snapshot.lineage,
            "serial": snapshot.serial,
            "graph_sha256": graph().sha256,
            "hosts": tuple((name, ("compute", "neutron-openvswitch-agent", "nova-compute")) for name in names),
            "binding": Binding(running="2024.1", config_sha256=config_sha256(site), images=images),
        }
    )
    write_plan(made, folder / "plan.json")
    return folder / "plan.json"


def measure(folder: Path, plan: Path, kind: str) -> tuple[float, float, int]:
    """(wall seconds, processor seconds, bytes) of one cold command."""
    out = folder / f"change.{kind}"
    command = [sys.executable, "-m", "upgrader", "runbook", str(plan), "--no-look", "--out", str(out)]
    before, began = os.times(), time.perf_counter()
    subprocess.run([*command, "--site", str(folder / "upgrader.toml")], check=True, capture_output=True, cwd=REPO)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, out.stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, nargs="*", default=[3, 300, 400])
    given = parser.parse_args()
    kept = True
    for hosts in given.hosts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            plan = prepare(folder, hosts)
            for kind in ("html", "md"):
                rounds = [measure(folder, plan, kind) for _ in range(given.rounds)]
                wall, cpu, size = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(  # noqa: T201
                    f"3 hops, {hosts:3} hosts, {kind:4}  {wall:5.2f} s  ({cpu:4.2f} s processor)  {size / 1000:6.0f} KB"
                )
                if hosts == 300:
                    kept &= wall <= SECONDS and size <= BYTES
    print(f"limits for 300 hosts: {SECONDS} s, {BYTES // 1000} KB: {'kept' if kept else 'MISSED'}")  # noqa: T201
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
