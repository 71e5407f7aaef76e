"""The detached process that owns one attempt: `python -m upgrader.supervisor FOLDER`.

Holds the attempt's lock for as long as anything of it runs, calls the stage, waits for every descendant, and only
then writes the exit record. Whatever happens in the stage, there is a record; where there is none, the supervisor
itself was killed, and the evidence in the folder decides (see attempts.judge).
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader import attempts, durable, processes
from upgrader.context import AttemptContext
from upgrader.redact import RedactedStream
from upgrader.runner.events import now
from upgrader.secret_sources import carried

if TYPE_CHECKING:
    from upgrader.model import AttemptRequest, StageOutcome

RunStage = Callable[["AttemptRequest", AttemptContext], "StageOutcome"]

BUSY, VOIDED, USED, UNREADABLE = 75, 76, 77, 78
"""Exit codes of a supervisor that did nothing: lock held, attempt void, attempt already run, request unusable."""

PATIENCE_SECONDS = 600.0
"""How long processes the stage left behind may take to end before they are ended."""
_LOCK_SECONDS = 3.0
"""Whoever looks at the evidence holds the lock for an instant; longer than this it is another supervisor."""
_WORDS_OF_THE_LAW = frozenset({"verdict", "code", "schema_started", "seconds"})


def supervise(folder: Path, *, run: str = attempts.RUN_STAGE, patience: float = PATIENCE_SECONDS) -> int:
    """Run the attempt of `folder`, at most once ever. Returns 0 when an exit record was written."""
    with attempts.locked(folder, patience=_LOCK_SECONDS) as lock:
        if lock is None:
            return BUSY
        if (folder / attempts.VOID).exists():
            return VOIDED
        if any((folder / name).exists() for name in (attempts.STARTED, attempts.EXIT)):
            return USED
        durable.failpoint("supervisor.locked")
        request = _request(folder)
        if request is None:
            return UNREADABLE
        context = AttemptContext(folder, lock=lock)
        _redact_streams(context)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, context.stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        adopts = processes.become_subreaper()
        if not adopts:
            print("cannot adopt orphans on this system: found by environment only", file=sys.stderr)  # noqa: T201
        started = {"attempt": request.attempt, "boot_id": processes.boot_id(), "at": now(), "adopts": adopts}
        durable.write_json(folder / attempts.STARTED, started)
        durable.failpoint("supervisor.started")
        began = time.monotonic()
        outcome = _outcome(run, request, context)
        durable.failpoint("supervisor.stage_done")
        strays, ended = _await_rest(folder.name, patience)
        attempts.sweep(folder)
        durable.failpoint("supervisor.waited")
        record = {
            "schema_version": 1,
            "attempt": request.attempt,
            "run": request.run,
            "epoch": request.epoch,
            "stage": request.stage,
            "outcome": _redacted(outcome.document(), context),
            "plays": [_play_summary(result) for result in context.results],
            "watched": list(context.watched),
            "strays": strays,
            "ended_by_us": ended,
            "tree": attempts.tree_hash(folder),
            "boot_id": started["boot_id"],
            "started_at": started["at"],
            "ended_at": now(),
            "seconds": round(time.monotonic() - began, 3),
        }
        _write_record(folder, record)
        durable.failpoint("supervisor.exit_written")
    return 0


def _request(folder: Path) -> AttemptRequest | None:
    from pydantic import ValidationError

    from upgrader.model import AttemptRequest

    reading = durable.read_json(folder / attempts.REQUEST)
    try:
        request = AttemptRequest.model_validate_json((folder / attempts.REQUEST).read_bytes())
    except (OSError, ValidationError) as error:
        kind = type(error).__name__
        print(f"{attempts.REQUEST} is {reading.state} and cannot be used: {kind}", file=sys.stderr)  # noqa: T201
        return None
    if request.attempt != folder.name:
        print(f"{attempts.REQUEST} belongs to another attempt", file=sys.stderr)  # noqa: T201
        return None
    return request


def _redact_streams(context: AttemptContext) -> None:
    stream = RedactedStream(sys.stderr.write, context.redactor)
    sys.stdout = sys.stderr = stream
    # the default hook of a thread writes to the stream it knew at the beginning
    threading.excepthook = lambda args: traceback.print_exception(args.exc_value, file=stream)


def _outcome(run: str, request: AttemptRequest, context: AttemptContext) -> StageOutcome:
    """The stage's outcome; any exception in it becomes a failed one."""
    from upgrader.model import StageOutcome

    try:
        module, _, name = run.partition(":")
        stage: RunStage = getattr(importlib.import_module(module), name)
        outcome = stage(request, context)
        if isinstance(outcome, StageOutcome):
            return outcome
        raise TypeError(f"the stage returned {type(outcome).__name__}")
    except BaseException as error:
        _tell_of_it()
        message = context.redactor.text(f"{type(error).__name__}: {error}")
        watched = bool(context.watched)
        return StageOutcome(
            verdict="failed",
            message=f"the stage broke off: {message}",
            # a play that was still going on when the stage broke off is not in the results
            schema_started=True if watched else None,
        )


def _tell_of_it() -> None:
    """The traceback, to the attempt's log. A log that cannot be written must not cost the exit record."""
    with suppress(OSError, ValueError):
        traceback.print_exc()


def _await_rest(attempt: str, patience: float) -> tuple[int, int]:
    def rest() -> set[int]:
        processes.reap()
        return processes.descendants() | processes.carrying(processes.ATTEMPT, attempt)

    return processes.await_gone(rest, patience=patience)


def _redacted(document: Mapping[str, Any], context: AttemptContext) -> dict[str, Any]:
    """The document without secrets; the words that programs read stay even if somebody uses one as a password."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: item if key in _WORDS_OF_THE_LAW else clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return context.redactor.value(value)

    return dict(clean(document))


def _play_summary(result: Any) -> dict[str, Any]:
    summary = {name: getattr(result, name) for name in ("name", "status", "rc", "stats", "verdict", "message")}
    return {**summary, "missing": list(result.missing), "seconds": result.seconds, "survivors": result.survivors}


def _write_record(folder: Path, record: Mapping[str, Any], *, tries: int = 5) -> None:
    for left in reversed(range(tries)):
        try:
            durable.write_json(folder / attempts.EXIT, record)
            return
        except OSError:
            _tell_of_it()
            if not left:
                raise
            time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="upgrader.supervisor")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", default=attempts.RUN_STAGE)
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS)
    options = parser.parse_args()
    carried.unpack()
    return supervise(options.folder, run=options.run, patience=options.patience)


if __name__ == "__main__":
    sys.exit(main())
