"""What a report says of a run: from a real journal that is driven by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.report_kit import CANARY, HOSTILE, Run, plan_of
from upgrader.estimates import Estimate
from upgrader.redact import Redactor
from upgrader.report import as_json, gather, html, markdown
from upgrader.report.story import Beside
from upgrader.report.told import choose, lost_ends, tell
from upgrader.report.values import ApiStory, Away
from upgrader.states import AttemptState, Event, RunState, State

Begin = Callable[..., Run]


def texts(run: Run) -> list[str]:
    found = run.report(Beside(redactor=Redactor([CANARY]), no_apis="no probe", no_estimates="none"))
    return [markdown(found), html(found), as_json(found)]


def test_a_rolled_back_run(begin: Begin) -> None:
    run = begin()
    run.to_upgrade()
    run.attempt(State.UPGRADE, 900, schema_started=False)
    run.attempt(State.VERIFY, 60, AttemptState.FAILED, message="keystone is unhealthy")
    run.pass_(600)
    run.journal.move(0, Event.REDEPLOY, actor="carla", reason="verification failed", redeploy_allowed=True)
    run.attempt(State.ROLLBACK_REDEPLOY, 700)
    run.attempt(State.VERIFY_OLD, 50)
    report = run.report()
    assert report.state == "rolled_back"
    assert report.outcome == "2024.1→2024.2 was taken back, and the old release verified."
    hop = report.hops[0]
    assert hop.rolled_back.startswith("by deploying the old release again, succeeded at 2027-01-15")
    assert hop.rolled_back.endswith("and 2024.1 was verified")
    assert [(one.event, one.who) for one in report.moves] == [("approve", "bert"), ("redeploy", "carla")]
    actual = {one.name: (one.actual, one.attempts, one.result) for one in hop.stages}
    assert actual["upgrade"] == (900.0, 1, "succeeded")
    assert actual["verify"] == (60.0, 1, "failed")
    assert actual["rollback_redeploy"] == (700.0, 1, "succeeded")
    assert hop.ponr == "no"
    assert "2024.1 → 2024.2 taken back: " in html(report), "in the picture of the way"


def test_an_attempt_whose_end_was_lost_and_the_controller_that_found_it(begin: Begin) -> None:
    run = begin()
    run.to_upgrade()
    looked = {"judgement": "unknown", "looked": "the cloud is mixed"}
    run.attempt(State.UPGRADE, 400, AttemptState.UNKNOWN, schema_started=None, evidence=looked)
    run.journal.move(0, Event.RETRY, actor="anna", reason="resumed")
    run.attempt(State.UPGRADE, 800, schema_started=True)
    report = run.report()
    upgrade = next(one for one in report.hops[0].stages if one.name == "upgrade")
    assert (upgrade.actual, upgrade.attempts) == (1200.0, 2)
    assert upgrade.note.startswith("1 of 2 attempts lost its end")
    assert report.hops[0].attempts[4].lost == "unknown; the cloud is mixed"
    assert report.hops[0].ponr == "crossed"
    assert [one.result for one in lost_ends(tell(run.events(), choose(run.events()[:3], "")))] == ["unknown"]


def test_during_a_run_it_says_where_it_is_and_what_to_type(begin: Begin) -> None:
    run = begin()
    for stage in (State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE):
        run.attempt(stage, 60)
    run.journal.move(0, Event.SKIP, actor="engine", reason="no queue")
    report = run.report()
    assert report.ended == ""
    assert report.outcome == "Under way: hop 1, 2024.1→2024.2: it is at hold upgrade (no queue)."
    assert report.todo[0].command == ("upgrader approve",)
    run.journal.move(0, Event.APPROVE, actor="anna", reason="go")
    run.journal.launched(run.journal.intend(0, State.UPGRADE, request_sha256="0" * 64).id, 1, "boot-1")
    report = run.report()
    assert "attempt 1 of upgrade is under way" in report.outcome
    assert report.hops[0].attempts[-1].seconds is None
    assert report.todo[0].command == ("upgrader status",)
    assert all(text for text in texts(run))


def test_a_run_that_was_aborted_leaves_hops_to_plan(begin: Begin) -> None:
    run = begin("2024.1", "2024.2", "2025.1")
    run.attempt(State.PREFLIGHT, 30, AttemptState.FAILED, message="no room")
    run.journal.end_run(RunState.ABORTED, "anna", "another day")
    report = run.report()
    assert report.outcome.startswith("The run was aborted. It stopped at 2024.1→2024.2")
    assert report.todo[-1].what == "plan the hops that were not begun: 2024.2→2025.1"
    assert "not begun" in markdown(report)


def test_what_happens_after_the_end_of_a_run_does_not_change_its_report(begin: Begin) -> None:
    run = begin()
    run.attempt(State.PREFLIGHT, 30, AttemptState.FAILED, message="no room")
    run.journal.end_run(RunState.ABORTED, "anna", "no")
    before = run.report(events=1, last=1)
    run.pass_(3600)
    run.journal.note("backup", {"backup_set": "x", "actor": "anna"})
    run.journal.checked({"disk": ""}, [""], "anna")
    run.journal.accept_finding("disk", "later", "anna")
    assert run.report(events=1, last=1) == before


def test_risks_taken_say_who_and_why(begin: Begin) -> None:
    run = begin()
    run.journal.accept("not-rehearsed", "staging is broken", "bert")
    finding = {"id": "not-rehearsed", "code": "warning", "message": "nothing was rehearsed"}
    run.attempt(State.PREFLIGHT, 1, findings=(finding, {**finding, "id": "disk", "message": "little room"}))
    report = run.report()
    assert [(one.name, one.who) for one in report.taken] == [("volumev3", "anna"), ("not-rehearsed", "bert")]
    assert report.taken[0].about == "an old service type"
    found = {one.id: one.who for one in report.hops[0].attempts[0].findings}
    assert found == {"not-rehearsed": "bert", "disk": ""}
    assert [one.what for one in report.todo if "look at" in one.what] == [
        "2024.1→2024.2: look at disk, found in preflight"
    ]


def test_no_secret_and_no_markup_from_elsewhere(begin: Begin) -> None:
    run = begin()
    run.to_upgrade()
    run.attempt(State.UPGRADE, 5, AttemptState.FAILED, message=f"{HOSTILE} token {CANARY}", schema_started=False)
    run.journal.move(0, Event.RETRY, actor=HOSTILE, reason=f"{HOSTILE} {CANARY}")
    md, page, document = texts(run)
    for text in (md, page, document):
        assert CANARY not in text
    assert "<script" not in md and "<script" not in page and "\x1b" not in md + page and "\u202e" not in md + page
    assert not re.search(r"(?<!\\)\]\(", md), "a link"
    assert "http://evil" not in md and "@all" not in md
    row = next(line for line in md.splitlines() if line.startswith("| upgrade 1 |"))
    assert len([part for part in row.replace("\\|", "").split("|") if part.strip()]) == 5
    assert json.loads(document)["moves"][-1]["who"] == HOSTILE


def test_planned_times_are_those_that_could_be_known_when_the_run_began(begin: Begin) -> None:
    run = begin()
    run.attempt(State.PREFLIGHT, 1000)
    planned = gather(run.site).hops[0].stages[0]
    assert (planned.name, planned.source, planned.actual) == ("preflight", "baseline", 1000.0)
    run.journal.move(0, Event.TAKE_BACK, actor="anna", reason="another day")
    run.journal.end_run(RunState.ABORTED, "anna", "another day")
    plan = plan_of(run.journal, [("2024.1", "2024.2")])
    newer = run.journal.begin_run(plan.document(), plan.sha256, "anna", [("2024.1", "2024.2")])
    assert gather(run.site, newer).hops[0].stages[0].source == "history"
    assert gather(run.site, run.id).hops[0].stages[0] == planned


def test_evidence_is_compared_with_what_was_recorded(begin: Begin) -> None:
    run = begin()
    facts = run.backup_set()
    run.to_upgrade(facts=facts)
    digests = {facts["backup_set"]: facts["backup_manifest_sha256"]}

    def states() -> dict[str, str]:
        return {one.what: one.state for one in run.report(Beside(digests=digests)).hops[0].evidence}

    assert states() == {
        "backup set, manifest": "as recorded",
        "backup set, proof": "as recorded",
        "backup set, files": "as recorded",
    }
    folder = Path(facts["backup_set"])
    (folder / "grants.sql").write_text("grants")
    assert states()["backup set, files"] == "damaged"
    (folder / "proof.json").write_text("{ }")
    assert states()["backup set, proof"] == "changed"
    (folder / "manifest.json").unlink()
    assert states() == {"backup set, manifest": "gone"}
    todo = [one.what for one in run.report(Beside(digests=digests)).todo]
    assert "2024.1→2024.2: find out why the backup set, manifest is gone" in todo


def test_a_diagnosis_is_named(begin: Begin) -> None:
    run = begin()
    name = run.attempt(State.PREFLIGHT, 5, AttemptState.FAILED, message="no room")
    folder = run.site.state_dir / "diagnoses" / name
    folder.mkdir(parents=True)
    (folder / "diagnose-1.md").write_text("why")
    found = [one for one in run.report().hops[0].evidence if one.what == "diagnosis of preflight 1"]
    assert [(one.state, one.place) for one in found] == [("not recorded", str(folder / "diagnose-1.md"))]


def test_images_of_the_look_of_an_attempt_come_first(begin: Begin) -> None:
    run = begin()
    run.to_upgrade(facts=run.backup_set())
    assert run.report().hops[0].images.before_from == "backup set"
    run.attempt(State.UPGRADE, 5, schema_started=True)
    name = run.attempt(State.VERIFY, 5)
    folder = run.site.state_dir / "attempts" / name
    folder.mkdir(parents=True)
    row = ["reg:4000/kolla/keystone:2024.2-x", "sha256:" + "2" * 64, "19.8.0", 3]
    (folder / "seen.json").write_text(json.dumps({"observed_at": "2027-01-15T10:00:00Z", "images": [row]}))
    images = run.report().hops[0].images
    assert images.after_from == "look of stage verify at 2027-01-15T10:00:00Z"
    assert [(one.name, one.digest[:10], one.hosts) for one in images.after] == [("keystone", "sha256:222", 3)]
    assert "`111111111111`" in markdown(run.report()) and "`222222222222`" in markdown(run.report())


def _apis() -> tuple[ApiStory, ...]:
    away = Away("neutron", "2027-01-15T09:52:00.000+00:00", "2027-01-15T09:52:41.500+00:00", 41.5, 40.1, 43.0,
                f"503 {HOSTILE}", ("upgrade: neutron : Restart",))  # fmt: skip
    first, last = "2027-01-15T08:00:00.000+00:00", "2027-01-15T10:00:00.000+00:00"
    return (
        ApiStory("keystone", 100, 0, 0.0, 0.0, 0.0, 0.0, (), first, last),
        ApiStory("neutron", 100, 20, 41.5, 40.1, 43.0, 2.0, (away,), first, last),
    )


def a_whole_run(run: Run) -> Beside:
    """Something of everything: two hops, an end that was lost, a restart, a restore, outages."""
    run.journal.accept("not-rehearsed", "staging is broken", "bert")
    run.journal.note("outside_window", {"hop": "2024.1→2024.2", "stage": "backup", "why": "no window is open"})
    facts = run.backup_set()
    run.to_upgrade(facts=facts)
    run.attempt(State.UPGRADE, 400, AttemptState.UNKNOWN, schema_started=None, message=f"its end is lost {HOSTILE}",
                evidence={"judgement": "unknown", "looked": "the cloud is mixed"})  # fmt: skip
    run.journal.move(0, Event.RETRY, actor="anna", reason="resumed")
    run.attempt(State.UPGRADE, 1800, schema_started=True)
    run.attempt(State.VERIFY, 240, step="135 containers on 9 hosts")
    run.attempt(State.SOAK, 0)
    run.journal.move(0, Event.APPROVE, actor="bert", reason="all is well")
    run.attempt(State.FINALIZE, 3)
    run.journal.begin_hop(1)
    run.attempt(State.PREFLIGHT, 120, AttemptState.FAILED, hop=1, message=f"no room on {HOSTILE}",
                findings=({"id": "disk", "code": "failure", "message": "no room", "next": "free some"},))  # fmt: skip
    estimates = (
        Estimate("2024.1→2024.2", "preflight", 100, 60, 300, "baseline", 0),
        Estimate("2024.1→2024.2", "upgrade", 1500, 1300, 1900, "rehearsal", 2),
    )
    digests = {facts["backup_set"]: facts["backup_manifest_sha256"]}
    return Beside(estimates, "", _apis(), "", digests, Redactor([CANARY]))


def test_the_same_journal_gives_the_same_bytes(begin: Begin) -> None:
    run = begin("2024.1", "2024.2", "2025.1")
    beside = a_whole_run(run)
    first, second = run.report(beside), run.report(beside)
    assert (markdown(first), html(first), as_json(first)) == (markdown(second), html(second), as_json(second))
    other = replace(first, actor="zoe")
    assert markdown(other) != markdown(first) and html(other) != html(first)


def test_golden(begin: Begin) -> None:
    from tests.golden.compare import check

    run = begin("2024.1", "2024.2", "2025.1")
    report = run.report(a_whole_run(run))
    for name, text in (("md", markdown(report)), ("html", html(report)), ("json", as_json(report))):
        check(f"report/whole.{name}", text.replace(str(run.place), "/srv/site"))


def test_a_broken_chain_is_the_first_thing_said(begin: Begin) -> None:
    run = begin()
    report = run.report(faults=("event 4: was changed",), plan_fits=False)
    assert report.todo[0].command == ("upgrader history --verify",)
    page = html(report)
    assert page.index("was changed or is damaged") < page.index("Under way")
    assert "BROKEN: 1 faults" in markdown(report)


def _rehearsed(run: Run, **facts: str) -> str:
    run.attempt(State.PREFLIGHT, 1, facts=facts)
    return run.report().hops[0].rehearsal


def test_a_rehearsal_on_a_copy(begin: Begin) -> None:
    from upgrader.rehearsal.report import HopRehearsal, Rehearsal, ServiceResult, WayBackTrial

    run = begin()
    tried = WayBackTrial(way="redeploy", good=True)
    services = (
        ServiceResult(service="keystone", databases=("keystone",), verdict="passed", way_back=tried),
        ServiceResult(service="nova", databases=("nova",), verdict="failed"),
    )
    hop = HopRehearsal.model_validate({"from": "2024.1", "to": "2024.2", "services": services})
    kept = Rehearsal.model_validate(
        {"id": "20270101T000000.0Z", "site": "prod", "from": "2024.1", "to": "2024.2",
         "made_at": "2027-01-01T00:00:00Z", "rows": 412, "seconds": 61.2, "hops": (hop,)}
    )  # fmt: skip
    path = run.place / "report.json"
    path.write_text(json.dumps(kept.document()))
    told = _rehearsed(run, rehearsal="20270101T000000.0Z", rehearsal_report=str(path), rehearsal_report_sha256="0" * 64)
    assert told == (
        "on a copy, made 2027-01-01T00:00:00Z: 2 services, 412 rows, 61 s; way back tried with success for 1 of them; "
        "FAILED for nova"
    )
    assert [(one.what, one.state) for one in run.report().hops[0].evidence] == [
        ("rehearsal on a copy, report", "changed")
    ]
    path.write_text("{")
    assert run.report().hops[0].rehearsal.endswith("its report cannot be read now")


def test_a_rehearsal_on_staging(begin: Begin) -> None:
    facts = {"rehearsal": "1234567890", "rehearsal_site": "stage", "rehearsal_head": "ef" * 32,
             "rehearsal_state": "hop_done", "rehearsal_since": "2027-01-14T08:00:00Z"}  # fmt: skip
    run = begin()
    assert _rehearsed(run, **facts) == "on staging cloud stage, which was at hop_done since 2027-01-14T08:00:00Z"
    check = run.report().hops[0].evidence[0]
    assert (check.place, check.recorded, check.state) == ("stage, run 12345678", "ef" * 32, "not recorded")
