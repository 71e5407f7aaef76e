"""Which task an outage fell into, out of the attempts' own lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from upgrader.availability.downtime import Outage
from upgrader.availability.work import attempt_folders, during, timeline


def at(second: float) -> str:
    return datetime.fromtimestamp(1_800_000_000 + second, UTC).isoformat(timespec="milliseconds")


def moment(second: float) -> datetime:
    return datetime.fromtimestamp(1_800_000_000 + second, UTC)


def outage(began: float, ended: float | None, seconds: float = 0.0) -> Outage:
    return Outage("nova", moment(began), None if ended is None else moment(ended), seconds, 0, 0, 1, "refused")


def attempt(state: Path, name: str, stage: str, lines: list[dict[str, Any]], *, run: str = "r", end: float = 0) -> Path:
    folder = state / "attempts" / name
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"run": run, "stage": stage, "hop": 0, "attempt": name}))
    (folder / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    if end:
        (folder / "exit.json").write_text(json.dumps({"ended_at": at(end)}))
    return folder


LINES: list[dict[str, Any]] = [
    {"at": at(0), "kind": "step_start", "step": "upgrade services"},
    {"at": at(2), "kind": "play_start", "play": "Apply role nova"},
    {"at": at(3), "kind": "task_start", "task": "Checking", "role": "nova", "play": "Apply role nova"},
    {"at": "nonsense", "kind": "task_start", "task": "Passed over"},
    {"at": at(5), "kind": "host_failed", "task": "Checking"},
    {"at": at(10), "kind": "task_start", "task": "nova : Restart nova-api", "role": "nova"},
    {"at": at(20), "kind": "play_end"},
    {"at": at(22), "kind": "step_end", "step": "upgrade services"},
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    attempt(tmp_path, "a", "upgrade", LINES, end=25)
    attempt(tmp_path, "b", "verify", [{"at": at(30), "kind": "step_start", "step": "verify"}], end=40)
    attempt(tmp_path, "c", "upgrade", LINES, run="another")
    (tmp_path / "attempts" / "broken").mkdir()
    return tmp_path


def test_the_timeline(state: Path) -> None:
    works = timeline(attempt_folders(state, "r"))
    assert [(str(work), work.stage, work.began, work.ended) for work in works] == [
        ("upgrade services", "upgrade", moment(0), moment(2)),
        ("upgrade services", "upgrade", moment(2), moment(3)),
        ("nova : Checking", "upgrade", moment(3), moment(10)),
        ("nova : Restart nova-api", "upgrade", moment(10), moment(20)),
        ("upgrade services", "upgrade", moment(20), moment(22)),
        ("verify", "verify", moment(30), moment(40)),
    ]


def test_an_outage_is_shared_out(state: Path) -> None:
    works = timeline(attempt_folders(state, "r"))
    shares = during(outage(9, 21), works)
    assert [(str(share.work), share.seconds) for share in shares] == [
        ("nova : Checking", 1.0), ("nova : Restart nova-api", 10.0), ("upgrade services", 1.0),
    ]  # fmt: skip
    assert [str(share.work) for share in during(outage(12, 12), works)] == ["nova : Restart nova-api"]
    assert during(outage(50, 60), works) == ()
    assert [share.seconds for share in during(outage(35, None, 100), works)] == [5.0]
    assert [share.seconds for share in during(outage(35, None), works, until=moment(37))] == [2.0]


def test_nothing_there(tmp_path: Path) -> None:
    assert attempt_folders(tmp_path, "r") == () and timeline(()) == ()
    assert timeline([tmp_path]) == ()
