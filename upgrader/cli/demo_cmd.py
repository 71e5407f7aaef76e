"""`upgrader demo`: the whole way on the embedded sandbox, with the commands an operator would type.

Nothing here reaches into a run: each step is this very command line in a process of its own, and what it says is
what is shown. The demo only makes the clouds, kills the run once, and looks whether everything ended as it should.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from upgrader.cli.verb import verb_app
from upgrader.errors import UpgraderError

app = verb_app()

START, NEXT, TARGET = "2024.1", "2024.2", "2025.2"
NOT_REHEARSED = "not-rehearsed=the sandbox is itself a staging cloud"
_KILL_IN_HOP = 1
_KILL_AFTER_TASKS = 12
_PATIENCE_SECONDS = 1200.0
_PLAN_LINES = 24


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where the demo's clouds are made; replaced if there.")
    ] = None,
) -> None:
    """Make a small cloud at 2024.1, walk it to 2025.2, kill the run on the way, resume it; take a failed hop back.

    Needs no root and no container engine: hosts are folders, everything else is real (ansible-core, ansible-runner,
    journal, backups, verification). Takes three to five minutes; the clouds are left to be looked at.
    """
    from upgrader.config import sandbox_home

    home = (folder or sandbox_home()).absolute()
    began = time.monotonic()
    _three_hops(home)
    _say(f"Three hops, killed once and resumed: {round(time.monotonic() - began)} s.")
    _taken_back(home.with_name(home.name + "-back"))
    seconds = round(time.monotonic() - began)
    there = f"upgrader --site {home / 'site'}"
    _say(f"\nDone in {seconds} s. Look around:  {there} status   ·   … report   ·   … history --verify")


def _three_hops(home: Path) -> None:
    from upgrader.sandbox.create import create_sandbox

    _say(f"A cloud of 9 hosts (3 control, 3 compute, 3 storage) at {START}, below {home}")
    site = create_sandbox(home, START, fresh=True)
    plan = home / "plan.json"
    _upgrader(site, "plan", "--to", TARGET, "--out", str(plan), lines=_PLAN_LINES)
    _run_and_kill(site, plan)
    _upgrader(site, "status", "--observe")
    _upgrader(site, "resume", "--auto-approve")
    _upgrader(site, "history", "--verify", lines=-6)
    _check_runs(site, TARGET)


def _run_and_kill(site: Path, plan: Path) -> None:
    """Start the run, and in the middle of the second hop's upgrade kill everything that belongs to it with SIGKILL."""
    words = ["run", str(plan), "--auto-approve", "--accept", NOT_REHEARSED]
    process = subprocess.Popen(_command(site, words))
    attempt = _wait_for_upgrade(site, process)
    from upgrader import processes

    _say(f"\n>>> kill -9: the controller (pid {process.pid}), its supervisor and the playbook, in mid-upgrade")
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (alive := processes.carrying(processes.ATTEMPT, attempt)) and time.monotonic() < deadline:
        for pid in alive:
            _kill(pid)
        time.sleep(0.05)
    process.wait()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for_upgrade(site: Path, process: subprocess.Popen[bytes]) -> str:
    """Id of the attempt once enough tasks of the second hop's upgrade began. Raises UpgraderError otherwise."""
    from upgrader import attempts
    from upgrader.config import load_site
    from upgrader.journal import open_journal
    from upgrader.states import State

    state_dir = load_site(site).state_dir
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UpgraderError(f"The demo's run ended by itself with {process.returncode}.", reason="demo-failed")
        time.sleep(0.1)
        with open_journal(state_dir, readonly=True) as journal:
            row = journal.snapshot().attempt
        if row is None or row.hop != _KILL_IN_HOP or row.stage is not State.UPGRADE:
            continue
        lines, _ = attempts.read_progress(attempts.folder_of(state_dir, row.id))
        upgrading = False
        tasks = 0
        for line in lines:
            if line.get("kind") == "step_start":
                upgrading = str(line.get("step", "")).startswith("kolla-ansible upgrade")
            tasks += upgrading and line.get("kind") == "task_start"
        if tasks >= _KILL_AFTER_TASKS:
            return row.id
    process.kill()
    raise UpgraderError("The demo's run never came to the second upgrade.", reason="demo-failed")


def _taken_back(home: Path) -> None:
    """One hop whose verification fails, taken back by deploying the old release."""
    from upgrader.sandbox.create import create_sandbox
    from upgrader.sandbox.faults import add_fault

    _say(f"\nA second, smaller cloud at {START}: after its upgrade one container will be unhealthy ({home})")
    site = create_sandbox(home, START, (1, 1, 1), ("glance", "placement"), name="sandbox-back", fresh=True)
    add_fault(home, kind="unhealthy", container="keystone", release=NEXT)
    words = ["run", "--to", NEXT, "--auto-approve", "--accept", NOT_REHEARSED]
    _upgrader(site, *words, expect=8)
    _upgrader(site, "rollback", "--reason", "verification failed", expect=7)
    _check_runs(site, START)


def _check_runs(site: Path, release: str) -> None:
    """What counts is the cloud: look at it once more, through `status --observe --json`."""
    told = subprocess.run(_command(site, ["status", "--observe", "--json"]), stdout=subprocess.PIPE, check=False)
    document: dict[str, Any] = json.loads(told.stdout or b"{}")
    cloud = document.get("cloud") or {}
    if cloud.get("kind") != "exact" or cloud.get("release") != release:
        raise UpgraderError(f"The demo's cloud does not run {release}: {cloud}", reason="demo-failed")
    _say(f"Looked at once more: every container of every host runs {release}.")


def _upgrader(site: Path, *words: str, expect: int = 0, lines: int = 0) -> None:
    """Show a command and run it. `lines` keeps only the first (or, negative, last) lines of what it prints."""
    _say(f"\n$ upgrader {shlex.join(words)}")
    process = subprocess.run(_command(site, list(words)), stdout=subprocess.PIPE if lines else None, check=False)
    if lines:
        text = process.stdout.decode(errors="replace").splitlines()
        kept = text[:lines] if lines > 0 else text[lines:]
        left = len(text) - len(kept)
        rest = f"  … {left} more lines" if left else ""
        _say("\n".join([*kept, rest] if lines > 0 else [rest, *kept]))
    if process.returncode != expect:
        raise UpgraderError(
            f"`upgrader {shlex.join(words)}` ended with {process.returncode}, not with {expect}.", reason="demo-failed"
        )


def _command(site: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "upgrader", "--site", str(site), *words]


def _say(text: str) -> None:
    typer.echo(text)
