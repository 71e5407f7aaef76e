"""An error in words: what happened, the cloud's condition, the findings, and the exact next command last."""

from __future__ import annotations

from upgrader.errors import (
    EnvironmentMissingError,
    FailedCleanError,
    InterruptedRunError,
    RefusedError,
    RolledBackError,
    StaleError,
    UpgraderError,
    WaitingError,
)
from upgrader.views.plain import fit, safe


def error_text(error: UpgraderError, *, encoding: str | None = "utf-8") -> str:
    """Lines ending in a newline, ready for stderr."""
    lead = _lead(error)
    lines = [f"{lead}{line}" if number == 0 else line for number, line in enumerate(_lines(error.message))]
    for detail in error.details:
        lines += [f"  {line}" for line in _lines(detail)]
    if error.cloud:
        lines.append(f"The cloud: {safe(error.cloud)}")
    if error.next_command:
        lines.append(f"Next:  {safe(error.next_command)}")
    return fit("\n".join(lines) + "\n", encoding)


def _lines(text: str) -> list[str]:
    return [safe(line) for line in text.split("\n")]


def _lead(error: UpgraderError) -> str:
    if isinstance(error, InterruptedRunError | WaitingError | RolledBackError):
        return ""
    if isinstance(error, FailedCleanError):
        return "Failed, nothing changed: "
    if isinstance(error, EnvironmentMissingError):
        return "Cannot go on: "
    if isinstance(error, RefusedError | StaleError):
        return "Refused: "
    return "Error: "
