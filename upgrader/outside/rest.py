"""When the probe of a run may end: nothing that touches the cloud is under way, or may be left half done.

Read out of the journal, so that it is noticed whichever command of whichever process brought the run to rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from upgrader.availability.probe import Order
from upgrader.journal import JournalError, open_journal
from upgrader.journal.place import DATABASE
from upgrader.journal.rows import Snapshot
from upgrader.states import RUN_ENDED, State

GRACE = 20.0
"""Seconds a rest has to last: the next stage may be about to begin."""

WATCHED: frozenset[State] = frozenset(
    {
        State.BROKER, State.UPGRADE, State.VERIFY, State.SOAK, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE,
        State.VERIFY_OLD,
    }
)  # fmt: skip
"""Stages beside which the APIs are asked."""
_UNSETTLED: frozenset[State] = WATCHED | {
    State.DECIDE, State.DECIDE_BROKER, State.HOLD_VERIFY, State.NEEDS_ATTENTION,
}  # fmt: skip
"""States in which the cloud changes, or a person repairs it: an outage may go on."""


def at_rest(snapshot: Snapshot, run: str) -> str:
    """Why nothing need be asked any more; empty while it has to be."""
    if snapshot.run is None or snapshot.run.id != run:
        return "another run was begun"
    if snapshot.run.state in RUN_ENDED:
        return f"the run is {snapshot.run.state.value.replace('_', ' ')}"
    if snapshot.hop is None or snapshot.attempt is not None or snapshot.hop.state in _UNSETTLED:
        return ""
    return f"{snapshot.hop.name} is at rest in {snapshot.hop.state}"


def watcher(order: Order, clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """What the probe asks every few seconds. Cheap while the journal does not change."""
    state_dir = Path(order.state_dir)
    if not order.run:
        return lambda: ""
    seen: tuple[int, ...] | None = None
    reason, since = "", 0.0

    def look() -> str:
        nonlocal seen, reason, since
        stamp = _stamp(state_dir)
        if stamp != seen:
            found = _reason(state_dir, order.run)
            if found != reason:
                reason, since = found, clock()
            seen = stamp
        return reason if reason and clock() - since >= GRACE else ""

    return look


def _reason(state_dir: Path, run: str) -> str:
    try:
        with open_journal(state_dir, readonly=True) as journal:
            return at_rest(journal.snapshot(recent=0), run)
    except JournalError as error:
        # a journal that is gone is the end of everything; one that cannot be read now may be readable later
        return "the journal is gone" if error.reason == "no-journal" else ""


def _stamp(state_dir: Path) -> tuple[int, ...]:
    """Changes whenever something was written to the journal. Only looks: opening its files would drop locks."""
    found: list[int] = []
    for name in (DATABASE, f"{DATABASE}-wal"):
        try:
            state = (state_dir / name).stat()
        except OSError:
            continue
        found += [state.st_ino, state.st_size, state.st_mtime_ns]
    return tuple(found)
