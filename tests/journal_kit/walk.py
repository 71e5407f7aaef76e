"""A hop walked in a journal as an engine would, without any stage being run."""

from __future__ import annotations

from upgrader.journal import Journal
from upgrader.model import Plan
from upgrader.states import AttemptState, Event, State


def walked(journal: Journal, plan: Plan, *, until: State = State.HOP_DONE, facts: dict[str, str] | None = None) -> None:
    """Begin a run of the plan and bring its first hop to a state. `facts`: what stage rehearse leaves."""
    hop = plan.hops[0]
    journal.begin_run(plan.document(), plan.sha256, "anna", [(each.source, each.target) for each in plan.hops])
    journal.begin_hop(0)
    while (state := journal.snapshot().hops[0].state) not in (until, State.HOP_DONE):
        if state is State.HOLD_BROKER:
            journal.move(0, Event.SKIP, "engine", f"no queue has to be migrated on {hop.name}")
        elif state in (State.HOLD_UPGRADE, State.HOLD_FINALIZE):
            journal.move(0, Event.APPROVE, "anna", "go")
        else:
            attempt = journal.intend(0, state, request_sha256="0" * 64)
            journal.launched(attempt.id, 1)
            journal.finish(
                attempt.id, AttemptState.SUCCEEDED, Event.SUCCEEDED, schema_started=False,
                facts=(facts or {}) if state is State.REHEARSE else {},
            )  # fmt: skip
