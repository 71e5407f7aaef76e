"""What the journal gives out: frozen rows, light enough for `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrader.states import TERMINAL, AttemptState, Ponr, RunState, State


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as it is stored. `txn` is the `seq` of the first event of the same commit."""

    seq: int
    txn: int
    at: str
    """UTC, ISO 8601 with microseconds; for people only, order is `seq`."""
    mono: int
    """Nanoseconds of the monotonic clock; comparable only within the same `boot`."""
    boot: str
    epoch: int
    run: str
    hop: int | None
    attempt: str
    kind: str
    data: Mapping[str, Any]
    prev: str
    h: str


QUEUE_MIGRATION, OPEN, ENDED = "queue_migration", "open", "ended"
"""Fact of a hop that its moves into and out of stage `broker` leave."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a plan. `base_serial` is the journal's serial when it began."""

    id: str
    state: RunState
    plan_sha256: str
    base_serial: int
    actor: str
    engine_version: str
    table_hash: str
    begun_at: str
    ended_at: str


@dataclass(frozen=True, slots=True)
class HopRow:
    """One hop of a run. `index` counts from 0."""

    run: str
    index: int
    source: str
    target: str
    state: State
    since: str
    """When it came into this state."""
    ponr: Ponr
    interrupted: bool
    """An attempt ended other than by success, and nothing has verified the cloud since."""
    closed: bool
    """Finalize was started: the way back is gone."""
    unattended: int
    """Attempts since a person last decided something on this hop."""
    reason: str
    """Why it came into this state, in words."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Small results of its stages, the newest of each name, e.g. `backup_set`."""

    @property
    def name(self) -> str:
        return f"{self.source}→{self.target}"

    @property
    def broker_open(self) -> bool:
        """A queue migration was approved and has not ended well since: queues and services may be in any state."""
        return self.facts.get(QUEUE_MIGRATION) == OPEN

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One execution of one stage. `number` counts from 1 per stage of a hop."""

    id: str
    run: str
    hop: int
    stage: State
    number: int
    key: str
    """Idempotency key: digest over plan, hop, stage and number."""
    request_sha256: str
    state: AttemptState
    epoch: int
    boot: str
    """Boot id of the machine it was launched on, of the intent before that."""
    pid: int
    after_interrupt: bool
    step: str
    """The last step it reported."""
    steps: int
    message: str
    intended_at: str
    launched_at: str
    finished_at: str

    @property
    def in_flight(self) -> bool:
        return self.state in (AttemptState.INTENDED, AttemptState.LAUNCHED)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A risk that a person accepted by name."""

    run: str
    name: str
    reason: str
    actor: str
    at: str
    seq: int


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that the last check that judged it saw open. `since` is the number of the check that opened it."""

    hop: str
    since: int
    regressed: bool
    """It had been settled before."""


@dataclass(frozen=True, slots=True)
class FindingMemory:
    """What is remembered of findings between two checks, by their ids."""

    checked_at: str = ""
    """When the last check was recorded; empty when there was none."""
    open: Mapping[str, OpenFinding] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()
    """Found once, and gone when it was judged last."""
    accepted: Mapping[str, Acceptance] = field(default_factory=dict)
    """Acceptances that hold."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `status` needs, read in one transaction from the tables alone."""

    lineage: str
    serial: int
    """Bumped by every stage that succeeded."""
    epoch: int
    run: RunRow | None
    """The newest run, ended or not."""
    hops: tuple[HopRow, ...]
    attempt: AttemptRow | None
    """The attempt that has no result yet; at most one per cloud."""
    last_attempt: AttemptRow | None
    """The newest attempt of the newest run, in flight or not."""
    flags: Mapping[str, str]
    acceptances: tuple[Acceptance, ...]
    last_seq: int
    last_event_at: str
    head: str
    """Hash of the last event; it stands for the whole history."""
    recent: tuple[EventRow, ...]

    @property
    def hop(self) -> HopRow | None:
        """The hop that is being worked on, or waits; of an ended run the last one that was worked on."""
        for hop in self.hops:
            if not hop.ended:
                return hop
        last = self.last_attempt.hop if self.last_attempt else 0
        return self.hops[last] if self.hops else None
