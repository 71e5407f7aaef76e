"""Stages for tests of the supervisor, called by import path: `tests.attempt_stages:NAME`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.process_kit import awaiting, wait_until
from upgrader import processes
from upgrader.context import AttemptContext
from upgrader.model import AttemptRequest, Code, StageOutcome, StepResult
from upgrader.runner.base import Play

GOOD = StageOutcome(verdict="succeeded", message="all is well", steps=(StepResult(name="one", code=Code.SUCCESS),))


def good(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    with (Path(request.state_dir) / "marks").open("a") as stream:
        stream.write("done\n")
    context.progress("step_start", step="one")
    return GOOD


def carried_here(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    """Tells where a carried variable is found, never what it says."""
    from upgrader.secret_sources.carried import DESCRIPTOR, environ

    value = environ().get("CARRIED", "")
    own = Path("/proc/self/environ").read_bytes()
    files = []
    for item in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):  # the one that the listing itself was read through
            files += [item] if "memfd" in str(item.readlink()) else []
    child = subprocess.run(["env"], capture_output=True, check=True).stdout
    context.progress(
        "note", length=len(value), in_environment=value.encode() in own + child, descriptor=DESCRIPTOR in os.environ,
        left_open=len(files),
    )  # fmt: skip
    return GOOD


def leaky(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    context.learn(["canary-4711", "succeeded"])
    context.progress("note", text="canary-4711", fine=3)
    sys.stdout.write("printed canary-4711")
    raise RuntimeError("could not log in with canary-4711")


def exits(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    sys.exit(0)


def senseless(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    return None  # type: ignore[return-value]


def leaves_children(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    """One child in a session of its own that lost its parent, one that also dropped the environment.

    They work on until the supervisor has begun to wait for them.
    """
    mark, gate = Path(request.state_dir) / "marks", Path(request.state_dir) / "gate"
    code = f"""import os, time
os.setsid()
os.fork() and os._exit(0)
while not os.path.exists({str(gate)!r}):
    time.sleep(0.02)
open({str(mark)!r}, 'a').write('late\\n')"""
    processes.await_gone = awaiting(gate)
    subprocess.run([sys.executable, "-c", code], check=True)
    subprocess.run([sys.executable, "-c", code], check=True, env={})
    return GOOD


def lingers(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    code = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
    subprocess.run([sys.executable, "-c", code], check=True)
    return GOOD


def waits_for_cancel(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    context.progress("step_start", step="waiting")
    wait_until(context.cancelled, "being canceled")
    return StageOutcome(verdict="canceled", message="stopped between two steps")


def plays(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    """Runs the play in `state_dir/play.json` with the real Ansible; its verdict is the stage's."""
    play = Play.from_document(json.loads((Path(request.state_dir) / "play.json").read_text()))
    context.learn(["canary-4711"])
    result = context.run(play)
    verdict = "succeeded" if result.verdict else "canceled" if result.status == "canceled" else "failed"
    return StageOutcome(verdict=verdict, message=result.message, schema_started=bool(context.watched))


def environment(request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    facts = tuple(sorted((key, value) for key, value in os.environ.items()))
    return StageOutcome(verdict="succeeded", facts=(*facts, ("sid", str(os.getsid(0))), ("pid", str(os.getpid()))))
