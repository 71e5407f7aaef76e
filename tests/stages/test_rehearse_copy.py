"""Stage `rehearse` on a copy: what has to be accepted before anything is restored, what ends it, what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.context import AttemptContext
from upgrader.database import manifest as parts
from upgrader.database.manifest import BackupSet, Manifest, now, sha256_of
from upgrader.model import AttemptRequest, Plan, StageOutcome
from upgrader.rehearsal.path import Job
from upgrader.rehearsal.programs import RehearsalCanceled
from upgrader.rehearsal.report import HopRehearsal, Rehearsal, ServiceResult
from upgrader.stages import rehearse, rehearse_copy
from upgrader.stages.base import StageContext, conduct_stage


class Place:
    """A site with a backup set; restoring and migrating is `answer`."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *databases: str) -> None:
        self.folder, self.jobs = folder, list[Job]()
        self.answer: Any = "passed"
        self.folder.joinpath("mariadbd").write_text("")
        self.folder.joinpath("mariadbd").chmod(0o755)
        made = BackupSet.begin(folder / "set", Manifest(site="s", release="2024.2", made_at=now()))
        for name in parts.required_parts("logical"):
            path = folder / "set" / f"{name}.tar"
            path.write_text(name)
            made.record(name, [path])
        made.note(server_version="10.11.1", heads=dict.fromkeys(databases, ("a1",)), rows={"grafana.boards": 3})
        made.finish()
        patch.setattr(rehearse_copy, "build_services", lambda release, *_, **__: self.built.append(release))
        patch.setattr(rehearse_copy, "rehearse", self._rehearse)
        self.built: list[str] = []

    def _rehearse(self, job: Job) -> Rehearsal:
        self.jobs.append(job)
        if isinstance(self.answer, Exception):
            raise self.answer
        words = "" if self.answer == "passed" else "nova-manage (sync) ended with 1"
        service = ServiceResult(service="nova", databases=("nova",), verdict=self.answer, message=words)
        hop = HopRehearsal.model_validate({"from": job.start, "to": job.target, "services": (service,)})
        return Rehearsal.model_validate(
            {"id": job.folder.name, "site": "s", "from": job.start, "to": job.target, "made_at": now(), "hops": (hop,)}
        )

    def attempt(self, *, backup: bool = True, **acceptances: str) -> StageOutcome:
        plan = Plan.model_validate(
            {
                "from": "2024.2", "to": "2025.1", "site": "s", "tool_version": "0", "graph_version": "1",
                "graph_sha256": "0", "hops": (a_hop("2024.2", "2025.1"),),
            }
        )  # fmt: skip
        request = AttemptRequest(
            attempt="a1", run="r", epoch=1, hop=0, stage="rehearse", number=1, site_file="s", plan_file="p",
            state_dir=str(self.folder / "state"), backup_set=str(self.folder / "set") if backup else "",
            acceptances=tuple((name.replace("_", "-"), reason) for name, reason in acceptances.items()),
        )  # fmt: skip
        (self.folder / "attempt").mkdir(exist_ok=True)
        site = site_of(self.folder, staging=None, mariadb_programs=self.folder)
        ctx = StageContext(request, site, plan, graph(), AttemptContext(self.folder / "attempt"))
        return conduct_stage(rehearse.work, ctx)


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What staging compares is read from a whole site, which is not here."""
    monkeypatch.setattr(rehearse, "note_settings", lambda _ctx: None)


def test_a_passed_rehearsal_leaves_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, "nova", "keystone")
    outcome = place.attempt()
    assert outcome.verdict == "succeeded", outcome.message
    job = place.jobs[0]
    assert (job.start, job.target, job.source.folder) == ("2024.2", "2025.1", tmp_path / "set")
    assert place.built == ["2024.2", "2025.1"]
    facts = dict(outcome.facts)
    assert facts["rehearsal"] == job.folder.name and Path(facts["rehearsal_report"]).is_file()
    assert facts["rehearsal_report_sha256"] == sha256_of(Path(facts["rehearsal_report"]))
    warned = [finding.id for finding in outcome.findings]
    assert warned == ["not-rehearsed-grafana"], "a database without a version table is named, and asks for nothing"


def test_a_failed_service_ends_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, "nova")
    place.answer = "failed"
    outcome = place.attempt()
    assert outcome.verdict == "failed" and "nova-manage (sync) ended with 1" in outcome.message
    assert [finding.id for finding in outcome.findings if finding.blocks] == ["rehearsal-nova"]
    assert Path(dict(outcome.facts)["rehearsal_report"]).is_file(), "what failed can be looked at"


def test_a_service_that_is_not_known_needs_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, "nova", "manila")
    refused = place.attempt()
    assert refused.verdict == "failed" and "database manila is not rehearsed" in refused.message
    assert not place.jobs, "asked for before hours are spent"
    assert "--accept not-rehearsed-manila" in next(found.next for found in refused.findings if found.blocks)
    assert place.attempt(not_rehearsed_manila="its schema is small").verdict == "succeeded"


def test_an_accepted_hop_is_not_rehearsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, "nova")
    outcome = place.attempt(not_rehearsed="no time")
    assert outcome.verdict == "succeeded" and not place.jobs
    assert "rehearsed nowhere; accepted: no time" in outcome.findings[0].message
    (tmp_path / "mariadbd").unlink()
    assert place.attempt().message == "nothing was rehearsed, and nobody accepted that"


def test_stopping_and_nothing_to_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, monkeypatch, "nova")
    place.answer = RehearsalCanceled()
    assert place.attempt().verdict == "canceled"
    assert place.attempt(backup=False).message == "there is no backup set to rehearse on"
