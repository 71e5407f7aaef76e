"""Reads what the metrics need beyond what is watched: the run's hops and attempts, the notices. Takes no lock."""

from __future__ import annotations

import time
from pathlib import Path

from upgrader import __version__
from upgrader.config import Site
from upgrader.durable import read_json
from upgrader.journal import AttemptRow, HopRow, open_journal
from upgrader.journal.place import exists
from upgrader.metrics.exposition import exposition
from upgrader.metrics.gauges import Standing, families, written
from upgrader.notices.ledger import Ledger
from upgrader.watch.model import Watched

Rows = tuple[tuple[HopRow, ...], tuple[AttemptRow, ...]]


ROLLING = "rolling"
"""Folder of the waves' records; `upgrader.rolling.record` writes them, and would bring pydantic along."""


class Reader:
    """The metrics of one site, read again and again; the journal's rows only when an event was added to it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._rows: tuple[str, Rows] = ("", ((), ()))

    def standing(self, watched: Watched) -> Standing:
        hops, attempts = self._run(watched)
        rolled = {hop.index: found for hop in hops if (found := _rolled(self.site.state_dir, hop)) is not None}
        counts = Ledger.of(self.site.state_dir).counts() if self.site.notices.wanted else {}
        return Standing(watched, hops, attempts, rolled, counts, __version__)

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
            if snapshot.last_event_at != report.last_event_at:
                return rows  # something was added meanwhile: read again the next time
            self._rows = (mark, rows)
        return self._rows[1]


def _rolled(state_dir: Path, hop: HopRow) -> tuple[int, int] | None:
    """Hosts (done, failed) as the hop's waves recorded them; None where there is no record."""
    found = read_json(state_dir / ROLLING / f"{hop.run}-{hop.index}.json").document
    if found is None:
        return None
    done, failed = found.get("done"), found.get("failed")
    return (len(done) if isinstance(done, list) else 0, len(failed) if isinstance(failed, dict) else 0)
