"""Several hops in one run in the sandbox, with rests between them; rows and images that operators' commands see to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process_kit import wait_until
from tests.sandbox_kit import engine
from upgrader.attempts import PLAYS
from upgrader.config import load_site
from upgrader.journal import HopRow, open_journal
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.demo import describe, effects
from upgrader.sandbox.faults import damage_answer
from upgrader.states import AttemptState, State

ROWS = {"cinder.unmigrated/volumes": ["volumes.use_quota: 12"]}


def test_rows_go_by_the_services_command_but_for_those_that_no_command_moves(tmp_path: Path) -> None:
    create_sandbox(tmp_path / "cloud", "2024.2", (1, 0, 0), ("cinder",))
    root = tmp_path / "cloud"
    stuck = {"cinder.unmigrated/snapshots": ["snapshots.use_quota: 1"]}
    damage_answer(root, "records", **ROWS, **stuck, stuck=list(stuck))
    said = engine(root, "ctl1", "exec", "cinder_api", "cinder-manage", "db", "online_data_migrations")
    assert (said.returncode, said.stdout) == (0, b"| volumes | 1 |\n| snapshots | 0 |\n")
    assert engine(root, "ctl1", "exec", "cinder_api", "cinder-manage", "db", "online_data_migrations").stdout == (
        b"| snapshots | 0 |\n"
    )


def test_an_image_in_use_is_not_removed(tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    create_sandbox(root, "2024.2", (1, 0, 0), ())
    names = engine(root, "ctl1", "image", "ls").stdout.decode().split()
    keystone = next(name for name in names if "/keystone:" in name)
    refused = engine(root, "ctl1", "rmi", keystone)
    assert refused.returncode == 1 and b"conflict" in refused.stderr
    assert engine(root, "ctl1", "rmi", "sandbox/kolla/none:1").returncode == 1
    engine(root, "ctl1", "rm", "-f", "keystone")
    assert engine(root, "ctl1", "rmi", keystone).returncode == 0
    assert keystone not in engine(root, "ctl1", "image", "ls").stdout.decode().split()


# ---------------------------------------------------------------- by the tool itself


def command(site: Path, *words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "upgrader", "--site", str(site), *words]


def upgrader(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(site, *words), capture_output=True, text=True, check=False)


def hop_of(site: Path) -> HopRow:
    with open_journal(load_site(site).state_dir, readonly=True) as journal:
        hop = journal.snapshot().hop
    assert hop is not None
    return hop


def stages(site: Path) -> list[tuple[int, str]]:
    """(hop, stage) of every attempt that came right, in order."""
    with open_journal(load_site(site).state_dir, readonly=True) as journal:
        run = journal.snapshot().run
        assert run is not None
        rows = journal.attempts(run.id)
    return [(row.hop, row.stage.value) for row in rows if row.state is AttemptState.SUCCEEDED]


@pytest.mark.slow
def test_three_hops_with_rests_a_kill_in_a_rest_and_rows_left(tmp_path: Path) -> None:
    root = tmp_path / "cloud"
    site = create_sandbox(root, "2024.1", (1, 0, 0), ("cinder",))
    text = site.read_text()
    site.write_text(text.replace("[run]\n", "[run]\nprune_images = true\n"))
    begun = upgrader(
        site, "run", "--to", "2025.2", "--auto-approve", "--pause-between-hops", "--accept", "not-rehearsed=a test"
    )  # fmt: skip
    assert begun.returncode == 9 and "the run rests, and 2024.2→2025.1 waits for a word" in begun.stderr, begun.stderr
    assert "WAITING for you in hop 2 of 3" in upgrader(site, "status").stdout
    refused = upgrader(site, "rollback")
    assert refused.returncode == 3 and "No way back to 2024.1 any more" in refused.stderr

    # rows that the hop left block the next one, whatever a command's exit code said
    damage_answer(root, "records", **ROWS)
    blocked = upgrader(site, "resume", "--auto-approve")
    assert blocked.returncode == 6, blocked.stderr
    assert "Finish cinder online data migrations" in blocked.stderr
    assert "cinder-manage db online_data_migrations" in blocked.stderr
    assert hop_of(site).state is State.FAILED_CLEAN
    assert "online-rows:cinder" not in effects(root), "nothing is run unasked"
    site.write_text(site.read_text().replace("[run]\n", "[run]\nfinish_online_migrations = true\n"))

    # killed as soon as it comes to its second rest: another `resume` is the word to go on, and nothing is done twice
    process = subprocess.Popen(command(site, "resume", "--auto-approve"), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: hop_of(site).index == 2 or process.poll() is not None, "the second hop to be done")
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (hop_of(site).index, hop_of(site).state.value in ("pending", "hold_hop")) == (2, True)
    assert effects(root)["online-rows:cinder"] == 1
    if hop_of(site).state is State.PENDING:
        rests = upgrader(site, "resume", "--auto-approve")
        assert rests.returncode == 9, "killed before the rest, `resume` comes to it"
    approved = upgrader(site, "approve", "--reason", "monday")
    assert approved.returncode == 0 and "2025.1→2025.2 may begin." in approved.stdout, approved.stderr
    ended = upgrader(site, "resume", "--auto-approve")
    assert ended.returncode == 0, ended.stderr

    whole = ("preflight", "backup", "pull", "rehearse", "upgrade", "verify", "soak", "finalize")
    assert stages(site) == [(hop, stage) for hop in range(3) for stage in whole]
    assert [[release for release, _ in host.releases] for host in describe(root)] == [["2025.2"]]
    left = {name.rpartition(":")[2].partition("-")[0] for name in _images(root)}
    assert left == {"2025.2"}, "images of the releases that were left are gone"
    for release in ("2024.2", "2025.1", "2025.2"):
        assert effects(root)[f"play:upgrade:{release}"] == 1
    assert _toolchains(site) == {0: {"2024.1", "2024.2"}, 1: {"2024.2", "2025.1"}, 2: {"2025.1", "2025.2"}}


def _images(root: Path) -> list[str]:
    return engine(root, "ctl1", "image", "ls").stdout.decode().split()


def _toolchains(site: Path) -> dict[int, set[str]]:
    """Hop → releases whose toolchains its plays were run with."""
    found: dict[int, set[str]] = {}
    made = load_site(site)
    with open_journal(made.state_dir, readonly=True) as journal:
        run = journal.snapshot().run
        assert run is not None
        rows = journal.attempts(run.id)
    for row in rows:
        for request in (made.state_dir / "attempts" / row.id / PLAYS).glob("*/play.json"):
            toolchain = Path(json.loads(request.read_text())["play"]["toolchain"])
            found.setdefault(row.hop, set()).add(toolchain.name)
    return found
