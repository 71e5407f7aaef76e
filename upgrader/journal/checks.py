"""The life of findings: what a check saw open, what was settled since, what came back, and what a person accepted.

Every `checked` event holds the whole memory, so the newest one is enough; no run is needed, and no plan becomes stale
by it. A check speaks only of what it judged (its `scope`, hops by name): what else is known to be open stays open.
An acceptance is for the finding as it stands: once it was settled, the next time it comes back it is open again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from upgrader.errors import RefusedError
from upgrader.journal.commit import Commit
from upgrader.journal.reading import acceptance_rows, newest_event
from upgrader.journal.rows import FindingMemory, OpenFinding

CHECKED = "checked"
SITE_WIDE = ""
"""The run of an acceptance that belongs to no run: of a finding, for as long as that stays open."""


def memory(connection: sqlite3.Connection) -> FindingMemory:
    """What the last check left, and what was accepted."""
    event = newest_event(connection, CHECKED)
    data: Mapping[str, Any] = event.data if event else {"open": {}, "settled": {}}
    found = {name: OpenFinding(**row) for name, row in data["open"].items()}
    return FindingMemory(
        checked_at=event.at if event else "",
        open=found,
        settled=frozenset(data["settled"]),
        accepted={
            row.name: row
            for row in acceptance_rows(connection, SITE_WIDE)
            if row.name in found and row.seq > found[row.name].since
        },
    )


def checked(
    commit: Commit, seen: Mapping[str, str], scope: Collection[str], actor: str, data: Mapping[str, Any]
) -> None:
    """Record a check: `seen` are the open findings (id → hop, empty for the cloud itself), `scope` what was judged."""
    event = newest_event(commit.connection, CHECKED)
    before: Mapping[str, Any] = event.data if event else {"open": {}, "settled": {}}
    number = commit.seq + 1
    kept = {name: row for name, row in before["open"].items() if name in seen or row["hop"] not in scope}
    gone = {*before["settled"], *before["open"]} - {*kept, *seen}
    for name, hop in seen.items():
        old = before["open"].get(name)
        came_back = old["regressed"] if old else name in before["settled"]
        kept[name] = {"hop": hop, "since": old["since"] if old else number, "regressed": came_back}
    body = {"actor": actor, "scope": sorted(scope), "open": kept, "settled": sorted(gone), **data}
    commit.append(CHECKED, body)


def accept(commit: Commit, name: str, reason: str, actor: str, data: Mapping[str, Any]) -> None:
    """Record that a person takes the risk of an open finding. Raises RefusedError when no check has it open."""
    if name not in memory(commit.connection).open:
        raise RefusedError(
            f"the last check did not find {name}; only what is open can be accepted",
            cloud="nothing was changed",
            next_command="upgrader check",
            reason="finding-not-open",
        )
    commit.append("accepted", {"name": name, "reason": reason, "actor": actor, **data}, run=SITE_WIDE)
