"""What has to be known now: hosts in trouble, the line that was crossed, known risks of this hop, what was accepted.

Pure: from the report, the plan's document and what was seen, the worst first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from upgrader.status import Report, Verdict
from upgrader.watch.model import Api, Hosts, Insight, Level, Pace

MOST = 12
_MAYBE = "point of no return may be crossed: nothing says whether a schema change began"
_MIXED = "an attempt ended badly and nothing has verified the cloud since: it may be mixed"
_ORDER = {"bad": 0, "warn": 1, "info": 2}


def insights(
    report: Report,
    plan: Mapping[str, Any],
    hosts: Hosts,
    pace: Pace,
    apis: Iterable[Api],
    ponr: tuple[str, str],
) -> tuple[Insight, ...]:
    """At most MOST of them; what is left out is counted in a last one. `ponr`: (when, task) of the crossing."""
    if not report.run:
        return ()
    found = [
        *_line(report, ponr),
        *_troubles(hosts),
        *_tempo(pace),
        *_away(apis),
        *_risks(report, plan),
        *_more(report),
    ]
    told = sorted(dict.fromkeys(found), key=lambda one: _ORDER[one.level])
    if len(told) > MOST:
        rest = len(told) - MOST + 1
        told = [*told[: MOST - 1], Insight("info", f"and {rest} more: upgrader plan, upgrader check", "plan")]
    return tuple(told)


def _line(report: Report, ponr: tuple[str, str]) -> Iterator[Insight]:
    if report.ponr == "crossed":
        at = f" {ponr[0][11:19]} UTC" if ponr[0] else ""
        task = f" ({ponr[1]})" if ponr[1] else ""
        yield Insight("bad", f"point of no return crossed{at}{task}; way back: {way_back(report)}", "line")
    elif report.ponr == "possible":
        if ponr[0]:
            yield Insight("bad", f"point of no return crossed {ponr[0][11:19]} UTC ({ponr[1]}), just now", "line")
        elif report.attempt is None or report.verdict is Verdict.INTERRUPTED:
            yield Insight("warn", _MAYBE, "journal")


def way_back(report: Report) -> str:
    """The way back in a few words."""
    words = {
        "nothing": "nothing to undo",
        "redeploy": f"redeploy {report.source}",
        "restore": f"restore of {', '.join(report.restore_services)}",
        "forward-only": "none, forward only",
    }
    return words.get(report.way_back, report.way_back)


def _troubles(hosts: Hosts) -> Iterator[Insight]:
    for one in hosts.troubled[:5]:
        words = " ".join(one.message.split())[:160]
        yield Insight("bad", f"{one.host} {one.kind} at {one.task}{f': {words}' if words else ''}", "hosts")
    more = hosts.failed + hosts.unreachable - 5
    if more > 0:
        yield Insight("bad", f"and {more} more hosts: {', '.join(one.host for one in hosts.troubled[5:20])} …", "hosts")


def _tempo(pace: Pace) -> Iterator[Insight]:
    if pace.tempo == "stalled":
        yield Insight("bad", f"stalled? {pace.why}", "pace")
    elif pace.tempo == "slow":
        yield Insight("warn", f"slow: {pace.why}", "pace")


def _away(apis: Iterable[Api]) -> Iterator[Insight]:
    away = [api.name for api in apis if api.state == "away"]
    if away:
        yield Insight("warn", f"away now: {', '.join(away)}", "availability")


def _risks(report: Report, plan: Mapping[str, Any]) -> Iterator[Insight]:
    """What the plan knows of this hop: findings that are open or accepted, and what is to be done during it."""
    name = f"{report.source}→{report.target}"
    titles = set()
    for row in plan.get("findings", ()):
        if row.get("hop") not in ("", None, name) or row.get("code") == "success":
            continue
        accepted = row.get("accepted") or ("", "")
        titles.add(row.get("id"))
        if accepted[1]:
            yield Insight("warn", f"{row['id']}, accepted by {accepted[0]} ({accepted[1]}): {row['message']}", "plan")
        elif row.get("hop") == name:
            level: Level = "warn" if row.get("code") == "failure" or row.get("when") == "during" else "info"
            yield Insight(level, f"{row['id']}: {row['message']}", "plan")
    for row in _hop(report, plan).get("by_hand", ()):
        if row.get("when") == "during" and row.get("applies") == "yes" and row.get("id") not in titles:
            yield Insight("info", f"{row['id']}: {row['title']}", "release data")


def _hop(report: Report, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    hops = plan.get("hops", ())
    found: Mapping[str, Any] = hops[report.hop - 1] if 0 < report.hop <= len(hops) else {}
    return found


def _more(report: Report) -> Iterator[Insight]:
    for name, reason, who in report.accepted:
        yield Insight("info", f"accepted by {who}: {name}: {reason}", "journal")
    if report.diagnosis:
        yield Insight("warn", f"what was found about the failure: {report.diagnosis}", "journal")
    if report.attempt is not None and report.attempt.number > 1:
        yield Insight("warn", f"attempt {report.attempt.number} at {report.attempt.stage}", "journal")
    if report.unverified and report.verdict is not Verdict.RUNNING:
        yield Insight("warn", _MIXED, "journal")
