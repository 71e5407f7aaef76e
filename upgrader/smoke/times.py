"""When a hop began to change the cloud, and when it was done: from the folders of its attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upgrader import attempts, durable

CHANGING = frozenset({"broker", "upgrade", "rollback_redeploy", "rollback_restore"})
"""Stages that restart services."""


@dataclass(frozen=True, slots=True)
class Times:
    """None where no attempt's folder says it."""

    began: datetime | None = None
    ended: datetime | None = None
    """Of the last attempt that changed something; one that was killed ended with its last sign of life."""


def times_of(state_dir: Path, run: str, hop: int) -> Times:
    """What the attempts of one hop of one run left. Damaged files say nothing, as if they were not there."""
    began: list[datetime] = []
    ended: list[datetime] = []
    folder = state_dir / "attempts"
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        request = durable.read_json(place / attempts.REQUEST).document or {}
        if (request.get("run"), request.get("hop")) != (run, hop) or request.get("stage") not in CHANGING:
            continue
        start = moment((durable.read_json(place / attempts.STARTED).document or {}).get("at"))
        if start is None:
            continue
        began.append(start)
        end = moment((durable.read_json(place / attempts.EXIT).document or {}).get("ended_at"))
        ended.append(end or max(start, _last_sign(place)))
    return Times(min(began, default=None), max(ended, default=None))


def _last_sign(place: Path) -> datetime:
    """When the attempt or one of its plays wrote something for the last time."""
    files = [place / attempts.PROGRESS, *(place / attempts.PLAYS).glob("*/events.jsonl"), place / attempts.STARTED]
    return datetime.fromtimestamp(max(path.stat().st_mtime for path in files if path.exists()), UTC)


def moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
