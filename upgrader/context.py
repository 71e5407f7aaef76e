"""What a stage has in its hands while it runs: its folder, a way to report and to run plays, and the word to stop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.attempts import CANCEL, PLAYS, PROGRESS
from upgrader.redact import Redactor
from upgrader.runner.base import Play, PlayResult, Runner, TaskEvent
from upgrader.runner.events import now

_LASTING = frozenset({"step_start", "step_end", "host_failed", "host_unreachable", "play_start", "play_end"})
_TOO_MANY = frozenset({"host_ok", "host_changed", "host_skipped", "host_ignored"})
"""Kinds left out of progress.jsonl, one per task and host; they are in the play's own events.jsonl."""


class AttemptContext:
    """One attempt, seen from its stage. `lock` is the descriptor of the attempt's lock that plays inherit.

    With a `runner`, plays go to that one (tests); otherwise they run for real.
    """

    def __init__(self, folder: Path, *, lock: int | None = None, runner: Runner | None = None) -> None:
        self.folder = folder
        self.redactor = Redactor()
        self.results: list[PlayResult] = []
        """Results of all plays so far."""
        self._lock = lock
        self._runner = runner
        self._stop = False

    def learn(self, secrets: Iterable[str]) -> None:
        """Know the values that must not appear in anything the attempt writes; to be told before they are used."""
        self.redactor.add(secrets)

    def stop(self, *_: object) -> None:
        """Ask this attempt to stop, from inside."""
        self._stop = True

    def cancelled(self) -> bool:
        """Whether the stage shall stop: asked between two steps; a running play stops on its own."""
        return self._stop or (self.folder / CANCEL).exists()

    def progress(self, kind: str, *, fsync: bool = False, **fields: Any) -> None:
        """Add a line to progress.jsonl, without secrets. Steps and troubles are made durable at once."""
        line = {"at": now(), "kind": kind, **self.redactor.value({k: v for k, v in fields.items() if v != ""})}
        durable.append_line(self.folder / PROGRESS, line, fsync=fsync or kind in _LASTING)

    @property
    def watched(self) -> tuple[str, ...]:
        """Watched tasks that began in any play so far."""
        return tuple(dict.fromkeys(task for result in self.results for task in result.watched))

    def runner(self, *, stopping: bool = True) -> Runner:
        """A runner whose plays hold the attempt's lock and stop with it; not `stopping`: they come to their end."""
        if self._runner is not None:
            return self._runner
        from upgrader.runner.ansible import AnsibleRunner

        markers = (self.folder / CANCEL,) if stopping else ()
        return AnsibleRunner(secrets=self.redactor.secrets, lock=self._lock, cancel_files=markers)

    def play_folder(self, name: str) -> Path:
        """A folder for the next play, numbered; not made yet."""
        plays = self.folder / PLAYS
        durable.make_dir(plays, exist_ok=True)
        used = [int(item.name.split("-")[0]) for item in plays.iterdir() if item.name[:2].isdigit()]
        safe = "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in name)
        return plays / f"{max(used, default=0) + 1:02d}-{safe}"

    def run(self, play: Play) -> PlayResult:
        """Run a play as part of this attempt and report what happens in it."""
        result = self.runner().run(play, self.play_folder(play.name), on_event=self._report, cancelled=self.cancelled)
        self.results.append(result)
        self.progress(
            "play_end", play=play.name, status=result.status, rc=result.rc, verdict=result.verdict,
            message=result.message, seconds=result.seconds,
        )  # fmt: skip
        return result

    def _report(self, event: TaskEvent) -> None:
        if event.kind in _TOO_MANY:
            return
        fields = {key: value for key, value in event.document().items() if value not in ("", False)}
        self.progress(str(fields.pop("kind")), fsync=event.watched, **{**fields, "at": event.at or now()})
