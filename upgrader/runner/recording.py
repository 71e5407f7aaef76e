"""A runner for tests of everything above: notes the plays it is given and answers as told, without Ansible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from upgrader.runner.base import Cancelled, EventSink, HostTrouble, Play, PlayResult, TaskEvent
from upgrader.runner.events import now, with_stats

Answer = PlayResult | Callable[[Play], PlayResult]


def done(play: Play, collected: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None) -> PlayResult:
    """The result of a play that did its work on every host it was to work on."""
    hosts = dict.fromkeys(play.expected_hosts or ("localhost",), 1)
    empty: dict[str, int] = {}
    stats = {
        "ok": hosts, "changed": empty, "failures": empty, "dark": empty,
        "processed": hosts, "skipped": empty, "rescued": empty, "ignored": empty,
    }  # fmt: skip
    return with_stats(PlayResult(play.name, "successful", 0, collected=collected or {}), play.expected_hosts, stats)


def failed(play: Play, host: str, task: str = "", message: str = "") -> PlayResult:
    """The result of a play that failed on one host and was done on the others."""
    good = done(play)
    assert good.stats is not None  # noqa: S101 - `done` always has them
    stats = {**good.stats, "failures": {host: 1}, "processed": {**good.stats["processed"], host: 1}}
    trouble = (HostTrouble(host, task, message),)
    return with_stats(PlayResult(play.name, "failed", 2), play.expected_hosts, stats, trouble)


class RecordingRunner:
    """Answers each play by its name: from `answers`, otherwise with `done`. `plays` holds all it was given."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, events: Iterable[TaskEvent] = ()) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.events = tuple(events)
        self.plays: list[Play] = []
        self.folders: list[Path] = []

    def run(
        self, play: Play, folder: Path, *, on_event: EventSink | None = None, cancelled: Cancelled | None = None
    ) -> PlayResult:
        """See Runner.run. Refuses a used folder like the real one; canceled plays are reported so, and not done."""
        if folder in self.folders or folder.exists():
            raise FileExistsError(folder)
        self.plays.append(play)
        self.folders.append(folder)
        if cancelled is not None and cancelled():
            return PlayResult(play.name, "canceled", None, missing=play.expected_hosts)
        if on_event is not None:
            for event in self.events or (TaskEvent(1, "play_start", play=play.name, at=now()),):
                on_event(event)
        answer = self.answers.get(play.name)
        if answer is None:
            return done(play)
        return answer if isinstance(answer, PlayResult) else answer(play)
