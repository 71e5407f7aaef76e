"""Seconds by service out of an attempt's own lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.engine_kit.place import a_plan, site_of
from tests.estimates.test_estimates import past, sized
from tests.journal_kit import entered, ram_folder
from upgrader.estimates import ServiceEstimate, by_service
from upgrader.estimates.past import samples
from upgrader.estimates.services import seconds_by_role


def line(second: int, kind: str = "task_start", **more: Any) -> dict[str, Any]:
    return {"at": f"2026-11-22T14:{second // 60:02}:{second % 60:02}+00:00", "kind": kind, **more}


LINES = [
    line(0, "step_start", step="upgrade"), line(2, "play_start"), line(3, role="mariadb"), line(13, "host_ok"),
    line(23, role="neutron"), line(63, role="mariadb"), {"kind": "task_start", "at": "?"}, line(68, "step_end"),
    line(70, "step_start"),
]  # fmt: skip


def test_every_line_lasts_until_the_next() -> None:
    assert seconds_by_role(LINES) == {"": 5.0, "mariadb": 25.0, "neutron": 40.0}
    assert seconds_by_role([]) == {}


def estimated(folder: Path, seconds: float, lines: list[dict[str, Any]]) -> tuple[ServiceEstimate, ...]:
    past(folder / "state", {"upgrade": seconds})
    site = site_of(folder, staging=None)
    for sample in samples(site.state_dir, forks=site.forks):
        if sample.stage == "upgrade":
            place = site.state_dir / "attempts" / sample.attempt
            place.mkdir(parents=True)
            (place / "progress.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    with ram_folder() as other, entered(other) as journal:
        plan = sized(a_plan(journal, 2), 10)
    return by_service(site, plan)


def test_services_of_the_hop_and_of_others(tmp_path: Path) -> None:
    found = estimated(tmp_path, 70.0, LINES)
    assert [(one.hop, one.service, one.seconds, one.samples) for one in found] == [
        ("2024.1→2024.2", "mariadb", 25, 1), ("2024.1→2024.2", "neutron", 40, 1),
        ("2024.2→2025.1", "mariadb", 25, 1), ("2024.2→2025.1", "neutron", 40, 1),
    ]  # fmt: skip
    assert all(one.low < one.seconds < one.high for one in found)
    assert found[2].note == "other hops on this site" and found[2].high > found[0].high


def test_an_attempt_whose_clock_jumped_says_nothing(tmp_path: Path) -> None:
    assert estimated(tmp_path, 700.0, LINES) == ()
