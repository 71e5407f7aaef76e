"""A run's events and what lies beside them → the report. Decides what is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.config import Site
from upgrader.journal.rows import EventRow
from upgrader.redact import Redactor
from upgrader.report import beside
from upgrader.report.todo import todo
from upgrader.report.told import ENGINE, AttemptTold, HopTold, RunTold
from upgrader.report.values import (
    ApiStory,
    AttemptStory,
    Audit,
    Controller,
    Found,
    HopStory,
    Move,
    Remark,
    Report,
    StageStory,
    Taken,
)
from upgrader.states import INFO, State

if TYPE_CHECKING:
    from upgrader.estimates import Estimate

_BACK = (State.ROLLBACK_REDEPLOY.value, State.ROLLBACK_RESTORE.value, State.VERIFY_OLD.value)
_WORDS = {
    "done": "Every hop is done and verified.",
    "aborted": "The run was aborted.",
    "superseded": "The run was replaced by a newer plan.",
    "planned": "The run has not begun its first hop.",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What was found beside the journal."""

    estimates: tuple[Estimate, ...] = ()
    no_estimates: str = ""
    apis: tuple[ApiStory, ...] = ()
    no_apis: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    not_cleared: str = ""


def story(site: Site, told: RunTold, audit: Audit, found: Beside, last_look: Path) -> Report:
    """The report. Its texts are cleared of the secrets that `found` knows."""
    plan = found.redactor.value(told.plan)
    hops = tuple(_hop(site, told, hop, plan, found, last_look) for hop in told.hops)
    report = Report(
        site=str(plan.get("site", "") or site.name),
        run=told.id,
        state=told.state,
        outcome=_outcome(told),
        source=str(plan.get("from", "")),
        target=str(plan.get("to", "")),
        actor=str(told.begun.data["actor"]),
        engine_version=str(told.begun.data["engine_version"]),
        graph_version=str(plan.get("graph_version", "")),
        begun=told.begun.at,
        ended=told.ended,
        as_of=told.last.at if told.last else told.begun.at,
        plan_sha256=audit.plan_sha256,
        plan_made_at=str(plan.get("made_at", "")),
        known_by=str(plan.get("known_by", "")),
        hops=hops,
        controllers=_controllers(told),
        moves=tuple(_move(told, event.hop, event.at, event.data) for event in told.moves),
        taken=_taken(told, plan),
        remarks=tuple(_remark(event) for event in told.notes),
        apis=found.apis,
        no_apis=found.no_apis,
        audit=audit,
        todo=todo(told, plan, hops, audit),
        no_estimates=found.no_estimates,
        not_cleared=found.not_cleared,
        zone=site.window.zone if site.window else "UTC",
    )
    return cleared(report, found.redactor)


def cleared(report: Report, redactor: Redactor) -> Report:
    """The same report without any secret the redactor knows, or anything that looks like one."""
    made = _clear(report, redactor)
    assert isinstance(made, Report)  # noqa: S101 - the same type comes back
    return made


def _clear(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, tuple):
        return tuple(_clear(one, redactor) for one in value)
    if hasattr(value, "__dataclass_fields__"):
        return type(value)(**{name: _clear(getattr(value, name), redactor) for name in value.__dataclass_fields__})
    return value


def _outcome(told: RunTold) -> str:
    hop = next((hop for hop in told.hops if hop.state != State.HOP_DONE.value), None)
    if told.state == "rolled_back" and hop:
        done = f"; {hop.index} hops before it are done" if hop.index else ""
        return f"{hop.name} was taken back, and the old release verified{done}."
    if told.state in _WORDS:
        aborted = f" It stopped at {hop.name}{f': {hop.reason}' if hop.reason else ''}." if hop and hop.began else ""
        return _WORDS[told.state] + ("" if told.state in ("done", "planned") else aborted)
    if hop is None:
        return "Every hop is done."
    attempt = next((one for one in hop.attempts if one.finished is None), None)
    done = f"{hop.index} of {len(told.hops)} hops done; " if hop.index else ""
    where = (
        f"attempt {attempt.number} of {attempt.stage} is under way"
        if attempt
        else f"it is at {hop.state.replace('_', ' ')}"
    )
    why = f" ({hop.reason})" if hop.reason and not attempt else ""
    lead = "A person has to decide: " if told.state == "needs_attention" else "Under way: "
    return f"{lead}{done}hop {hop.index + 1}, {hop.name}: {where}{why}."


# ---------------------------------------------------------------- one hop


def _hop(site: Site, told: RunTold, hop: HopTold, plan: Mapping[str, Any], found: Beside, last_look: Path) -> HopStory:
    planned: Mapping[str, Any] = plan["hops"][hop.index] if hop.index < len(plan.get("hops", ())) else {}
    after = told.hops[hop.index + 1] if hop.index + 1 < len(told.hops) else None
    pin = planned.get("toolchain") or {}
    rows = [row for row in planned.get("way_back", ()) if row.get("enabled") is not False]
    accepted = {str(event.data["name"]): event.data for event in told.accepted}
    return HopStory(
        number=hop.index + 1,
        source=hop.source,
        target=hop.target,
        state=hop.state,
        began=hop.began,
        ended=hop.ended,
        stages=_stages(hop, planned, found.estimates),
        attempts=tuple(_attempt(one, accepted) for one in hop.attempts),
        ponr=hop.ponr,
        ponr_at=hop.ponr_at if hop.ponr != "no" else "",
        ponr_why=hop.ponr_why if hop.ponr != "no" else "",
        ponr_plan=str(planned.get("ponr", "")),
        toolchain=f"kolla-ansible {pin['kolla_ansible']}, ansible-core {pin['ansible_core']}" if pin else "",
        components=tuple((str(c["name"]), str(c["before"]), str(c["after"])) for c in planned.get("components", ())),
        schemas=tuple(
            (str(row["service"]), str(row["database"]), tuple(row["heads_before"]), tuple(row["heads_after"]))
            for row in rows
            if row.get("changes_schema") and row.get("database")
        ),
        server_before=hop.facts.get("server_before", ""),
        images=beside.images(site.state_dir, hop, after, last_look),
        evidence=beside.evidence(site.state_dir, hop, found.digests),
        backup=beside.backup_words(hop),
        rehearsal=beside.rehearsal_words(hop),
        rolled_back=_rolled_back(hop),
        note=hop.reason if hop.state != State.HOP_DONE.value else "",
    )


def _stages(hop: HopTold, planned: Mapping[str, Any], estimates: tuple[Estimate, ...]) -> tuple[StageStory, ...]:
    names = [str(stage["name"]) for stage in planned.get("stages", ())]
    names += [one.stage for one in hop.attempts if one.stage not in names]
    when = {str(stage["name"]): str(stage["when"]) for stage in planned.get("stages", ())}
    return tuple(_stage(hop, name, when.get(name, INFO[State(name)].when), estimates) for name in dict.fromkeys(names))


def _stage(hop: HopTold, name: str, when: str, estimates: tuple[Estimate, ...]) -> StageStory:
    expected = next((one for one in estimates if (one.hop, one.stage) == (hop.name, name)), None)
    mine = [one for one in hop.attempts if one.stage == name]
    ended = [one.seconds for one in mine if one.finished and one.seconds is not None]
    note = hop.skipped.get(name, "")
    lost = sum(one.result == "unknown" for one in mine)
    if lost:
        note = f"{lost} of {len(mine)} attempts lost its end; the time until that was found counts"
    return StageStory(
        name=name,
        when=when,
        planned=None if expected is None else float(expected.seconds),
        low=None if expected is None else float(expected.low),
        high=None if expected is None else float(expected.high),
        source="" if expected is None else expected.source,
        actual=round(sum(ended), 1) if ended else None,
        attempts=len(mine),
        result=mine[-1].result if mine else "passed by" if name in hop.skipped else "not reached",
        note=note,
    )


def _attempt(one: AttemptTold, accepted: Mapping[str, Mapping[str, Any]]) -> AttemptStory:
    data = one.finished.data if one.finished else {}
    judged = str(one.evidence.get("judgement", ""))
    looked = str(one.evidence.get("looked", ""))
    work = one.evidence.get("seconds")
    lost = "" if one.result != "unknown" else f"{judged or 'its evidence was damaged'}{f'; {looked}' if looked else ''}"
    return AttemptStory(
        id=one.id,
        stage=one.stage,
        number=one.number,
        result=one.result,
        began=one.launched.at if one.launched else one.intended.at,
        ended=one.finished.at if one.finished else "",
        seconds=None if one.seconds is None else round(one.seconds, 1),
        work_seconds=round(float(work), 1) if isinstance(work, int | float) else None,
        message=str(data.get("message", "")),
        lost=lost,
        steps=_steps(one),
        findings=tuple(_found(row, accepted) for row in one.evidence.get("findings", ()) if row["code"] != "success"),
    )


def _steps(one: AttemptTold) -> tuple[tuple[str, str, int, str], ...]:
    kept = one.evidence.get("steps") or ()
    if kept:
        return tuple((str(s["name"]), str(s["code"]), int(s["seconds"]), str(s["message"])) for s in kept)
    return tuple((str(e.data["name"]), str(e.data["code"]), 0, str(e.data["message"])) for e in one.steps)


def _found(row: Mapping[str, Any], accepted: Mapping[str, Mapping[str, Any]]) -> Found:
    name = str(row["id"])
    who, reason = tuple(row.get("accepted") or ("", ""))[:2]
    if not reason and name in accepted:
        who, reason = accepted[name]["actor"], accepted[name]["reason"]
    return Found(name, str(row["code"]), str(row["message"]), str(row.get("next", "")), str(who), str(reason))


def _rolled_back(hop: HopTold) -> str:
    ways = [one for one in hop.attempts if one.stage in _BACK[:2] and one.finished]
    if not ways:
        return ""
    last = ways[-1]
    how = "by deploying the old release again" if last.stage == _BACK[0] else "by restoring the databases"
    assert last.finished is not None  # noqa: S101 - chosen so
    verified = any(one.stage == _BACK[2] and one.result == "succeeded" for one in hop.attempts)
    tail = f", and {hop.source} was verified" if verified else f"; {hop.source} was not verified since"
    at = f"{last.finished.at[:10]} {last.finished.at[11:19]}"
    return f"{how}, {last.result} at {at} UTC{tail}"


# ---------------------------------------------------------------- people


def _controllers(told: RunTold) -> tuple[Controller, ...]:
    found = []
    for event, dead, under_way in told.entered:
        data = event.data
        after = under_way
        if dead is not None:
            died = f"{dead.data.get('operation', 'the one before')} of {dead.data.get('who', '?')} had died"
            after = f"{died}; {under_way}" if under_way else died
        found.append(Controller(event.at, str(data["who"]), str(data["host"]), str(data["operation"]), after))
    return tuple(found)


def _move(told: RunTold, hop: int | None, at: str, data: Mapping[str, Any]) -> Move:
    name = told.hops[hop].name if hop is not None else ""
    before, after = str(data["from"]), str(data["to"])
    return Move(at, name, str(data["actor"]), str(data["event"]), before, after, str(data["reason"]))


def _remark(event: EventRow) -> Remark:
    words = ", ".join(
        f"{name.replace('_', ' ')}: {value}" for name, value in event.data.items() if value not in ("", [])
    )
    return Remark(event.at, event.kind.removeprefix("note.").replace("_", " "), words)


def _taken(told: RunTold, plan: Mapping[str, Any]) -> tuple[Taken, ...]:
    """Findings of the plan whose risk was taken, and everything that was accepted since."""
    about = {str(row["id"]): str(row["message"]) for row in plan.get("findings", ())}
    asked = {str(row["id"]): row for row in plan.get("findings", ()) if tuple(row.get("accepted") or ("", ""))[1]}
    found = []
    for name, row in asked.items():
        events = [event for event in told.accepted if event.data["name"] == name and event.seq < told.begun.seq]
        who, reason = tuple(row["accepted"])[:2]
        found.append(Taken(name, str(who), str(reason), events[-1].at if events else "", about[name]))
    for event in told.accepted:
        data = event.data
        if event.seq > told.begun.seq and data["actor"] != ENGINE:
            words = about.get(str(data["name"]), "")
            found.append(Taken(str(data["name"]), str(data["actor"]), str(data["reason"]), event.at, words))
    return tuple(found)
