"""Whether the cloud's public APIs answered while it was worked on: what was asked, what was heard, what it adds up to.

A probe (a process of its own, started beside a run by `upgrader.outside`) asks every API and records every answer in
`<state_dir>/availability/<run id>/`. Everything here reads and adds up those records, takes no lock and imports
nothing heavy, so `status` can use it:

    downtime(folder)            -> tuple[ApiDowntime, ...]   each API: asked, failed, seconds away, outages, gaps
    now(folder)                 -> Now                       up or away at this moment, seconds away so far
    timeline(attempt folders)   -> tuple[Work, ...]          what was worked on when
    during(outage, works)       -> tuple[Share, ...]         the tasks an outage fell into
    folder_of(state_dir, run)   -> Path                      where the records of a run are
"""

from __future__ import annotations

from upgrader.availability.downtime import ApiDowntime, Gap, Outage, downtime
from upgrader.availability.present import ApiNow, Now, now
from upgrader.availability.records import folder_of
from upgrader.availability.work import Share, Work, during, timeline

__all__ = [
    "ApiDowntime", "ApiNow", "Gap", "Now", "Outage", "Share", "Work", "downtime", "during", "folder_of", "now",
    "timeline",
]  # fmt: skip
