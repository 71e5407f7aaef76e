"""A hop is walked on the staging cloud first, on production's databases: two sandbox clouds, the whole way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from upgrader.config import Site, load_site
from upgrader.journal import Snapshot, open_journal
from upgrader.sandbox import store
from upgrader.sandbox.create import create_sandbox
from upgrader.sandbox.faults import add_fault
from upgrader.states import State

pytestmark = pytest.mark.slow


class Clouds:
    """Production and staging, staging's configuration made from production's."""

    def __init__(self, root: Path, *, prepared: bool = True) -> None:
        self.root = root
        self.file = create_sandbox(root / "prod", "2024.1", (1, 1, 0), ("glance",), name="prod")
        staging = create_sandbox(root / "staging", "2024.1", (1, 1, 0), ("glance",), name="staging", network=30)
        with self.file.open("a") as file:
            file.write(f'\n[staging]\nsite = "{staging}"\n[staging.overrides]\n')
            file.write('kolla_internal_vip_address = "10.30.0.250"\n')
        self.production, self.staging = load_site(self.file), load_site(staging)
        if prepared:
            assert self.upgrader("staging", "prepare", "--replace").returncode == 0

    def upgrader(self, *words: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "upgrader", "--site", str(self.file), *words]
        env = {**os.environ, "UPGRADER_FAILPOINT": failpoint} if failpoint else None
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def clouds(tmp_path: Path) -> Iterator[Clouds]:
    return Clouds(tmp_path)


def seen(site: Site) -> Snapshot:
    with open_journal(site.state_dir, readonly=True) as journal:
        return journal.snapshot()


def state_of(site: Site) -> State:
    hop = seen(site).hop
    assert hop is not None
    return hop.state


def count(site: Site, kind: str) -> int:
    with open_journal(site.state_dir, readonly=True) as journal:
        return len(list(journal.events(kinds=(kind,))))


def endpoints(root: Path) -> set[str]:
    rows = json.loads((root / "database/keystone.json").read_text())["tables"]["endpoint"]["rows"]
    return {row[3].split("//")[1].split(":")[0] for row in rows}


def tokens(root: Path, host: str) -> dict[str, bytes]:
    folder = root / "hosts" / host / "volumes/keystone_fernet_tokens"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_production_s_databases_walk_on_staging_and_the_walk_counts(clouds: Clouds) -> None:
    """Also for a later plan, as long as it is the same one; and not for a changed setting."""
    own_keys = tokens(clouds.root / "staging", "net30-ctl1")
    run = clouds.upgrader("run", "--to", "2024.2")
    assert run.returncode == 9, run.stderr
    assert [state_of(clouds.production), state_of(clouds.staging)] == [State.HOLD_UPGRADE, State.HOP_DONE]
    assert endpoints(clouds.root / "staging") == {"10.30.0.250"}
    assert endpoints(clouds.root / "prod") == {"10.20.0.250"}
    effects = store.effects(str(clouds.root / "staging"))
    assert effects["restore:keystone"] == effects["staging-rewrite"] == effects["play:upgrade:2024.2"] == 1
    assert not [key for key in store.effects(str(clouds.root / "prod")) if key.startswith(("stop:", "restore:"))]
    assert tokens(clouds.root / "staging", "net30-ctl1") == own_keys, "tokens made there do not open production"
    there = seen(clouds.staging)
    hop = seen(clouds.production).hops[0]
    assert there.run is not None
    assert (hop.facts["rehearsal"], hop.facts["rehearsal_site"]) == (there.run.id, "staging")
    assert (hop.facts["rehearsal_head"], hop.facts["rehearsal_lineage"]) == (there.head, there.lineage)

    assert clouds.upgrader("abort").returncode == 0
    again = clouds.upgrader("run", "--to", "2024.2")
    assert again.returncode == 9, again.stderr
    assert count(clouds.staging, "run_begun") == 1, "one walk speaks for both plans"
    assert seen(clouds.production).hops[0].facts["rehearsal"] == there.run.id


def test_a_failed_walk_is_told_and_gone_on_with(clouds: Clouds) -> None:
    add_fault(clouds.root / "staging", "fail", action="upgrade", message="No space left on device", times=1)
    run = clouds.upgrader("run", "--to", "2024.2")
    assert run.returncode == 6, run.stderr
    assert [state_of(clouds.production), state_of(clouds.staging)] == [State.FAILED_CLEAN, State.DECIDE]
    assert "the rehearsal on staging did not pass: staging is decision at decide of 2024.1→2024.2" in run.stderr
    assert f"upgrader --site {clouds.staging.file} resume" in run.stderr
    first = seen(clouds.staging).run
    resumed = clouds.upgrader("resume")
    assert resumed.returncode == 9, resumed.stderr
    assert count(clouds.staging, "run_begun") == count(clouds.staging, "note.staging_copy_loaded") == 1
    after = seen(clouds.staging).run
    assert first is not None and after is not None
    assert after.id == first.id
    assert seen(clouds.production).hops[0].facts["rehearsal"] == first.id


def test_killed_at_any_point_one_staging_run_is_found_again(clouds: Clouds) -> None:
    text = clouds.file.read_text()
    clouds.file.write_text(text.replace("forks = 10", "forks = 10\nmax_attempts = 1"))
    killed = clouds.upgrader("run", "--to", "2024.2", failpoint="staging.copy_begun")
    assert killed.returncode != 9, killed.stderr
    assert count(clouds.staging, "note.staging_copy_loaded") == 0
    killed = clouds.upgrader("resume", failpoint="staging.walking")
    done = killed if killed.returncode == 9 else clouds.upgrader("resume")
    assert done.returncode == 9, f"{killed.stderr}\n{done.stderr}"
    assert count(clouds.staging, "run_begun") == 1
    assert state_of(clouds.staging) is State.HOP_DONE
    assert store.effects(str(clouds.root / "staging"))["play:upgrade:2024.2"] == 1
