"""Estimates from journals, rehearsals and the baseline: which attempts count, what is scaled, what is said of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import a_plan, site_of
from tests.journal_kit import Ticking, entered, ram_folder
from upgrader.config import Site
from upgrader.estimates import (
    BACK,
    Estimate,
    before_window,
    documents,
    estimates,
    for_plan_only,
    hop_fits,
    in_window,
    left,
    of,
    total,
    way_back,
    way_of,
)  # fmt: skip
from upgrader.estimates.model import Size, baseline, expected, spread
from upgrader.journal import Journal
from upgrader.model import Plan
from upgrader.states import FORWARD, AttemptState, Event, RunState, State
from upgrader.window import WindowRules

HOP = "2024.1→2024.2"
USUAL = {"preflight": 60, "backup": 300, "pull": 600, "rehearse": 900, "upgrade": 2400, "verify": 120, "soak": 5,
         "finalize": 30}  # fmt: skip
Tries = dict[str, list[tuple[AttemptState, float]]]


def sized(plan: Plan, hosts: int) -> Plan:
    named = tuple((f"h{number:03}", ("compute",)) for number in range(hosts))
    return plan.model_copy(update={"hosts": named})


def one_attempt(journal: Journal, clock: Ticking, stage: State, result: AttemptState, seconds: float) -> None:
    event = None if result is AttemptState.VOID else Event(result.value)
    row = journal.intend(0, stage, request_sha256="0" * 64)
    if result is not AttemptState.VOID:
        journal.launched(row.id, 4711, clock.boot)
    clock.mono += int(seconds * 1e9)
    clock.wall += int(seconds * 1e9)
    journal.finish(row.id, result, event, {"seconds": seconds}, schema_started=False)


def past(state_dir: Path, times: dict[str, float] | None = None, *, hosts: int = 10, tries: Tries | None = None,
         accept: str = "", runs: int = 1) -> None:  # fmt: skip
    """Runs of one hop in a journal; `tries` replaces a stage's one good attempt."""
    clock = Ticking()
    state_dir.mkdir(parents=True, exist_ok=True)
    with entered(state_dir, clock=clock) as journal:
        for _ in range(runs):
            plan = sized(a_plan(journal), hosts)
            journal.begin_run(plan.document(), plan.sha256, "anna", [("2024.1", "2024.2")])
            journal.begin_hop(0)
            if accept:
                journal.accept(accept, "why", "anna")
            _walk(journal, clock, {**USUAL, **(times or {})}, tries or {})


def _walk(journal: Journal, clock: Ticking, times: dict[str, float], tries: Tries) -> None:
    todo = {stage: list(rows) for stage, rows in tries.items()}
    while (state := journal.snapshot().hops[0].state) is not State.HOP_DONE:
        if state is State.HOLD_BROKER:
            journal.move(0, Event.SKIP, "engine", "nothing to migrate")
        elif state in (State.HOLD_UPGRADE, State.HOLD_FINALIZE):
            journal.move(0, Event.APPROVE, "anna", "go")
        elif state in (State.DECIDE, State.FAILED_CLEAN):
            journal.move(0, Event.RETRY, "anna", "again")
        else:
            rows = todo.get(state.value) or [(AttemptState.SUCCEEDED, times[state.value])]
            result, seconds = rows.pop(0)
            one_attempt(journal, clock, state, result, seconds)
    assert journal.snapshot().run.state is RunState.DONE  # type: ignore[union-attr]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Site, Plan]]:
    def made(hosts: int = 10, **site: Any) -> tuple[Site, Plan]:
        with ram_folder() as folder:
            folder.joinpath("state").mkdir()
            with entered(folder / "state") as journal:
                plan = sized(a_plan(journal, 2), hosts)
        return site_of(tmp_path, **{"staging": None, **site}), plan

    return made


def found_of(made: tuple[Site, Plan], stage: str, hop: str = HOP) -> Estimate:
    found = of(estimates(*made), hop, stage)
    assert found is not None
    return found


Make = Callable[..., tuple[Site, Plan]]


# ---------------------------------------------------------------- which attempts count


def test_without_a_past_it_is_the_baseline_and_says_so(make: Make) -> None:
    found = estimates(*make())
    assert {one.source for one in found} == {"baseline"} and {one.samples for one in found} == {0}
    assert all("assumed" in one.note for one in found)
    assert [one.stage for one in found if one.hop == HOP] == [
        stage.value for stage in FORWARD if stage is not State.BROKER
    ] + list(BACK)  # fmt: skip
    assert found == for_plan_only(make()[1], forks=5)


def test_history_of_the_hop(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", runs=3)
    made = make()
    for stage, seconds in USUAL.items():
        if stage != "soak":
            found = found_of(made, stage)
            assert (found.seconds, found.source, found.samples) == (seconds, "history", 3), stage
            assert found.low < seconds < found.high and "scaled" not in found.note
    assert found_of(made, "upgrade", "2024.2→2025.1").note == "other hops on this site"
    assert found_of(made, "upgrade", "2024.2→2025.1").high > found_of(made, "upgrade").high
    assert estimates(*made) == estimates(*made), "the same files, the same figures"


@pytest.mark.parametrize("bad", [AttemptState.FAILED, AttemptState.CANCELED, AttemptState.UNKNOWN])
def test_an_interrupted_upgrade_does_not_distort(make: Make, tmp_path: Path, bad: AttemptState) -> None:
    """Neither the attempt that was cut short, nor the one that found half of the work done."""
    again = {"upgrade": [(bad, 100.0), (AttemptState.SUCCEEDED, 700.0)]}
    past(tmp_path / "state", tries=again)
    assert found_of(make(), "upgrade").source == "baseline"
    past(tmp_path / "state")
    found = found_of(make(), "upgrade")
    assert (found.seconds, found.samples, found.source) == (2400, 1, "history")


def test_an_attempt_that_never_started_spoils_nothing(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", tries={"upgrade": [(AttemptState.VOID, 9.0), (AttemptState.SUCCEEDED, 2000.0)]})
    assert found_of(make(), "upgrade").seconds == 2000


def test_a_check_that_failed_first_counts_when_it_was_done_whole(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", tries={"preflight": [(AttemptState.FAILED, 5.0), (AttemptState.SUCCEEDED, 70.0)]})
    found = found_of(make(), "preflight")
    assert (found.seconds, found.samples) == (70, 1)


def test_a_rehearsal_that_was_let_pass_is_no_sample(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", {"rehearse": 1}, accept="not-rehearsed")
    assert found_of(make(), "rehearse").source == "baseline"
    assert found_of(make(), "upgrade").source == "history"


def test_without_the_supervisors_word_the_journals_monotonic_clock_counts(make: Make, tmp_path: Path) -> None:
    clock = Ticking()
    (tmp_path / "state").mkdir()
    with entered(tmp_path / "state", clock=clock) as journal:
        plan = sized(a_plan(journal), 10)
        journal.begin_run(plan.document(), plan.sha256, "anna", [("2024.1", "2024.2")])
        journal.begin_hop(0)
        row = journal.intend(0, State.PREFLIGHT, request_sha256="0" * 64)
        journal.launched(row.id, 1, clock.boot)
        clock.mono += 77 * 10**9
        clock.wall -= 3600 * 10**9
        journal.finish(row.id, AttemptState.SUCCEEDED, Event.SUCCEEDED)
    assert found_of(make(), "preflight").seconds == 77, "the wall clock was put back meanwhile"


def test_a_damaged_journal_gives_the_baseline(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state")
    (tmp_path / "state" / "journal.db").write_bytes(b"no database")
    assert found_of(make(), "upgrade").source == "baseline"


# ---------------------------------------------------------------- other places and sizes


def test_a_history_of_another_size_is_scaled_and_doubted(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", hosts=10)
    small, large = found_of(make(10), "upgrade"), found_of(make(300), "upgrade")
    ratio = expected("upgrade", Size(300, 2, 1, 5)) / expected("upgrade", Size(10, 2, 1, 5))
    assert ratio > 1.5 and large.seconds == pytest.approx(small.seconds * ratio, abs=1)
    assert large.note == "this hop on this site; measured on 10 hosts, scaled to 300"
    assert large.high / large.low > 1.1 * small.high / small.low


def test_the_staging_clouds_walk_is_a_rehearsal(make: Make, tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    file = tmp_path / "staging" / "upgrader.toml"
    file.write_text('[site]\nname = "stage"\n[kolla]\nconfig_dir = "."\ninventory = "hosts"\n[run]\nforks = 5\n')
    past(tmp_path / "staging" / "state", {"upgrade": 1500}, hosts=10)
    made = make(staging=file)
    found = found_of(made, "upgrade")
    assert (found.seconds, found.source, found.note) == (1500, "rehearsal", "this hop on the staging cloud")
    past(tmp_path / "state")
    assert found_of(made, "upgrade").source == "history", "the site's own walk of the hop is better"
    assert found_of(make(staging=tmp_path / "gone.toml"), "pull").source == "history"


def report(state_dir: Path, name: str, **changes: Any) -> None:
    hop = {
        "from": "2024.1",
        "to": "2024.2",
        "seconds": 400.0,
        "services": [{"service": "neutron", "verdict": "passed"}],
        "projections": [{"service": "neutron", "schema_seconds": 900.0, "online_seconds": 100.0}],
        **changes,
    }
    folder = state_dir / "rehearsals" / name
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"id": name, "restore_seconds": 1600.0, "hops": [hop]}))


def test_a_rehearsal_on_a_copy(make: Make, tmp_path: Path) -> None:
    made = make()
    before = {stage: found_of(made, stage).seconds for stage in ("upgrade", "rollback_restore")}
    report(tmp_path / "state", "20261101T000000.000000Z")
    upgrade, restore, rehearse = (found_of(made, stage) for stage in ("upgrade", "rollback_restore", "rehearse"))
    line = baseline().lines
    assert upgrade.seconds == before["upgrade"] - line["upgrade"].schema + 1000 and upgrade.source == "baseline"
    assert "1000 s of migrations, measured on a copy (20261101" in upgrade.note
    assert restore.seconds == before["rollback_restore"] - line["rollback_restore"].restore + 1600
    assert (rehearse.seconds, rehearse.source, rehearse.samples) == (2000, "rehearsal", 1)


@pytest.mark.parametrize(
    "broken",
    [{"services": [{"service": "neutron", "verdict": "failed"}]}, {"seconds": "long"}, {"services": 3},
     {"projections": [{"service": "neutron"}]}, {"projections": [{"service": "neutron", "schema_seconds": math.nan,
                                                                  "online_seconds": 1}]}],
)  # fmt: skip
def test_a_failed_or_strange_report_counts_for_nothing(make: Make, tmp_path: Path, broken: dict[str, Any]) -> None:
    before = estimates(*make())
    report(tmp_path / "state", "x", **broken)
    assert estimates(*make()) == before


def test_a_way_back_that_was_never_gone_is_told_from_the_way_forward(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state", {"upgrade": 10_000})
    made = make()
    back = found_of(made, "rollback_redeploy")
    size = Size(10, 2, 1, 5)
    assert back.seconds == round(10_000 * expected("rollback_redeploy", size) / expected("upgrade", size))
    assert back.note == "from upgrade (this hop on this site); no rollback redeploy was measured"
    assert back.high / back.low > found_of(made, "upgrade").high / found_of(made, "upgrade").low


def test_the_soak_is_what_is_configured(make: Make, tmp_path: Path) -> None:
    past(tmp_path / "state")
    found = found_of(make(soak_seconds=7200), "soak")
    assert found.seconds > 7200 and found.low >= 7200 and "as configured" in found.note


# ---------------------------------------------------------------- the baseline and sums


def test_the_baseline_has_every_stage_and_grows() -> None:
    assert set(baseline().lines) == {*(stage.value for stage in FORWARD), *BACK}
    for stage in baseline().lines:
        sizes = [Size(10, 5), Size(10, 12), Size(100, 12), Size(300, 15, 4), Size(300, 15, 4, soak=600)]
        assert all(expected(stage, small) <= expected(stage, large) for small, large in pairwise(sizes))
        low, high = spread(stage, sizes[0])
        assert 0 < low < expected(stage, sizes[0]) < high
    assert expected("upgrade", Size(300, 15, 4)) > 1.5 * expected("upgrade", Size(300, 15, 4, forks=50))


def test_sums(make: Make) -> None:
    found = estimates(*make())
    window, before = in_window(found, HOP), before_window(found, HOP)
    forward = [one for one in found if one.hop == HOP and one.stage not in BACK]
    assert window.seconds + before.seconds == sum(one.seconds for one in forward)
    assert window.stage == "backup+upgrade+verify+soak+finalize" and before.stage == "preflight+pull+rehearse"
    assert sum(one.low for one in forward if one.stage in window.stage.split("+")) <= window.low < window.seconds
    assert way_back(found, HOP, "restore").seconds > way_back(found, HOP, "redeploy").seconds
    assert total(found, HOP, ()).seconds == 0
    assert json.loads(json.dumps(documents(found)))[0]["stage"] == "preflight"


@pytest.mark.parametrize(
    ("gone", "seconds", "pace"), [(0, 1000, "usual"), (600, 400, "usual"), (1500, 250, "slow"), (5000, 0, "overdue")]
)
def test_what_is_left(gone: float, seconds: int, pace: str) -> None:
    found = left(Estimate(HOP, "upgrade", 1000, 600, 2000, "history", 3), gone)
    assert (found.seconds, found.pace) == (seconds, pace)
    assert 0 <= found.low <= found.high


def test_left_never_jumps_up() -> None:
    one = Estimate(HOP, "upgrade", 1000, 600, 2000, "history", 3)
    assert all(left(one, gone + 1).seconds <= left(one, gone).seconds for gone in range(990))


def test_hops_against_windows(make: Make) -> None:
    from datetime import UTC, datetime, time

    _, plan = make()
    document = plan.document()
    found = for_plan_only(document)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    fits = hop_fits(WindowRules(time(22), 8 * 3600, "UTC", (5,)), now, document, found)
    assert [fit.window.begins.day for fit in fits if fit.window] == [28, 5], "one hop each window"
    assert way_of(document["hops"][0]) == "restore" and fits[0].back == way_back(found, HOP, "restore")
    short = hop_fits(WindowRules(time(22), 600, "UTC", (5,)), now, document, found)
    assert [fit.window for fit in short] == [None, None]
