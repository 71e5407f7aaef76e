"""One attempt from the engine's side: intent, launch, follow, and the verdict on whatever it left behind.

Owns the order intent → folder → supervisor → result (`upgrader.attempts` and `upgrader.supervisor` own the
folder's protocol), and the answer to "what became of it?" after this process or the supervisor died.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrader import attempts, durable
from upgrader.attempts import Judgement
from upgrader.config import Site
from upgrader.decisions import data_stores, schema_changers
from upgrader.durable import failpoint
from upgrader.journal import AttemptRow, HopRow, Journal, Snapshot
from upgrader.model import AttemptRequest, HopPlan, Plan, digest
from upgrader.opening import Opening
from upgrader.secret_sources.standing import at_hand
from upgrader.states import INFO, AttemptState, Event, Ponr, State

ABORT_REQUEST = "abort.request"
"""File in the state folder: an operator asks the process that drives the run to cancel and end it."""

Say = Callable[[str, dict[str, Any]], None]
_VERDICTS: Mapping[str, tuple[AttemptState, Event]] = {
    "succeeded": (AttemptState.SUCCEEDED, Event.SUCCEEDED),
    "failed": (AttemptState.FAILED, Event.FAILED),
    "inconclusive": (AttemptState.FAILED, Event.INCONCLUSIVE),
    "canceled": (AttemptState.CANCELED, Event.CANCELED),
}
DIAGNOSED = frozenset(state for state, info in INFO.items() if info.touches_cloud) | {State.VERIFY, State.VERIFY_OLD}
"""Stages whose failure is diagnosed at once: those that touch the cloud, and those that judge what they left."""
_BAD_ENDS = (AttemptState.FAILED, AttemptState.UNKNOWN)
_LOST = (Judgement.ARTIFACT, Judgement.INFER, Judgement.UNKNOWN, Judgement.REBOOTED)
"""A stage has steps besides its play, so without an exit record its end is lost, whatever the play left."""


@dataclass(frozen=True, slots=True)
class Look:
    """What looking at the cloud said about an upgrade whose end was lost."""

    complete: bool
    """Every container runs the target release and the heads are the target's."""
    untouched: bool
    """Every container runs the old release and the heads are the old ones."""
    words: str


@dataclass
class Conduct:
    """What the engine works with on one site."""

    site: Site
    journal: Journal
    plan: Plan
    plan_file: Path
    say: Say
    look: Callable[[HopPlan], Look]
    """Looks at the cloud; asked only when evidence is missing. Its errors mean that it cannot be told."""
    no_restore_point: Callable[[HopRow], str] = lambda _hop: ""
    """Why the upgrade of a hop must not begin for want of a proved backup; empty when it may."""
    opening: Callable[[Snapshot, HopRow, State], Opening] = lambda _shot, _hop, stage: Opening(stage.value)
    """Whether a stage may begin now, by the site's change windows."""
    pauses: Callable[[Snapshot], bool] = lambda _shot: False
    """Whether the run rests between two hops."""
    beside: Callable[[HopRow], None] = lambda _hop: None
    """Told before a stage is started, and of one that is found under way: what works beside the run is seen to."""
    diagnose: Callable[[str, Callable[[], bool]], tuple[Path | None, str]] = lambda _attempt, _stop: (None, "")
    """Writes a diagnosis of an attempt: (file, why there is none). It may take a minute or two, and never raises."""
    options: tuple[tuple[str, str], ...] = ()
    run_stage: str = attempts.RUN_STAGE
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the minimal environment of supervisors."""

    def abort_requested(self) -> bool:
        return (self.site.state_dir / ABORT_REQUEST).exists()


def launch(conduct: Conduct, snapshot: Snapshot, hop: HopRow) -> None:
    """Start the attempt of the stage the hop is in: intent, folder, supervisor, in this order.

    Raises AttentionError when the stage was tried too often without a person deciding in between, and ConfigError or
    EnvironmentMissingError, before anything is begun, when the site's secrets cannot be had from this shell.
    """
    assert snapshot.run is not None  # the caller has looked  # noqa: S101
    body: dict[str, Any] = {
        "run": snapshot.run.id,
        "hop": hop.index,
        "stage": hop.state.value,
        "site_file": str(conduct.site.file),
        "plan_file": str(conduct.plan_file),
        "state_dir": str(conduct.site.state_dir),
        "acceptances": _acceptances(conduct, snapshot),
        "backup_set": hop.facts.get("backup_set", ""),
        "options": conduct.options,
    }
    carry = at_hand(conduct.site)
    conduct.beside(hop)
    failpoint("engine.intend")
    attempt = conduct.journal.intend(hop.index, hop.state, request_sha256=digest(body))
    failpoint("engine.intended")
    request = AttemptRequest(
        **body,
        attempt=attempt.id,
        epoch=attempt.epoch,
        number=attempt.number,
        after_interrupt=attempt.after_interrupt,
        journal_head=snapshot.head,
    )
    conduct.say("attempt", {"hop": hop.name, "stage": hop.state.value, "number": attempt.number})
    folder = attempts.create(conduct.site.state_dir, request)
    pid = attempts.spawn(folder, run=conduct.run_stage, env=conduct.env, carry=carry)
    conduct.journal.launched(attempt.id, pid)
    failpoint("engine.launched")


def _acceptances(conduct: Conduct, snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """What was accepted for this run, and the findings whose risk was taken before it."""
    taken = conduct.journal.findings().accepted.values()
    return tuple((row.name, row.reason) for row in (*taken, *snapshot.acceptances))


def settle(conduct: Conduct, snapshot: Snapshot, detach: Callable[[], bool]) -> bool:
    """Bring the attempt that has no result to one. False: it goes on, and this process was asked to let go of it."""
    attempt, hop = snapshot.attempt, snapshot.hop
    assert attempt is not None and hop is not None  # noqa: S101
    folder = attempts.folder_of(conduct.site.state_dir, attempt.id)
    if not folder.is_dir():
        attempts.void(folder)
    if attempts.running(folder):
        conduct.beside(hop)
    listener = _Listener(conduct, hop, attempt)
    evidence = attempts.follow(folder, on_progress=listener, until=_until(conduct, folder, detach))
    judgement = attempts.judge(evidence)
    if judgement in (Judgement.RUNNING, Judgement.ORPHANED):
        return not detach()
    failpoint("engine.judged")
    if judgement is not Judgement.FINISHED:
        conduct.say("evidence", {"judgement": judgement.value, "faults": list(evidence.contradictions)})
    if judgement is Judgement.NEVER_STARTED:
        if attempts.void(folder):
            conduct.journal.finish(attempt.id, AttemptState.VOID, None, {"judgement": judgement.value})
        return True
    attempts.sweep(folder)
    if judgement is Judgement.FINISHED:
        _record(conduct, attempt, evidence)
    elif judgement in _LOST:
        _record_lost(conduct, hop, attempt, evidence, judgement)
    else:
        words = "; ".join(evidence.contradictions) or "the evidence contradicts itself"
        _record_unknown(conduct, hop, attempt, evidence, f"the attempt left damaged evidence: {words}")
    failpoint("engine.settled")
    _diagnose(conduct, attempt.id, detach)
    return True


def _diagnose(conduct: Conduct, attempt: str, detach: Callable[[], bool]) -> None:
    """Keep the evidence of what failed while it is fresh. The result is in the journal already; this changes nothing.

    Only where services may have been touched: what stops before that says in its findings what is wrong.
    """
    row = conduct.journal.snapshot().last_attempt
    if row is None or row.id != attempt or row.stage not in DIAGNOSED or row.state not in _BAD_ENDS:
        return
    conduct.say("diagnosing", {"stage": row.stage.value})
    file, why = conduct.diagnose(attempt, detach)
    if file is not None or why:
        conduct.say("diagnosed", {"file": str(file or ""), "why": why})


def _until(conduct: Conduct, folder: Path, detach: Callable[[], bool]) -> Callable[[], bool]:
    def leave() -> bool:
        if conduct.abort_requested() and not (folder / attempts.CANCEL).exists():
            attempts.cancel(folder)
        return detach()

    return leave


def _record(conduct: Conduct, attempt: AttemptRow, evidence: attempts.Evidence) -> None:
    """T2 of an attempt that left its exit record."""
    document = evidence.exit_document or {}
    outcome: Mapping[str, Any] = document["outcome"]
    result, event = _VERDICTS[outcome["verdict"]]
    conduct.journal.finish(
        attempt.id,
        result,
        event,
        {key: document.get(key) for key in ("tree", "strays", "seconds", "plays", "watched")}
        | {"steps": list(outcome.get("steps", ())), "findings": list(outcome.get("findings", ()))},
        message=str(outcome.get("message", "")),
        schema_started=outcome.get("schema_started"),
        facts=dict(outcome.get("facts", ())),
    )
    conduct.say("result", {"stage": attempt.stage.value, "outcome": dict(outcome)})


def _record_lost(
    conduct: Conduct, hop: HopRow, attempt: AttemptRow, evidence: attempts.Evidence, judgement: Judgement
) -> None:
    if INFO[attempt.stage].unknown != "probe":
        whom = "this machine was restarted" if judgement is Judgement.REBOOTED else "its supervisor died"
        words = f"its end is lost: {whom}"
        _record_unknown(conduct, hop, attempt, evidence, words)
        return
    conduct.say("probing", {"stage": attempt.stage.value})
    plan = conduct.plan.hops[hop.index]
    try:
        seen = conduct.look(plan)
    except Exception as error:  # whatever keeps us from looking: it cannot be told
        seen = Look(False, False, f"the cloud could not be looked at ({type(error).__name__}: {error})")
    found = {"judgement": judgement.value, "looked": seen.words}
    if seen.complete and judgement is Judgement.ARTIFACT and _play_done(evidence):
        _finish(conduct, attempt, Event.PROBED_COMPLETE, evidence, found, seen.words, _schema(plan, evidence))
    elif seen.untouched and not evidence.watched:
        _finish(conduct, attempt, Event.PROBED_UNTOUCHED, evidence, found, seen.words, False)
    else:
        message = f"its end is lost: supervisor and play died; {seen.words}"
        _finish(conduct, attempt, Event.UNKNOWN, evidence, found, message, _schema(plan, evidence))


def _play_done(evidence: attempts.Evidence) -> bool:
    """The stage's closing play left a result, and that is a success on every expected host."""
    last = evidence.plays[-1] if evidence.plays else None
    return last is not None and last.result is not None and last.result.verdict


def _record_unknown(
    conduct: Conduct, hop: HopRow, attempt: AttemptRow, evidence: attempts.Evidence, message: str
) -> None:
    schema = _schema(conduct.plan.hops[hop.index], evidence) if attempt.stage is State.UPGRADE else None
    _finish(conduct, attempt, Event.UNKNOWN, evidence, {"faults": list(evidence.contradictions)}, message, schema)


def _finish(
    conduct: Conduct,
    attempt: AttemptRow,
    event: Event,
    evidence: attempts.Evidence,
    found: Mapping[str, Any],
    message: str,
    schema: bool | None,
) -> None:
    conduct.journal.finish(
        attempt.id,
        AttemptState.UNKNOWN,
        event,
        {**found, "watched": list(evidence.watched)},
        message=message,
        schema_started=schema,
    )
    conduct.say("lost", {"stage": attempt.stage.value, "event": event.value, "message": message})


def _schema(plan: HopPlan, evidence: attempts.Evidence) -> bool | None:
    """Whether a change that only a restore undoes began: yes where it was seen, no where the hop has none for this
    cloud; otherwise it cannot be told, since a killed play can have gone on for a moment unheard."""
    if not schema_changers(plan) and not data_stores(plan):
        return False
    return True if evidence.watched else None


class _Listener:
    """Hears the attempt's progress: records its steps once, raises the point of no return, and passes all on."""

    def __init__(self, conduct: Conduct, hop: HopRow, attempt: AttemptRow) -> None:
        self.conduct, self.hop, self.attempt = conduct, hop, attempt
        self.known = attempt.steps
        self.seen = 0
        self.crossed = hop.ponr is Ponr.CROSSED

    def __call__(self, line: dict[str, Any]) -> None:
        kind = str(line.get("kind", ""))
        if kind == "step_end":
            self.seen += 1
            if self.seen > self.known:
                name, code = str(line.get("step", "")), str(line.get("code", ""))
                self.conduct.journal.step(self.attempt.id, name, code, str(line.get("message", "")))
        elif line.get("watched") and not self.crossed and self.attempt.stage is State.UPGRADE:
            self.crossed = True
            self.conduct.journal.ponr(self.hop.index, Ponr.CROSSED, f"{line.get('task', '')} began")
            self.conduct.say("ponr", {"task": str(line.get("task", ""))})
        self.conduct.say("progress", line)


def clear_abort_request(site: Site) -> None:
    durable.remove(site.state_dir / ABORT_REQUEST)
