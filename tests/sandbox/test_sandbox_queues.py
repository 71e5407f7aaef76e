"""The sandbox's queues: what a reset leaves, what services declare after it, and a whole migration by the tool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox_kit import step
from upgrader.config import load_site
from upgrader.journal import HopRow, open_journal
from upgrader.sandbox import answers, queues, world
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.demo import effects
from upgrader.sandbox.faults import add_fault
from upgrader.states import State


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create_sandbox(tmp_path / "cloud", "2024.2", (2, 0, 0), (), durable_queues=False)
    return tmp_path / "cloud"


def told(root: Path, host: str = "ctl1") -> dict[str, object]:
    return answers.broker(world.Host(str(root), host))


def do(root: Path, kind: str, host: str, **more: object) -> dict[str, object]:
    return step(root, "2024.2", host, do=kind, role="rabbitmq", **more)


def test_a_reset_empties_the_broker_once_every_node_was_reset(root: Path) -> None:
    assert told(root)["counts"]["transient_queues"] == 34  # type: ignore[index]
    assert "Please stop the node" in str(do(root, "broker-reset", "ctl1")["msg"])
    for host in ("ctl1", "ctl2"):
        do(root, "broker-stop", host)
    assert told(root)["running"] == [] and "counts" not in told(root)
    do(root, "broker-reset", "ctl1")
    assert queues.counts(str(root)) == queues.CLASSIC, "one node of two holds the queues still"
    do(root, "broker-reset", "ctl2")
    for host in ("ctl1", "ctl2"):
        do(root, "broker-start", host)
    assert told(root)["running"] == ["rabbit@ctl1", "rabbit@ctl2"]
    assert not any(queues.NOTHING[name] != told(root)["counts"][name] for name in queues.NOTHING)  # type: ignore[index]


@pytest.mark.parametrize(("durable", "transient"), [(True, 0), (False, 34)])
def test_the_first_service_that_comes_back_declares_what_its_settings_say(
    root: Path, durable: bool, transient: int
) -> None:
    queues.plant(str(root), {**queues.NOTHING, "empty": 1})
    host = world.Host(str(root), "ctl1")
    for name, role in (("memcached", "memcached"), ("keystone", "keystone")):
        host.stop(name)
        step(root, "2024.2", "ctl1", do="restart", role=role, container=name, durable_queues=durable)
    assert told(root)["counts"]["transient_queues"] == transient  # type: ignore[index]
    assert effects(root)[f"declare:{'durable' if durable else 'classic'}"] == 1


def test_the_prechecks_of_2025_1_refuse_classic_queues(root: Path) -> None:
    assert do(root, "queues", "ctl1", durable=True)["failed"]
    assert not do(root, "queues", "ctl1", durable=False).get("failed")


# ---------------------------------------------------------------- by the tool itself


def upgrader(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "upgrader", "--site", str(site), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def hop_of(site: Path) -> HopRow:
    with open_journal(load_site(site).state_dir, readonly=True) as journal:
        hop = journal.snapshot().hop
    assert hop is not None
    return hop


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_a_migration_that_fails_is_gone_on_with_or_taken_back(tmp_path: Path, back: bool) -> None:
    root = tmp_path / "cloud"
    site = create_sandbox(root, "2024.2", (1, 0, 0), (), durable_queues=False)
    add_fault(root, "fail", task="Reset the state of RabbitMQ", host="ctl1", times=1)
    begun = upgrader(site, "run", "--to", "2025.1", "--accept", "not-rehearsed=a test")
    assert begun.returncode == 9 and "full API outage" in begun.stderr, begun.stderr
    assert hop_of(site).state is State.HOLD_BROKER
    approved = upgrader(site, "approve")
    assert "keystone are stopped" in approved.stdout
    failed = upgrader(site, "resume")
    assert failed.returncode == 8 and hop_of(site).state is State.DECIDE_BROKER, failed.stderr
    assert "every API may be down" in failed.stderr
    if back:
        assert upgrader(site, "rollback").returncode == 7
        assert hop_of(site).state is State.ROLLED_BACK
        assert told(root)["counts"]["transient_queues"] == 34  # type: ignore[index]
        assert "om_enable_queue_manager" not in (root / "site" / "kolla" / "globals.yml").read_text()
        return
    again = upgrader(site, "resume")
    assert again.returncode == 9 and hop_of(site).state is State.HOLD_UPGRADE, again.stderr
    assert "its queues were migrated" in again.stderr
    assert told(root)["counts"]["non_quorum_queues"] == 0  # type: ignore[index]
    assert effects(root)["reset:ctl1"] == 1
