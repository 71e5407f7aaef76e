"""When the probe may end, read out of the journal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine_kit.place import a_plan, opened, prepare
from upgrader.availability.probe import Order
from upgrader.outside import rest
from upgrader.outside.rest import GRACE, WATCHED, at_rest, watcher
from upgrader.states import INFO, RUN_ENDED, TERMINAL, RunState, State


def shot(state: State, *, run: RunState = RunState.ACTIVE, attempt: Any = None) -> Any:
    hop = SimpleNamespace(state=state, name="2024.1 → 2024.2")
    return SimpleNamespace(run=SimpleNamespace(id="r", state=run), hop=hop, attempt=attempt)


@pytest.mark.parametrize("state", list(State))
def test_it_asks_on_wherever_an_api_may_be_away(state: State) -> None:
    reason = at_rest(shot(state), "r")
    info = INFO[state]
    undecided = info.kind == "rest" and info.way_back != "nothing"
    checked = state in (State.VERIFY, State.SOAK, State.VERIFY_OLD)
    assert (reason == "") is (info.touches_cloud or undecided or checked), reason


def test_every_stage_that_touches_the_cloud_is_watched() -> None:
    assert {state for state, info in INFO.items() if info.touches_cloud} <= WATCHED
    assert not WATCHED & TERMINAL


def test_other_ends() -> None:
    assert at_rest(shot(State.UPGRADE), "another") == "another run was begun"
    assert at_rest(shot(State.PREFLIGHT, attempt=object()), "r") == ""
    for state in RUN_ENDED:
        assert at_rest(shot(State.UPGRADE, run=state), "r").startswith("the run is ")
    assert at_rest(SimpleNamespace(run=None), "r")  # type: ignore[arg-type]


def test_a_rest_has_to_last(tmp_path: Path) -> None:
    site = prepare(tmp_path)
    now = [0.0]
    with opened(site) as session:
        run = session.begin(a_plan(session.journal))
        order = Order(0.5, 5, 5, 60, state_dir=str(site.state_dir), run=run)
        look = watcher(order, lambda: now[0])
        assert look() == "", "at rest before its first stage, but only just"
        now[0] += GRACE
        assert "at rest in pending" in look()
        session.journal.end_run(RunState.ABORTED, "anna", "no")
        assert look() == ""
        now[0] += GRACE
        assert look() == "the run is aborted"


def test_a_journal_that_does_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = prepare(tmp_path)
    with opened(site) as session:
        run = session.begin(a_plan(session.journal))
        look = watcher(Order(0.5, 5, 5, 60, state_dir=str(site.state_dir), run=run))
        look()
        monkeypatch.setattr(rest, "open_journal", lambda *_, **__: pytest.fail("read again"))
        look()


def test_without_a_run_only_the_limit_ends_it() -> None:
    assert watcher(Order(0.5, 5, 5, 60))() == ""


def test_a_journal_that_is_gone(tmp_path: Path) -> None:
    now = [0.0]
    look = watcher(Order(0.5, 5, 5, 60, state_dir=str(tmp_path), run="r"), lambda: now[0])
    look()
    now[0] += GRACE
    assert look() == "the journal is gone"
