"""Reads what `status` stands on: the journal, the lease's card, the attempt's folder, the last observation kept.

Takes no lock, starts no process, asks no host; `upgrader.status` judges what is found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.config import Site
from upgrader.durable import read_json, write_json
from upgrader.journal.rows import Snapshot
from upgrader.progress.services import Services, from_images, from_plays
from upgrader.rehearsable import why_not
from upgrader.states import AttemptState, State
from upgrader.status import NO_RUN, Evidence, InFlight, Report, Seen, Standing, Verdict, judge_status

if TYPE_CHECKING:
    from upgrader.journal import Journal
    from upgrader.journal.lease import Card
    from upgrader.model import CloudFacts
    from upgrader.window import WindowRules

DIAGNOSES = "diagnoses"
"""Folder of the files that `diagnose` writes, one folder for each attempt."""
SEEN = "seen.json"
"""The part of the last observation that `status` says, beside it: of a thousand hosts the whole takes too long to read.
Holds for the file it names; any other is read itself."""
OBSERVED = "observed.json"
"""The last observation of the cloud, beside the journal: CloudFacts as `plan` and `status --observe` leave it."""


def gather(site: Site) -> Report:
    """Read what there is and judge it. A journal that is not there is no run; a damaged one raises JournalError."""
    from upgrader.journal.chain import AuditFile
    from upgrader.journal.log import AUDIT
    from upgrader.journal.place import exists

    if not exists(site.state_dir):
        AuditFile(site.state_dir / AUDIT).refuse_lost()
        window = schedule_now(site.window, datetime.now(UTC)) if site.window else None
        return Report(site=site.name, verdict=Verdict.NO_RUN, cloud=last_seen(site), choices=NO_RUN, window=window)
    from upgrader.journal import open_journal

    with open_journal(site.state_dir, readonly=True) as journal:
        snapshot = journal.snapshot()
        plan = journal.plan(snapshot.run.id) if snapshot.run else {}
        window = standing(site, journal, snapshot, plan)
    return report_of(site, snapshot, plan, _in_flight(site, snapshot), last_seen(site), window)


def report_of(
    site: Site,
    snapshot: Snapshot,
    plan: Mapping[str, Any],
    in_flight: InFlight | None,
    cloud: Seen | None,
    window: Standing | None = None,
) -> Report:
    """The report of what was read already, as `gather` makes it."""
    controller, left_by = _lease(site.state_dir)
    evidence = Evidence(in_flight, controller, left_by, cloud, plan, why_not(site), window)
    last = snapshot.last_attempt
    told = diagnosis_of(site, last.id) if last and last.state not in (AttemptState.SUCCEEDED, AttemptState.VOID) else ""
    report = judge_status(site, snapshot, evidence)
    return replace(report, diagnosis=told, services=_services(site, snapshot, report))


_WORKED = frozenset({State.UPGRADE, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE})
"""Stages whose plays go through the services one by one."""


def _services(site: Site, snapshot: Snapshot, report: Report) -> Services | None:
    """From the attempt's plays while it is under way, and after one that did not come right until the cloud was looked
    at since; else from the containers, where these are of two releases."""
    row = snapshot.attempt or snapshot.last_attempt
    if row is not None and row.stage in _WORKED and row.state is not AttemptState.VOID:
        running = report.verdict in (Verdict.RUNNING, Verdict.DETACHED) and snapshot.attempt is not None
        ended = snapshot.hop is not None and snapshot.hop.ended
        if snapshot.attempt is not None or (row.state is not AttemptState.SUCCEEDED and not ended):
            from upgrader.progress.kept import read_all

            found = from_plays(read_all(site.state_dir / "attempts" / row.id / "plays"), running=running)
            if found is not None:
                return found
    if report.cloud is None or not report.cloud.services:
        return None
    goal = report.source if row is not None and row.stage.value.startswith("rollback") else report.target
    return from_images(report.cloud.services, goal or report.cloud.releases[0][0], report.cloud.at)


def diagnosis_of(site: Site, attempt: str) -> str:
    """The newest diagnosis of an attempt that was kept; empty when there is none."""
    try:
        names = [item.name for item in (site.state_dir / DIAGNOSES / attempt).iterdir()]
    except OSError:
        return ""
    newest = max((name for name in names if name.startswith("diagnose-") and name.endswith(".md")), default="")
    return str(site.state_dir / DIAGNOSES / attempt / newest) if newest else ""


def standing(site: Site, journal: Journal, snapshot: Snapshot, plan: Mapping[str, Any]) -> Standing | None:
    """The site's change windows now, and whether the next stage may begin; None where the site has none."""
    if site.window is None:
        return None
    from upgrader.opening import clocks_of, opening
    from upgrader.window import moment

    found = schedule_now(site.window, clocks_of(journal).now)
    hop = snapshot.hop
    if snapshot.run is None or hop is None or hop.ended or snapshot.attempt is not None:
        return found
    answer = opening(site, journal, snapshot, hop, plan)
    if answer.verdict is None and not answer.why:
        return found
    coming = answer.verdict.later if answer.verdict else None
    later = moment(coming.begins, site.window.zone) if coming and answer.why else ""
    return replace(found, stage=answer.stage, why=answer.why, later=later, outside=answer.outside, accept=answer.accept)


def schedule_now(rules: WindowRules, now: datetime) -> Standing:
    """The windows alone, whatever is run."""
    from upgrader.window import moment, next_window, schedule

    found = Standing(schedule(rules), rules.zone, open=False)
    window = next_window(rules, now)
    if window is None:
        return found
    opened = window.begins <= now
    ends = "" if window.endless else window.ends.isoformat()
    told = f"opens {moment(window.begins, rules.zone)}"
    if opened:
        told = "open, and no end is known" if window.endless else f"open until {moment(window.ends, rules.zone)}"
    return replace(found, open=opened, opens=window.begins.isoformat(), ends=ends, told=told)


def _lease(state_dir: Path) -> tuple[str, str]:
    """(who drives now, who died at it). Looks at the kernel's list of locks: asking for the lock would disturb."""
    from upgrader.journal.lease import LOCK, read_card

    card = read_card(state_dir)
    if lock_held(state_dir / LOCK) or (card is not None and owner_lives(card)):
        return (str(card) if card else "another process"), ""
    return "", (str(card) if card else "")


def owner_lives(card: Card, processes: Path = Path("/proc")) -> bool:
    """Whether the process on the card still runs here: for file systems whose locks the kernel's table names otherwise.

    An overlay's device number in the table is not the one `stat` gives. A pid that was given to another program since
    does not count.
    """
    from upgrader.journal.lease import boot_id

    if not card.boot or card.boot != boot_id():
        return False
    try:
        return b"upgrader" in (processes / str(card.pid) / "cmdline").read_bytes()
    except OSError:
        return False


def lock_held(path: Path, table: Path = Path("/proc/locks")) -> bool:
    """Whether any process holds a lock on the file, as the kernel's table says; taking none itself."""
    try:
        found = path.stat()
        rows = table.read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any(wanted in row.split() and "->" not in row for row in rows)


def _in_flight(site: Site, snapshot: Snapshot) -> InFlight | None:
    row = snapshot.attempt
    if row is None:
        return None
    from upgrader import attempts

    folder = site.state_dir / "attempts" / row.id
    # whoever holds the lock lives; without it everything that was left is looked at
    held = lock_held(folder / attempts.LOCK)
    judged = attempts.Judgement.RUNNING if held else attempts.judge(attempts.evidence(folder))
    last = _progress(attempts.read_progress(folder, 0)[0])
    return InFlight(id=row.id, stage=row.stage.value, number=row.number, evidence=str(judged), **last)


def _progress(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The current step and task, and the hosts in trouble, out of the attempt's own lines."""
    last: dict[str, Any] = {"task": "", "host": "", "step": "", "at": ""}
    troubles = []
    for event in events:
        kind = event.get("kind")
        if kind == "step_start":
            last |= {"step": str(event.get("step", "")), "task": "", "host": ""}
        elif kind == "task_start":
            last |= {"task": str(event.get("task", "")), "host": str(event.get("host", ""))}
        elif kind in ("host_failed", "host_unreachable"):
            troubles.append(f"{event.get('host', '')}: {event.get('task', '')}: {event.get('message', '')}")
        last["at"] = str(event.get("at", "") or last["at"])
    return {**last, "troubles": tuple(troubles[-5:])}


def last_seen(site: Site) -> Seen | None:
    """The last observation that was kept; None when there is none (or it is torn)."""
    short = read_json(site.state_dir / SEEN).document
    if short is not None and short.get("of") == _mark(site.state_dir / OBSERVED):
        document: Mapping[str, Any] | None = short
    else:
        document = read_json(site.state_dir / OBSERVED).document
    try:
        return seen_of(document) if document else None
    except (KeyError, TypeError, ValueError):
        return None


def _mark(path: Path) -> list[int]:
    """Which file this is; a copy is another."""
    try:
        about = path.stat()
    except OSError:
        return []
    return [about.st_ino, about.st_size, about.st_mtime_ns]


def facts_seen(site: Site) -> CloudFacts | None:
    """The last observation that was kept, whole; None when there is none, or another version of this tool kept it."""
    from upgrader.model import CloudFacts

    try:
        return CloudFacts.model_validate_json((site.state_dir / OBSERVED).read_bytes())
    except (OSError, ValueError):
        return None


def keep_seen(site: Site, facts: Mapping[str, Any]) -> None:
    """Keep an observation (a CloudFacts document) for later answers of `status`."""
    write_json(site.state_dir / OBSERVED, dict(facts))
    short = {name: facts[name] for name in ("observed_at", "reading") if name in facts}
    write_json(site.state_dir / SEEN, {**short, "of": _mark(site.state_dir / OBSERVED)})


def seen_of(facts: Mapping[str, Any]) -> Seen:
    """A CloudFacts document, arranged by release. Raises KeyError or TypeError when it is none."""
    reading = facts["reading"]
    services: dict[str, set[str]] = {}
    hosts: dict[str, set[str]] = {}
    for service, release, where in reading["by_service"]:
        services.setdefault(release, set()).add(service)
        hosts.setdefault(release, set()).update(where)
    releases = sorted(services, reverse=True)
    return Seen(
        at=facts["observed_at"],
        kind=reading["kind"],
        release=reading["release"],
        how=reading["how"],
        releases=tuple((name, tuple(sorted(services[name])), tuple(sorted(hosts[name]))) for name in releases),
        evidence=tuple(reading["evidence"]),
        services=tuple((name, release, tuple(where)) for name, release, where in reading["by_service"])
        if len(releases) > 1
        else (),
    )
