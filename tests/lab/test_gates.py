"""Gates meet the real thing: a cloud of three controllers, broken on purpose, red, mended, green again.

What is broken: the virtual address (nobody's, two owners'), a Fernet key out of step, a disk that fills up, a database
server that is stopped, a broker that is cut off. And the outage that is known beforehand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from upgrader.lab import LabSite, lab_down, lab_up

pytestmark = [pytest.mark.lab_wide, pytest.mark.timeout(4500)]

PATIENCE = 240.0
"""Seconds that a cloud may take to be well again: a database server rejoining, a broker noticing its peers."""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabSite]:
    """Three controllers; `UPGRADER_LAB_WIDE_DIR` names a lab to use, which then stays."""
    chosen = os.environ.get("UPGRADER_LAB_WIDE_DIR")
    folder = Path(chosen or "/var/lib/upgrader-lab-wide")
    try:
        yield lab_up(folder, controllers=3)
    finally:
        if not chosen:
            lab_down(folder)


class Cloud:
    def __init__(self, lab: LabSite) -> None:
        self.lab = lab
        self.site_file = lab.site_dir / "upgrader.toml"

    def check(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "upgrader", "--site", str(self.site_file), "check", "--json", *words]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert run.returncode in {0, 3}, run.stderr
        found: dict[str, Any] = json.loads(run.stdout)
        return found

    def open(self, *words: str) -> dict[str, dict[str, Any]]:
        """Open findings by id: what is red or yellow."""
        findings = self.check("--to", "2025.2", *words)["findings"]
        print(*(f"  {item['code']:8} {item['id']} {item['host']}: {item['message']}" for item in findings), sep="\n")
        return {item["id"]: item for item in findings if item["code"] != "success"}

    def node(self, name: str, command: str, *, check: bool = True) -> str:
        """A shell command on one node."""
        words = ["docker", "--host", self.lab.docker_host, "exec", name, "sh", "-c", command]
        run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        assert not check or run.returncode == 0, f"{name}: {command}: {run.stderr}"
        return run.stdout.strip()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(f"control{number}" for number in range(1, self.lab.controllers + 1))

    @property
    def vip(self) -> str:
        return self.lab.api.split("//")[1].rsplit(":", 1)[0]

    def holder(self) -> str:
        return next(name for name in self.nodes if f" {self.vip}/" in self.node(name, "ip -o -4 addr"))


@pytest.fixture(scope="module")
def cloud(lab: LabSite) -> Cloud:
    return Cloud(lab)


@contextmanager
def broken(red: Callable[[], None], green: Callable[[], None]) -> Iterator[None]:
    try:
        red()
        yield
    finally:
        green()


def turns_red_and_green(
    cloud: Cloud, finding: str, red: Callable[[], None], green: Callable[[], None]
) -> dict[str, Any]:
    """The finding is not there, comes with the damage, and goes with the repair. Returns it as it was seen."""
    assert finding not in cloud.open(), "it was red before anything was broken"
    with broken(red, green):
        seen = _until(cloud, lambda found: finding in found)
    _until(cloud, lambda found: finding not in found)
    return seen[finding]


def _until(cloud: Cloud, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    ends = time.monotonic() + PATIENCE
    while True:
        found = cloud.open()
        if right(found):
            return found
        assert time.monotonic() < ends, f"still {sorted(found)}"
        time.sleep(5)


def test_a_whole_cloud_has_no_trouble_of_its_own(cloud: Cloud) -> None:
    found = cloud.check("--to", "2025.2")["findings"]
    of_the_cloud = [item for item in found if not item["hop"] and item["code"] == "failure"]
    assert of_the_cloud == [], "the cloud itself is well"


def test_the_known_outage_is_blocked_beforehand(cloud: Cloud) -> None:
    """2025.1 → 2025.2 without ProxySQL takes every API down; seen on such a lab, six minutes before the play fails.

    The lab knows a way around it, a listener of its own in HAProxy's configuration: without that, it is blocked.
    """
    (own,) = (cloud.lab.site_dir / "kolla").rglob("haproxy-config/*.cfg")
    aside = cloud.lab.dir / own.name
    seen = turns_red_and_green(
        cloud, "2025.2-proxysql-mandatory", lambda: own.rename(aside) and None, lambda: aside.rename(own) and None
    )
    assert seen["code"] == "failure" and "enable_proxysql" in seen["evidence"]


def test_nobody_holds_the_virtual_address(cloud: Cloud) -> None:
    def all_nodes(verb: str) -> Callable[[], None]:
        return lambda: (
            [cloud.node(name, f"systemctl {verb} kolla-keepalived-container") for name in cloud.nodes] and None
        )

    seen = turns_red_and_green(cloud, "vip-no-owner", all_nodes("stop"), all_nodes("start"))
    assert seen["code"] == "failure" and cloud.vip in seen["message"]


def test_two_hosts_hold_the_virtual_address(cloud: Cloud) -> None:
    other = next(name for name in cloud.nodes if name != cloud.holder())
    seen = turns_red_and_green(
        cloud,
        "vip-two-owners",
        lambda: cloud.node(other, f"ip addr add {cloud.vip}/32 dev eth0") and None,
        lambda: cloud.node(other, f"ip addr del {cloud.vip}/32 dev eth0") and None,
    )
    assert other in seen["host"] and seen["code"] == "failure"


def test_a_fernet_key_out_of_step(cloud: Cloud) -> None:
    keys = "/var/lib/docker/volumes/keystone_fernet_tokens/_data"
    seen = turns_red_and_green(
        cloud,
        "fernet-keys-differ",
        lambda: (
            cloud.node("control2", f"cp -p {keys}/0 /root/kept && head -c 32 /dev/urandom | base64 > {keys}/0") and None
        ),
        lambda: cloud.node("control2", f"cp -p /root/kept {keys}/0") and None,
    )
    assert "control2" in seen["host"]


def test_a_disk_that_fills_up(cloud: Cloud) -> None:
    """The floor is set a little below what is free now; then a real file takes the rest."""
    room = 2 * 1024**3
    free = shutil.disk_usage(cloud.lab.dir).free
    text = cloud.site_file.read_text()
    assert "[run]" not in text
    floor = (free - room) // 1024**3
    cloud.site_file.write_text(f'{text}\n[run]\nmin_free = "{floor}G"\n')
    big = "/var/lib/docker/upgrader-filler"
    try:
        seen = turns_red_and_green(
            cloud,
            "disk-full",
            lambda: cloud.node("control1", f"fallocate -l {2 * room} {big}") and None,
            lambda: cloud.node("control1", f"rm -f {big}") and None,
        )
    finally:
        cloud.site_file.write_text(text)
    assert seen["code"] == "failure"


def test_a_database_server_that_is_stopped(cloud: Cloud) -> None:
    unit = "kolla-mariadb-container"
    seen = turns_red_and_green(
        cloud,
        "galera",
        lambda: cloud.node("control3", f"systemctl stop {unit}") and None,
        lambda: cloud.node("control3", f"systemctl start {unit}") and None,
    )
    assert seen["code"] == "failure"


def test_a_broker_that_is_cut_off(cloud: Cloud) -> None:
    peers = [cloud.node(name, "hostname -i").split()[0] for name in ("control1", "control2")]

    def routes(verb: str) -> Callable[[], None]:
        return lambda: [cloud.node("control3", f"ip route {verb} blackhole {peer}/32") for peer in peers] and None

    before = cloud.open()
    assert not [finding for finding in before if finding.startswith("rabbitmq-")]
    with broken(routes("add"), routes("del")):
        seen = _until(cloud, lambda found: bool({"rabbitmq-partition", "rabbitmq-node-down"} & found.keys()))
        assert any(finding.startswith("rabbitmq-") and "control3" in str(item) for finding, item in seen.items())
    _until(cloud, lambda found: not [finding for finding in found if finding.startswith("rabbitmq-")])
