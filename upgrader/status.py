"""Where a run and its cloud stand: the verdict, the way back, and the commands that are open now.

Pure and light: the journal's snapshot and what was found beside it in, a report out. `status_read.py` does the
reading, `views/status.py` has the words for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from upgrader.config import Site
from upgrader.journal.rows import HopRow, Snapshot
from upgrader.progress.services import Services
from upgrader.states import INFO, Ponr, RunState, State


class Verdict(StrEnum):
    """One word for the whole; machine-readable, append-only."""

    NO_RUN = "no-run"
    RUNNING = "running"
    DETACHED = "detached"
    """Work goes on, but no controller follows it."""
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    """At rest between two stages."""
    WAITING = "waiting"
    """For an approval or a named acceptance."""
    DECISION = "decision"
    FAILED_CLEAN = "failed-clean"
    ATTENTION = "attention"
    DONE = "done"
    ROLLED_BACK = "rolled-back"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"


ENDED: Mapping[RunState, Verdict] = {
    RunState.DONE: Verdict.DONE,
    RunState.ROLLED_BACK: Verdict.ROLLED_BACK,
    RunState.ABORTED: Verdict.ABORTED,
    RunState.SUPERSEDED: Verdict.SUPERSEDED,
}
_RESTING: Mapping[State, Verdict] = {
    State.DECIDE: Verdict.DECISION,
    State.DECIDE_BROKER: Verdict.DECISION,
    State.HOLD_VERIFY: Verdict.WAITING,
    State.FAILED_CLEAN: Verdict.FAILED_CLEAN,
    State.NEEDS_ATTENTION: Verdict.ATTENTION,
}
_ALIVE = ("running", "orphaned")


@dataclass(frozen=True, slots=True)
class Choice:
    """A command that may be typed now, as is, and what it does."""

    command: str
    what: str


NO_RUN = (Choice("upgrader plan --to RELEASE", "work out the way"),)


@dataclass(frozen=True, slots=True)
class InFlight:
    """The attempt without a result: what the evidence says of it, and the last thing it reported."""

    id: str
    stage: str
    number: int
    evidence: str
    """Answer of `attempts.judge`."""
    task: str = ""
    host: str = ""
    step: str = ""
    at: str = ""
    troubles: tuple[str, ...] = ()
    """Hosts that failed or did not answer, in the attempt's words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The cloud as it was last looked at."""

    at: str
    kind: str
    """exact, mixed or unknown."""
    release: str
    how: str
    releases: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """(release, services, hosts)."""
    evidence: tuple[str, ...] = ()
    services: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(container, release, hosts), only where releases differ. Left out of documents: `Report.services` counts them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The site's change windows as they stand at one moment. Times are UTC, ISO 8601."""

    schedule: str
    """The rule in words."""
    zone: str
    open: bool
    opens: str = ""
    """Of the window that is open, else of the next; empty: none comes any more."""
    ends: str = ""
    """Empty: no end is known."""
    told: str = ""
    """The same for people, in the site's own time and UTC."""
    stage: str = ""
    """The stage that comes next, where it asks for a window."""
    why: str = ""
    """Why that stage may not begin now."""
    later: str = ""
    """From when it fits, in words; empty: into no window that is named."""
    outside: str = ""
    """Why it may begin although no window is open."""
    accept: str = ""
    """The name to accept, to begin all the same."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that `status` says; its JSON form is `document`."""

    site: str
    verdict: Verdict
    run: str = ""
    plan_sha256: str = ""
    hop: int = 0
    """Number of the current hop, from 1."""
    hops: tuple[tuple[str, str, str], ...] = ()
    """(from, to, state)."""
    source: str = ""
    target: str = ""
    state: str = ""
    since: str = ""
    reason: str = ""
    attempt: InFlight | None = None
    controller: str = ""
    """Who drives the run now; empty when nobody does."""
    left_by: str = ""
    """The owner that died without giving the lease back."""
    ponr: str = ""
    ponr_words: str = ""
    way_back: str = ""
    """nothing, redeploy, restore, forward-only."""
    restore_services: tuple[str, ...] = ()
    backup_set: str = ""
    unverified: bool = False
    """An attempt ended badly and nothing has verified the cloud since: it may be mixed."""
    cloud: Seen | None = None
    accepted: tuple[tuple[str, str, str], ...] = ()
    """(name, reason, who)."""
    window: Standing | None = None
    """None: the site has no change windows."""
    choices: tuple[Choice, ...] = ()
    serial: int = 0
    last_event_at: str = ""
    diagnosis: str = ""
    """The newest diagnosis file of the last attempt, where that did not come right."""

    services: Services | None = None
    """Which services are done on how many hosts; None where nothing was begun, or all is of one release again."""

    def document(self) -> dict[str, Any]:
        document = {"schema_version": 1, "kind": "status", **asdict(self)}
        if document["cloud"] is not None:
            del document["cloud"]["services"]
        return document


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found beside the journal; everything `judge_status` needs besides the snapshot."""

    in_flight: InFlight | None = None
    controller: str = ""
    left_by: str = ""
    cloud: Seen | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)
    """The plan's document."""
    no_copy: str = ""
    """Why no hop can be rehearsed on a copy here; empty when it can."""
    window: Standing | None = None


def judge_status(site: Site, snapshot: Snapshot, evidence: Evidence) -> Report:
    """The report: pure, from the journal's snapshot and what was found beside it."""
    report = Report(
        site=site.name,
        verdict=Verdict.NO_RUN,
        controller=evidence.controller,
        left_by=evidence.left_by,
        cloud=evidence.cloud,
        window=evidence.window,
        serial=snapshot.serial,
        last_event_at=snapshot.last_event_at,
        choices=NO_RUN,
    )
    run, hop = snapshot.run, snapshot.hop
    if run is None or hop is None:
        return report
    verdict = _verdict(site, snapshot, hop, evidence)
    way_back, services = _way_back(hop, evidence.plan)
    return replace(
        report,
        verdict=verdict,
        run=run.id,
        plan_sha256=run.plan_sha256,
        hop=hop.index + 1,
        hops=tuple((row.source, row.target, row.state.value) for row in snapshot.hops),
        source=hop.source,
        target=hop.target,
        state=hop.state.value,
        since=hop.since,
        reason=hop.reason,
        attempt=evidence.in_flight,
        ponr=hop.ponr.value,
        ponr_words=str(_planned(hop, evidence.plan).get("ponr", "")),
        way_back=way_back,
        restore_services=services,
        backup_set=hop.facts.get("backup_set", ""),
        unverified=hop.interrupted or _may_be_mixed(verdict, hop, evidence),
        accepted=tuple((row.name, row.reason, row.actor) for row in snapshot.acceptances),
        choices=_choices(verdict, hop, evidence.window),
    )


def _may_be_mixed(verdict: Verdict, hop: HopRow, evidence: Evidence) -> bool:
    began = evidence.in_flight is None or evidence.in_flight.evidence != "never_started"
    return verdict is Verdict.INTERRUPTED and INFO[hop.state].touches_cloud and began


def _verdict(site: Site, snapshot: Snapshot, hop: HopRow, evidence: Evidence) -> Verdict:
    if snapshot.run and snapshot.run.state in ENDED:
        return ENDED[snapshot.run.state]
    driven = bool(evidence.controller)
    if evidence.in_flight is not None:
        alive = evidence.in_flight.evidence in _ALIVE
        return Verdict.RUNNING if driven else Verdict.DETACHED if alive else Verdict.INTERRUPTED
    if hop.state in _RESTING:
        return _RESTING[hop.state]
    if INFO[hop.state].kind == "hold" or (
        hop.state is State.REHEARSE and not driven and _unrehearsed(site, snapshot, evidence)
    ):
        return Verdict.WAITING
    if not driven and INFO[hop.state].kind == "stage" and evidence.window and evidence.window.why:
        return Verdict.WAITING
    return Verdict.RUNNING if driven else Verdict.STOPPED


def _unrehearsed(site: Site, snapshot: Snapshot, evidence: Evidence) -> bool:
    accepted = any(row.name == "not-rehearsed" for row in snapshot.acceptances)
    return site.staging is None and not accepted and bool(evidence.no_copy)


def _planned(hop: HopRow, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    hops = plan.get("hops", ())
    found: Mapping[str, Any] = hops[hop.index] if hop.index < len(hops) else {}
    return found


def _way_back(hop: HopRow, plan: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The way back that is open now, and the services that need a restore once the line is crossed."""
    rows = [row for row in _planned(hop, plan).get("way_back", ()) if row.get("enabled") is not False]
    services = tuple(dict.fromkeys(row["service"] for row in rows if row["way"] == "restore"))
    if hop.state is State.HOP_DONE or hop.closed:
        return "forward-only", services
    if INFO[hop.state].way_back == "nothing" and not hop.interrupted:
        return "nothing", services
    if hop.ponr is Ponr.NO or not services:
        return "redeploy", services
    return "restore", services


def _choices(verdict: Verdict, hop: HopRow, window: Standing | None) -> tuple[Choice, ...]:
    """What can be typed; where a stage waits for its window, that comes first."""
    if window is None or not window.why or verdict is not Verdict.WAITING:
        return choices(verdict, hop)
    if INFO[hop.state].kind == "hold":
        return (*choices(verdict, hop), Choice(_accept(window), f"let {window.stage} begin outside the window"))
    again = Choice("upgrader resume", f"from {window.later} on" if window.later else "once another window is named")
    begin = Choice(_accept(window), f"let {window.stage} begin outside the window")
    leave = choices(Verdict.STOPPED, hop)[1:]
    return (again, begin, *leave) if window.later else (begin, again, *leave)


def _accept(window: Standing) -> str:
    return f'upgrader approve --accept {window.accept} --reason "WHY"'


def choices(verdict: Verdict, hop: HopRow) -> tuple[Choice, ...]:
    """The commands that make sense now, the likeliest first."""
    back = Choice("upgrader rollback", f"take the hop back to {hop.source}")
    abort = Choice("upgrader abort", f"end the run; the cloud stays on {hop.source}")
    look = Choice("upgrader status --observe", "look at the cloud, host by host")
    leave = (look, back) if INFO[hop.state].way_back != "nothing" else (abort,)
    table: dict[Verdict, tuple[Choice, ...]] = {
        Verdict.RUNNING: (Choice("upgrader status", "look again"),),
        Verdict.DETACHED: (Choice("upgrader resume", "follow it, and go on when it has ended"),),
        Verdict.INTERRUPTED: (Choice("upgrader resume", "find out how it ended, then go on"), *leave),
        Verdict.STOPPED: (Choice("upgrader resume", "go on"), *leave),
        Verdict.DECISION: (Choice("upgrader resume", f"try the upgrade to {hop.target} again"), back, look),
        Verdict.FAILED_CLEAN: (Choice("upgrader resume", "start the hop again, from its checks"), abort),
        Verdict.ATTENTION: (look, Choice("upgrader resume", "once it is repaired: verify and go on"), back),
    }
    if verdict is Verdict.WAITING:
        return _waiting(hop, back, abort)
    if hop.state is State.DECIDE_BROKER:
        undo = Choice("upgrader rollback", "the old switches and queues again (another reset)")
        return (Choice("upgrader resume", "migrate the queues again, from where it stopped"), undo, look)
    return table.get(verdict, (Choice("upgrader history", "what was done"), *NO_RUN))


def _waiting(hop: HopRow, back: Choice, abort: Choice) -> tuple[Choice, ...]:
    if hop.state is State.HOLD_HOP:
        later = Choice("upgrader approve", f"say now that {hop.name} may begin, and start it later")
        return (Choice("upgrader resume", f"begin {hop.name} now"), later, abort)
    if hop.state is State.HOLD_BROKER:
        return (Choice("upgrader approve", "migrate the queues now: full API outage"), abort)
    if hop.state is State.HOLD_UPGRADE:
        return (Choice("upgrader approve", f"start the upgrade to {hop.target}"), abort)
    if hop.state is State.HOLD_FINALIZE:
        return (Choice("upgrader approve", f"close the way back to {hop.source} for good, and finish the hop"), back)
    if hop.state is State.REHEARSE:
        accept = 'upgrader approve --accept not-rehearsed --reason "WHY"'
        return (Choice(accept, "go on although nothing was rehearsed"), abort)
    accept = 'upgrader approve --accept NAME --reason "WHY"'
    return (Choice("upgrader resume", "verify again"), Choice(accept, "accept what could not be told"), back)
