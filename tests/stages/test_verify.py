"""Stage `verify`: what is waited for, what fails, what is only not known, and which hosts may stay behind."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, heads_of, host
from tests.engine_kit.place import a_hop, graph, site_of
from upgrader.context import AttemptContext
from upgrader.model import AttemptRequest, CloudFacts, Code, Plan, StageOutcome
from upgrader.observed import NovaFacts, Observed
from upgrader.probes.base import good
from upgrader.probes.logs_rate import Counted, Told
from upgrader.probes.verify import Look
from upgrader.smoke.ask import Step, Tried
from upgrader.stages import verify
from upgrader.stages.base import StageContext, conduct_stage
from upgrader.verify_rules import VerifyRules

NEW, OLD = "2025.1", "2024.2"
TOKEN = good("token-issue", "ctl1: a token was issued")
NOVA = NovaFacts(services_down=(), services_disabled=(), silence=(), left_disabled=(), unmigrated=(), versions=())
DONE = Tried(
    (Step("token", "admin", True, "a token"), Step("server", "", None, "Nova does not run here", skipped=True))
)


def facts(control: dict[str, str] | None = None, compute: str = NEW, nova: NovaFacts | None = NOVA) -> CloudFacts:
    server = container("mariadb", NEW, health="healthy")
    ctl = host(
        "ctl1", server, container("keystone", NEW, health="healthy"), container("nova_api", NEW, **(control or {})),
        groups=("mariadb", "control"), galera=SYNCED.model_copy(update={"size": 1}),
    )  # fmt: skip
    seen = cloud(
        ctl, host("cmp1", container("nova_compute", compute)), heads=heads_of(NEW, "keystone", "nova", "nova_api")
    )
    return seen.model_copy(update={"observed": Observed(nova=nova)})


class Place:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.rules = VerifyRules(settle=0)
        self.looks: list[CloudFacts] = [facts()]
        self.tried = DONE
        self.asked: list[dict[str, Any]] = []
        self.clock = 0.0
        patch.setattr(verify, "whole_inventory", lambda *_: SimpleNamespace(hosts={"ctl1": (), "cmp1": ()}, groups={}))
        patch.setattr(verify, "look", self._look)
        patch.setattr(verify, "try_out", self._try)
        patch.setattr(verify, "time", SimpleNamespace(monotonic=lambda: self.clock, sleep=self._sleep))

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds

    def _look(self, *_: Any, **__: Any) -> Look:
        seen = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return Look(seen, (TOKEN,), "ctl1", "http://vip:5000")

    def _try(self, *_: Any, **asked: Any) -> Tried:
        self.asked.append(asked)
        return self.tried

    def attempt(self, *left: str, images: tuple[tuple[str, str, str], ...] = ()) -> StageOutcome:
        plan = Plan.model_validate(
            {
                "from": OLD, "to": NEW, "site": "s", "tool_version": "0", "graph_version": "1", "graph_sha256": "0",
                "hops": (a_hop(OLD, NEW),), "binding": {"images": images}, "left": left,
            }
        )  # fmt: skip
        attempt = str(uuid.uuid4())
        request = AttemptRequest(
            attempt=attempt, run="r", epoch=1, hop=0, stage="verify", number=1, site_file="s", plan_file="p",
            state_dir=str(self.folder),
        )  # fmt: skip
        (self.folder / attempt).mkdir(parents=True)
        site = replace(site_of(self.folder), verify=self.rules)
        site.state_dir.mkdir(exist_ok=True)
        context = StageContext(request, site, plan, graph(), AttemptContext(self.folder / attempt))
        context.__dict__["target_toolchain"] = context.__dict__["source_toolchain"] = SimpleNamespace(release=NEW)
        return conduct_stage(verify.work, context)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.mark.parametrize(("answers", "verdict", "asked"), [(1, "succeeded", 2), (2, "inconclusive", 2)])
def test_an_answer_that_was_lost_is_asked_for_once_more(place: Place, answers: int, verdict: str, asked: int) -> None:
    lost = [Tried(error="ctl1: no words, code 0", lost=True)] * answers
    place._try = lambda **_: (place.asked.append(_), lost.pop(0) if lost else DONE)[1]  # type: ignore[method-assign]
    place.patch.setattr(verify, "try_out", lambda *_, **more: place._try(**more))
    assert place.attempt().verdict == verdict
    assert len(place.asked) == asked


def test_a_trial_that_took_too_long_is_not_begun_again(place: Place) -> None:
    place.tried = Tried(error="ctl1: it took too long")
    assert place.attempt().verdict == "inconclusive"
    assert len(place.asked) == 1


def ids(outcome: StageOutcome, code: Code = Code.FAILURE) -> list[str]:
    return [finding.id for finding in outcome.findings if finding.code is code]


def test_a_cloud_that_is_well(place: Place) -> None:
    outcome = place.attempt()
    assert (outcome.verdict, outcome.message) == ("succeeded", "")
    assert [step.name for step in outcome.steps] == [
        f"look at the cloud on {NEW}", f"judge it against {NEW}", "use it as its users do",
        "errors in the services' logs",
    ]  # fmt: skip
    assert "server: not tried, Nova does not run here" in outcome.steps[2].evidence
    (asked,) = place.asked
    assert (asked["runs"], asked["host"], asked["url"]) == (("nova", "nova-compute"), "ctl1", "http://vip:5000")
    # nobody knows when the hop began: that is said, not passed over
    assert "errors-unread" in [finding.id for finding in outcome.findings if finding.unknown]


def test_what_is_starting_is_waited_for(place: Place) -> None:
    place.rules = VerifyRules(settle=60)
    place.looks = [facts({"health": "unhealthy"}), facts({"health": "starting"}), facts({"health": "healthy"})]
    assert place.attempt().verdict == "succeeded"
    assert len(place.looks) == 1
    assert 0 < place.clock < 60


@pytest.mark.parametrize(
    ("control", "verdict", "identifier"),
    [
        ({"health": "unhealthy"}, "failed", "container-unhealthy"),
        ({"state": "restarting"}, "failed", "container-not-running"),
        ({"health": "starting"}, "inconclusive", "container-starting"),
    ],
)
def test_what_does_not_come_right_in_time(place: Place, control: dict[str, str], verdict: str, identifier: str) -> None:
    place.rules = VerifyRules(settle=60)
    place.looks = [facts(control)]
    outcome = place.attempt()
    assert outcome.verdict == verdict
    assert ids(outcome) == [identifier]
    assert place.clock > 40
    assert place.asked == [], "a cloud that is not well is not worked on"


def test_a_service_that_fell_silent_fails_after_its_time(place: Place) -> None:
    place.looks = [facts(nova=NOVA.model_copy(update={"silence": ("cmp1: nova-compute: 90",)}))]
    outcome = place.attempt()
    assert (outcome.verdict, ids(outcome)) == ("failed", ["service-silent"])


@pytest.mark.parametrize("nova", [None, NovaFacts(error="ERROR 2013: lost connection")])
def test_services_that_were_not_read_are_no_success(place: Place, nova: NovaFacts | None) -> None:
    place.looks = [facts(nova=nova)]
    outcome = place.attempt()
    assert outcome.verdict == "inconclusive"
    assert "agents-unread" in ids(outcome)


def test_heads_that_were_not_read_are_no_success(place: Place) -> None:
    place.looks = [facts().model_copy(update={"heads": (), "heads_error": "ctl1: ERROR 2002"})]
    outcome = place.attempt()
    assert outcome.verdict == "inconclusive"
    assert "ERROR 2002" in outcome.message


def test_a_failure_counts_more_than_what_is_unknown(place: Place) -> None:
    place.looks = [facts({"state": "exited"}, nova=None)]
    assert place.attempt().verdict == "failed"


def test_hosts_that_are_meant_to_stay_behind(place: Place) -> None:
    place.looks = [facts(compute=OLD)]
    outcome = place.attempt()
    assert (outcome.verdict, ids(outcome)) == ("failed", ["container-release"])
    outcome = place.attempt("cmp1")
    assert outcome.verdict == "succeeded"
    assert "host-left-behind" in ids(outcome, Code.WARNING)


def test_the_version_window_of_a_host_left_behind(place: Place) -> None:
    versions = {"2025.1": 68, "2024.2": 67, "too old": 66}
    for name, verdict in (("2024.2", "succeeded"), ("too old", "failed")):
        rows = (f"cmp1: nova-compute: {versions[name]}",)
        place.looks = [facts(compute=OLD, nova=NOVA.model_copy(update={"versions": rows}))]
        assert place.attempt("cmp1").verdict == verdict
    assert graph().components(NEW).nova_rpc.service_version == versions[NEW]


def test_a_container_that_is_gone(place: Place) -> None:
    images = (("ctl1", "nova_conductor", "x"), ("ctl1", "of_somebody_else", "x"))
    outcome = place.attempt(images=images)
    assert (outcome.verdict, ids(outcome)) == ("failed", ["container-missing"])


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        (Step("server", "member", False, "status 200: the server is in ERROR"), "failed"),
        (Step("answers-compute", "admin", False, "status 503"), "failed"),
        (Step("answers-object-store", "admin", False, "status 0"), "succeeded"),
        (Step("server", "member", None, "the quotas of a new project leave no room"), "inconclusive"),
        (Step("removed", "admin", False, "left behind of upgrader-smoke-1: project"), "succeeded"),
    ],
)
def test_what_users_meet(place: Place, step: Step, verdict: str) -> None:
    place.tried = Tried((*DONE.steps, step))
    outcome = place.attempt()
    assert outcome.verdict == verdict
    assert f"smoke-{step.name}" in [finding.id for finding in outcome.findings]


def test_a_trial_without_an_answer_is_no_success(place: Place) -> None:
    place.tried = Tried(error="ctl1: it took too long")
    outcome = place.attempt()
    assert (outcome.verdict, ids(outcome)) == ("inconclusive", ["smoke-unread"])


def test_errors_since_the_upgrade_by_the_times_of_its_attempts(place: Place) -> None:
    began(place.folder, "upgrade", "2026-11-22T12:00:00Z", "2026-11-22T12:20:00Z")
    place.tried = Tried(DONE.steps, counted=Counted({"nova": {"cmp1": Told(0, 3600, 40, 120, (("boom #", 40),))}}))
    outcome = place.attempt()
    assert outcome.verdict == "succeeded"
    (rise,) = (finding for finding in outcome.findings if finding.id == "errors-rise")
    assert (rise.code, rise.host) == (Code.WARNING, "cmp1")
    times = place.asked[0]["times"]
    assert [str(at) for at in (times.began, times.ended)] == ["2026-11-22 12:00:00+00:00", "2026-11-22 12:20:00+00:00"]


def began(folder: Path, stage: str, at: str, ended: str = "", run: str = "r", hop: int = 0) -> Path:
    place = folder / "attempts" / str(uuid.uuid4())
    place.mkdir(parents=True)
    rows: dict[str, Callable[[], dict[str, Any]]] = {
        "request.json": lambda: {"run": run, "hop": hop, "stage": stage},
        "started.json": lambda: {"at": at},
    }
    if ended:
        rows["exit.json"] = lambda: {"ended_at": ended}
    for name, made in rows.items():
        (place / name).write_text(json.dumps(made()))
    return place


def test_the_times_of_a_hop(tmp_path: Path) -> None:
    assert verify.times_of(tmp_path, "r", 0).began is None
    killed = began(tmp_path, "upgrade", "2026-11-22T12:00:00+00:00")
    (killed / "progress.jsonl").write_text("{}")
    signs = datetime(2026, 11, 22, 12, 45, tzinfo=UTC).timestamp()
    for path in killed.iterdir():
        os.utime(path, (signs, signs))
    found = verify.times_of(tmp_path, "r", 0)
    assert (found.ended and found.ended.minute) == 45, "one that was killed worked until its last sign"
    began(tmp_path, "upgrade", "2026-11-22T13:00:00+00:00", "2026-11-22T13:30:00+00:00")
    began(tmp_path, "preflight", "2026-11-22T11:00:00+00:00", "2026-11-22T14:30:00+00:00")
    began(tmp_path, "upgrade", "2026-11-22T09:00:00+00:00", run="another")
    began(tmp_path, "upgrade", "2026-11-22T15:00:00+00:00", hop=1)
    found = verify.times_of(tmp_path, "r", 0)
    assert (found.began and found.began.hour, found.ended and found.ended.hour) == (12, 13)
