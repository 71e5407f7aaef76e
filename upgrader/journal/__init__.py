"""The journal of one cloud: an append-only, hash-chained event log in SQLite and the tables read from it.

Only importer of sqlite3. A mutating command holds the lease (one owner per cloud, `lease.py`), opens the journal
and enters it, which raises the epoch; from then on every write of an older epoch is refused. Reading takes no
lock. What an event means for the tables is said once, in `projection.py`, for live writes and replay alike.
"""

from __future__ import annotations

from upgrader.journal.errors import InvariantError, JournalError, StaleEpochError
from upgrader.journal.journal import Journal, open_journal
from upgrader.journal.lease import Card, Lease, acquire, read_card
from upgrader.journal.rows import (
    Acceptance,
    AttemptRow,
    EventRow,
    FindingMemory,
    HopRow,
    OpenFinding,
    RunRow,
    Snapshot,
)

__all__ = [
    "Acceptance",
    "AttemptRow",
    "Card",
    "EventRow",
    "FindingMemory",
    "HopRow",
    "InvariantError",
    "Journal",
    "JournalError",
    "Lease",
    "OpenFinding",
    "RunRow",
    "Snapshot",
    "StaleEpochError",
    "acquire",
    "open_journal",
    "read_card",
]
