"""The process of one play: `python -m upgrader.runner.play FOLDER`.

It is a process of its own so that it can outlive whoever started it: it inherits the attempt's lock, listens to
Ansible to the end, and leaves a durable result. Secrets, those to take out and those that Ansible needs, come on its
standard input, never by file.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from upgrader import durable, processes
from upgrader.redact import RedactedStream, Redactor
from upgrader.runner import environment, volatile
from upgrader.runner.base import Play, PlayResult, PlayStatus
from upgrader.runner.events import RESULT, Account
from upgrader.secret_sources.delivery import received
from upgrader.secret_sources.identities import site_of

REQUEST = "play.json"
EXTRA_VARS = "extra_vars.json"
PATIENCE_SECONDS = 900.0
"""How long tasks that were running when the play ended or was canceled may take to come to their end."""


def arguments(
    play: Play, folder: Path, *, words: Sequence[str] = (), replaced: Mapping[Path, Path] | None = None
) -> str:
    """The part of the command line that ansible-runner has no parameter for, as one shell-quoted string.

    `words` are options that open encrypted files, in place of the play's own; `replaced`: file → file to give for it.
    """
    parts: list[str] = []
    for file in play.extra_vars_files:
        parts += ["-e", f"@{(replaced or {}).get(file, file)}"]
    if play.extra_vars:
        # after the files, so that a value given by the program wins over the operator's
        parts += ["-e", f"@{folder / EXTRA_VARS}"]
    if play.vault_password_file is not None and site_of(play.vault_password_file) is None:
        parts += ["--vault-password-file", str(play.vault_password_file)]
    parts += words
    if play.check:
        parts.append("--check")
    return shlex.join(parts)


class _Cancel:
    """Whether the play shall stop, and stopping it: no new task begins, those that run come to their end."""

    def __init__(self, markers: list[Path]) -> None:
        self._markers = markers
        self._asked = False
        self._playbook: int | None = None
        self.done = False

    def ask(self, *_: object) -> None:
        self._asked = True

    def check(self) -> bool:
        """Called by ansible-runner all the time; always False, because its own way also ends tasks in the middle."""
        if self._playbook is None:
            # known from the beginning, because later there may be more children: tasks that lost their parent
            self._playbook = _first_child()
        if not self.done and (self._asked or any(marker.exists() for marker in self._markers)):
            self.done = True
            if self._playbook is not None:
                with suppress(ProcessLookupError):
                    os.kill(self._playbook, signal.SIGKILL)
        return False


def _first_child() -> int | None:
    """The oldest child of this process: `ansible-playbook` as long as it runs."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return int(children[0]) if children else None


def _drive(play: Play, folder: Path, scratch: Path, account: Account, cancel: _Cancel, words: str) -> Any:
    import ansible_runner

    place = folder / "cwd"
    for fresh in (place, scratch / "tmp", scratch / "private"):
        fresh.mkdir(mode=0o700)

    def listen(event: dict[str, Any]) -> bool:
        account.take(event)
        return False  # not to be stored as it is

    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(scratch / "private"),
        artifact_dir=str(scratch / "artifacts"),
        project_dir=str(play.cwd or place),
        ident=scratch.name,
        playbook=str(play.playbook),
        inventory=[str(item) for item in play.inventory],
        limit=play.limit or None,
        tags=",".join(play.tags) or None,
        skip_tags=",".join(play.skip_tags) or None,
        forks=play.forks,
        cmdline=words or None,
        envvars=environment.in_folder(scratch),
        suppress_env_files=True,
        suppress_output_file=True,
        quiet=True,
        fact_cache_type="memory",
        event_handler=listen,
        cancel_callback=cancel.check,
    )
    # not by `settings`: those are dropped when there is no file env/settings
    runner.config.pexpect_timeout = 0.5
    chosen = dict(play.env)
    # ansible-runner switches host key checking off unless told; that decision is the site's
    if "ANSIBLE_HOST_KEY_CHECKING" not in chosen:
        runner.config.env.pop("ANSIBLE_HOST_KEY_CHECKING", None)
    runner.run()
    return runner


def _await_rest(ident: str, patience: float) -> int:
    """Tasks run in processes of their own and may outlive `ansible-playbook`; the play is over when they are."""

    def rest() -> set[int]:
        processes.reap()
        return processes.descendants() | processes.carrying(processes.PLAY, ident)

    return processes.await_gone(rest, patience=patience)[0]


def perform(
    folder: Path,
    request: dict[str, Any],
    secrets: list[str],
    cancel: _Cancel,
    given: Mapping[str, Any] | None = None,
) -> PlayResult:
    """Run the play of `folder` to its end. Every trouble becomes part of the result.

    `given` is what opens the site's files (`secret_sources.delivery`).
    """
    play = Play.from_document(request["play"])
    ident = str(request["ident"])
    redactor = Redactor(secrets)
    account = Account(play, folder, redactor)
    began = time.monotonic()
    status: PlayStatus = "error"
    rc: int | None = None
    error = ""
    lock = -1
    try:
        scratch, lock = volatile.create(folder, ident)
        with received(given or {}, scratch) as (words, replaced):
            options = arguments(play, folder, words=words, replaced=replaced)
            runner = _drive(play, folder, scratch, account, cancel, options)
        rc = runner.rc
        status = "canceled" if cancel.done else "successful" if runner.status == "successful" else "failed"
    except Exception as trouble:
        error = redactor.text(f"the play could not be driven: {type(trouble).__name__}: {trouble}")
    survivors = _await_rest(ident, float(request.get("patience", PATIENCE_SECONDS)))
    durable.failpoint("play.ended")
    if lock >= 0:
        os.close(lock)
    volatile.discard(folder)
    result = account.result(status, rc, time.monotonic() - began, error=error)
    return replace(result, survivors=survivors)


def main() -> int:
    """Exit code 0: a result was written, whatever it says."""
    folder = Path(sys.argv[1])
    told = json.loads(sys.stdin.read() or "{}")
    secrets = [str(item) for item in told.get("secrets", ())]
    stream = RedactedStream(sys.stderr.write, Redactor(secrets))
    sys.stdout = sys.stderr = stream
    request = durable.read_json(folder / REQUEST)
    if request.document is None:
        return 2
    processes.become_subreaper()
    cancel = _Cancel([Path(item) for item in request.document["cancel"]])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, cancel.ask)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    result = perform(folder, dict(request.document), secrets, cancel, told.get("given"))
    durable.write_json(folder / RESULT, {**result.document(), "ident": request.document["ident"]})
    durable.failpoint("play.result")
    return 0


if __name__ == "__main__":
    sys.exit(main())
