"""The folder of one attempt: creating it, starting its supervisor, and judging from what it holds what happened.

The controller's side of the protocol; `supervisor.py` is the other. Everything here works on what a crash can have
left behind, and `judge` alone decides what that means. Light: `status` uses it.

    state_dir/attempts/<uuid>/
      request.json    what is to be done, written before anything runs
      run.lock        locked by the supervisor, and by the process of its play
      void            the attempt must never start
      started.json    the supervisor began; written before the stage does anything
      progress.jsonl  one line per thing that happened
      cancel          stop, please
      plays/NN-name/  one folder per play (see upgrader/runner)
      exit.json       how it ended, written when no process of the attempt was left
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from upgrader import durable, processes
from upgrader.runner import environment, events, volatile
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.play import REQUEST as PLAY_REQUEST
from upgrader.secret_sources import carried

REQUEST = "request.json"
LOCK = "run.lock"
VOID = "void"
STARTED = "started.json"
PROGRESS = "progress.jsonl"
CANCEL = "cancel"
EXIT = "exit.json"
PLAYS = "plays"
LOG = "supervisor.log"
RUN_STAGE = "upgrader.stages:run_stage"

_GROWING = frozenset({LOCK, LOG, CANCEL, EXIT, "process.log"})

FileState = Literal["whole", "missing", "torn"]


class Request(Protocol):
    """The part of model.AttemptRequest that is needed here."""

    @property
    def attempt(self) -> str: ...
    def document(self) -> dict[str, Any]: ...


def folder_of(state_dir: Path, attempt: str) -> Path:
    """Raises ValueError when `attempt` is not a uuid: it becomes part of a path."""
    if str(uuid.UUID(attempt)) != attempt:
        raise ValueError(f"not the name of an attempt: {attempt!r}")
    return state_dir / "attempts" / attempt


def create(state_dir: Path, request: Request) -> Path:
    """Make the attempt's folder with its request, durably. Raises FileExistsError when it exists or was made void."""
    folder = folder_of(state_dir, request.attempt)
    durable.make_dir(folder)
    durable.failpoint("attempt.folder")
    durable.write_json(folder / REQUEST, request.document())
    durable.failpoint("attempt.requested")
    return folder


def spawn(
    folder: Path, *, run: str = RUN_STAGE, env: Mapping[str, str] | None = None, carry: Mapping[str, str] | None = None
) -> int:
    """Start the attempt's supervisor, detached from this session and terminal. Returns its process id.

    It gets a minimal environment and `env`. `carry` is told in memory, for the programs that fetch secrets.
    """
    chosen = {**environment.minimal(os.environ), **(env or {}), processes.ATTEMPT: folder.name}
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        with carried.handed(carry or {}) as (descriptors, more):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "upgrader.supervisor", str(folder), "--run", run],
                env=chosen | more, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, pass_fds=descriptors,
            )  # fmt: skip
    finally:
        os.close(log)
    # its exit record counts, not its exit code; waited for only so that no dead entry stays in the process table
    threading.Thread(target=process.wait, daemon=True).start()
    durable.failpoint("attempt.spawned")
    return process.pid


def cancel(folder: Path) -> None:
    """Ask the attempt to stop. Works on the play even when the supervisor is gone."""
    durable.write_atomic(folder / CANCEL, "")


def void(folder: Path) -> bool:
    """Make sure the attempt never starts. False: it has started, or somebody holds its lock right now.

    A missing folder is made first, so that whoever was about to create it finds it taken.
    """
    durable.make_dir(folder, exist_ok=True)
    with locked(folder) as descriptor:
        if descriptor is None or any((folder / name).exists() for name in (STARTED, EXIT)):
            return False
        durable.write_atomic(folder / VOID, "")
        return True


@contextmanager
def locked(folder: Path, *, patience: float = 0.0) -> Iterator[int | None]:
    """The attempt's lock as a descriptor, or None when somebody else holds it for longer than `patience` seconds."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield None
                    return
                time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


def running(folder: Path) -> bool:
    """Whether the supervisor, or the play of one that died, holds the attempt's lock. Cheap."""
    try:
        return durable.locked(folder / LOCK)
    except FileNotFoundError:
        return False


# ---------------------------------------------------------------- following


def read_progress(folder: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Lines of progress.jsonl from byte `offset` on, and the offset for the next time. Broken lines are left out."""
    try:
        with (folder / PROGRESS).open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
    except FileNotFoundError:
        return [], offset
    whole, end, _ = data.rpartition(b"\n")
    lines = []
    for line in whole.split(b"\n") if end else ():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            lines.append(document)
    return lines, offset + len(whole) + len(end)


def follow(
    folder: Path,
    *,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    until: Callable[[], bool] = lambda: False,
    tick: float = 0.1,
) -> Evidence:
    """Pass on progress until no process of the attempt is left, or `until` says so; then the evidence.

    Works as well for an attempt somebody else started, and after its supervisor died.
    """
    offset = 0
    while True:
        over = not running(folder) and not processes.carrying(processes.ATTEMPT, folder.name)
        lines, offset = read_progress(folder, offset)
        if on_progress is not None:
            for line in lines:
                on_progress(line)
        if over or until():
            return evidence(folder)
        time.sleep(tick)


# ---------------------------------------------------------------- evidence


@dataclass(frozen=True, slots=True)
class PlayEvidence:
    """What is left of one play of the attempt."""

    name: str
    folder: Path
    closing: bool
    result: PlayResult | None
    """What its process left; None when it left nothing."""
    seen: PlayResult
    """What its events alone say; never a success, but with `stats` if it came to its end."""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is left of an attempt, as it was found. `judge` says what it means."""

    lock_held: bool = False
    request: FileState = "whole"
    void: bool = False
    started: FileState = "missing"
    exit: FileState = "missing"
    strays: int = 0
    """Live processes started with the attempt's name in their environment."""
    artifact: bool = False
    """The closing play's process left its result."""
    stats: bool = False
    """The closing play came to Ansible's closing account."""
    same_boot: bool | None = None
    """None: cannot be told."""
    faults: tuple[str, ...] = ()
    """Damage and disagreement found while reading."""
    watched: tuple[str, ...] = ()
    """Watched tasks that are known to have begun, in any play."""
    plays: tuple[PlayEvidence, ...] = ()
    exit_document: Mapping[str, Any] | None = None
    started_document: Mapping[str, Any] | None = None

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Why the evidence cannot be believed; empty when it can."""
        found = list(self.faults)
        began = self.started != "missing"
        for name, state in ((REQUEST, self.request), (STARTED, self.started), (EXIT, self.exit)):
            if state == "torn" and (name != REQUEST or began):
                found.append(f"{name} is damaged")
        if self.request == "missing" and began:
            found.append(f"it started without {REQUEST}")
        if self.exit != "missing" and not began:
            found.append(f"there is {EXIT} but no {STARTED}")
        if (self.artifact or self.stats) and not began:
            found.append(f"there is the result of a play but no {STARTED}")
        if self.void and (began or self.exit != "missing"):
            found.append("it was made void and yet started")
        return tuple(found)


class Judgement(StrEnum):
    RUNNING = "running"
    """Re-attach: follow its progress; it may be canceled."""
    FINISHED = "finished"
    """The outcome is in the exit record."""
    ORPHANED = "orphaned"
    """The supervisor died and work goes on: wait, then look again; never start another."""
    ARTIFACT = "artifact"
    """The closing play's result is known although the supervisor died before its exit record."""
    INFER = "infer"
    """The closing play came to its end, its exit code is lost: infer from its account, verify fully."""
    NEVER_STARTED = "never_started"
    """Nothing was done: make it void, then a new attempt."""
    UNKNOWN = "unknown"
    """It began, and nothing says how it ended."""
    REBOOTED = "rebooted"
    """As unknown; this machine was restarted since, so only work on other hosts can go on."""
    CONTRADICTION = "contradiction"
    """Damaged or foreign evidence: a human decides."""


def judge(evidence: Evidence) -> Judgement:
    """What the evidence means, the first line that fits. Pure."""
    if evidence.lock_held:
        return Judgement.RUNNING
    believable = not evidence.contradictions
    if evidence.exit == "whole" and believable:
        return Judgement.FINISHED
    if evidence.strays:
        return Judgement.ORPHANED
    if not believable:
        return Judgement.CONTRADICTION
    if evidence.artifact:
        return Judgement.ARTIFACT
    if evidence.stats:
        return Judgement.INFER
    if evidence.started == "missing":
        return Judgement.NEVER_STARTED
    return Judgement.REBOOTED if evidence.same_boot is False else Judgement.UNKNOWN


def evidence(folder: Path) -> Evidence:
    """Look at an attempt's folder and at the process table. Changes nothing."""
    held = running(folder)
    strays = len(processes.carrying(processes.ATTEMPT, folder.name))
    # in this order: what is written last is read first, so that a record seen here has all it rests on
    record = durable.read_json(folder / EXIT)
    plays = _plays(folder)
    began = durable.read_json(folder / STARTED)
    request = durable.read_json(folder / REQUEST)
    closing = plays[-1] if plays and plays[-1].closing else None
    faults = [fault for play in plays for fault in play.faults]
    for name, reading in ((REQUEST, request), (STARTED, began), (EXIT, record)):
        if reading.document is not None and reading.document.get("attempt") != folder.name:
            faults.append(f"{name} belongs to another attempt")
    verdict = _verdict(record.document)
    if record.document is not None and verdict is None:
        faults.append(f"{EXIT} names no verdict")
    if verdict == "succeeded" and closing is not None and (closing.result is None or not closing.result.verdict):
        faults.append(f"{EXIT} says succeeded, but its play {closing.name!r} does not")
    boot = (began.document or {}).get("boot_id")
    now = processes.boot_id()
    return Evidence(
        lock_held=held,
        request=request.state,
        void=(folder / VOID).exists(),
        started=began.state,
        exit=record.state,
        strays=strays,
        artifact=closing is not None and closing.result is not None and closing.result.status != "lost",
        stats=closing is not None and closing.seen.stats is not None,
        same_boot=boot == now if boot and now else None,
        faults=tuple(faults),
        watched=tuple(dict.fromkeys(task for play in plays for task in play.seen.watched)),
        plays=plays,
        exit_document=record.document,
        started_document=began.document,
    )


def _verdict(document: Mapping[str, Any] | None) -> str | None:
    outcome = (document or {}).get("outcome")
    verdict = outcome.get("verdict") if isinstance(outcome, Mapping) else None
    return verdict if verdict in {"succeeded", "failed", "inconclusive", "canceled"} else None


def _plays(folder: Path) -> tuple[PlayEvidence, ...]:
    place = folder / PLAYS
    if not place.is_dir():
        return ()
    return tuple(found for item in sorted(place.iterdir()) if (found := _play(item)) is not None)


def _play(folder: Path) -> PlayEvidence | None:
    reading = durable.read_json(folder / PLAY_REQUEST)
    outcome = durable.read_json(folder / events.RESULT)
    if reading.state == "missing" and outcome.state == "missing":
        return None  # its folder was made, nothing ran
    faults: list[str] = []
    play: Play | None = None
    result: PlayResult | None = None
    ident = None
    try:
        if reading.document is not None:
            play, ident = Play.from_document(reading.document["play"]), reading.document["ident"]
        if outcome.document is not None:
            told = dict(outcome.document)
            if told.pop("ident", None) != ident:
                faults.append(f"the result of play {folder.name!r} belongs to another play")
            result = PlayResult.from_document(told)
    except (KeyError, TypeError, ValueError):
        faults.append(f"the files of play {folder.name!r} are not as they were written")
    if play is None or outcome.state == "torn":
        faults.append(f"the files of play {folder.name!r} are damaged")
    seen = events.reconstruct(play or Play(folder.name, folder, folder, ()), folder)
    if result is not None and result.verdict and seen.stats != result.stats:
        faults.append(f"result and events of play {folder.name!r} disagree")
    closing = play.closing if play is not None else True
    return PlayEvidence(play.name if play else folder.name, folder, closing, result, seen, tuple(dict.fromkeys(faults)))


def sweep(folder: Path) -> int:
    """Remove what killed plays of the attempt left in memory or on disk that may hold secrets. Returns how many."""
    return volatile.sweep(folder)


def tree_hash(folder: Path) -> str:
    """SHA-256 over names and content of what the attempt has produced, without files that may still grow."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name not in _GROWING and path.suffix != ".tmp":
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder)}\0{content}\n".encode())
    return whole.hexdigest()
