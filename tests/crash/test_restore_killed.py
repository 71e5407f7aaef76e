"""kill -9 at every step of a restore on a sandbox of three database servers, with the command line and real Ansible.

One restore is killed where its first step ended, the next one where the second ended, and so on: each is the operator
saying `upgrader rollback` again. The last ends as an undisturbed one. (Every action within the steps:
tests/stages/test_rollback_restore.py; a real cluster: tests/database/test_galera.py.)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox_kit import containers
from upgrader.journal import open_journal
from upgrader.sandbox import schemas, world
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault

pytestmark = pytest.mark.slow

STAGE = "stage.rollback_restore"
POINTS = (
    "backup set.ended", "stop the services.ended", "configuration.ended", "database servers of the old series.ended",
    "message brokers of the old series.ended", "one database server.ended",
    # what comes between has a comma in its name, which parts failpoints: the databases are loaded here
    "the other database servers rejoin.begun",
    "the other database servers rejoin.ended", "start what still is of the old release.ended",
    "kolla-ansible deploy of {0}.ended",
)  # fmt: skip


def upgrader(root: Path, *words: str, kill: str = "") -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "UPGRADER_FAILPOINT"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "upgrader", "--site", str(root / "site" / "upgrader.toml"), *words],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env=env | ({"UPGRADER_FAILPOINT": kill} if kill else {}),
    )  # fmt: skip


def failed_upgrade(root: Path, source: str, target: str) -> None:
    """A cloud of three controllers whose upgrade failed behind Neutron's schema change; something was written since."""
    create_sandbox(root, source, (3, 0, 0), ("neutron",))
    add_fault(root, "fail", task="Restart neutron-server container", message="planted", times=20)
    words = ("run", "--to", target, "--auto-approve", "--accept", "not-rehearsed=a test")
    assert (done := upgrader(root, *words)).returncode == 8, done.stderr
    schemas.add_row(str(root), "neutron", "networks", ["n-new", "made since"])


@pytest.mark.parametrize(
    ("source", "target"), [("2024.1", "2024.2"), ("2025.1", "2025.2")], ids=["same series", "another series"]
)
def test_killed_at_every_step_a_restore_ends_as_an_undisturbed_one(tmp_path: Path, source: str, target: str) -> None:
    root = tmp_path / "cloud"
    failed_upgrade(root, source, target)
    heads = {
        name: schemas.heads_of(schemas.load(str(root), name) or {"tables": {}}) for name in ("keystone", "neutron")
    }
    for name in POINTS:
        point = f"{STAGE}.{name.format(source)}"
        done = upgrader(root, "rollback", "--restore", "--confirm", "sandbox", kill=point)
        assert done.returncode == 8, f"{point}: {done.stderr}"
        told = upgrader(root, "status")
        assert told.returncode == 0, told.stderr
        assert "NEEDS ATTENTION" in told.stdout, f"{point}: {told.stdout}"
        assert "upgrader --site" in told.stdout
    done = upgrader(root, "rollback", "--restore", "--confirm", "sandbox")
    assert done.returncode == 7, done.stderr
    with open_journal(root / "state", readonly=True) as journal:
        assert journal.verify() == ()
    after = {name: schemas.load(str(root), name) or {"tables": {}} for name in ("keystone", "neutron")}
    assert schemas.heads_of(after["neutron"]) != heads["neutron"]
    assert "n-new" not in str(after["neutron"]["tables"])
    assert set(containers(root).values()) == {source}
    assert world.galera_size(str(root)) == 3
