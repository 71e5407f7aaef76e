"""What is told of: pure, from the journal's events and what is watched now.

Two sources. What happened is told once it is in the journal: a failure, a way back, the end of a hop. What lasts is
told when it has lasted: a hold that an approval in advance passes in an instant is nobody's business, and neither is
the minute between two commands of the same person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from upgrader.journal.rows import EventRow
from upgrader.notices.notice import Level, Notice
from upgrader.states import ATTEMPT_EVENTS, INFO, Event, Ponr, State
from upgrader.status import Report, Verdict
from upgrader.watch.model import Watched

KINDS = ("hop_moved", "ponr")
"""Events of the journal that may be told of."""
SETTLED = timedelta(seconds=3)
"""So long a hold that somebody drives past has to last before it counts as waiting."""
OLDEST = timedelta(days=1)
"""What happened longer ago is told no more: notices were off, or their process was gone for days."""
_BAD = frozenset({State.FAILED_CLEAN, State.DECIDE, State.DECIDE_BROKER, State.NEEDS_ATTENTION})
_FAILING = ATTEMPT_EVENTS - {Event.SUCCEEDED, Event.CANCELED}
_WAITS: Mapping[State, str] = {
    State.HOLD_HOP: "rests between two hops, and waits for a word to begin",
    State.HOLD_BROKER: "waits for approval of the queue migration: a full API outage",
    State.HOLD_UPGRADE: "waits for approval of the upgrade",
    State.HOLD_VERIFY: "waits: the verification could not tell",
    State.HOLD_FINALIZE: "waits for approval to close the way back",
    State.HOLD_HOP: "waits for approval to begin, after the rest between two hops",
    State.REHEARSE: "waits: nothing was rehearsed",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What the occasions are judged from."""

    watched: Watched
    events: tuple[EventRow, ...]
    """Of KINDS, oldest first."""
    now: datetime
    idle_seconds: float = 0.0
    """How long nobody has been driving or working."""
    patience: float = 60.0
    """Seconds of that before an unfinished run counts as left alone."""
    title: str = ""


def occasions(moment: Moment) -> tuple[Notice, ...]:
    """Everything that is to be told by now, told already or not, the oldest first. Ids do not change between calls."""
    found = {notice.id: notice for notice in _happened(moment)}
    for notice in _lasting(moment):
        found.setdefault(notice.id, notice)
    return tuple(found.values())


def _happened(moment: Moment) -> Iterator[Notice]:
    for event in moment.events:
        if event.hop is None or moment.now - _time(event.at, moment.now) > OLDEST:
            continue
        if event.kind == "ponr":
            if event.data.get("to") == Ponr.CROSSED:
                yield _line(moment, event.run, event.hop, event.at, str(event.data.get("why", "")))
        elif event.kind == "hop_moved":
            yield from _moved(moment, event)


def _moved(moment: Moment, event: EventRow) -> Iterator[Notice]:
    to, by, stage = (str(event.data.get(key, "")) for key in ("to", "event", "from"))
    why = str(event.data.get("reason", ""))
    assert event.hop is not None  # noqa: S101 - the caller has looked
    of = f"{event.run}:{event.hop}"
    here = _Of(moment, event.run, event.hop, event.at, stage)
    if to == State.HOP_DONE:
        yield here.notice("hop_done", f"hop_done:{of}", "success", f"{here.name} is done", here.rest)
    elif to == State.ROLLED_BACK:
        said = f"{here.name} was rolled back, and {here.source} verified"
        yield here.notice("rolled_back", f"rolled_back:{of}", "warning", said, why)
    elif to in _BAD and by in _FAILING:
        said = (
            f"{here.name}: {stage} {'stopped before any service was changed' if to == State.FAILED_CLEAN else 'failed'}"
        )
        yield here.notice("failed", f"failed:{of}:{event.seq}", "failure", said, why)


def _line(moment: Moment, run: str, hop: int, at: str, why: str) -> Notice:
    here = _Of(moment, run, hop, at, State.UPGRADE.value)
    said = f"{here.name}: point of no return crossed"
    return here.notice("point_of_no_return", f"point_of_no_return:{run}:{hop}", "warning", said, why)


def _lasting(moment: Moment) -> Iterator[Notice]:
    watched = moment.watched
    report = watched.report
    if not report.run or not report.hop:
        return
    if watched.ponr_at and moment.now - _time(watched.ponr_at, moment.now) <= OLDEST:
        # no controller follows the stage: the journal will hear of it later
        why = f"{watched.ponr_task} began" if watched.ponr_task else ""
        yield _line(moment, report.run, report.hop - 1, watched.ponr_at, why)
    here = _Of(moment, report.run, report.hop - 1, report.since, report.state)
    since = f"{report.run}:{report.hop - 1}:{report.state}:{report.since}"
    if report.verdict is Verdict.WAITING:
        old = moment.now - _time(report.since, moment.now)
        if not report.controller or old >= SETTLED:
            said, why = _waits(report)
            yield here.notice("waiting", f"waiting:{since}", "warning", f"{here.name} {said}", why)
    elif report.verdict in (Verdict.INTERRUPTED, Verdict.STOPPED) and moment.idle_seconds >= moment.patience:
        attempt = report.attempt.id if report.attempt else ""
        ended = report.attempt is not None and report.attempt.evidence == "finished"
        cut = report.verdict is Verdict.INTERRUPTED and not ended
        said = f"{here.name} rests before {report.state}"
        if report.attempt is not None:
            said = f"{here.name}: {report.state} {'was interrupted' if cut else 'has ended'}, and nobody drives the run"
        why = "" if report.attempt is not None else "Nobody drives the run."
        here = replace(here, at=report.last_event_at or report.since)
        yield here.notice("unattended", f"unattended:{since}:{attempt}", "failure" if cut else "warning", said, why)


def _waits(report: Report) -> tuple[str, str]:
    state = State(report.state)
    if report.window is not None and report.window.why and INFO[state].kind != "hold":
        return f"waits for its change window before {report.state}", report.window.why
    return _WAITS.get(state, f"waits for approval ({report.state.removeprefix('hold_')})"), report.reason


@dataclass(frozen=True, slots=True)
class _Of:
    """A hop of a run at a moment; of the run that is watched its releases are known."""

    moment: Moment
    run: str
    hop: int
    at: str
    stage: str

    @property
    def source(self) -> str:
        hops = self._hops
        return hops[self.hop][0] if self.hop < len(hops) else "the old release"

    @property
    def target(self) -> str:
        hops = self._hops
        return hops[self.hop][1] if self.hop < len(hops) else ""

    @property
    def name(self) -> str:
        return f"{self.source}→{self.target}" if self.target else f"hop {self.hop + 1}"

    @property
    def rest(self) -> str:
        """What is left of the run after this hop; empty where that is not known."""
        left = self._hops[self.hop + 1 :]
        if not self._hops:
            return ""
        return f"The next one is {left[0][0]}→{left[0][1]}" if left else "It was the last one of the run"

    @property
    def _hops(self) -> tuple[tuple[str, str, str], ...]:
        report = self.moment.watched.report
        return report.hops if report.run == self.run else ()

    def notice(self, event: str, id_: str, level: Level, said: str, why: str) -> Notice:
        report = self.moment.watched.report
        current = report.run == self.run
        command = report.choices[0].command if current and report.choices else "upgrader status"
        lines = [f"{said}.", *([_sentence(why)] if why else []), *(_cloud(report, event) if current else [])]
        place = f"hop {self.hop + 1} of {len(self._hops)}" if self._hops else f"hop {self.hop + 1}"
        lines.append(f"{report.site}, {place}, at {self.at[:19].replace('T', ' ')} UTC.")
        lines.append(f"Next:  {command}")
        return Notice(
            id=id_, event=event, level=level, at=self.at, site=report.site,
            title=_plain(f"{self.moment.title or report.site}: {said}"), text="\n".join(_plain(line) for line in lines),
            run=self.run, hop=self.hop + 1, hops=len(self._hops), source=self.source if self.target else "",
            target=self.target, stage=self.stage, command=command,
        )  # fmt: skip


def _cloud(report: Report, event: str) -> Iterable[str]:
    """The cloud's condition in one line, as far as the law knows it."""
    if not report.way_back or event == "point_of_no_return":
        return [f"Way back: restore ({', '.join(report.restore_services)})."] if report.restore_services else []
    line = {
        Ponr.NO: "The point of no return is not crossed",
        Ponr.POSSIBLE: "The point of no return may be crossed",
        Ponr.CROSSED: "The point of no return is crossed",
    }.get(Ponr(report.ponr or Ponr.NO), "")
    services = f" ({', '.join(report.restore_services)})" if report.way_back == "restore" else ""
    mixed = " The cloud may be mixed." if report.unverified else ""
    return [f"{line}; way back: {report.way_back}{services}.{mixed}"]


def _sentence(text: str) -> str:
    short = text if len(text) <= 500 else f"{text[:500]}…"
    return short if short.endswith((".", "!", "?", "…")) else f"{short}."


def _plain(text: str) -> str:
    """One line without control characters: what hosts say ends in people's mail programs."""
    return "".join(char if char.isprintable() else " " for char in text)


def _time(text: str, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)
