"""Commands that have to answer at once import nothing heavy (what they cost is measured by benchmarks/run.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine_kit.place import REPO, a_plan, opened, prepare
from upgrader.states import RunState

HEAVY = {
    "networkx",
    "pydantic",
    "pydantic_core",
    "rich",
    "ansible_runner",
    "transitions",
    "ruamel",
    "jinja2",
    "pymysql",
}
SITE = """
[site]
name = "crash"
[kolla]
config_dir = "."
inventory = "inventory"
[state]
dir = "state"
"""


def imported(place: Path, *arguments: str) -> tuple[set[str], str]:
    """Top-level packages that a command line imports, and what it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("UPGRADER")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "upgrader", *arguments],
        cwd=place, capture_output=True, text=True, check=False, env={**environment, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}, done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    prepare(tmp_path)
    (tmp_path / "upgrader.toml").write_text(SITE)
    return tmp_path


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("resume", "--help")])
def test_words_about_the_program(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    names, said = imported(tmp_path, *arguments)
    assert "typer" in names and "upgrader" in said
    assert names & HEAVY == set()


def test_status_without_a_run(site: Path) -> None:
    names, _ = imported(site, "status")
    assert names & HEAVY == set()


@pytest.mark.parametrize("as_json", [False, True])
def test_status_of_a_run(site: Path, as_json: bool) -> None:
    with opened(prepare(site)) as session:
        session.begin(a_plan(session.journal))
        session.journal.begin_hop(0)
    names, said = imported(site, "status", *(["--json"] if as_json else []))
    assert "preflight" in said and "sqlite3" in names
    assert names & HEAVY == set()


def test_status_after_the_end(site: Path) -> None:
    with opened(prepare(site)) as session:
        session.begin(a_plan(session.journal))
        session.journal.end_run(RunState.ABORTED, "anna", "no")
    names, said = imported(site, "status")
    assert "ABORTED" in said
    assert names & HEAVY == set()


def test_history_needs_no_values(site: Path) -> None:
    with opened(prepare(site)) as session:
        session.begin(a_plan(session.journal))
    names, said = imported(site, "history", "--json")
    assert "run_begun" in said
    assert names & (HEAVY - {"rich"}) == set()
