"""Which walk on staging speaks for a hop here: every reason against one is told, and a good one has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine_kit.place import a_plan, site_of
from tests.journal_kit import entered, walk
from upgrader.config import Site
from upgrader.errors import RefusedError
from upgrader.journal import Journal
from upgrader.model import Plan
from upgrader.staging import same
from upgrader.staging.passes import (
    COPY_BEGUN,
    COPY_LOADED,
    SETTINGS,
    Standing,
    Wanted,
    holds_copy,
    reasons_against,
    standing,
    when,
)
from upgrader.staging.settings import Fingerprint
from upgrader.states import FORWARD, State

HERE = Fingerprint({"a": "1"}, {})
COPY = {"site": "prod", "lineage": "L", "backup_set": "/b/set", "release": "2024.1"}


@pytest.fixture
def staging(tmp_path: Path) -> Site:
    return site_of(tmp_path, name="crash")


def walked(journal: Journal, plan: Plan, *, until: State = State.HOP_DONE, settings: str = HERE.text()) -> None:
    walk.walked(journal, plan, until=until, facts={SETTINGS: settings})


@pytest.fixture
def journal(staging: Site) -> Iterator[Journal]:
    with entered(staging.state_dir) as opened:
        yield opened


def wanted(there: Standing, plan: Plan, **changes: object) -> Wanted:
    hop = plan.hops[0]
    made = Wanted(
        site="prod", lineage="L", hop=hop, parts=same.parts(plan, hop, {}), settings=HERE, overrides=(), copy=True,
        max_age_seconds=3600,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def reasons(staging: Site, plan: Plan, **changes: object) -> tuple[str, ...]:
    there = standing(staging)
    asked = wanted(there, plan, **changes)
    return reasons_against(there.walk_of(asked.hop), there, asked, {})


def test_nothing_was_ever_walked(staging: Site) -> None:
    assert standing(staging) == Standing()
    made = Standing()
    assert not made.open


def test_a_walk_on_a_copy_counts(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    journal.note(COPY_BEGUN, COPY)
    journal.note(COPY_LOADED, COPY)
    assert holds_copy(standing(staging), "prod", "L", "/b/set")
    assert not holds_copy(standing(staging), "prod", "L", "/b/newer")
    walked(journal, plan)
    assert reasons(staging, plan) == ()
    assert not holds_copy(standing(staging), "prod", "L", "/b/set"), "the walk has changed it"


def test_every_reason_against_a_walk_is_told(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    journal.note(COPY_LOADED, {**COPY, "site": "other"})
    walked(journal, plan, settings=Fingerprint({"a": "2"}, {}).text())
    ended = when(standing(staging).walks[0].hop.since)
    other = plan.model_copy(update={"tool_version": "9"})
    assert reasons(staging, other, now=ended + timedelta(hours=3)) == (
        f"staging's walk ended 3 hours ago, at {standing(staging).walks[0].hop.since}; it counts for 60 minutes",
        f"upgrader: here 9, on staging {plan.tool_version}",
        "setting a: staging says something else",
        "staging walked on a copy of other's databases (journal L)",
    )
    assert "in the future" in reasons(staging, plan, now=ended - timedelta(hours=1))[0]
    assert reasons(staging, plan, overrides=("a",), copy=False) == ()


def test_data_that_are_no_copy(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    walked(journal, plan)
    assert reasons(staging, plan) == ("staging walked on its own data, not on a copy of prod's",)
    assert reasons(staging, plan, copy=False) == ()


def test_a_copy_that_was_never_whole(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    journal.note(COPY_LOADED, COPY)
    journal.note(COPY_BEGUN, COPY)
    assert not holds_copy(standing(staging), "prod", "L", "/b/set")
    walked(journal, plan)
    assert "was not whole" in reasons(staging, plan)[0]


def test_a_copy_loaded_after_the_walk_says_nothing_of_it(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    walked(journal, plan)
    journal.note(COPY_LOADED, COPY)
    assert "on its own data" in reasons(staging, plan)[0]


@pytest.mark.parametrize("until", [state for state in FORWARD if state is not State.BROKER])
def test_a_walk_that_is_under_way_does_not_count(staging: Site, journal: Journal, until: State) -> None:
    plan = a_plan(journal)
    journal.note(COPY_LOADED, COPY)
    walked(journal, plan, until=until)
    there = standing(staging)
    assert there.open
    assert reasons(staging, plan)[0] == f"staging's walk of 2024.1→2024.2 is at {until}, not at its end"


def test_another_hop_is_no_walk_of_this_one(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    walked(journal, plan)
    other = plan.hops[0].model_copy(update={"source": "2024.2", "target": "2025.1"})
    assert standing(staging).walk_of(other) is None


def test_a_walk_that_does_not_say_its_settings(staging: Site, journal: Journal) -> None:
    plan = a_plan(journal)
    walked(journal, plan, settings="")
    assert reasons(staging, plan, copy=False) == ("settings: staging's journal does not say which it walked with",)


def test_the_journal_of_another_cloud(staging: Site, journal: Journal) -> None:
    walked(journal, a_plan(journal), until=State.BACKUP)
    with pytest.raises(RefusedError) as refused:
        standing(replace(staging, name="staging-two"))
    assert refused.value.reason == "staging-journal-foreign"
    assert "of cloud crash, the staging site is staging-two" in refused.value.message
