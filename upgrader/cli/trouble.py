"""Errors → words and exit code. Known troubles never show a traceback unless it is asked for."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from upgrader.cli.verb import with_site
from upgrader.errors import (
    ConfigError,
    EnvironmentMissingError,
    InterruptedRunError,
    LockedError,
    RefusedError,
    StaleError,
    UpgraderError,
    UsageError,
)

BROKEN_PIPE = 141
"""What a shell reports for a program whose reader went away (128 + SIGPIPE)."""

_OF_A_CLOUD = frozenset(
    {
        "check",
        "plan",
        "run",
        "status",
        "resume",
        "approve",
        "abort",
        "rollback",
        "history",
        "toolchain",
        "init",
        "diagnose",
    }
)  # fmt: skip
_UNTOUCHED = "Nothing was changed by this command."
_NEXT = {"unknown-release": "upgrader graph"}
"""Commands for errors of layers that know of no command line, by reason."""

_ParserError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def report(
    error: BaseException, *, as_json: bool, debug: bool, site: str | None = None, typed: Sequence[str] = ()
) -> int:
    """Say what happened on stderr (or as JSON on stdout) and return the exit code.

    `site`: what `--site` named, to be named again in the commands that are offered. `typed`: the command line.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _drop_stdout()
        return BROKEN_PIPE
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, _ParserError) and not as_json:
        return _show_usage(error)
    known = _known(error)
    _complete(known, typed)
    known.next_command = with_site(known.next_command, site)
    known.details = tuple(with_site(line, site) for line in known.details)
    try:
        _say(known, as_json=as_json)
    except BrokenPipeError:
        _drop_stdout()
    return known.exit_code


def _complete(error: UpgraderError, typed: Sequence[str]) -> None:
    """The cloud's condition and the next command, where the layer that raised the error could not know them.

    A trouble while a run is driven has its own words by then (`upgrader.cli.driving`), so that what comes here
    without any came before anything was begun.
    """
    if type(error) is UpgraderError:
        error.cloud = error.cloud or "Not known from here."
        error.next_command = error.next_command or "upgrader status"
        return
    verb = next((word for word in typed if word in _OF_A_CLOUD), "")
    if verb and isinstance(error, UsageError | RefusedError | StaleError | LockedError):
        error.cloud = error.cloud or _UNTOUCHED
    if not error.next_command and isinstance(error, ConfigError | EnvironmentMissingError):
        error.next_command = f"mend it, then: upgrader {shlex.join(typed)}" if typed else "upgrader --help"
    if not error.next_command and isinstance(error, RefusedError | StaleError | LockedError):
        error.next_command = _NEXT.get(error.reason, "upgrader status")


def document(error: UpgraderError) -> dict[str, object]:
    """The JSON form of an error."""
    return {
        "schema_version": 1,
        "kind": "error",
        "reason": error.reason or _reason(error),
        "message": error.message,
        "cloud": error.cloud,
        "details": list(error.details),
        "next": error.next_command,
    }


def _reason(error: UpgraderError) -> str:
    """`ConfigError` → `config`, for errors that carry no reason of their own."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")


def _known(error: BaseException) -> UpgraderError:
    if isinstance(error, UpgraderError):
        return error
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return InterruptedRunError("Interrupted.", reason="interrupted", next_command="upgrader status")
    if isinstance(error, _ParserError):
        return UsageError(str(error.format_message()), reason="usage", next_command="upgrader --help")  # type: ignore[attr-defined]
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return EnvironmentMissingError(f"{error.strerror}{where}", reason="operating-system")
    return _defect(error)


def _defect(error: BaseException) -> UpgraderError:
    """An error nobody foresaw: one line for the operator, the traceback into a private file."""
    summary = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    details = []
    try:
        details.append(f"The traceback is in {_keep(error)}")
    except OSError:
        details.append("Run again with --traceback to see where it came from.")
    return UpgraderError(f"A defect of this tool: {summary}", reason="internal", details=details)


def _keep(error: BaseException) -> Path:
    import traceback

    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = base / "upgrader"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "last-error.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        traceback.print_exception(error, file=file)
    return path


def _say(error: UpgraderError, *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stdout.write(json.dumps(document(error), indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    from upgrader.views.error import error_text

    sys.stderr.write(error_text(error, encoding=sys.stderr.encoding))
    sys.stderr.flush()


def _show_usage(error: BaseException) -> int:
    error.show()  # type: ignore[attr-defined]
    return UsageError.exit_code


def _drop_stdout() -> None:
    """Python flushes stdout once more at exit; give it a place where that cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
