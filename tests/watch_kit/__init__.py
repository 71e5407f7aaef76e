"""A run in a real journal with an attempt whose files grow line by line, as its supervisor would leave them."""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.engine_kit.place import site_of
from tests.journal_kit import FAST, HOPS, entered, plan, walk_to
from upgrader.availability.present import ApiNow, document
from upgrader.availability.present import State as ApiState
from upgrader.availability.records import LOCK, PRESENT, folder_of
from upgrader.journal import Journal
from upgrader.journal.chain import digest
from upgrader.processes import boot_id
from upgrader.states import AttemptState, Event, Ponr, State

BEGAN = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
PLAN = {
    "hops": [
        {
            "from": source, "to": target, "ponr": "the first schema change of neutron", "stages": [], "by_hand": [
                {"id": "ovn-restart", "title": "Watch the gateways", "when": "during", "applies": "yes"},
                {"id": "elsewhere", "title": "Not on this cloud", "when": "during", "applies": "no"},
            ],
            "way_back": [{"service": "neutron", "way": "restore", "enabled": True, "changes_schema": True}],
        }
        for source, target in HOPS
    ],
    "findings": [
        {"id": "old-computes", "hop": "2024.1→2024.2", "code": "warning", "message": "cmp07 is old"},
        {"id": "of-the-cloud", "hop": "", "code": "warning", "message": "not of any hop"},
        {"id": "taken", "hop": "", "code": "failure", "message": "a risk", "accepted": ["anna", "known"]},
        {"id": "later", "hop": "2024.2→2025.1", "code": "failure", "message": "of another hop"},
    ],
}  # fmt: skip


class Going:
    """A run of two hops whose first is in `stage`, with one attempt under way."""

    def __init__(self, place: Path, journal: Journal, stage: State, now: datetime) -> None:
        self.site = site_of(place)
        self.journal = journal
        self.stage = stage
        self.now = now
        document = plan(**PLAN)
        self.run = journal.begin_run(document, digest(document), "anna", HOPS, engine_version="0.1")
        journal.begin_hop(0)
        walk_to(journal, stage)
        self.attempt = ""
        self.folder = place
        self._counter = 0
        self._play = place

    def begin(self) -> None:
        """The next attempt of the stage, running."""
        self.attempt = str(uuid.uuid4())
        ponr = Ponr.POSSIBLE if self.stage is State.UPGRADE else None
        self.journal.intend(0, self.stage, attempt=self.attempt, request_sha256="0" * 64, ponr=ponr)
        self.journal.launched(self.attempt, os.getpid())
        self.folder = self.site.state_dir / "attempts" / self.attempt
        self.folder.mkdir(parents=True)
        self._counter = 0
        (self.folder / "started.json").write_text(json.dumps({"attempt": self.attempt, "boot_id": "x"}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Its supervisor lives."""
        with (self.folder / "run.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def step(self, name: str) -> None:
        self.say("step_start", step=name)

    def play(self, *hosts: str, number: int = 1) -> None:
        """A playbook begins on these hosts."""
        self._play = self.folder / "plays" / f"{number:02d}-upgrade"
        self._play.mkdir(parents=True)
        (self._play / "play.json").write_text(json.dumps({"play": {"expected_hosts": list(hosts)}, "ident": "i"}))
        self._counter = 0
        self.event("play_start", play="Apply role neutron")

    def task(self, name: str, *answered: str, role: str = "neutron", seconds: float = 1.0, **more: Any) -> None:
        """A task begins `seconds` after what was before it, and these hosts get through it."""
        self.now += timedelta(seconds=seconds)
        self.event("task_start", task=name, role=role, **more)
        for host in answered:
            self.event("host_ok", task=name, role=role, host=host)

    def event(self, kind: str, **fields: Any) -> None:
        """One of the play's events, as both files have it."""
        self._counter += 1
        line = {"counter": self._counter, "kind": kind, **fields, "at": self.now.isoformat()}
        self._append(self._play / "events.jsonl", line)
        if kind not in ("host_ok", "host_changed", "host_skipped", "host_ignored"):
            self._append(self.folder / "progress.jsonl", line)

    def say(self, kind: str, **fields: Any) -> None:
        self._append(self.folder / "progress.jsonl", {"at": self.now.isoformat(), "kind": kind, **fields})

    def before(self, **tasks: float) -> None:
        """An attempt at the stage that succeeded some time ago, with what its tasks took."""
        folder = self.site.state_dir / "attempts" / str(uuid.uuid4())
        folder.mkdir(parents=True)
        at = self.now - timedelta(days=1)
        for name, seconds in tasks.items():
            line = {"at": at.isoformat(), "kind": "task_start", "role": "neutron", "task": name}
            self._append(folder / "progress.jsonl", line)
            at += timedelta(seconds=seconds)
        self._append(folder / "progress.jsonl", {"at": at.isoformat(), "kind": "stats"})
        record = {"attempt": folder.name, "stage": self.stage.value, "outcome": {"verdict": "succeeded"}}
        (folder / "exit.json").write_text(json.dumps(record))

    def end(self, result: AttemptState = AttemptState.SUCCEEDED, event: Event = Event.SUCCEEDED) -> None:
        """The attempt has its record, and its result in the journal."""
        record = {
            "attempt": self.attempt, "stage": self.stage.value, "outcome": {"verdict": result.value},
            "ended_at": self.now.isoformat(),
        }  # fmt: skip
        (self.folder / "exit.json").write_text(json.dumps(record))
        self.journal.finish(self.attempt, result, event, schema_started=False)

    def _append(self, path: Path, line: dict[str, Any]) -> None:
        with path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")


@contextmanager
def going(place: Path, stage: State = State.UPGRADE, *, now: datetime = BEGAN) -> Iterator[Going]:
    """A place with a run that has come to `stage`; nothing is under way yet."""
    with entered(place / "state", durability=FAST) as journal:
        yield Going(place, journal, stage, now)


@contextmanager
def probing(run: Going, state: ApiState, seconds: float) -> Iterator[None]:
    """A probe that works, and its last word."""
    folder = folder_of(run.site.state_dir, run.run)
    folder.mkdir(parents=True, exist_ok=True)
    clock = time.clock_gettime(time.CLOCK_BOOTTIME)
    since = "2026-11-22T14:00:00.000+00:00"
    apis = (
        ApiNow("keystone", "http://vip:5000", "up", since, 0, 0, 100, 0, 12),
        ApiNow("neutron", "http://vip:9696", state, since, seconds, 1, 100, 8, 0, "refused"),
    )
    said = document(apis, boot=boot_id(), clock=clock, at=time.time(), words="", stopped="")
    (folder / PRESENT).write_bytes(said)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class Clocks:
    """The two clocks of a watcher, moved by hand."""

    def __init__(self, wall: datetime = BEGAN) -> None:
        self.wall, self.mono_ = wall, 1000.0

    def now(self) -> datetime:
        return self.wall

    def mono(self) -> float:
        return self.mono_

    def sleep(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.mono_ += seconds
