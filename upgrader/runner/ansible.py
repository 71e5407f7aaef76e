"""Runs plays for real: `ansible-playbook` of a release's toolchain, driven by ansible-runner in its own process."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from upgrader import durable, processes
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.redact import Redactor
from upgrader.runner import environment, volatile
from upgrader.runner.base import Cancelled, EventSink, Play, PlayResult
from upgrader.runner.events import RESULT, read, reconstruct
from upgrader.runner.play import EXTRA_VARS, PATIENCE_SECONDS, REQUEST
from upgrader.secret_sources.delivery import Delivery, delivery

_TICK_SECONDS = 0.1


class AnsibleRunner:
    """Drives real plays.

    `secrets` are taken out of everything that is written or returned. `lock` is a descriptor that the play's
    process inherits, so that a lock on it is held until the play is over even when the caller dies. A play stops
    when a file of `cancel_files` appears, also when the caller is gone.
    """

    def __init__(
        self,
        *,
        secrets: Iterable[str] = (),
        lock: int | None = None,
        cancel_files: tuple[Path, ...] = (),
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._redactor = Redactor(secrets)
        self._lock = lock
        self._cancel_files = cancel_files
        self._patience = patience

    def run(
        self, play: Play, folder: Path, *, on_event: EventSink | None = None, cancelled: Cancelled | None = None
    ) -> PlayResult:
        """See Runner.run. Raises UpgraderError, a defect of the caller, when a known secret is in the play itself,
        and ConfigError or EnvironmentMissingError when what opens the site's files cannot be fetched."""
        tool = play.toolchain / "bin" / "ansible-playbook"
        if not os.access(tool, os.X_OK):
            raise EnvironmentMissingError(
                f"there is no ansible-playbook in {play.toolchain / 'bin'}", reason="toolchain-missing"
            )
        document = play.document()
        given = delivery(
            play.vault_password_file,
            play.extra_vars_files,
            play.toolchain / "bin" / "ansible",
            environment.for_play(play, ""),
        )
        self._redactor.add(given.secrets)
        if self._redactor.holds(json.dumps(document, ensure_ascii=False)):
            raise UpgraderError(f"play {play.name!r} would carry a secret in its arguments", reason="secret-in-play")
        volatile.sweep_memory()
        ident = uuid.uuid4().hex
        durable.make_dir(folder)
        if play.extra_vars:
            durable.write_json(folder / EXTRA_VARS, dict(play.extra_vars))
        request = {
            "play": document,
            "ident": ident,
            "cancel": [str(marker) for marker in self._cancel_files],
            "patience": self._patience,
        }
        durable.write_json(folder / REQUEST, request)
        durable.failpoint("play.requested")
        process = self._start(play, folder, ident, given)
        fault = _follow(process, folder, on_event, cancelled)
        return self._collect(play, folder, ident, process.returncode, fault)

    def _start(self, play: Play, folder: Path, ident: str, given: Delivery) -> subprocess.Popen[bytes]:
        log = os.open(folder / "process.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "upgrader.runner.play", str(folder)],
                env=environment.for_play(play, ident),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=() if self._lock is None else (self._lock,),
                start_new_session=True,  # a signal for our group or terminal is not one for the play
            )
        finally:
            os.close(log)
        assert process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):
            told = {"secrets": sorted(self._redactor.secrets), "given": given.document()}
            process.stdin.write(json.dumps(told).encode())
        with suppress(BrokenPipeError):
            process.stdin.close()
        return process

    def _collect(self, play: Play, folder: Path, ident: str, code: int, fault: str) -> PlayResult:
        def rest() -> set[int]:
            return processes.carrying(processes.PLAY, ident)

        # nothing is left after an orderly end; after a kill, running tasks come to theirs
        waited, _ = processes.await_gone(rest, patience=self._patience)
        volatile.discard(folder)
        reading = durable.read_json(folder / RESULT)
        if reading.document is not None and reading.document.get("ident") == ident:
            document = {key: value for key, value in reading.document.items() if key != "ident"}
            result = PlayResult.from_document(document)
        else:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            result = reconstruct(play, folder, error=f"the play's process ended {how}")
        if waited:
            result = replace(result, survivors=result.survivors + waited)
        if fault:
            result = replace(result, error="; ".join(filter(None, [result.error, self._redactor.text(fault)])))
        return result


class _Audience:
    """Who is told of events. A listener that fails is not told any more; the play is awaited all the same."""

    def __init__(self, folder: Path, on_event: EventSink | None) -> None:
        self._folder = folder
        self._on_event = on_event
        self._offset = 0
        self.fault = ""

    def tell(self) -> None:
        if self._on_event is None:
            return
        try:
            events, self._offset = read(self._folder, self._offset)
            for event, _ in events:
                self._on_event(event)
        except Exception as error:
            self.fault = f"reporting failed: {type(error).__name__}: {error}"
            self._on_event = None


def _follow(
    process: subprocess.Popen[bytes], folder: Path, on_event: EventSink | None, cancelled: Cancelled | None
) -> str:
    """Pass on events until the process has ended. Returns what went wrong while reporting, if anything.

    Ctrl-C asks the play to stop and is raised again once it has; a second one leaves at once.
    """
    audience = _Audience(folder, on_event)
    interrupted = asked = over = False
    with _ended(process) as wait:
        while not over:
            try:
                over = process.poll() is not None
                audience.tell()
                if not asked and (interrupted or (cancelled is not None and cancelled())):
                    asked = True
                    process.send_signal(signal.SIGTERM)
                if not over:
                    wait(_TICK_SECONDS)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return audience.fault


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], object]]:
    """A way to sleep that wakes as soon as the process ends."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (OSError, AttributeError):
        yield time.sleep
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda seconds: poll.poll(seconds * 1000)
    finally:
        os.close(descriptor)
