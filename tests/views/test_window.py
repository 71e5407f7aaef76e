"""How long a plan takes and when there is time for it, on a page and as JSON; beside the plan, never in its digest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time

import pytest

from tests.planner.plans import a_plan
from upgrader.cli.plan_cmd import _print_json
from upgrader.estimates import Estimate, HopFit, for_plan_only, hop_fits
from upgrader.model import Plan
from upgrader.plan_file import render_plan
from upgrader.status import Standing
from upgrader.status_read import schedule_now
from upgrader.views.page import plain_text
from upgrader.views.plan import plan_page
from upgrader.window import WindowRules

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WEEKLY = WindowRules(time(22), 8 * 3600, "Europe/Berlin", (5,))
Times = tuple[tuple[Estimate, ...], Standing, tuple[HopFit, ...]]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return a_plan()


def times(plan: Plan, rules: WindowRules = WEEKLY) -> Times:
    found = for_plan_only(plan)
    return found, schedule_now(rules, NOW), hop_fits(rules, NOW, plan.document(), found)


def said(plan: Plan, rules: WindowRules) -> str:
    found, window, fits = times(plan, rules)
    return plain_text(plan_page(plan, next_commands=["x"], found=found, window=window, fits=fits), width=200)


def test_the_columns_and_where_they_come_from(plan: Plan) -> None:
    text = said(plan, WEEKLY)
    header = next(line for line in text.splitlines() if line.lstrip().startswith("hop "))
    assert header.split("  ") and "in the window" in header and "before it" in header
    assert "(eight of ten)" in text and "all from the shipped baseline (assumed, not measured)" in text


def test_each_hop_has_a_window_of_its_own(plan: Plan) -> None:
    text = said(plan, WEEKLY)
    assert "Change window  every Sat 22:00 for 8 h, Europe/Berlin" in text
    assert "opens Sat 2026-11-28 22:00 CET (21:00 UTC)" in text
    first = plan.hops[0].name
    assert f"✓ {first} fits, from Sat 2026-11-28 22:00 CET (21:00 UTC): about" in text
    assert "kept free for the way back" in text


def test_a_window_that_is_too_short_or_over(plan: Plan) -> None:
    short = said(plan, WindowRules(time(22), 600, "Europe/Berlin", (5,)))
    assert f"! {plan.hops[0].name} fits into no window to come" in short
    over = said(plan, WindowRules(datetime(2026, 11, 1, tzinfo=UTC), 3600))
    assert "none comes any more" in over and "fits into no window to come" in over


def test_a_window_that_is_open(plan: Plan) -> None:
    assert f"✓ {plan.hops[0].name} fits, now: about" in said(plan, WindowRules(NOW, 8 * 3600, "Europe/Berlin"))
    assert f"✓ {plan.hops[0].name} fits, now: about" in said(plan, WindowRules())


def test_without_windows_nothing_is_said_of_them(plan: Plan) -> None:
    text = plain_text(plan_page(plan, next_commands=["x"], found=for_plan_only(plan)))
    assert "Change window" not in text and "in the window" in text


def test_as_json_beside_the_plan(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    _print_json(plan, *times(plan))
    document = json.loads(capsys.readouterr().out)
    assert document["sha256"] == plan.sha256
    assert document["estimates"][0]["source"] == "baseline"
    assert document["window"]["hops"][0]["opens"] == "2026-11-28T21:00:00+00:00"
    assert document["window"]["opens"] == "2026-11-28T21:00:00+00:00"
    inside = json.loads(render_plan(plan))
    assert inside["sha256"] == plan.sha256 and not {"estimates", "window"} & set(inside["plan"])
