"""What a report holds, as frozen plain values; its JSON form is these names. Moments are the journal's own texts (UTC,
ISO 8601), lengths of time are seconds. Every text was cleared of secrets before it came here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

CheckState = Literal["as recorded", "changed", "gone", "damaged", "not recorded"]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of an attempt that was not good."""

    id: str
    code: str
    message: str
    next: str = ""
    who: str = ""
    reason: str = ""
    """Who took its risk, and why; empty: nobody."""


@dataclass(frozen=True, slots=True)
class AttemptStory:
    """One execution of one stage."""

    id: str
    stage: str
    number: int
    result: str
    """succeeded, failed, canceled, unknown, void; `under way` while there is none."""
    began: str
    ended: str
    seconds: float | None
    """From its launch to its recorded end; None: it was never launched, or has not ended."""
    work_seconds: float | None = None
    """As its own supervisor measured it."""
    message: str = ""
    lost: str = ""
    """What was made of an end that nobody recorded."""
    steps: tuple[tuple[str, str, int, str], ...] = ()
    """(name, code, seconds, message)."""
    findings: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class StageStory:
    """A stage of a hop: what was planned, what it took."""

    name: str
    when: str
    planned: float | None
    low: float | None
    high: float | None
    source: str
    """Where the estimate comes from: rehearsal, history, baseline; empty: there is none."""
    actual: float | None
    """All its attempts together; None: none ended."""
    attempts: int
    result: str
    """Of its last attempt; `passed by`, `not reached`."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Something that a person decided."""

    at: str
    hop: str
    who: str
    event: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Controller:
    """A process that drove the run for a while."""

    at: str
    who: str
    host: str
    operation: str
    after: str = ""
    """What it found: why the one before no longer drove the run; empty where there was none, or it had ended well."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something the journal noted that moved nothing."""

    at: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A risk that somebody took by name."""

    name: str
    who: str
    reason: str
    at: str
    about: str = ""
    """What it was, in words."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that ran before, or after, a hop."""

    name: str
    reference: str
    digest: str
    """Digest of its content, as the engine names it."""
    hosts: int = 0
    """On how many hosts; 0: not known."""
    registry_digest: str = ""


@dataclass(frozen=True, slots=True)
class Images:
    """Before and after a hop; `before_from`, `after_from` say where that is known from, empty: it is not."""

    before: tuple[Image, ...] = ()
    after: tuple[Image, ...] = ()
    before_from: str = ""
    after_from: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A piece of evidence: where it is, the digest that is recorded, and whether it is still that."""

    what: str
    place: str
    recorded: str
    found: str
    state: CheckState
    words: str = ""


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that stays to be done. `command`: typed as it is."""

    what: str
    why: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HopStory:
    """One hop of the run."""

    number: int
    source: str
    target: str
    state: str
    began: str
    ended: str
    """When it came to its end; empty: it has none yet, or never began."""
    stages: tuple[StageStory, ...]
    attempts: tuple[AttemptStory, ...]
    ponr: str
    """no, possible, crossed."""
    ponr_at: str
    ponr_why: str
    ponr_plan: str
    """The point of no return as the plan said it; empty: there was none."""
    toolchain: str
    components: tuple[tuple[str, str, str], ...]
    """(component, before, after), as planned."""
    schemas: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]
    """(service, database, heads before, heads after) where the hop changes them, as planned."""
    server_before: str
    images: Images
    evidence: tuple[Check, ...]
    backup: str
    """What is to be said of the hop's backup; empty: none was taken."""
    rehearsal: str
    rolled_back: str = ""
    """How and when it was taken back; empty: it was not."""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.source}→{self.target}"


@dataclass(frozen=True, slots=True)
class Away:
    """One stretch in which an API did not answer."""

    api: str
    began: str
    ended: str
    seconds: float
    low: float
    high: float
    error: str
    during: tuple[str, ...]
    """What was worked on meanwhile; first what went on when it went away."""
    remark: str = ""
    """What limits this: time in which nobody asked, a trouble of this machine."""


@dataclass(frozen=True, slots=True)
class ApiStory:
    """One API over the whole run."""

    api: str
    asked: int
    failed: int
    seconds: float
    low: float
    high: float
    unknown: float
    """Seconds in which nobody asked."""
    outages: tuple[Away, ...]
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """What checking the journal now said."""

    lineage: str
    events: int
    first: int
    last: int
    """Numbers of the run's own first and last event."""
    head: str
    faults: tuple[str, ...]
    plan_sha256: str
    plan_fits: bool
    """The plan that the journal holds has the digest that the run was begun with."""


@dataclass(frozen=True, slots=True)
class Report:
    """A run against its plan."""

    site: str
    run: str
    state: str
    outcome: str
    """One sentence."""
    source: str
    target: str
    actor: str
    engine_version: str
    graph_version: str
    begun: str
    ended: str
    """Empty: it has not ended."""
    as_of: str
    """The last event that was read."""
    plan_sha256: str
    plan_made_at: str
    known_by: str
    hops: tuple[HopStory, ...]
    controllers: tuple[Controller, ...]
    moves: tuple[Move, ...]
    taken: tuple[Taken, ...]
    remarks: tuple[Remark, ...]
    apis: tuple[ApiStory, ...]
    no_apis: str
    """Why nothing is known of APIs; empty where there are records."""
    audit: Audit
    todo: tuple[Todo, ...]
    no_estimates: str = ""
    """Why there are no planned durations; empty where there are some."""
    not_cleared: str = ""
    """Why texts could not be compared with the site's passwords; empty where they were."""
    zone: str = "UTC"
    """The site's time zone, for the times people plan by."""

    def document(self) -> dict[str, Any]:
        return {"schema_version": 1, "kind": "report", **asdict(self)}
