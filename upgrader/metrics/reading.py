"""Reads what the metrics need beyond what is watched: the run's hops and attempts, the notices. Takes no lock."""

from __future__ import annotations

import time
from pathlib import Path

from upgrader import __version__, attempts
from upgrader.config import Site
from upgrader.durable import read_json
from upgrader.journal import AttemptRow, HopRow, open_journal
from upgrader.journal.place import exists
from upgrader.metrics.exposition import exposition
from upgrader.metrics.gauges import Standing, families, written
from upgrader.notices.ledger import Ledger
from upgrader.states import AttemptState, State
from upgrader.watch.model import Watched

Rows = tuple[tuple[HopRow, ...], tuple[AttemptRow, ...]]


ROLLING = "rolling"
"""Folder of the waves' records; `upgrader.rolling.record` writes them, and would bring pydantic along."""


PLAY = "upgrade"
"""Name of kolla-ansible's play over all hosts, in the exit record of its attempt."""
_TURNS = frozenset({State.UPGRADE, State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE})
"""Stages that change what hosts run."""


class Reader:
    """The metrics of one site, read again and again; the journal's rows only when an event was added to it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._rows: tuple[str, Rows] = ("", ((), ()))
        self._played: dict[str, tuple[int, int] | None] = {}
        """What attempts that have ended say of hosts."""

    def standing(self, watched: Watched) -> Standing:
        hops, rows = self._run(watched)
        rolled = {hop.index: found for hop in hops if (found := self._rolled(hop, rows)) is not None}
        counts = Ledger.of(self.site.state_dir).counts() if self.site.notices.wanted else {}
        return Standing(watched, hops, rows, rolled, counts, __version__)

    def _rolled(self, hop: HopRow, rows: tuple[AttemptRow, ...]) -> tuple[int, int] | None:
        """Hosts (done, failed): of the waves where there are any, else of the last play over all hosts."""
        found = _of_waves(self.site.state_dir, hop)
        if found is not None:
            return found
        tried = [row for row in rows if row.hop == hop.index and row.stage in _TURNS and row.finished_at]
        if not tried:
            return None
        last = tried[-1]
        if last.stage is not State.UPGRADE:
            return (0, 0) if last.state is AttemptState.SUCCEEDED else None
        if last.id not in self._played:
            self._played[last.id] = _of_plays(attempts.folder_of(self.site.state_dir, last.id))
        return self._played[last.id]

    def text(self, watched: Watched, at: float | None = None) -> str:
        """The whole exposition, `at` a moment (Unix time; now)."""
        last = written(self.site.name, round(time.time() if at is None else at, 3))
        return exposition((*families(self.standing(watched)), last))

    def _run(self, watched: Watched) -> Rows:
        report = watched.report
        if not report.run or not exists(self.site.state_dir):
            return (), ()
        mark = f"{report.run} {report.last_event_at}"
        if self._rows[0] != mark:
            with open_journal(self.site.state_dir, readonly=True) as journal:
                snapshot = journal.snapshot(recent=0)
                if snapshot.run is None:
                    return (), ()
                rows = (snapshot.hops, journal.attempts(snapshot.run.id))
            self._rows = (mark, rows)
        return self._rows[1]


def _of_waves(state_dir: Path, hop: HopRow) -> tuple[int, int] | None:
    """Hosts (done, failed) as the hop's waves recorded them; None where there is no record."""
    found = read_json(state_dir / ROLLING / f"{hop.run}-{hop.index}.json").document
    if found is None:
        return None
    done, failed = found.get("done"), found.get("failed")
    return (len(done) if isinstance(done, list) else 0, len(failed) if isinstance(failed, dict) else 0)


def _of_plays(folder: Path) -> tuple[int, int] | None:
    """Hosts (done, failed) as Ansible's closing accounts of an attempt's upgrade have them; None without any."""
    plays = (read_json(folder / attempts.EXIT).document or {}).get("plays")
    done: set[str] = set()
    failed: set[str] = set()
    for play in plays if isinstance(plays, list) else ():
        stats = play.get("stats") if isinstance(play, dict) and play.get("name") == PLAY else None
        if isinstance(stats, dict):
            bad = {*stats.get("failures", ()), *stats.get("dark", ()), *(play.get("missing") or ())}
            failed |= bad
            done |= set(stats.get("processed", ())) - bad
    return (len(done - failed), len(failed)) if done or failed else None
