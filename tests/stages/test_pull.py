"""What stage `pull` does with the services' own upgrade checks: judged, told, never passed over in silence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host
from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.context import AttemptContext
from upgrader.model import AttemptRequest, CloudFacts, Code, Plan, StageOutcome
from upgrader.observed import UpgradeCheck
from upgrader.stages import pull
from upgrader.stages.base import StageContext, conduct_stage
from upgrader.status_read import facts_seen, keep_seen

FACTS = cloud(host("ctl1", container("nova_api", "2024.2")))
NAME = "upgrade-check-nova-2025.1"


def check(code: int | None, result: str = "", *, error: str = "") -> UpgradeCheck:
    rows = (("Computes", result, "cmp1 is old"),) if result else ()
    return UpgradeCheck(service="nova", release="2025.1", code=code, checks=rows, error=error)


class Place:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.checks: tuple[UpgradeCheck, ...] = (check(0, "Success"),)
        self.asked: list[CloudFacts] = []
        self.looks = 0
        played = SimpleNamespace(hosts_seen=("ctl1",), seconds=1.0)
        patch.setattr(pull, "run_action", lambda *_, **__: played)
        patch.setattr(pull, "inventory_of", lambda *_: SimpleNamespace(hosts={"ctl1": ()}, groups={}))
        patch.setattr(pull, "extra_groups", lambda *_: ())
        patch.setattr(pull, "look", self._look)
        patch.setattr(pull, "upgrade_checks", self._ask)

    def _look(self, *_: Any, **__: Any) -> CloudFacts:
        self.looks += 1
        return FACTS

    def _ask(
        self, _site: Any, _tool: Any, _runner: Any, _folder: Any, facts: CloudFacts, release: str, **_: Any
    ) -> Any:
        self.asked.append(facts)
        assert release == "2025.1"
        return self.checks

    def attempt(self, **acceptances: str) -> StageOutcome:
        plan = Plan.model_validate(
            {
                "from": "2024.2", "to": "2025.1", "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (a_hop("2024.2", "2025.1"),),
            }
        )  # fmt: skip
        request = AttemptRequest(
            attempt="a1", run="r", epoch=1, hop=0, stage="pull", number=1, site_file="s", plan_file="p",
            state_dir=str(self.folder / "state"), acceptances=tuple(acceptances.items()),
        )  # fmt: skip
        folder = self.folder / "attempt"
        folder.mkdir(exist_ok=True)
        ctx = StageContext(request, site_of(self.folder), plan, graph(), AttemptContext(folder))
        ctx.__dict__["target_toolchain"] = SimpleNamespace(release="2025.1")
        return conduct_stage(pull.work, ctx)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_services_that_find_nothing(place: Place) -> None:
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    assert outcome.steps[-1].message == "1 of 1 were run, 0 findings"


def test_a_failure_ends_the_stage_unless_its_risk_was_taken(place: Place) -> None:
    place.checks = (check(2, "Failure"),)
    outcome = place.attempt()
    assert outcome.verdict == "failed" and "Computes" in outcome.message
    assert [(finding.id, finding.hop) for finding in outcome.findings] == [(NAME, "2024.2→2025.1")]
    assert place.attempt(**{"upgrade-check-nova-2024.2": "of another hop"}).verdict == "failed"
    outcome = place.attempt(**{NAME: "cmp1 is gone"})
    assert outcome.verdict == "succeeded"
    assert "accepted: cmp1 is gone" in outcome.steps[-1].evidence[1]


@pytest.mark.parametrize("told", [check(1, "Warning"), check(None, error="ctl1: no image")])
def test_what_warns_or_was_not_run_is_told(place: Place, told: UpgradeCheck) -> None:
    place.checks = (told,)
    outcome = place.attempt()
    assert outcome.verdict == "succeeded"
    (finding,) = outcome.findings
    assert (finding.code, finding.unknown) == (Code.WARNING, told.code is None)
    assert finding.evidence in outcome.steps[-1].evidence[1]


def test_a_cloud_without_such_services(place: Place) -> None:
    place.checks = ()
    assert place.attempt().steps[-1].message == "no service that has one runs"


def test_the_last_look_is_enough(place: Place) -> None:
    site = site_of(place.folder)
    place.attempt()
    assert place.looks == 1
    seen = cloud(host("ctl2", container("nova_api", "2024.2")))
    site.state_dir.mkdir(parents=True, exist_ok=True)
    keep_seen(site, seen.document())
    assert facts_seen(site) == seen
    place.attempt()
    assert (place.looks, place.asked[-1]) == (1, seen)
    (site.state_dir / "observed.json").write_text("{torn")
    place.attempt()
    assert place.looks == 2
