"""An entered journal, and ways to drive it to a wanted state."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from upgrader.journal import Journal, acquire, open_journal
from upgrader.journal.chain import digest
from upgrader.journal.commit import Clock
from upgrader.journal.place import Durability
from upgrader.journal.rows import HopRow
from upgrader.states import FORWARD, AttemptState, Event, State

FAST = Durability("OFF", False)
"""For schedules of many thousand runs on a RAM disk; a crash in the same process loses nothing by it."""
HOPS = [("2024.1", "2024.2"), ("2024.2", "2025.1")]
REQUEST = "0" * 64
EVENT = {
    AttemptState.SUCCEEDED: Event.SUCCEEDED,
    AttemptState.FAILED: Event.FAILED,
    AttemptState.CANCELED: Event.CANCELED,
    AttemptState.UNKNOWN: Event.UNKNOWN,
    AttemptState.VOID: None,
}


class Crash(BaseException):
    """The process ends here, as far as the code under test can tell: nothing that cleans up may catch it."""


class Ticking(Clock):
    """Clocks that a test moves."""

    def __init__(self, boot: str = "boot-1") -> None:
        self.boot = boot
        self.wall = 1_800_000_000_000_000_000
        self.mono = 1_000_000_000

    def wall_ns(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        return self.mono


def plan(**more: Any) -> dict[str, Any]:
    return {"lineage": "", "serial": 0, "site": "prod-fra", **more}


@contextmanager
def entered(state_dir: Path, **options: Any) -> Iterator[Journal]:
    """The journal in `state_dir`, under its lease."""
    with acquire(state_dir, "run") as lease, open_journal(state_dir, **options) as journal:
        journal.enter(lease)
        yield journal


@contextmanager
def ram_folder() -> Iterator[Path]:
    """A folder on a RAM disk where there is one."""
    ram = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=ram) as folder:
        yield Path(folder)


def begin(journal: Journal, hops: list[tuple[str, str]] = HOPS, **more: Any) -> str:
    """A run whose first hop is in preflight."""
    document = plan(**more)
    run = journal.begin_run(document, digest(document), "anna", hops, engine_version="0.1")
    journal.begin_hop(0)
    return run


def attempt(
    journal: Journal,
    stage: State,
    result: AttemptState = AttemptState.SUCCEEDED,
    event: Event | str | None = "",
    *,
    hop: int = 0,
    **more: Any,
) -> HopRow:
    """One whole attempt. `event` as the result usually means it, unless given."""
    row = journal.intend(hop, stage, request_sha256=REQUEST)
    if result is not AttemptState.VOID:
        journal.launched(row.id, 4711)
    return journal.finish(row.id, result, EVENT[result] if event == "" else event, **more)


def walk_to(journal: Journal, wanted: State, *, hop: int = 0, schema_started: bool | None = False) -> None:
    """Drive a hop that is in preflight the undisturbed way until it is in `wanted`."""
    for stage in FORWARD:
        if stage is State.BROKER:
            if wanted is State.HOLD_BROKER:
                break
            if wanted is State.BROKER:
                journal.move(hop, Event.APPROVE, "anna", "go")
                break
            journal.move(hop, Event.SKIP, "engine", "no queue has to be migrated")
            continue
        if stage in (State.UPGRADE, State.FINALIZE):
            if journal.snapshot().hops[hop].state is wanted:
                return
            journal.move(hop, Event.APPROVE, "anna", "go")
        if journal.snapshot().hops[hop].state is wanted:
            return
        attempt(journal, stage, hop=hop, schema_started=schema_started)
    assert journal.snapshot().hops[hop].state is wanted
