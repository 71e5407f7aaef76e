"""Downtime as one plain document: what `upgrader availability --json` prints and the views and reports draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from upgrader.availability.downtime import ApiDowntime, Gap, Outage
from upgrader.availability.present import Now
from upgrader.availability.work import Work, during


def told(
    site: str, run: str, apis: Sequence[ApiDowntime], present: Now, works: Iterable[Work] = ()
) -> dict[str, Any]:  # fmt: skip
    """All that is known of a run's APIs; outages with the tasks they fell into."""
    known = tuple(works)
    states = {one.api: one for one in present.apis}
    return {
        "schema_version": 1,
        "kind": "availability",
        "site": site,
        "run": run,
        "probing": present.probing,
        "heard_at": present.at,
        "words": present.words,
        "apis": [
            {
                "api": one.api,
                "url": one.url,
                "every": one.every,
                "state": states[one.api].state if one.api in states else "unknown",
                "last": None if one.up is None else "up" if one.up else "away",
                "asked": one.asked,
                "failed": one.failed,
                "never_up": one.asked > 0 and one.failed == one.asked,
                "seconds": round(one.seconds, 3),
                "at_least": round(one.low, 3),
                "at_most": round(one.high, 3),
                "unknown": round(one.unknown, 3),
                "first_asked": _iso(one.first),
                "last_asked": _iso(one.last),
                "slowest_ms": one.slowest_ms,
                "outages": [_outage(outage, known) for outage in one.outages],
                "gaps": [_gap(gap) for gap in one.gaps],
            }
            for one in apis
        ],
    }


def _outage(outage: Outage, works: tuple[Work, ...]) -> dict[str, Any]:
    return {
        "began": _iso(outage.began),
        "ended": _iso(outage.ended),
        "seconds": round(outage.seconds, 3),
        "at_least": round(outage.low, 3),
        "at_most": round(outage.high, 3),
        "questions": outage.questions,
        "error": outage.error,
        "kinds": list(outage.kinds),
        "ours": outage.ours,
        "open_ended": outage.edge,
        "during": [
            {
                "stage": share.work.stage,
                "step": share.work.step,
                "task": share.work.task,
                "role": share.work.role,
                "words": str(share.work),
                "attempt": share.work.attempt,
                "began": _iso(share.work.began),
                "seconds": round(share.seconds, 3),
            }
            for share in during(outage, works)
        ],
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"began": _iso(gap.began), "ended": _iso(gap.ended), "seconds": round(gap.seconds, 3), "at_rest": gap.rest}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
