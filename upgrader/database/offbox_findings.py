"""What there is to say of an off-box copy, in words; decides nothing but how bad it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from upgrader.config import Offbox
from upgrader.database.offbox_copies import Copy
from upgrader.database.restic import Restic
from upgrader.errors import UpgraderError
from upgrader.model import Code, Finding

_NAMED = 5


def good(there: Restic, copy: Copy, folder: Path, files: int) -> Finding:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Finding(
        id="offbox-verified",
        code=Code.SUCCESS,
        message=f"copied to {there.shown} and read back whole: {files} files, {size} bytes, copy {copy.short}",
    )


def not_read(there: Restic, copy: Copy) -> Finding:
    return Finding(
        id="offbox-not-verified",
        code=Code.WARNING,
        message=f"copy {copy.short} in {there.shown} was not read back, so it does not count",
        next='set verify = "reread" in [backup.offbox]',
    )


def not_the_same(there: Restic, copy: Copy, faults: Sequence[str], here: Sequence[str]) -> Finding:
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    if here:
        message = f"the set was damaged before it was copied to {there.shown}: {here[0]}"
    else:
        message = f"copy {copy.short} in {there.shown} is not the set that was copied, so it does not count"
    return Finding(
        id="offbox-not-verified",
        code=Code.FAILURE,
        severity="blocker",
        overridable=not here,
        message=message,
        evidence="; ".join(faults[:_NAMED]) + more,
        next="upgrader backup" if here else f"restic check --read-data, then: upgrader backup --copy {copy.set_name}",
    )


def not_marked(there: Restic, copy: Copy, error: UpgraderError) -> Finding:
    return Finding(
        id="offbox-not-marked",
        code=Code.WARNING,
        message=f"copy {copy.short} was read back whole, but that could not be noted in {there.shown}: "
        f"{error.message.rstrip('.')}",
        next=f"upgrader backup --copy {copy.set_name}",
    )


def failed(error: UpgraderError, offbox: Offbox) -> Finding:
    absent = error.reason == "restic-missing" and not offbox.required
    return Finding(
        id=error.reason or "offbox-failed",
        code=Code.WARNING if absent else Code.FAILURE,
        severity="advised" if absent else "blocker",
        overridable=not absent,
        message=error.message.rstrip("."),
        evidence="; ".join(error.details),
        next=error.next_command,
        why="A set that lies on this machine alone is lost with it.",
    )
