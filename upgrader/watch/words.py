"""The journal's events in short sentences, for people who did not type the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from upgrader.journal.rows import EventRow
from upgrader.states import INFO, State
from upgrader.watch.model import Happening, Level

Told = tuple[str, Level]
_LONGEST = 200
_HOLDS = {
    State.HOLD_HOP: "waits for a word to begin, the run rests between hops",
    State.HOLD_BROKER: "waits for approval of the queue migration",
    State.HOLD_UPGRADE: "waits for approval of the upgrade",
    State.HOLD_VERIFY: "waits: the verification could not tell",
    State.HOLD_FINALIZE: "waits for approval to close the way back",
    State.DECIDE: "needs a decision",
    State.DECIDE_BROKER: "needs a decision about the queue migration",
    State.FAILED_CLEAN: "stopped, no running service was changed",
    State.NEEDS_ATTENTION: "needs attention, all automation stopped",
    State.HOP_DONE: "is done",
    State.ROLLED_BACK: "was rolled back",
    State.ABORTED: "was aborted",
    State.SUPERSEDED: "was superseded by a newer plan",
}
_BAD = frozenset({State.DECIDE, State.DECIDE_BROKER, State.FAILED_CLEAN, State.NEEDS_ATTENTION})


def happenings(events: Iterable[EventRow], hop: int, limit: int) -> tuple[Happening, ...]:
    """The last `limit` events that say something to people, oldest first. `hop`: the current one, from 1."""
    found = []
    for event in events:
        teller = _TELLERS.get(event.kind, _note)
        told = teller(event.data)
        if told is not None:
            text, level = told
            found.append(Happening(event.seq, event.at, _short(_hop_of(event, hop) + text), level))
    return tuple(found[-limit:])


def _hop_of(event: EventRow, current: int) -> str:
    return "" if event.hop is None or event.hop + 1 == current else f"hop {event.hop + 1}: "


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _run_begun(data: Mapping[str, Any]) -> Told:
    hops = data.get("hops") or [["?", "?"]]
    return f"run begun by {data.get('actor', '?')}: {hops[0][0]} → {hops[-1][1]}", "info"


def _run_moved(data: Mapping[str, Any]) -> Told | None:
    if data.get("to") == "active":
        return None
    bad = data.get("to") == "needs_attention"
    return (
        f"the run is {str(data.get('to', '?')).replace('_', ' ')}: {data.get('reason', '')}",
        "bad" if bad else "info",
    )


def _hop_moved(data: Mapping[str, Any]) -> Told | None:
    why = f": {data['reason']}" if data.get("reason") else ""
    actor = str(data.get("actor", ""))
    by = f" by {actor}" if actor not in ("", "engine") else ""
    try:
        state = State(str(data.get("to")))
    except ValueError:
        return None
    if data.get("event") == "approve":
        return f"approved{by}{why}", "info"
    if data.get("event") == "skip":
        return f"{str(data.get('from', '')).removeprefix('hold_')} passed by{why}", "info"
    if state in _HOLDS:
        return f"the hop {_HOLDS[state]}{by}{why}", "bad" if state in _BAD else "info"
    if INFO[state].kind == "stage" and by:
        return f"{state.value} is to be worked on, decided{by}{why}", "warn"
    return None  # the attempt that follows, or the one before, says it


def _intended(data: Mapping[str, Any]) -> Told:
    number = int(data.get("number", 1))
    return f"{data.get('stage', '?')} begins{f', attempt {number}' if number > 1 else ''}", "info"


def _step(data: Mapping[str, Any]) -> Told:
    level: Level = {"failure": "bad", "warning": "warn"}.get(str(data.get("code")), "info")  # type: ignore[assignment]
    message = f": {data['message']}" if data.get("message") else ""
    return f"{data.get('name', '?')}{message}", level


def _finished(data: Mapping[str, Any]) -> Told:
    result = str(data.get("result", "?"))
    seconds = (data.get("evidence") or {}).get("seconds")
    took = f" after {_duration(seconds)}" if isinstance(seconds, int | float) else ""
    why = f": {data['message']}" if data.get("message") and result != "succeeded" else ""
    level: Level = "info" if result in ("succeeded", "void") else "warn" if result == "canceled" else "bad"
    return f"{data.get('stage', '?')} {result}{took}{why}", level


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def _ponr(data: Mapping[str, Any]) -> Told | None:
    if data.get("to") != "crossed":
        return None
    return f"point of no return crossed: {data.get('why', '')}", "bad"


def _entered(data: Mapping[str, Any]) -> Told:
    return (
        f"{data.get('who', '?')} on {data.get('host', '?')} took the run in hand ({data.get('operation', '?')})",
        "info",
    )


def _taken_over(data: Mapping[str, Any]) -> Told:
    return f"the process before it had died ({data.get('operation', '?')} by {data.get('who', '?')})", "warn"


def _accepted(data: Mapping[str, Any]) -> Told:
    return f"{data.get('actor', '?')} accepted {data.get('name', '?')}: {data.get('reason', '')}", "warn"


def _flag(data: Mapping[str, Any]) -> Told:
    return f"{str(data.get('name', '?')).replace('_', ' ')} {data.get('value', '')}".rstrip(), "warn"


def _jumped(data: Mapping[str, Any]) -> Told:
    return f"this machine's clock jumped by {data.get('seconds', '?')} s: times before and after do not compare", "warn"


def _note(data: Mapping[str, Any]) -> Told | None:
    text = data.get("text") or data.get("message")
    return (str(text), "info") if text else None


_TELLERS: dict[str, Callable[[Mapping[str, Any]], Told | None]] = {
    "journal_created": lambda _data: None,
    "entered": _entered,
    "taken_over": _taken_over,
    "run_begun": _run_begun,
    "run_moved": _run_moved,
    "hop_moved": _hop_moved,
    "ponr": _ponr,
    "backup_replaced": lambda data: (f"another backup set is the way back, set by {data.get('actor', '?')}", "warn"),
    "attempt_intended": _intended,
    "attempt_launched": lambda _data: None,
    "attempt_step": _step,
    "attempt_finished": _finished,
    "accepted": _accepted,
    "flag_set": _flag,
    "flag_cleared": lambda data: (f"{str(data.get('name', '?')).replace('_', ' ')} cleared", "info"),
    "clock_jumped": _jumped,
}
