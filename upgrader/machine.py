"""The state table, run by `transitions`: asks it for the next state, checks the table itself, draws the diagram.

Only importer of transitions. The machine has no callbacks and keeps nothing: a state moves in the journal's
transaction or not at all, and this module only says where to.

`python -m upgrader.machine` prints the diagram in Mermaid's notation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache

from transitions import Machine, MachineError

from upgrader.errors import RefusedError, UpgraderError
from upgrader.states import INFO, STAGES, TABLE, TERMINAL, Event, Row, State, table_hash

__all__ = ["check", "compatible", "diagram", "legal", "next_state", "table_hash"]

BEFORE_QUEUES = "c7e66d7eb81132dccb4154303680eac0f6227c8766f26a439bb8d3d5476cc466"
"""The law without the stage that migrates queues."""
BEFORE_PAUSES = "8f760e42dc111e4d1f687026c8f026d6b63e6645c4b8d0615425629f16b2e3c5"
"""The law without the rest between two hops."""
_NOW = "375e8526070634e87c3aefd43e2b122cbd9e186993fcab8117f674d075e4356a"
COMPATIBLE: frozenset[tuple[str, str]] = frozenset(
    {
        # every state of the older law is there and means the same; between rehearsal and approval the engine passes
        # the new stage by, since the plan of such a run says nothing of RabbitMQ
        (BEFORE_QUEUES, _NOW),
        # a state between two hops came, entered from `pending` alone; all that was there is as it was
        (BEFORE_PAUSES, _NOW),
    }
)
"""Pairs (recorded, current) of table hashes where a run begun under the first may go on under the second."""

VERDICTS = (Event.SUCCEEDED, Event.FAILED, Event.INCONCLUSIVE, Event.CANCELED, Event.UNKNOWN)


class IllegalMoveError(RefusedError):
    """The event is not legal in the hop's state."""


class _Hop:
    """Model for the machine; it holds a state while one question is asked."""

    state: str


def check(rows: Iterable[Row] = TABLE) -> tuple[str, ...]:
    """Faults of a state table; empty when it is sound.

    A second row for the same state and event would be silently dead, and a terminal state with a way out or a
    stage that cannot hear a verdict would only show in the field.
    """
    table = tuple(rows)
    faults = []
    seen: dict[tuple[State, Event], Row] = {}
    for row in table:
        if (row.state, row.event) in seen:
            faults.append(f"{row.state} has two rows for {row.event}")
        seen[row.state, row.event] = row
        if row.state in TERMINAL:
            faults.append(f"{row.state} is terminal and leads to {row.next}")
        if hasattr(_Hop, row.event):
            faults.append(f"event {row.event} would hide a method of the model")
    reached = {State.PENDING}
    while more := {row.next for row in table if row.state in reached} - reached:
        reached |= more
    faults += [f"{state} can never be reached" for state in State if state not in reached]
    faults += [
        f"{state} has no way out"
        for state in State
        if state not in TERMINAL and not any(r.state is state for r in table)
    ]
    faults += [f"{stage} does not hear {event}" for stage in STAGES for event in VERDICTS if (stage, event) not in seen]
    faults += [f"{state} is not described" for state in State if state not in INFO]
    return tuple(faults)


@cache
def _machine() -> Machine:
    faults = check()
    if faults:
        raise UpgraderError("the state table is unsound", details=faults, reason="state-table")
    return Machine(
        model=None,
        states=[state.value for state in State],
        transitions=[{"trigger": row.event.value, "source": row.state.value, "dest": row.next.value} for row in TABLE],
        initial=None,
        auto_transitions=False,
        send_event=True,
        queued=False,
    )


def next_state(state: State, event: Event) -> State:
    """Where `event` leads from `state`. Raises IllegalMoveError when the table has no such move."""
    machine = _machine()
    hop = _Hop()
    machine.add_model(hop, initial=State(state).value)
    try:
        moved = machine.events[Event(event).value].trigger(hop)
    except MachineError as error:
        legal_now = ", ".join(legal(state)) or "nothing"
        raise IllegalMoveError(
            f"a hop in {state} cannot take {event}; it can take: {legal_now}", reason="illegal-move"
        ) from error
    finally:
        machine.remove_model(hop)
    if not moved:
        raise IllegalMoveError(f"a hop in {state} refused {event}", reason="illegal-move")
    return State(hop.state)


def legal(state: State) -> tuple[Event, ...]:
    """The events a hop in `state` can take, in the table's order, before any guard."""
    return tuple(row.event for row in TABLE if row.state is state)


def compatible(recorded: str) -> bool:
    """Whether a run that was begun under the table with hash `recorded` may go on under this one."""
    current = table_hash()
    return recorded == current or (recorded, current) in COMPATIBLE


def diagram() -> str:
    """The table as a Mermaid state diagram; moves between the same two states share one arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in TABLE:
        arrows.setdefault((row.state, row.next), []).append(row.event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()]
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    lines += ["    classDef touches stroke-width:3px", "    classDef waits stroke-dasharray:4 3"]
    for name, states in (
        ("touches", [state for state in State if INFO[state].touches_cloud]),
        ("waits", [state for state in State if INFO[state].kind in ("hold", "rest")]),
    ):
        lines.append(f"    class {','.join(states)} {name}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(diagram())
