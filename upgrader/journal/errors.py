"""Troubles of the journal that callers may want to tell apart; the rest are classes of `upgrader.errors`."""

from __future__ import annotations

from upgrader.errors import LockedError, RefusedError, UpgraderError


class JournalError(RefusedError):
    """The journal cannot be used: damaged, of another version, or not there. Nothing was written."""


class StaleEpochError(LockedError):
    """Another upgrader entered the journal after this one did; nothing was written, and this one has to stop."""


class InvariantError(UpgraderError):
    """A write would have broken one of the journal's invariants; it was not done. A defect of this tool."""
