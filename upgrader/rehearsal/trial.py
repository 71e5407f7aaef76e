"""What a hop is tried with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.throwaway import Server
from upgrader.graph import ReleaseGraph
from upgrader.rehearsal.keys import NO_KEYS, Keys
from upgrader.rehearsal.programs import Cancelled, Programs

LIMIT = 3600.0
"""Seconds that one command may take; an online migration of a million rows needs about an hour."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """The copy, the programs of both releases, and the bounds; `folder` keeps what the programs said."""

    server: Server
    graph: ReleaseGraph
    folder: Path
    old: Programs
    new: Programs
    keys: Keys = NO_KEYS
    workers: int = 0
    """Services at once; 0: as many as this machine has processors."""
    limit: float = LIMIT
    say: Say = lambda _line: None
    cancelled: Cancelled = lambda: False
