"""An operator's desk: one place, the lease in hand, an engine to drive, and what was said so far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import WorldSession, a_plan, opened, prepare
from tests.engine_kit.world import World
from tests.journal_kit import ram_folder
from tests.journal_kit.history import broken_laws
from upgrader.config import Site
from upgrader.engine import Ending, Engine
from upgrader.journal import HopRow, Journal


class Desk:
    """`session` is there once the place is opened."""

    def __init__(self, place: Path, **site: Any) -> None:
        self.site: Site = prepare(place, **site)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.world = World.of(self.site.state_dir)
        self.session: WorldSession

    def begin(self, hops: int = 1, **plan: Any) -> None:
        self.session.begin(a_plan(self.session.journal, hops, **plan))

    def drive(self, **engine: Any) -> Ending:
        conduct = self.session.conduct(self.journal.snapshot())
        return Engine(conduct, "anna", **{"auto_approve": True, **engine}).drive()

    @property
    def journal(self) -> Journal:
        return self.session.journal

    @property
    def hop(self) -> HopRow:
        hop = self.journal.snapshot().hop
        assert hop is not None
        return hop

    def stages(self) -> list[str]:
        """Attempts in their order, as `stage result`."""
        run = self.journal.snapshot().run
        assert run is not None
        return [f"{row.stage} {row.state}" for row in self.journal.attempts(run.id)]

    def words(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.said if name == kind]


@pytest.fixture
def place() -> Iterator[Path]:
    with ram_folder() as folder:
        yield folder


@pytest.fixture
def desk(place: Path) -> Iterator[Desk]:
    made = Desk(place)
    with opened(made.site, lambda kind, data: made.said.append((kind, data))) as session:
        made.session = session
        yield made
        assert broken_laws(session.journal.events()) == []
        assert session.journal.verify() == ()
        assert session.journal.rebuild() == ()
        assert made.world.twice() == []
