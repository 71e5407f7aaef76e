"""The loop of a run: read the journal, ask the law, start or settle an attempt, record, again.

The only writer of the journal while a run is driven. Every effect on the cloud happens in an attempt, under a
supervisor of its own, between an intent and a result that are both in the journal; so this process may die at
any line. It never touches the cloud itself, except to look at it when evidence is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from upgrader.conduct import Conduct, clear_abort_request, launch, settle
from upgrader.durable import failpoint
from upgrader.errors import AttentionError
from upgrader.journal import HopRow, Journal, Snapshot
from upgrader.journal.projection import ENGINE
from upgrader.model import BROKER_DUE, BROKER_WHY, Answer, BrokerPlan
from upgrader.opening import BEGINS, WINDOW, Opening
from upgrader.rehearsable import why_not
from upgrader.states import INFO, RUN_ENDED, Event, RunState, State

NOT_REHEARSED = "not-rehearsed"
"""Name under which an operator accepts that a hop was rehearsed nowhere."""
RESTORE_POINT = "restore-point"
"""What an upgrade wants before it begins: a backup set that was restored, and is of this moment."""

EndKind = Literal[
    "done", "waiting", "stopped", "detached", "failed_clean", "decide", "attention", "rolled_back", "aborted",
    "superseded", "no_run",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the loop came to rest, in one word and in words for people."""

    kind: EndKind
    message: str
    hop: HopRow | None = None
    wants: str = ""
    """Name of what has to be approved or accepted, when waiting."""


@dataclass
class Engine:
    """Drives the open run of one site. The journal has to be entered under a lease."""

    conduct: Conduct
    actor: str
    auto_approve: bool = False
    stop_wanted: Callable[[], bool] = lambda: False
    """The operator wants to stop after the attempt that is under way."""
    detach_wanted: Callable[[], bool] = lambda: False
    """The operator wants this process to end and the attempt to go on."""

    @property
    def journal(self) -> Journal:
        return self.conduct.journal

    def drive(self) -> Ending:
        """Work until the run ends, waits for a person, or the operator wants to stop.

        Raises StaleEpochError when another owner took over, and what the journal raises when it cannot be written;
        the run can be resumed after each of them.
        """
        while True:
            ending = self._step(self.journal.snapshot())
            if ending is not None:
                return ending
            failpoint("engine.between")

    def _step(self, snapshot: Snapshot) -> Ending | None:
        if snapshot.run is None:
            return Ending("no_run", "There is no run.")
        hop = snapshot.hop
        if snapshot.attempt is not None:
            if settle(self.conduct, snapshot, self.detach_wanted):
                return None
            return Ending("detached", f"Stage {snapshot.attempt.stage} goes on without this process.", hop)
        if snapshot.run.state in RUN_ENDED or hop is None:
            return _ended(snapshot)
        if self.conduct.abort_requested():
            return self._abort(hop)
        kind = INFO[hop.state].kind
        if hop.state is State.PENDING or kind == "stage":
            return self._work(snapshot, hop)
        if hop.state is State.HOLD_BROKER:
            return self._hold_broker(snapshot, hop)
        if hop.state is State.HOLD_HOP:
            return _between(snapshot, hop)
        return self._hold(snapshot, hop) if kind == "hold" else _rest(hop)

    def _work(self, snapshot: Snapshot, hop: HopRow) -> Ending | None:
        if self.stop_wanted():
            return Ending("stopped", f"Stopped before {hop.state} of {hop.name}; nothing is under way.", hop)
        if hop.state is State.PENDING:
            if hop.index and self.conduct.pauses(snapshot):
                self.journal.move(hop.index, Event.PAUSE, ENGINE, f"{snapshot.hops[hop.index - 1].name} is done")
                return None
            self.journal.begin_hop(hop.index)
            self.conduct.say("hop", {"hop": hop.name, "index": hop.index, "hops": len(snapshot.hops)})
            return None
        if hop.state is State.REHEARSE and (why := self._unrehearsed(snapshot)):
            message = f"Nothing was rehearsed for {hop.name}: {why}."
            return Ending("waiting", message, hop, wants=NOT_REHEARSED)
        if hop.state is State.UPGRADE and (why := self.conduct.no_restore_point(hop)):
            message = f"{hop.name} is not upgraded without a restore point: {why}."
            return Ending("waiting", message, hop, wants=RESTORE_POINT)
        found = self.conduct.opening(snapshot, hop, hop.state)
        if found.why:
            return _closed(hop, found)
        if found.outside:
            self.journal.note("outside_window", {"hop": hop.name, "stage": found.stage, "why": found.outside})
            self.conduct.say("outside", {"stage": found.stage, "why": found.outside})
        try:
            launch(self.conduct, snapshot, hop)
        except AttentionError as error:
            return Ending("attention", f"{error.message}.", hop)
        return None

    def _unrehearsed(self, snapshot: Snapshot) -> str:
        """Why the hop can be rehearsed neither on a staging cloud nor on a copy; empty when it can, or was accepted."""
        if self.conduct.site.staging is not None or any(row.name == NOT_REHEARSED for row in snapshot.acceptances):
            return ""
        return why_not(self.conduct.site)

    def _hold(self, snapshot: Snapshot, hop: HopRow) -> Ending | None:
        if self.auto_approve:
            # what waits for a window waits before its approval, where the run can still be ended without a way back
            found = self.conduct.opening(snapshot, hop, BEGINS[hop.state]) if hop.state in BEGINS else None
            if found and found.why:
                return _closed(hop, found)
            self.journal.move(hop.index, Event.APPROVE, self.actor, "approved in advance (--auto-approve)")
            self.conduct.say("approved", {"hop": hop.name, "hold": hop.state.value})
            return None
        final = f"finalize, which closes the way back to {hop.source} for good: no redeploy and no restore after it"
        what = "the upgrade" if hop.state is State.HOLD_UPGRADE else final
        return Ending("waiting", f"{hop.name} waits for approval of {what}.", hop, wants=hop.state.value)

    def _hold_broker(self, snapshot: Snapshot, hop: HopRow) -> Ending | None:
        """Pass the queue migration by where nothing has to be migrated; otherwise it waits for a person."""
        planned = self.conduct.plan.hops[hop.index].broker
        due, why = broker_due(planned, hop.facts)
        if due == "no":
            self.journal.move(hop.index, Event.SKIP, ENGINE, why)
            self.conduct.say("skipped", {"hop": hop.name, "stage": State.BROKER.value, "why": why})
            return None
        if self.auto_approve and planned.migration != "no":
            return self._hold(snapshot, hop)
        # an approval in advance covers the outage that the plan spoke of, and no other
        return Ending("waiting", f"{hop.name} waits for approval of {OUTAGE}: {why}.", hop, wants=hop.state.value)

    def _abort(self, hop: HopRow) -> Ending | None:
        """Another process asked for the end of the run; the attempt under way was canceled for it."""
        clear_abort_request(self.conduct.site)
        for event in (Event.ABORT, Event.TAKE_BACK):
            if _legal(hop, event):
                self.journal.move(hop.index, event, self.actor, "abort was asked for")
                return None if event is Event.ABORT else self._abort(self._current())
        return _rest(hop)

    def _current(self) -> HopRow:
        hop = self.journal.snapshot().hop
        assert hop is not None  # noqa: S101 - the run has not ended
        return hop


OUTAGE = "the queue migration (full API outage: services are stopped, every queue and message is dropped)"


def broker_due(planned: BrokerPlan, facts: Mapping[str, str]) -> tuple[Answer, str]:
    """Whether queues have to be migrated on this hop, and why: what the hop's own checks saw, else what was planned."""
    seen = facts.get(BROKER_DUE, "")
    if seen in ("yes", "no", "unknown"):
        return seen, facts.get(BROKER_WHY, "") or "as the hop's checks saw it"  # type: ignore[return-value]
    return planned.migration, planned.migration_why


def _between(snapshot: Snapshot, hop: HopRow) -> Ending:
    """The rest between two hops. An approval in advance is not for it: whoever wants no rest asks for none."""
    done = snapshot.hops[hop.index - 1]
    message = f"{done.name} is done; the run rests, and {hop.name} waits for a word to begin."
    return Ending("waiting", message, hop, wants=hop.state.value)


def _closed(hop: HopRow, found: Opening) -> Ending:
    return Ending("waiting", f"{hop.name}: {found.stage} waits for its change window: {found.why}.", hop, wants=WINDOW)


def _legal(hop: HopRow, event: Event) -> bool:
    from upgrader.states import row_of

    return row_of(hop.state, event) is not None


def _ended(snapshot: Snapshot) -> Ending:
    state = snapshot.run.state if snapshot.run else RunState.DONE
    turned = next((hop for hop in snapshot.hops if hop.state is not State.HOP_DONE), None)
    if state is RunState.DONE:
        return Ending("done", "Every hop is done and verified.", snapshot.hop)
    if state is RunState.ROLLED_BACK:
        name = turned.name if turned else "The hop"
        return Ending("rolled_back", f"{name} was taken back, and the old release verified.", turned)
    if state is RunState.SUPERSEDED:
        return Ending("superseded", "The run was replaced by a newer plan.", turned)
    return Ending("aborted", "The run was aborted.", turned)


def _rest(hop: HopRow) -> Ending:
    reason = f": {hop.reason}" if hop.reason else "."
    if hop.state is State.FAILED_CLEAN:
        return Ending("failed_clean", f"{hop.name} stopped before any running service was changed{reason}", hop)
    if hop.state is State.DECIDE_BROKER:
        return Ending("decide", f"{hop.name}: the queue migration needs a decision{reason}", hop)
    if hop.state is State.DECIDE:
        return Ending("decide", f"{hop.name} needs a decision{reason}", hop)
    if hop.state is State.HOLD_VERIFY:
        return Ending("waiting", f"{hop.name}: the verification could not tell{reason}", hop, wants=hop.state.value)
    return Ending("attention", f"{hop.name} needs attention{reason}", hop)
