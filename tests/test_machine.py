"""The machine says what the table says, refuses the rest, and finds a table that is unsound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from upgrader import machine
from upgrader.errors import RefusedError, UpgraderError
from upgrader.states import TABLE, Event, Row, State, Who, row_of


@pytest.mark.parametrize("state", list(State))
def test_every_state_and_event(state):
    for event in Event:
        row = row_of(state, event)
        if row:
            assert machine.next_state(state, event) is row.next
        else:
            with pytest.raises(RefusedError) as caught:
                machine.next_state(state, event)
            assert caught.value.reason == "illegal-move"
            assert state in caught.value.message
            assert event in caught.value.message


def test_an_unknown_state_is_not_made_up():
    with pytest.raises(ValueError, match="upgrading"):
        machine.next_state("upgrading", Event.START)
    with pytest.raises(ValueError, match="explode"):
        machine.next_state(State.PENDING, "explode")


def test_no_transition_but_those_of_the_table_exists():
    built = machine._machine()
    pairs = {
        (source, name)
        for name, event in built.events.items()
        for source, transitions in event.transitions.items()
        if transitions
    }
    assert pairs == {(row.state.value, row.event.value) for row in TABLE}


def test_the_table_is_sound():
    assert machine.check() == ()


ENGINE = Who.ENGINE


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ((*TABLE, Row(State.DECIDE, Event.RETRY, State.VERIFY, ENGINE, "")), "two rows"),
        ((*TABLE, Row(State.ABORTED, Event.RETRY, State.PREFLIGHT, ENGINE, "")), "is terminal"),
        (tuple(row for row in TABLE if row.state is not State.SOAK), "soak does not hear"),
        (tuple(row for row in TABLE if row.state is not State.DECIDE), "decide has no way out"),
        (tuple(row for row in TABLE if row.next is not State.HOLD_VERIFY), "hold_verify can never be reached"),
    ],
)
def test_an_unsound_table_is_found(rows, fault):
    assert any(fault in found for found in machine.check(rows))


def test_an_unsound_table_is_not_run(monkeypatch):
    machine._machine.cache_clear()
    monkeypatch.setattr(machine, "check", lambda: ("decide has two rows for retry",))
    with pytest.raises(UpgraderError) as caught:
        machine.next_state(State.PENDING, Event.START)
    assert caught.value.details == ("decide has two rows for retry",)
    machine._machine.cache_clear()


def test_only_the_same_law_is_compatible_and_those_declared():
    assert machine.compatible(machine.table_hash())
    for older in (machine.BEFORE_QUEUES, machine.BEFORE_PAUSES):
        assert machine.compatible(older), "declare the new law's hash, or why such runs cannot go on"
    assert not machine.compatible("0" * 64)


def test_the_diagram_shows_every_move():
    text = machine.diagram()
    assert text.startswith("stateDiagram-v2\n    [*] --> pending\n")
    shown = set()
    for line in text.splitlines():
        if "-->" in line and ":" in line:
            arrow, _, events = line.partition(":")
            source, _, target = (part.strip() for part in arrow.partition("-->"))
            shown |= {(source, event.strip(), target) for event in events.split(",")}
    assert shown == {(row.state.value, row.event.value, row.next.value) for row in TABLE}
    assert "    rolled_back --> [*]" in text


def test_the_module_prints_its_diagram():
    done = subprocess.run([sys.executable, "-m", "upgrader.machine"], capture_output=True, text=True, check=True)
    assert done.stdout == machine.diagram()


def test_states_and_journal_do_not_need_the_machine():
    code = (
        "import sys, upgrader.states, upgrader.journal\n"
        "print(*sorted({'transitions', 'pydantic', 'networkx', 'upgrader.machine'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
