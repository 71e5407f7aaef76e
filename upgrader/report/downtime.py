"""What the probe recorded of the cloud's APIs during a run, with the work that each outage fell into."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.report.values import ApiStory, Away

if TYPE_CHECKING:
    from upgrader.availability import ApiDowntime, Outage, Work

_MOST = 3
"""Tasks named for one outage."""


def apis_of(state_dir: Path, run: str) -> tuple[tuple[ApiStory, ...], str]:
    """(every API that was asked during the run, why there is none)."""
    from upgrader.availability import downtime, folder_of, timeline
    from upgrader.availability.work import attempt_folders

    try:
        folder = folder_of(state_dir, run)
        if not folder.is_dir():
            return (), "no probe asked the APIs during this run"
        found = downtime(folder)
    except (OSError, ValueError) as error:
        return (), f"the records of the probe cannot be read: {error}"
    if not found:
        return (), "the probe was started, but recorded no answer"
    works = timeline(attempt_folders(state_dir, run))
    return tuple(_api(one, works) for one in found), ""


def _api(one: ApiDowntime, works: tuple[Work, ...]) -> ApiStory:
    return ApiStory(
        api=one.api,
        asked=one.asked,
        failed=one.failed,
        seconds=round(one.seconds, 1),
        low=round(one.low, 1),
        high=round(one.high, 1),
        unknown=round(one.unknown, 1),
        outages=tuple(_away(outage, works) for outage in one.outages),
        first=_text(one.first),
        last=_text(one.last),
    )


def _away(outage: Outage, works: tuple[Work, ...]) -> Away:
    from upgrader.availability import during

    named = dict.fromkeys(f"{share.work.stage}: {share.work}" for share in during(outage, works))
    remarks = ["may be this machine's own trouble with names"] if outage.ours else []
    remarks += ["may have been longer: nobody asked just before or after"] if outage.edge else []
    return Away(
        api=outage.api,
        began=_text(outage.began),
        ended=_text(outage.ended),
        seconds=round(outage.seconds, 1),
        low=round(outage.low, 1),
        high=round(outage.high, 1),
        error=outage.error,
        during=tuple(named)[:_MOST],
        remark="; ".join(remarks),
    )


def _text(moment: datetime | None) -> str:
    return moment.isoformat(timespec="milliseconds") if moment else ""
