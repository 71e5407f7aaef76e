"""A hop is walked on the staging cloud first; what goes wrong there stops it before this cloud is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from upgrader.config import load_site
from upgrader.journal import open_journal
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault
from upgrader.states import State

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("healthy", "code", "here", "there"),
    [(True, 9, State.HOLD_UPGRADE, State.HOP_DONE), (False, 6, State.FAILED_CLEAN, State.DECIDE)],
)
def test_the_hop_is_rehearsed_on_staging(tmp_path: Path, healthy: bool, code: int, here: State, there: State) -> None:
    site = create_sandbox(tmp_path / "prod", "2024.1", (1, 1, 0), ("glance",), name="prod")
    staging = create_sandbox(tmp_path / "staging", "2024.1", (1, 1, 0), ("glance",), name="staging")
    site.write_text(site.read_text() + f'\n[staging]\nsite = "{staging}"\n')
    if not healthy:
        add_fault(tmp_path / "staging", "unhealthy", container="keystone", release="2024.2")
    command = [sys.executable, "-P", "-m", "upgrader", "--site", str(site), "run", "--to", "2024.2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert [state_of(site), state_of(staging)] == [here, there]


def state_of(site: Path) -> State:
    with open_journal(load_site(site).state_dir, readonly=True) as journal:
        hop = journal.snapshot().hop
    assert hop is not None
    return hop.state
