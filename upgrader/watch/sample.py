"""Looks at a run, again and again: the journal's snapshot, the attempt's files, estimates, the probe's last word.

Takes no lock, writes nothing, asks no host. One look at a large cloud costs a few milliseconds, however long the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader import attempts
from upgrader.availability import Now, folder_of
from upgrader.availability import now as apis_now
from upgrader.config import Site, load_site
from upgrader.errors import UpgraderError
from upgrader.estimates import Estimate, estimates, of
from upgrader.journal import AttemptRow, EventRow, HopRow, Journal, Snapshot, open_journal
from upgrader.journal.place import exists
from upgrader.states import Ponr
from upgrader.status import Report, Seen, Verdict
from upgrader.status_read import OBSERVED, gather, last_seen, report_of, standing
from upgrader.watch.attempt import Following
from upgrader.watch.insights import insights
from upgrader.watch.model import Api, Hosts, Pace, Watched
from upgrader.watch.pace import Clocks, pace
from upgrader.watch.stages import rest_of, stage_lines
from upgrader.watch.usual import between, usual
from upgrader.watch.words import happenings

EVENTS = 12
_RECENT = 60
"""Events that are read for the last EVENTS that say something to people."""
_DEAD_PROBE_SECONDS = 15.0
"""A probe that has ended is asked about this seldom: its records are added up each time."""

Estimates = tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of the journal when it had `seq` events."""

    lineage: str = ""
    seq: int = -1
    run: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[AttemptRow, ...] = ()
    """Attempts of the current hop."""
    events: tuple[EventRow, ...] = ()
    crossed: tuple[str, str] = ("", "")


class Watcher:
    """One site, watched by one reader. Not for several threads at once."""

    def __init__(
        self,
        site: Site,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.site = site
        self._now, self._mono = now, mono
        self._last: Watched | None = None
        self._known = _Known()
        self._observed: tuple[tuple[int, int, int], Seen | None] = ((-1, 0, 0), None)
        self._estimates: tuple[str, Estimates] = ("", ())
        self._following: Following | None = None
        self._began = 0.0
        self._heard = 0.0
        self._task: tuple[str, float] = ("", 0.0)
        self._probe: tuple[str, float, Now | None] = ("", float("-inf"), None)

    def sample(self) -> Watched:
        """Look once. Raises what `status` raises at the first look; after one that went well, a look that does not
        is told in `trouble`, with what was seen before."""
        try:
            seen = self._look()
        except (UpgraderError, OSError) as error:
            if self._last is None:
                raise
            words = error.message if isinstance(error, UpgraderError) else str(error)
            return replace(self._last, at=self._at(), trouble=words)
        self._last = seen
        return seen

    def _at(self) -> str:
        return self._now().isoformat(timespec="milliseconds")

    def _look(self) -> Watched:
        if not exists(self.site.state_dir):
            return Watched(self._at(), gather(self.site))
        with open_journal(self.site.state_dir, readonly=True) as journal:
            snapshot = journal.snapshot(recent=0)
            hop = snapshot.hop
            if snapshot.last_seq != self._known.seq or snapshot.lineage != self._known.lineage:
                self._known = self._read(journal, snapshot, hop)
            window = standing(self.site, journal, snapshot, self._known.plan)
        if snapshot.run is None or hop is None:
            return Watched(self._at(), report_of(self.site, snapshot, self._known.plan, None, self._cloud(), window))
        following = self._follow(snapshot)
        flying = following.in_flight(snapshot.attempt) if following and snapshot.attempt else None
        report = report_of(self.site, snapshot, self._known.plan, flying, self._cloud(), window)
        return self._watched(snapshot, hop, report, following)

    def _watched(self, snapshot: Snapshot, hop: HopRow, report: Report, following: Following | None) -> Watched:
        known = self._known
        found = self._estimated(hop.run, known)
        lines = stage_lines(hop, known.rows, known.plan, found)
        if report.verdict is Verdict.INTERRUPTED:
            lines = tuple(replace(line, state="interrupted") if line.state == "now" else line for line in lines)
        seen = Watched(self._at(), report, lines)
        if following is not None:
            seen = replace(seen, hosts=following.hosts, tasks=following.tasks)
        going = following if snapshot.attempt is not None else None
        measured = self._pace(going, seen, snapshot.attempt, of(found, hop.name, hop.state.value), rest_of(lines))
        ponr = known.crossed
        if going is not None and not ponr[0] and report.ponr != "no":
            ponr = going.ponr  # the journal learns of it when the engine has read it
        apis, note = self._apis(hop.run)
        return replace(
            seen,
            pace=measured,
            apis=apis,
            apis_note=note,
            ponr_at=ponr[0],
            ponr_task=ponr[1],
            insights=insights(report, known.plan, seen.hosts if going else Hosts(), measured, apis, ponr),
            events=happenings(known.events, report.hop, EVENTS),
        )

    # ------------------------------------------------------------ what is kept between two looks

    def _read(self, journal: Journal, snapshot: Snapshot, hop: HopRow | None) -> _Known:
        """What the journal says beyond its snapshot; read again only when an event was added."""
        before = self._known
        run = snapshot.run.id if snapshot.run else ""
        plan = before.plan if before.run == run else journal.plan(run) if run else {}
        return _Known(
            lineage=snapshot.lineage,
            seq=snapshot.last_seq,
            run=run,
            plan=plan,
            rows=journal.attempts(hop.run, hop.index) if hop else (),
            events=tuple(journal.events(after=max(0, snapshot.last_seq - _RECENT))),
            crossed=_crossing(journal, hop),
        )

    def _estimated(self, run: str, known: _Known) -> Estimates:
        """Read anew with every attempt: one that ended may be the first sample of its stage."""
        key = f"{run}:{len(known.rows)}"
        if self._estimates[0] != key:
            try:
                self._estimates = (key, estimates(self.site, known.plan))
            except (KeyError, TypeError):  # a plan that an older version of this tool wrote
                self._estimates = (key, ())
        return self._estimates[1]

    def _cloud(self) -> Seen | None:
        """The last observation; its file is large on a large cloud, and is read only when it was replaced."""
        try:
            about = (self.site.state_dir / OBSERVED).stat()
            mark = (about.st_ino, about.st_mtime_ns, about.st_size)
        except OSError:
            mark = (0, 0, 0)
        if mark != self._observed[0]:
            self._observed = (mark, last_seen(self.site))
        return self._observed[1]

    def _follow(self, snapshot: Snapshot) -> Following | None:
        row = snapshot.attempt or snapshot.last_attempt
        if row is None:
            return None
        if self._following is None or self._following.folder.name != row.id:
            folder = attempts.folder_of(self.site.state_dir, row.id)
            self._following = Following(folder, usual(self._states(), row.stage.value, without=row.id), self._mono)
            self._following.look()
            mono, at = self._mono(), self._at()
            self._began = mono - (between(row.intended_at, at) or 0.0)
            self._heard = mono - (between(self._following.last_at or row.intended_at, at) or 0.0)
            task = self._following.tasks.now
            self._task = (task.began if task else "", mono - (between(task.began, at) or 0.0 if task else 0.0))
        elif self._following.look():
            self._heard = self._mono()
        return self._following

    def _states(self) -> list[Path]:
        """Where attempts at the same stage may be known from: here, and on the staging cloud."""
        places = [self.site.state_dir]
        if self.site.staging is not None:
            with suppress(UpgraderError):  # `check` says so; it is no reason not to watch
                places.append(load_site(self.site.staging).state_dir)
        return places

    def _pace(
        self, going: Following | None, seen: Watched, row: AttemptRow | None, estimate: Estimate | None,
        rest: float | None,
    ) -> Pace:  # fmt: skip
        if going is None or row is None or seen.report.attempt is None:
            return pace(None, seen.tasks, estimate, rest)
        mono = self._mono()
        task = seen.tasks.now
        if (task.began if task else "") != self._task[0]:
            self._task = (task.began if task else "", mono)
        alive = seen.report.attempt.evidence in ("running", "orphaned") or bool(seen.report.controller)
        if not alive:
            return pace(None, seen.tasks, estimate, rest)
        clocks = Clocks(mono - self._began, max(0.0, mono - self._heard), mono - self._task[1] if task else None)
        return pace(clocks, seen.tasks, estimate, rest)

    def _apis(self, run: str) -> tuple[tuple[Api, ...], str]:
        known, asked, said = self._probe
        mono = self._mono()
        if said is None or known != run or said.probing or mono - asked > _DEAD_PROBE_SECONDS:
            said = apis_now(folder_of(self.site.state_dir, run))
            self._probe = (run, mono, said)
        apis = tuple(Api(one.api, one.state, round(one.seconds, 1), one.since, one.error) for one in said.apis)
        return apis, said.words


def _crossing(journal: Journal, hop: HopRow | None) -> tuple[str, str]:
    """(when, at what) the journal says that this hop's point of no return was crossed."""
    if hop is None or hop.ponr != Ponr.CROSSED:
        return "", ""
    for event in journal.events(kinds=("ponr",)):
        if (event.run, event.hop) == (hop.run, hop.index) and event.data.get("to") == "crossed":
            return event.at, str(event.data.get("why", "")).removesuffix(" began")
    return "", ""
