"""Where every API stands right now: what the probe writes once a second, and what a reader makes of it.

A reader believes it only while the probe works; of a probe that is gone or stuck it says that nobody knows.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from upgrader.availability.downtime import downtime
from upgrader.availability.records import PRESENT, Answer, Mark, items, probe_pid, probe_works
from upgrader.durable import read_json
from upgrader.processes import boot_id

STALE = 10.0
"""Seconds after which a probe that says nothing is stuck."""

STARTING = "the probe is starting"

State = Literal["up", "away", "unknown"]


@dataclass(frozen=True, slots=True)
class ApiNow:
    """One API at this moment."""

    api: str
    url: str
    state: State
    since: str
    """UTC, ISO 8601; when that began, as far as is known; empty when it is not."""
    seconds: float
    """Away so far in this run, the outage that goes on included."""
    outages: int
    asked: int
    failed: int
    ms: int
    """How long its last answer took."""
    error: str = ""
    """Kind and words of its last failure."""


@dataclass(frozen=True, slots=True)
class Now:
    """All APIs of a run at this moment."""

    probing: bool
    """A probe works and says something."""
    at: str
    """UTC, ISO 8601; when it was last heard of. Empty: never."""
    words: str
    """Why nobody asks, or what the probe wants people to know; empty when there is nothing to say."""
    apis: tuple[ApiNow, ...]

    @property
    def away(self) -> tuple[str, ...]:
        """Names of those that are away."""
        return tuple(one.api for one in self.apis if one.state == "away")

    def document(self) -> dict[str, Any]:
        return asdict(self)


NEVER = Now(False, "", "no API was asked in this run", ())


def now(folder: Path) -> Now:
    """What can be said now, from a run's records. Quick while a probe works; otherwise the records are added up."""
    said = _read(folder)
    works = probe_works(folder)
    if said is None:
        return _from_records(folder, works=works)
    try:
        fresh = said["boot"] == boot_id() and abs(_clock() - float(said["clock"])) < STALE
        stopped = str(said["stopped"])
        own = said["pid"] == probe_pid(folder)
        apis = tuple(ApiNow(*one) for one in said["apis"])
        at, words = str(said["at"]), str(said["words"])
    except (KeyError, TypeError, ValueError):
        return _from_records(folder, works=works)
    if works and not own:
        return Now(True, at, STARTING, tuple(_unknown(one) for one in apis))
    if works and fresh and not stopped:
        return Now(True, at, words, apis)
    why = stopped or ("the probe says nothing any more" if works else "the probe was ended from outside")
    return Now(False, at, why, tuple(_unknown(one) for one in apis))


def _unknown(one: ApiNow) -> ApiNow:
    return ApiNow(**{**asdict(one), "state": "unknown", "since": ""})


def _from_records(folder: Path, *, works: bool) -> Now:
    found = downtime(folder)
    if not found:
        return Now(True, "", STARTING, ()) if works else NEVER
    apis = tuple(
        ApiNow(one.api, one.url, "unknown", "", one.seconds, len(one.outages), one.asked, one.failed, 0,
               one.outages[-1].error if one.outages else "")
        for one in found
    )  # fmt: skip
    last = max((one.last for one in found if one.last is not None), default=None)
    ended = next((item.words for item in reversed(list(items(folder))) if isinstance(item, Mark)), "")
    return Now(False, _iso(last) if last else "", ended or "the probe was ended from outside", apis)


def document(apis: Iterable[ApiNow], *, boot: str, clock: float, at: float, words: str, stopped: str) -> bytes:
    """What the probe writes into present.json. `stopped`: why it ended, once it has.

    Begins and ends with the same number, for it is overwritten in place: replacing a file once a second costs more than
    all the asking.
    """
    mark = round(clock, 3)
    told: Mapping[str, Any] = {
        "clock": mark, "boot": boot, "pid": os.getpid(), "at": _iso(datetime.fromtimestamp(at, UTC)),
        "words": words, "stopped": stopped,
        "apis": [[getattr(one, name) for name in ApiNow.__slots__] for one in apis], "written": mark,
    }  # fmt: skip
    return json.dumps(told, separators=(",", ":")).encode()


def _read(folder: Path) -> Mapping[str, Any] | None:
    """present.json as it is; None where there is none, or it was being written every time."""
    for _ in range(5):
        said = read_json(folder / PRESENT).document
        if said is None and not (folder / PRESENT).exists():
            return None
        if said is not None and said.get("clock") == said.get("written"):
            return said
        time.sleep(0.005)
    return None


def state_of(answer: Answer | None) -> State:
    if answer is None or answer.up is None:
        return "unknown"
    return "up" if answer.up else "away"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
