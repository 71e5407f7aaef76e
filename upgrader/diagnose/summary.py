"""The three lines that a diagnosis begins with: what stopped, how the cloud is, the way back and what to type."""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.diagnose.cloud import NOT_HEARD
from upgrader.diagnose.model import Cloud, Match, Story
from upgrader.status import Report

_VERDICTS = {
    "failed": "failed",
    "unknown": "ended, and how is not known",
    "canceled": "was canceled",
    "running": "is running",
    "interrupted": "was cut off",
    "succeeded": "came right",
    "void": "never began",
}
_PONR = {"no": "not crossed", "possible": "may be crossed", "crossed": "crossed"}


def summary(
    story: Story, cloud: Cloud, report: Report, matches: Iterable[Match] = (), *, offline: bool
) -> tuple[str, str, str]:
    return (stopped(story), condition(cloud, report, offline=offline), way_back(report, matches))


def stopped(story: Story) -> str:
    """Hop, stage and attempt; then host and task, or the stage's own words."""
    if not story.attempt:
        return "No attempt failed; this is the cloud as it is."
    where = f"hop {story.hop_number} of {story.hops} ({story.hop}), stage {story.stage}, attempt {story.number}"
    head = f"{where}, {_VERDICTS.get(story.verdict, story.verdict)}"
    if not story.failures:
        words = _short(story.message or (f"at step {story.step!r}" if story.step else ""), 300)
        return f"""{head}{f': "{words}"' if words else "."}"""
    first = story.failures[0]
    others = len(story.failures) - 1 + story.more_failures
    more = f" (and {others} more host{'s' if others > 1 else ''})" if others else ""
    task = f"{first.role} : {first.task}" if first.role and not first.task.startswith(f"{first.role} ") else first.task
    what = "became unreachable during" if first.unreachable else "failed in"
    return f'{head}: {first.host}{more} {what} "{_short(task, 120)}": "{_short(first.message, 200)}"'


def _short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 2] + " …"


def condition(cloud: Cloud, report: Report, *, offline: bool) -> str:
    """One line; what was not looked at is said to be unknown."""
    if not cloud.at:
        seen = report.cloud
        before = f"; when last looked at ({seen.at}) it was {_running(seen.kind, seen.release)}" if seen else ""
        return f"not looked at ({'offline' if offline else 'it could not be asked'}){before}."
    parts = [_running(cloud.kind, cloud.release)]
    away = [host.name for host in cloud.hosts if not host.reachable]
    known = f"{len(cloud.hosts) - len(away)} of {len(cloud.hosts)} hosts answer"
    parts.append(known + (f" (not {', '.join(away[:4])}{' …' if len(away) > 4 else ''})" if away else ""))
    if cloud.galera:
        good = sum(1 for row in cloud.galera if row[2] == "Primary" and row[3] == "Synced")
        unheard = sum(1 for row in cloud.galera if row[2] == NOT_HEARD)
        told = f" ({unheard} not heard in time)" if unheard else ""
        parts.append(f"Galera {good}/{len(cloud.galera)} Synced{told}")
    parts += _broker(cloud)
    if cloud.vip and "held by" in cloud.vip:
        parts.append(f"VIP {cloud.vip.partition(': ')[2]}")
    if cloud.api:
        parts.append(cloud.api)
    if cloud.heads:
        parts.append(f"HALF-MIGRATED: {cloud.heads[0].partition(':')[0]}")
    worst = {one.id: one.message for one in reversed(cloud.troubles) if one.bad and one.id in _LOUD}
    parts += [_short(message, 90) for message in list(worst.values())[::-1][:3]]
    return ", ".join(parts) + "."


def _running(kind: str, release: str) -> str:
    return {"exact": f"{release} everywhere", "mixed": "MIXED releases"}.get(kind, "of no release that could be named")


def _broker(cloud: Cloud) -> list[str]:
    told = dict(cloud.broker)
    if not told:
        return []
    running = [one for one in told.get("running", "").split(", ") if one]
    if "running" not in told or told["running"] == "not told":
        return ["RabbitMQ told nothing"]
    said = f"RabbitMQ {len(running)} of {told.get('wanted') or len(told.get('nodes', '').split(', '))} nodes"
    said += ", PARTITIONED" if told.get("partitions", "none") != "none" else ""
    return [said + (", ALARM" if told.get("alarms", "none") != "none" else "")]


_LOUD = frozenset(
    {"disk-full", "disk-nearly-full", "inodes-gone", "oom", "memory-low", "rebooted", "clock-differs",
     "container-not-running", "container-unhealthy", "container-restarting", "vip-two-owners", "vip-no-owner"}
)  # fmt: skip
"""Troubles that the one line about the cloud names."""
_HOPELESS = frozenset({"interrupted", "fault"})


def way_back(report: Report, matches: Iterable[Match] = ()) -> str:
    """What way back is open, and the command that comes first; that another try fails too, where that is known."""
    known = next((match.id for match in matches if match.kind in _HOPELESS and match.line), "")
    again = f" Trying again as it is fails the same way: see {known}." if known else ""
    return _way_back(report) + again


def _way_back(report: Report) -> str:
    first = report.choices[0] if report.choices else None
    command = f"Next: {first.command} ({first.what})." if first else ""
    if not report.run:
        return f"No run. {command}".strip()
    words = {
        "nothing": "nothing to undo",
        "redeploy": f"redeploy {report.source}",
        "restore": f"restore of {', '.join(report.restore_services)}, redeploy of the rest",
        "forward-only": "none, forward only",
    }
    backup = f", backup set {report.backup_set}" if report.backup_set and report.way_back == "restore" else ""
    line = f"point of no return {_PONR.get(report.ponr, report.ponr)}" if report.ponr_words else "no point of no return"
    return f"Way back: {words.get(report.way_back, report.way_back)}{backup} ({line}). {command}".strip()
