"""Which metrics a run has: what is watched, in families. Pure: values in, values out.

Moments are given as Unix time, so that Prometheus computes ages itself and a value changes only when something
happens. Labels: `site` everywhere, `run` and `hop` (2024.1-2024.2) where they mean something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from upgrader.journal.rows import AttemptRow, HopRow
from upgrader.metrics.exposition import Family, Labels
from upgrader.states import INFO, AttemptState, Ponr, State
from upgrader.status import Verdict
from upgrader.watch.model import Watched

PREFIX = "upgrader_"
_SUSPENDED = frozenset({AttemptState.INTENDED, AttemptState.LAUNCHED, AttemptState.VOID})


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything the metrics are made of."""

    watched: Watched
    hops: tuple[HopRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    """Of the whole run, in order."""
    rolled: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Hosts (done, failed) of a hop's waves, by its index; only where its upgrade began."""
    notices: Mapping[str, int] = field(default_factory=dict)
    """How many notices had which result; empty: the site wants none."""
    version: str = ""


def families(standing: Standing) -> tuple[Family, ...]:
    """All of them, but for the moment at which they are written."""
    site = (("site", standing.watched.report.site),)
    return (
        _one("info", "The upgrader that wrote this.", (*site, ("version", standing.version)), 1),
        *_whole(standing, site),
        *_hops(standing, site),
        *_stages(standing, site),
        *_hosts(standing, site),
        *_apis(standing, site),
        _notices(standing, site),
    )


def written(site: str, at: float) -> Family:
    """When the metrics were made. `at`: Unix time."""
    return _one("written_timestamp_seconds", "When these metrics were written.", (("site", site),), at)


def _one(name: str, help_: str, labels: Labels, value: float | None) -> Family:
    return Family(PREFIX + name, "gauge", help_, () if value is None else ((labels, value),))


def _set(name: str, help_: str, labels: Labels, label: str, values: Iterable[str], now: str) -> Family:
    """One sample per possible value, 1 for the one that holds."""
    samples = tuple(((*labels, (label, value)), float(value == now)) for value in values)
    return Family(PREFIX + name, "gauge", help_, samples)


def _run(standing: Standing, site: Labels) -> Labels:
    return (*site, ("run", standing.watched.report.run))


def hop_label(source: str, target: str) -> str:
    return f"{source}-{target}"


def _whole(standing: Standing, site: Labels) -> Iterable[Family]:
    watched = standing.watched
    report = watched.report
    run = _run(standing, site)
    yield _set(
        "state", "Where the run stands, in the words of upgrader status: 1 for the one that holds.", run, "state",
        (verdict.value for verdict in Verdict), report.verdict.value,
    )  # fmt: skip
    yield _one("needs_person", "1 while the run waits for a person.", run, float(watched.needs_a_person))
    yield _one("driven", "1 while a process drives the run.", run, float(bool(report.controller)))
    if report.run:
        done = sum(hop.state is State.HOP_DONE for hop in standing.hops)
        yield _one("hops", "Hops of the run.", run, float(len(standing.hops)))
        yield _one("hops_done", "Hops of the run that are done.", run, float(done))
    moments = [moment(report.last_event_at), moment(report.attempt.at if report.attempt else "")]
    last = max((one for one in moments if one is not None), default=None)
    yield _one(
        "last_event_timestamp_seconds", "When anything was last heard of: the journal's or the stage's last event.",
        run, last,
    )  # fmt: skip


def _hops(standing: Standing, site: Labels) -> Iterable[Family]:
    run = _run(standing, site)
    report = standing.watched.report
    seen = bool(standing.watched.ponr_at)  # the journal learns of it when a controller follows the stage
    rows = []
    for number, hop in enumerate(standing.hops, start=1):
        crossed = hop.ponr is Ponr.CROSSED or (number == report.hop and seen)
        rows.append(((*run, ("hop", hop_label(hop.source, hop.target))), float(crossed)))
    yield Family(
        PREFIX + "point_of_no_return_crossed", "gauge",
        "1 once schemas or data began to change in a way that only a restore undoes.", tuple(rows),
    )  # fmt: skip


def _stages(standing: Standing, site: Labels) -> Iterable[Family]:
    report = standing.watched.report
    run = _run(standing, site)
    if report.state:
        hop: Labels = (*run, ("hop", hop_label(report.source, report.target)))
        names = (state.value for state in INFO)
        yield _set("stage", "Stage or rest of the current hop: 1 for the one it is in.", hop, "stage", names,
                   report.state)  # fmt: skip
    names_of = {hop.index: hop_label(hop.source, hop.target) for hop in standing.hops}
    began: dict[Labels, float] = {}
    took: dict[Labels, float] = {}
    ended: dict[Labels, int] = {}
    for row in standing.attempts:
        labels = (*run, ("hop", names_of.get(row.hop, str(row.hop + 1))), ("stage", row.stage.value))
        start, end = moment(row.intended_at), moment(row.finished_at)
        if row.in_flight and start is not None:
            began[labels] = start
        if row.state in _SUSPENDED:
            continue
        if start is not None and end is not None:
            took[labels] = round(max(0.0, end - start), 3)
        counted = (*labels, ("result", row.state.value))
        ended[counted] = ended.get(counted, 0) + 1
    yield Family(PREFIX + "stage_duration_seconds", "gauge", "What the last ended attempt at a stage took.",
                 tuple(took.items()))  # fmt: skip
    yield Family(PREFIX + "stage_started_timestamp_seconds", "gauge", "When the attempt that is under way began.",
                 tuple(began.items()))  # fmt: skip
    yield Family(PREFIX + "stage_attempts_total", "counter", "Ended attempts at a stage, by their results.",
                 tuple((labels, float(count)) for labels, count in ended.items()))  # fmt: skip


def _hosts(standing: Standing, site: Labels) -> Iterable[Family]:
    run = _run(standing, site)
    rolled = {
        (*run, ("hop", hop_label(hop.source, hop.target))): standing.rolled[hop.index]
        for hop in standing.hops
        if hop.index in standing.rolled
    }
    yield Family(PREFIX + "hosts_done", "gauge", "Hosts that were brought to the hop's new release.",
                 tuple((labels, float(done)) for labels, (done, _) in rolled.items()))  # fmt: skip
    yield Family(PREFIX + "hosts_failed", "gauge", "Hosts whose upgrade failed in the attempt that tried last.",
                 tuple((labels, float(failed)) for labels, (_, failed) in rolled.items()))  # fmt: skip
    yield from _play_hosts(standing, site)


def _play_hosts(standing: Standing, site: Labels) -> Iterable[Family]:
    report, hosts = standing.watched.report, standing.watched.hosts
    if not hosts.total:
        return
    labels = (*_run(standing, site), ("hop", hop_label(report.source, report.target)))
    counts = {"ok": hosts.ok, "failed": hosts.failed, "unreachable": hosts.unreachable}
    samples = tuple(((*labels, ("condition", name)), float(count)) for name, count in counts.items())
    yield Family(PREFIX + "hosts", "gauge", "Hosts of the play that runs, or ran last, by condition.", samples)
    yield _one("hosts_through_task", "Hosts that are through with the task that runs, or ran last.", labels,
               float(hosts.answered))  # fmt: skip


def _apis(standing: Standing, site: Labels) -> Iterable[Family]:
    run = _run(standing, site)
    apis = {api.name: api for api in standing.watched.apis}.values()
    yield Family(
        PREFIX + "api_away_seconds_total", "counter", "How long a public API was away in this run.",
        tuple(((*run, ("api", api.name)), float(api.away_seconds)) for api in apis),
    )  # fmt: skip
    yield Family(
        PREFIX + "api_up", "gauge", "1: it answers, 0: it is away. Not there while nobody knows.",
        tuple(((*run, ("api", api.name)), float(api.state == "up")) for api in apis if api.state != "unknown"),
    )  # fmt: skip


def _notices(standing: Standing, site: Labels) -> Family:
    samples = tuple(((*site, ("result", name)), float(count)) for name, count in sorted(standing.notices.items()))
    return Family(PREFIX + "notices_total", "counter", "Notices by what became of them, per address.", samples)


def moment(text: str) -> float | None:
    """Unix time of an ISO 8601 moment; None where there is none."""
    try:
        return round(datetime.fromisoformat(text).timestamp(), 3)
    except (ValueError, OverflowError):
        return None
