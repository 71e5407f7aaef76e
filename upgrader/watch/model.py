"""A run as it is watched: `status` with what goes on inside the stage, at which pace, and what has to be known.

Frozen and light. Everything that changes with the clock alone stands in `Pace`, so that two looks at a cloud where
nothing happened differ in nothing else (`settled`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from upgrader.status import ENDED, Report, Verdict

StageState = Literal["done", "failed", "now", "interrupted", "waits", "next", "passed"]
Tempo = Literal["", "usual", "unknown", "slow", "stalled"]
Level = Literal["info", "warn", "bad"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage of the current hop. `passed`: this hop did not need it."""

    name: str
    state: StageState
    attempts: int = 0
    seconds: float | None = None
    """What its last attempt took; None while it is under way or not begun."""
    estimate: float | None = None
    """Median seconds that are expected; None where nothing is known."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A host that failed or did not answer, with the task it stopped at and its words."""

    host: str
    kind: Literal["failed", "unreachable"]
    task: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts of the play that runs, or ran last, in the attempt."""

    total: int = 0
    """0: the play names none, or there is none."""
    ok: int = 0
    failed: int = 0
    unreachable: int = 0
    answered: int = 0
    """How many are through with the task that runs."""
    troubled: tuple[Trouble, ...] = ()
    """The first of them, by name; `failed` and `unreachable` count all."""


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A task of a play, or a step outside of one."""

    name: str
    role: str = ""
    began: str = ""
    seconds: float | None = None
    """None while it runs."""
    usual: float | None = None
    """Median seconds in earlier attempts at this stage; None: never seen."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Where the attempt is."""

    step: str = ""
    play: str = ""
    now: TaskLine | None = None
    host: str = ""
    """The host that answered last."""
    done: int = 0
    expected: int | None = None
    """Tasks of the last attempt at this stage that succeeded; None: there was none."""
    last: tuple[TaskLine, ...] = ()
    """The newest first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How it goes, by the clock. Seconds; None where nothing is known."""

    tempo: Tempo = ""
    """Empty: nothing is under way. `unknown`: no estimate to compare with."""
    why: str = ""
    """What `slow` or `stalled` rests on, or where the estimate comes from."""
    elapsed: float | None = None
    """Of the stage's attempt."""
    left: float | None = None
    left_low: float | None = None
    left_high: float | None = None
    hop_left: float | None = None
    """Of all stages of this hop that are not done; None when one of them has no estimate."""
    fraction: float | None = None
    """0 to 1; by the estimate, else by the number of tasks."""
    source: str = ""
    """rehearsal, history, baseline: where the estimate comes from; `tasks`: counted."""
    samples: int = 0
    silent: float | None = None
    """Since anything was last heard of the attempt."""
    task: float | None = None
    """Of the task that runs."""


@dataclass(frozen=True, slots=True)
class Api:
    """One public endpoint, as the availability probe last heard it."""

    name: str
    state: Literal["up", "away", "unknown"]
    away_seconds: float = 0.0
    """Together, in this run."""
    since: str = ""
    """When it came into this state; empty: not known."""
    error: str = ""
    """Words of its last failure."""


@dataclass(frozen=True, slots=True)
class Insight:
    """Something to know now."""

    level: Level
    text: str
    source: str = ""
    """What it comes from: line (the point of no return), hosts, pace, availability, plan, release data, journal."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the journal, in words."""

    seq: int
    at: str
    text: str
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class Watched:
    """All that is drawn, by whatever draws it."""

    at: str
    """When it was looked at: UTC, ISO 8601."""
    report: Report
    stages: tuple[StageLine, ...] = ()
    hosts: Hosts = Hosts()
    tasks: Tasks = Tasks()
    pace: Pace = Pace()
    apis: tuple[Api, ...] = ()
    apis_note: str = ""
    """Why nothing is known of the endpoints, or what the probe wants people to know."""
    ponr_at: str = ""
    """When the point of no return was crossed; empty while it was not."""
    ponr_task: str = ""
    insights: tuple[Insight, ...] = ()
    events: tuple[Happening, ...] = ()
    """The newest last."""
    trouble: str = ""
    """Why the last look failed; what is shown is from the look before it."""

    @property
    def over(self) -> bool:
        """Whether the run has come to an end: nothing will happen in it any more."""
        return self.report.verdict in ENDED.values()

    @property
    def needs_a_person(self) -> bool:
        return self.report.verdict in (Verdict.WAITING, Verdict.DECISION, Verdict.ATTENTION, Verdict.FAILED_CLEAN)

    def document(self) -> dict[str, Any]:
        """JSON-ready, one key per part of the page."""
        parts = {name: _plain(getattr(self, name)) for name in PARTS}
        return {"schema_version": SCHEMA, "kind": "watched", "at": self.at, "status": self.report.document(), **parts}

    def settled(self) -> tuple[Any, ...]:
        """What changes only when something happens; equal for two looks between which nothing did."""
        return (self.report, self.stages, self.hosts, self.tasks, self.pace.tempo, self.apis_known, self.ponr_at,
                self.insights, self.events, self.trouble)  # fmt: skip

    @property
    def apis_known(self) -> tuple[tuple[str, str], ...]:
        """Without the seconds, which grow with the clock while one is away."""
        return tuple((api.name, api.state) for api in self.apis)


PARTS = (
    "stages",
    "hosts",
    "tasks",
    "pace",
    "apis",
    "apis_note",
    "ponr_at",
    "ponr_task",
    "insights",
    "events",
    "trouble",
)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
