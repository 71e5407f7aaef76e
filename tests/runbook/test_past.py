"""What was measured of APIs before: of which stages, of which run, and what stands in where nobody asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runbook.made import a_site, site_plan
from upgrader import availability
from upgrader.availability import ApiDowntime, Outage
from upgrader.estimates import services
from upgrader.estimates.services import ServiceEstimate
from upgrader.runbook import past
from upgrader.states import State

BEGAN = datetime(2026, 11, 1, 22, tzinfo=UTC)


def outage(minute: float, seconds: float) -> Outage:
    began = BEGAN + timedelta(minutes=minute)
    return Outage(
        "keystone", began, began + timedelta(seconds=seconds), seconds, seconds - 1, seconds + 1, 9, "refused"
    )


def api(name: str, *outages: Outage) -> ApiDowntime:
    total = sum(one.seconds for one in outages)
    return ApiDowntime(name, "http://x", 0.5, 99, 9, total, total, total, 0, outages, (), BEGAN, BEGAN, 3, True)


def attempt(stage: State, begin: float, end: float) -> SimpleNamespace:
    told = [(BEGAN + timedelta(minutes=minute)).isoformat() for minute in (begin, end)]
    return SimpleNamespace(stage=stage, launched_at=told[0], finished_at=told[1])


class Journal:
    """What of a journal is asked here."""

    def plan(self, _run: str) -> dict[str, Any]:
        return {"hops": [{"from": "2024.1", "to": "2024.2"}, {"from": "2024.2", "to": "2025.1"}]}

    def attempts(self, _run: str, hop: int) -> tuple[SimpleNamespace, ...]:
        if hop:
            return (attempt(State.PREFLIGHT, 90, 95),)
        return (attempt(State.PREFLIGHT, 0, 5), attempt(State.UPGRADE, 10, 40))


def test_outages_of_the_upgrade_count_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "availability" / "run-1").mkdir(parents=True)
    asked = (api("glance"), api("keystone", outage(2, 30), outage(12, 8), outage(39, 10), outage(50, 60)))
    monkeypatch.setattr(availability, "downtime", lambda _folder: asked)
    found = dict(past._of_run(Journal(), tmp_path, "run-1", "history"))  # type: ignore[arg-type]
    assert list(found) == ["2024.1→2024.2"]
    keystone, glance = found["2024.1→2024.2"]
    assert (keystone.api, keystone.span.seconds, keystone.span.low, keystone.span.high) == ("keystone", 18, 16, 20)
    assert (glance.api, glance.span.seconds) == ("glance", 0)
    assert keystone.span.note == "asked by the probe during run run-1"
    assert dict(past._of_run(Journal(), tmp_path, "run-2", "history")) == {}  # type: ignore[arg-type]


def test_where_nobody_asked_past_upgrades_give_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = site_plan("2024.1", "2024.2")
    rows = tuple(
        ServiceEstimate("2024.1→2024.2", stage, service, 60, 50, 80, 2)
        for stage in ("upgrade", "rollback_redeploy")
        for service in ("neutron", "common")
    )
    monkeypatch.setattr(services, "by_service", lambda _site, _plan: rows)
    site = replace(a_site(), state_dir=tmp_path, staging=None)
    found = past.past_downtimes(site, made)
    assert [(row.api, row.span.seconds, row.span.note) for row in found["2024.1→2024.2"]] == [
        ("neutron", 60, past.BOUND)
    ]


def test_nothing_known_is_nothing_told(tmp_path: Path) -> None:
    site = replace(a_site(), state_dir=tmp_path, staging=tmp_path / "none.toml")
    assert past.past_downtimes(site, site_plan("2024.1", "2024.2")) == {}
