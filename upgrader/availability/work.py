"""What was worked on when, out of the attempts' own lines; and which of it an outage fell into. Light, no lock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upgrader.availability.downtime import Outage
from upgrader.durable import read_json

_REQUEST, _PROGRESS, _EXIT = "request.json", "progress.jsonl", "exit.json"
"""Files of an attempt's folder, as `upgrader.attempts` names them."""


@dataclass(frozen=True, slots=True)
class Work:
    """One task of a play, or one step without a play, and when it was worked on."""

    attempt: str
    hop: int
    stage: str
    step: str
    play: str
    role: str
    task: str
    """Empty while a step is between two plays."""
    began: datetime
    ended: datetime

    def __str__(self) -> str:
        where = f"{self.role} : " if self.role and not self.task.startswith(f"{self.role} :") else ""
        return f"{where}{self.task}" if self.task else self.step or self.stage


@dataclass(frozen=True, slots=True)
class Share:
    """A piece of work and how much of an outage fell into it."""

    work: Work
    seconds: float


def attempt_folders(state_dir: Path, run: str) -> tuple[Path, ...]:
    """The folders of a run's attempts, oldest first."""
    found = []
    place = state_dir / "attempts"
    for folder in place.iterdir() if place.is_dir() else ():
        request = read_json(folder / _REQUEST).document
        if request is not None and request.get("run") == run:
            found.append(((folder / _REQUEST).stat().st_mtime_ns, folder))
    return tuple(folder for _, folder in sorted(found))


def timeline(folders: Iterable[Path]) -> tuple[Work, ...]:
    """Everything that was worked on in these attempts, in the order in which it began."""
    return tuple(sorted((work for folder in folders for work in _of_attempt(folder)), key=lambda work: work.began))


def _of_attempt(folder: Path) -> Iterator[Work]:
    request = read_json(folder / _REQUEST).document or {}
    ended = _moment((read_json(folder / _EXIT).document or {}).get("ended_at"))
    stage, hop = str(request.get("stage", "")), request.get("hop")
    now: dict[str, str] = {"step": "", "play": "", "role": "", "task": ""}
    began: datetime | None = None
    last: datetime | None = None

    def work(until: datetime) -> Work | None:
        if began is None or until <= began or not (now["step"] or now["task"]):
            return None
        return Work(
            folder.name, hop if isinstance(hop, int) else 0, stage, now["step"], now["play"], now["role"], now["task"],
            began, until,
        )  # fmt: skip

    for line in _progress(folder):
        at = _moment(line.get("at"))
        if at is None:
            continue
        last = at
        kind = line.get("kind")
        if kind not in ("step_start", "step_end", "play_start", "task_start", "play_end"):
            continue
        if (done := work(at)) is not None:
            yield done
        began = at
        if kind == "task_start":
            now |= {key: str(line.get(key, "")) for key in ("task", "role")}
            now["play"] = str(line.get("play", "") or now["play"])
        elif kind == "play_start":
            now |= {"play": str(line.get("play", "")), "role": "", "task": ""}
        elif kind == "play_end":
            now |= {"play": "", "role": "", "task": ""}
        else:
            step = str(line.get("step", "")) if kind == "step_start" else ""
            now = {"step": step, "play": "", "role": "", "task": ""}
    end = ended or last
    if end is not None and (done := work(end)) is not None:
        yield done


def _progress(folder: Path) -> Iterator[dict[str, object]]:
    try:
        lines = (folder / _PROGRESS).read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            yield document


def during(outage: Outage, works: Iterable[Work], until: datetime | None = None) -> tuple[Share, ...]:
    """The work an outage fell into, in its order: the first is what went on when the API went away.

    An outage that had not ended is taken to last until `until`, or for as long as it is known to have lasted.
    """
    end = outage.ended or until
    if end is None:
        end = datetime.fromtimestamp(outage.began.timestamp() + outage.seconds, UTC)
    found = []
    for work in works:
        shared = (min(work.ended, end) - max(work.began, outage.began)).total_seconds()
        if shared > 0 or work.began <= outage.began < work.ended:
            found.append(Share(work, max(0.0, shared)))
    return tuple(sorted(found, key=lambda share: share.work.began))


def _moment(at: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(at))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
