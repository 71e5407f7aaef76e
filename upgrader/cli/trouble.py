"""Errors → words and exit code. Known troubles never show a traceback unless it is asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from upgrader.cli.verb import with_site
from upgrader.errors import EnvironmentMissingError, InterruptedRunError, UpgraderError, UsageError

BROKEN_PIPE = 141
"""What a shell reports for a program whose reader went away (128 + SIGPIPE)."""

_ParserError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def report(error: BaseException, *, as_json: bool, debug: bool, site: str | None = None) -> int:
    """Say what happened on stderr (or as JSON on stdout) and return the exit code.

    `site`: what `--site` named, to be named again in the commands that are offered.
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
    known.next_command = with_site(known.next_command, site)
    known.details = tuple(with_site(line, site) for line in known.details)
    try:
        _say(known, as_json=as_json)
    except BrokenPipeError:
        _drop_stdout()
    return known.exit_code


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
