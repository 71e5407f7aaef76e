"""One attempt's folder while it grows: where it is, which hosts are in trouble, when it was last heard of.

Reads `progress.jsonl` from its beginning once and then only what is added; of the play's own events, one line per
host and task, only the newest bite. Opens nothing for writing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from upgrader import attempts
from upgrader.durable import read_json
from upgrader.journal import AttemptRow
from upgrader.runner.events import EVENTS
from upgrader.runner.play import REQUEST as PLAY
from upgrader.status import InFlight
from upgrader.status_read import lock_held
from upgrader.watch.model import Hosts, TaskLine, Tasks, Trouble
from upgrader.watch.tail import Tail
from upgrader.watch.usual import Usual, between

LAST_TASKS = 6
MOST_TROUBLED = 30
"""Hosts that are named; where all 400 fail at once, their number says it."""
_SHORTEST = 0.05
"""Tasks below this are passed over in the list of the last ones: kolla's plays flush handlers again and again."""
_LOOK_AGAIN_SECONDS = 3.0
_HEARD = frozenset({"host_ok", "host_changed", "host_skipped", "host_ignored"})
_TROUBLE = {"host_failed": "failed", "host_unreachable": "unreachable"}
_LONGEST = 300


class Following:
    """What is known of one attempt by now; `look` brings it up to date."""

    def __init__(self, folder: Path, usual: Usual, mono: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.usual = folder, usual
        self.last_at = ""
        """When anything was last heard of it, by its own clock."""
        self.ponr: tuple[str, str] = ("", "")
        """(when, task) of the first watched task: schemas or data begin to change there."""
        self._mono = mono
        self._progress = Tail(folder / attempts.PROGRESS)
        self._events: Tail | None = None
        self._step = self._play = self._host = ""
        self._now: TaskLine | None = None
        self._done = 0
        self._counter = 0
        self._last: deque[TaskLine] = deque(maxlen=LAST_TASKS)
        self._troubles: dict[str, tuple[int, Trouble]] = {}
        self._healed: dict[str, int] = {}
        self._expected: frozenset[str] = frozenset()
        self._seen: set[str] = set()
        self._answered: set[str] = set()
        self._judged: tuple[float, str] = (float("-inf"), "")

    def look(self) -> bool:
        """Read what was added. True: there was something."""
        heard = self._follow_play()
        for line in self._progress.all():
            self._take(line)
            heard = True
        return heard

    @property
    def tasks(self) -> Tasks:
        return Tasks(self._step, self._play, self._now, self._host, self._done, self.usual.tasks,
                     tuple(reversed(self._last)))  # fmt: skip

    @property
    def hosts(self) -> Hosts:
        troubled = [
            trouble
            for host, (counter, trouble) in sorted(self._troubles.items())
            if self._healed.get(host, -1) < counter
        ]
        failed = sum(trouble.kind == "failed" for trouble in troubled)
        total = len(self._expected or self._seen | {trouble.host for trouble in troubled})
        return Hosts(
            total=total,
            ok=max(0, total - len(troubled)),
            failed=failed,
            unreachable=len(troubled) - failed,
            answered=len(self._answered & self._expected if self._expected else self._answered),
            troubled=tuple(troubled[:MOST_TROUBLED]),
        )

    def evidence(self) -> str:
        """What `attempts.judge` says. The whole folder and the process table are read only where no lock is seen."""
        if lock_held(self.folder / attempts.LOCK):
            self._judged = (float("-inf"), "")
            return str(attempts.Judgement.RUNNING)
        now = self._mono()
        if now - self._judged[0] > _LOOK_AGAIN_SECONDS:
            self._judged = (now, str(attempts.judge(attempts.evidence(self.folder))))
        return self._judged[1]

    def in_flight(self, row: AttemptRow) -> InFlight:
        """As `status` shows it."""
        told = tuple(f"{one.host}: {one.task}: {one.message}" for one in self.hosts.troubled[-5:])
        task = self._now.name if self._now else ""
        return InFlight(row.id, row.stage.value, row.number, self.evidence(), task, "", self._step, self.last_at, told)

    # ------------------------------------------------------------ the attempt's own lines

    def _take(self, line: Mapping[str, Any]) -> None:
        kind, at = str(line.get("kind", "")), _text(line.get("at"))
        self.last_at = max(self.last_at, at)
        counter = line.get("counter")
        if isinstance(counter, int):
            if counter <= self._counter:
                self._another_playbook()
            self._counter = counter
        if kind in ("step_start", "step_end", "play_end", "play_start", "task_start", "stats"):
            self._close(at)
        if kind == "step_start":
            self._step, self._play = _text(line.get("step")), ""
        elif kind == "play_start":
            self._play = _text(line.get("play"))
        elif kind == "task_start":
            self._begin(line, at)
        elif kind in _TROUBLE:
            self._trouble(kind, line)

    def _begin(self, line: Mapping[str, Any], at: str) -> None:
        role, name = _text(line.get("role")), _text(line.get("task"))
        self._now = TaskLine(name, role, at, None, self.usual.seconds.get((role, name)))
        self._done += 1
        if line.get("watched") and not self.ponr[0]:
            self.ponr = (at, name)

    def _close(self, at: str) -> None:
        if self._now is None:
            return
        seconds = between(self._now.began, at)
        if seconds is not None and seconds >= _SHORTEST:
            self._last.append(replace(self._now, seconds=round(seconds, 2)))
        self._now = None

    def _trouble(self, kind: str, line: Mapping[str, Any]) -> None:
        host = _text(line.get("host"))
        message = _text(line.get("message"))[:_LONGEST]
        trouble = Trouble(host, "failed" if kind == "host_failed" else "unreachable", _text(line.get("task")), message)
        self._troubles[host] = (self._counter, trouble)

    def _another_playbook(self) -> None:
        """Its counter began anew: another ansible-playbook, in which every host is tried again."""
        self._troubles.clear()
        self._healed.clear()

    # ------------------------------------------------------------ the play's lines, one per host and task

    def _follow_play(self) -> bool:
        folder = self._newest_play()
        if folder is None:
            return False
        if self._events is None or self._events.path.parent != folder:
            self._events = Tail(folder / EVENTS, skip=True)
            self._expected = _expected(folder)
            self._seen, self._answered, self._host = set(), set(), ""
        heard = False
        for line in self._events.lines():
            heard = True
            self._hear(line)
        return heard

    def _newest_play(self) -> Path | None:
        try:
            return max((item for item in (self.folder / attempts.PLAYS).iterdir()), default=None)
        except OSError:
            return None

    def _hear(self, line: Mapping[str, Any]) -> None:
        kind, host = str(line.get("kind", "")), _text(line.get("host"))
        self.last_at = max(self.last_at, _text(line.get("at")))
        if kind == "task_start":
            self._answered.clear()
        elif host and (kind in _HEARD or kind in _TROUBLE):
            self._answered.add(host)
            self._seen.add(host)
            self._host = host
            counter = line.get("counter")
            if kind in _HEARD and isinstance(counter, int):
                self._healed[host] = counter  # it went on after a failure that was rescued


def _expected(folder: Path) -> frozenset[str]:
    play = (read_json(folder / PLAY).document or {}).get("play")
    hosts = play.get("expected_hosts") if isinstance(play, Mapping) else ()
    return frozenset(str(host) for host in hosts) if isinstance(hosts, list) else frozenset()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
