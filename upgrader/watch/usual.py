"""How long each task took in earlier attempts at the same stage: what a task that runs now is held against."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from upgrader.attempts import EXIT, PROGRESS
from upgrader.durable import read_json
from upgrader.watch.tail import Tail

NEWEST = 3
"""Attempts that are read; what was longer ago ran on another cloud."""
_FOLDERS = 400
_CLOSING = frozenset({"task_start", "play_start", "stats", "play_end", "step_start", "step_end"})


@dataclass(frozen=True, slots=True)
class Usual:
    """Medians over the attempts that were found; nothing when there were none."""

    seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(role, task) → seconds."""
    tasks: int | None = None
    """Tasks of the newest of them."""
    attempts: int = 0


def usual(state_dirs: Iterable[Path], stage: str, without: str = "") -> Usual:
    """Of a stage's newest attempts that succeeded, in any of the state folders (the site's, its staging cloud's)."""
    found = sorted((item for folder in state_dirs for item in _succeeded(folder, stage, without)), reverse=True)[
        :NEWEST
    ]
    took: dict[tuple[str, str], list[float]] = {}
    counts = []
    for _, folder in found:
        count = 0
        for role, task, seconds in durations(Tail(folder / PROGRESS).all()):
            took.setdefault((role, task), []).append(seconds)
            count += 1
        counts.append(count)
    medians = {key: statistics.median(values) for key, values in took.items()}
    return Usual(medians, counts[0] if counts else None, len(found))


def _succeeded(state_dir: Path, stage: str, without: str) -> Iterator[tuple[str, Path]]:
    place = state_dir / "attempts"
    try:
        folders = sorted(place.iterdir(), key=lambda item: item.stat().st_mtime, reverse=True)[:_FOLDERS]
    except OSError:
        return
    for folder in folders:
        record = read_json(folder / EXIT).document if folder.name != without else None
        outcome = (record or {}).get("outcome")
        verdict = outcome.get("verdict") if isinstance(outcome, Mapping) else ""
        if record and record.get("stage") == stage and verdict == "succeeded":
            yield str(record.get("ended_at", "")), folder


def durations(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, float]]:
    """(role, task, seconds) of every task in an attempt's progress, by when the next thing began."""
    task: tuple[str, str, str] | None = None
    for line in lines:
        if task is not None and line.get("kind") in _CLOSING:
            took = between(task[2], str(line.get("at", "")))
            if took is not None:
                yield task[0], task[1], took
            task = None
        if line.get("kind") == "task_start":
            task = (str(line.get("role", "")), str(line.get("task", "")), str(line.get("at", "")))


def between(earlier: str, later: str) -> float | None:
    """Seconds from one moment (ISO 8601) to another, never below 0: clocks are set back. None: no two moments."""
    try:
        took = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    except (ValueError, TypeError):
        return None
    return max(0.0, took.total_seconds())
