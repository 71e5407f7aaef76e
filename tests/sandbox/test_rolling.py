"""A hop in waves on a whole sandbox: killed in a batch and resumed; stopped by a bad canary and taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from upgrader.sandbox import computes, store
from upgrader.sandbox.create import create_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COMPUTES = ("cmp1", "cmp2", "cmp3")


class Cloud:
    """A sandbox of one controller and three compute hosts whose site file asks for waves."""

    def __init__(self, place: Path) -> None:
        self.root = place / "cloud"
        self.site = create_sandbox(self.root, "2024.2", (1, 3, 0))
        text = self.site.read_text().replace('computes = "together"', "").replace('"1min"', '"5s"')
        self.site.write_text(text)
        self.plan = self.root / "plan.json"
        done = self("plan", "--to", "2025.1", "--out", str(self.plan))
        assert done.returncode == 0, done.stderr

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "upgrader", "--site", str(self.site), *words]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.words(*words), capture_output=True, text=True, check=False, timeout=1200)

    def run(self) -> list[str]:
        return self.words("run", str(self.plan), "--auto-approve", "--accept", "not-rehearsed=a sandbox")

    @property
    def status(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self("status", "--json").stdout)
        return document

    def release(self, host: str) -> str:
        image = store.read(f"{self.root}/hosts/{host}/containers/nova_compute.json")["image"]
        return str(image).rpartition(":")[2].partition("-")[0]

    def disabled(self) -> dict[str, str]:
        services = computes.state_of(self.root)["services"]
        return {host: about.get("reason", "") for host, about in services.items() if about.get("disabled")}

    def progress(self) -> str:
        return "".join(path.read_text() for path in self.root.glob("state/attempts/*/progress.jsonl"))

    def kill(self) -> None:
        """Everything of the attempt, at once."""
        for entry in Path("/proc").iterdir():
            try:
                ours = entry.name.isdigit() and b"UPGRADER_ATTEMPT=" in (entry / "environ").read_bytes()
                if ours and str(self.root).encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def test_killed_in_a_batch_and_resumed(cloud: Cloud) -> None:
    computes.plant_service(cloud.root, "cmp3", disabled="its disk is dying")
    running = subprocess.Popen(cloud.run(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 600
    while '"step": "batch 1: upgrade"' not in cloud.progress().replace('":"', '": "'):
        assert running.poll() is None and time.monotonic() < ends
        time.sleep(0.1)
    cloud.kill()
    running.wait(300)
    left = cloud.disabled()
    assert left["cmp3"] == "its disk is dying"
    assert left.get("cmp2", "upgrader: ").startswith("upgrader: ")
    assert cloud.release("cmp1") == "2025.1" and cloud.release("cmp3") == "2024.2"
    done = cloud("resume", "--auto-approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.disabled() == {"cmp3": "its disk is dying"}, "ours are enabled again, the operator's is not"
    assert {cloud.release(host) for host in COMPUTES} == {"2025.1"}
    said = done.stdout + done.stderr
    assert "canary: upgrade" not in said, "what was done is not done again"
    assert "control plane: upgrade" not in said


def test_a_bad_canary_stops_the_hop_and_it_is_taken_back(cloud: Cloud) -> None:
    computes.plant_service(cloud.root, "cmp1", silent="2025.1")
    done = subprocess.run(cloud.run(), capture_output=True, text=True, check=False, timeout=1200)
    said = done.stdout + done.stderr
    assert done.returncode == 8, said
    assert "canary: cmp1: nova-compute is not up" in said
    assert (cloud.release("cmp1"), cloud.release("cmp2")) == ("2025.1", "2024.2")
    assert cloud.disabled() == {}
    back = cloud("rollback", "--restore", "--confirm", "sandbox", "--reason", "the canary failed")
    assert back.returncode == 7, back.stdout + back.stderr
    assert {cloud.release(host) for host in COMPUTES} == {"2024.2"}
    assert cloud.disabled() == {}
