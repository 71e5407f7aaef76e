"""Rehearsal on a staging cloud: the hop is walked there, as a run of its own with a journal of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from upgrader.journal import open_journal
from upgrader.journal.place import exists
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.states import State

LOG = "rehearsal.log"
_ALREADY_THERE = 3


def on_staging(ctx: StageContext) -> None:
    """Accept the hop's walk on staging, or have it walked there now. Raises StepFailed when it stops there."""
    with ctx.step(f"the hop on staging ({ctx.site.staging})") as evidence:
        run = _rehearsed(ctx)
        if not run:
            code = _walk(ctx)
            run = _rehearsed(ctx)
            if not run:
                log = ctx.attempt.folder / LOG
                raise StepFailed(f"the rehearsal on staging ended with {code}: {_last_line(ctx)}", evidence=[str(log)])
        evidence.append(f"staging walked {ctx.hop.name} to its end (run {run[:8]})")
        ctx.facts["rehearsal"] = run


def _rehearsed(ctx: StageContext) -> str:
    """Id of the run in which staging walked this very hop to its end, after this run's plan was made; else empty."""
    from upgrader.config import load_site

    assert ctx.site.staging is not None  # noqa: S101 - the caller has looked
    state_dir = load_site(ctx.site.staging).state_dir
    if not exists(state_dir):
        return ""
    with open_journal(state_dir, readonly=True) as journal:
        snapshot = journal.snapshot()
    for hop in snapshot.hops:
        same = (hop.source, hop.target) == (ctx.hop.source, ctx.hop.target)
        if same and hop.state is State.HOP_DONE:
            return hop.run
    return ""


def _walk(ctx: StageContext) -> int:
    """Run the hop on staging as an operator would, in a process of its own; its words go to a log file."""
    site = str(ctx.site.staging)
    begin = [
        "run", "--to", ctx.hop.target, "--auto-approve",
        "--accept", f"not-rehearsed=this run is itself the rehearsal of {ctx.hop.name} for {ctx.site.name}",
    ]  # fmt: skip
    code = _command(ctx, site, begin)
    if code == _ALREADY_THERE and _unfinished(ctx):
        code = _command(ctx, site, ["resume", "--auto-approve"])
    return code


def _unfinished(ctx: StageContext) -> bool:
    from upgrader.config import load_site
    from upgrader.states import RUN_ENDED

    assert ctx.site.staging is not None  # noqa: S101
    with open_journal(load_site(ctx.site.staging).state_dir, readonly=True) as journal:
        run = journal.snapshot().run
    return run is not None and run.state not in RUN_ENDED


def _command(ctx: StageContext, site: str, words: list[str]) -> int:
    log = ctx.attempt.folder / LOG
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "upgrader", "--no-color", "--site", site, *words],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
        while process.poll() is None:
            if ctx.attempt.cancelled():
                # staging stops after its own attempt; it is a cloud too
                process.send_signal(signal.SIGINT)
                process.wait()
                raise StageCanceled("rehearsal")
            time.sleep(0.2)
    return process.returncode


def _last_line(ctx: StageContext) -> str:
    text = (ctx.attempt.folder / LOG).read_text(errors="replace").strip()
    return ctx.attempt.redactor.text(text.splitlines()[-1]) if text else "it said nothing"
