"""A session sees to the probe before stages that can take an API away, and before no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import a_plan, opened, prepare
from upgrader import conduct as conducting
from upgrader.outside import start
from upgrader.outside.rest import WATCHED
from upgrader.outside.start import Started
from upgrader.states import State


def test_which_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    said: list[str] = []

    def ensure(_site: Any, run: str, _equip: Any) -> Started:
        asked.append(run)
        return Started(True, "15 public APIs are asked.")

    monkeypatch.setattr(start, "ensure", ensure)
    with opened(prepare(tmp_path), lambda _kind, data: said.append(data.get("text", ""))) as session:
        run = session.begin(a_plan(session.journal))
        snapshot = session.journal.snapshot()
        conduct, hop = session.conduct(snapshot), snapshot.hop
        assert hop is not None
        for state in State:
            before = len(asked)
            conduct.beside(replace(hop, state=state))
            assert len(asked) - before == (state in WATCHED), state
    assert set(asked) == {run}
    assert said == ["  outside     15 public APIs are asked."] * len(WATCHED)


def test_before_an_attempt_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the attempt is there yet: a baseline of good answers comes before the first change."""
    monkeypatch.setattr(conducting.attempts, "spawn", lambda *_, **__: 4_000_000)
    seen = []
    with opened(prepare(tmp_path)) as session:
        session.begin(a_plan(session.journal))
        session.journal.begin_hop(0)
        snapshot = session.journal.snapshot()
        conduct, hop = session.conduct(snapshot), snapshot.hop
        assert hop is not None
        conduct.beside = lambda _hop: seen.append(session.journal.snapshot().attempt)
        conducting.launch(conduct, snapshot, hop)
        assert seen == [None] and session.journal.snapshot().attempt is not None
