"""The report's pictures, out of its values. They come without a style: the page has one for all of them."""

from __future__ import annotations

from datetime import datetime

from upgrader.pictures import (
    Api,
    Duration,
    Edge,
    Mark,
    NoReturn,
    Outage,
    Release,
    StageBar,
    availability_strip,
    durations,
    hop_timeline,
    release_graph,
    spoken,
)
from upgrader.report.values import ApiStory, AttemptStory, HopStory, Report

_STATES = {"succeeded": "done", "failed": "failed", "unknown": "failed", "canceled": "failed", "under way": "running"}
_PREPARING = ("preflight", "backup", "pull", "rehearse")
_MOST_APIS, _MOST_ATTEMPTS = 80, 60


def path(report: Report) -> str:
    """The run's releases, and how far it came."""
    ids = list(dict.fromkeys(name for hop in report.hops for name in (hop.source, hop.target)))
    done = [hop for hop in report.hops if hop.state == "hop_done"]
    at = done[-1].target if done else report.source
    notes = {report.source: "where it began", report.target: "the goal", at: "where the run left the cloud"}
    if at == report.source:
        notes[at] = "where it began, and stands"
    if at == report.target:
        notes[at] = "the goal, reached"
    edges = []
    for hop in report.hops:
        if hop.state == "hop_done":
            edges.append(Edge(hop.source, hop.target, "done", _length(hop)))
        elif hop.state == "rolled_back":
            edges.append(Edge(hop.source, hop.target, "back", _length(hop)))
        elif hop.state in ("aborted", "superseded") and hop.began:
            edges.append(Edge(hop.source, hop.target, "blocked", hop.state))
        else:
            edges.append(Edge(hop.source, hop.target, "path" if hop.began else "open", hop.state.replace("_", " ")))
    return release_graph(
        [Release(one, note=notes.get(one, "")) for one in ids], edges, title="The way of this run", styled=False
    )


def _length(hop: HopStory) -> str:
    return spoken(stamp(hop.ended) - stamp(hop.began)) if hop.began and hop.ended else ""


def timeline(hop: HopStory) -> str:
    """The hop's attempts as they were; empty where there was none."""
    attempts = [one for one in hop.attempts if one.result != "void"]
    if not attempts:
        return ""
    shown = attempts[-_MOST_ATTEMPTS:]
    ahead = [one for one in shown if one.stage in _PREPARING]
    inside = [one for one in shown if one.stage not in _PREPARING]
    counts: dict[str, int] = {}
    for one in attempts:
        counts[one.stage] = counts.get(one.stage, 0) + 1
    bars = [
        _bar(one, stamp(group[0].began), "before" if group is ahead else "window", many=counts[one.stage] > 1)
        for group in (ahead, inside)
        for one in group
    ]
    crossed, line = _crossed(hop, inside), None
    if crossed is not None:
        name = f"{crossed.stage} {crossed.number}" if counts[crossed.stage] > 1 else crossed.stage
        line = NoReturn(name, stamp(hop.ponr_at) - stamp(crossed.began), "point of no return passed")
    words = ("Before the upgrade", "The upgrade and after")
    return hop_timeline(hop.name, bars, no_return=line, title=f"Hop {hop.name} as it was", words=words, styled=False)


def _crossed(hop: HopStory, inside: list[AttemptStory]) -> AttemptStory | None:
    """The attempt in which the line was passed."""
    if hop.ponr != "crossed" or not hop.ponr_at:
        return None
    fitting = [one for one in inside if one.began <= hop.ponr_at]
    return fitting[-1] if fitting else None


def _bar(one: AttemptStory, zero: float, when: str, *, many: bool) -> StageBar:
    return StageBar(
        name=f"{one.stage} {one.number}" if many else one.stage,
        seconds=one.seconds if one.ended else None,
        when="before" if when == "before" else "window",
        state=_STATES.get(one.result, ""),  # type: ignore[arg-type]
        note={"unknown": "its end is lost", "failed": "failed", "canceled": "stopped"}.get(one.result, ""),
        begins=max(0.0, stamp(one.began) - zero),
    )


def planned_and_actual(hop: HopStory) -> str:
    """Empty where nothing was measured."""
    rows = [
        Duration(
            one.name, one.planned, one.low, one.high, one.actual, f"{one.attempts} attempts" if one.attempts > 1 else ""
        )
        for one in hop.stages
        if one.actual is not None
    ]
    return durations(rows, title=f"Hop {hop.name}: planned and actual", styled=False) if rows else ""


def strip(report: Report) -> str:
    """Empty where no API was asked."""
    known = [one for one in report.apis if one.first and one.last]
    if not known:
        return ""
    shown = sorted(known, key=lambda one: -one.seconds)[:_MOST_APIS] if len(known) > _MOST_APIS else known
    begins, ends = min(stamp(one.first) for one in known), max(stamp(one.last) for one in known)
    marks = [
        Mark(stamp(one.began), one.stage)
        for hop in report.hops
        for one in hop.attempts
        if one.stage not in _PREPARING and one.number == 1
    ]
    marks += [Mark(stamp(hop.ponr_at), "point of no return", True) for hop in report.hops if hop.ponr == "crossed"]
    return availability_strip(
        [_row(one) for one in shown],
        begins=begins,
        ends=ends,
        marks=sorted(marks, key=lambda mark: mark.at),
        styled=False,
    )


def _row(one: ApiStory) -> Api:
    outages = tuple(
        Outage(stamp(away.began), stamp(away.ended) if away.ended else None, away.error) for away in one.outages
    )
    text = f"{spoken(one.seconds)} away" if one.outages else ""
    return Api(one.api, outages, stamp(one.first), stamp(one.last), text)


def stamp(text: str) -> float:
    """Seconds since 1970 of a moment of the journal."""
    return datetime.fromisoformat(text).timestamp()
