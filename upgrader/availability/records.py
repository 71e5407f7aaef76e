"""The records of a probe: append-only text files, one short line per answer, that a crash may cut anywhere.

    <state_dir>/availability/<run id>/
      answers-0001.log      one file per start of a probe and per few megabytes; older ones are packed (.log.gz)
      present.json          where every API stands right now, overwritten every second, never made durable
      endpoints.json        what was asked last (see upgrader.outside)
      probe.lock            locked for as long as a probe works on this folder

A line is one of
    # {…}                            what is asked from here on: APIs in order, interval, this boot, the two clocks
    81250 3 12                       asked 81.250 s after the header's clock: API 3 answered within 12 ms, status 200
    81250 3 12 +300                  the same with another status that counts as an answer
    81250 3 5000 -timeout words      away, and how
    81250 3 0 ?names words           could not be asked, for a reason of this machine: neither up nor away
    ! {…}                            the clocks again after a step of the wall clock; a note; the end

Times come from CLOCK_BOOTTIME, which no one sets and which goes on while the machine sleeps. Whatever is not one of
these lines (a torn one) is passed over.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from upgrader.durable import locked

FOLDER = "availability"
_SIGNS = {"+": True, "-": False, "?": None}
LOCK = "probe.lock"
PRESENT = "present.json"
_SEGMENT = re.compile(r"^answers-(\d{4,})\.log(\.gz)?$")
_RUN = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$")


class Api(NamedTuple):
    """One thing that is asked."""

    name: str
    url: str
    every: float
    """Seconds between two questions while it is up."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment's answers are about, and when its clocks were read."""

    boot: str
    at: float
    """Wall clock, seconds since 1970."""
    clock: float
    """CLOCK_BOOTTIME in seconds, read at the same moment."""
    timeout: float
    apis: tuple[Api, ...]

    def line(self) -> str:
        apis = [[api.name, api.url, api.every] for api in self.apis]
        document = {"v": 1, "boot": self.boot, "at": round(self.at, 3), "clock": round(self.clock, 3)}
        return f"# {json.dumps({**document, 'timeout': self.timeout, 'apis': apis}, separators=(',', ':'))}\n"


class Mark(NamedTuple):
    """Something besides answers. `clock`: the wall clock was set; `rest`, `stop`: the probe's end, and why."""

    kind: str
    clock: float
    at: float
    words: str

    def line(self) -> str:
        document = {"kind": self.kind, "clock": round(self.clock, 3), "at": round(self.at, 3), "words": self.words}
        return f"! {json.dumps(document, separators=(',', ':'))}\n"


class Answer(NamedTuple):
    """One question and what became of it. Times in seconds of CLOCK_BOOTTIME."""

    api: int
    asked: float
    answered: float
    up: bool | None
    """None: it could not be asked, for a reason of this machine."""
    words: str = ""
    """Status where it was not 200; kind of trouble and words where there was one."""


Item = Header | Mark | Answer


def answer_line(answer: Answer, base: float) -> str:
    """The line of an answer in a segment whose header has clock `base`."""
    asked = round((answer.asked - base) * 1000)
    took = max(0, round((answer.answered - answer.asked) * 1000))
    if answer.up and not answer.words:
        return f"{asked} {answer.api} {took}\n"
    sign = "+" if answer.up else "?" if answer.up is None else "-"
    words = " ".join(answer.words.split())[:200]
    return f"{asked} {answer.api} {took} {sign}{words}\n"


def folder_of(state_dir: Path, run: str) -> Path:
    """Where the records of a run are, or will be. Raises ValueError when `run` is no name: it is part of a path."""
    if not _RUN.match(run):
        raise ValueError(f"not the name of a run: {run!r}")
    return state_dir / FOLDER / run


def segments(folder: Path) -> list[Path]:
    """The files with answers, oldest first; of one that was being packed when the probe died, the plain one."""
    found: dict[int, Path] = {}
    if not folder.is_dir():
        return []
    for path in folder.iterdir():
        if (match := _SEGMENT.match(path.name)) and not (match[2] and int(match[1]) in found):
            found[int(match[1])] = path
    return [found[number] for number in sorted(found)]


def number_of(segment: Path) -> int:
    match = _SEGMENT.match(segment.name)
    return int(match[1]) if match else 0


def items(folder: Path) -> Iterator[Item]:
    """Everything recorded, in the order it was written. Damage is passed over; OSError only for a disk that fails."""
    for segment in segments(folder):
        yield from _of_segment(segment)


def _of_segment(segment: Path) -> Iterator[Item]:
    base: float | None = None
    known = 0
    for line in _lines(segment):
        item = _item(line, base, known)
        if isinstance(item, Header):
            base, known = item.clock, len(item.apis)
        if item is not None:
            yield item


def _lines(segment: Path) -> Iterator[str]:
    with gzip.open(segment, "rb") if segment.suffix == ".gz" else segment.open("rb") as stream:
        try:
            for line in stream:
                if line.endswith(b"\n"):
                    yield line.decode("utf-8", "replace")
        except (EOFError, gzip.BadGzipFile):
            return


def _item(line: str, base: float | None, known: int) -> Item | None:
    try:
        if base is not None and line[0].isdigit():
            return _answer(line, base, known)
        if line[0] == "#":
            return _header(json.loads(line[2:]))
        if line[0] == "!":
            said = json.loads(line[2:])
            return Mark(str(said["kind"]), float(said["clock"]), float(said["at"]), str(said["words"]))
    except (ValueError, KeyError, IndexError, TypeError):
        pass
    return None


def _answer(line: str, base: float, known: int) -> Answer | None:
    parts = line.split(None, 3)
    asked = base + int(parts[0]) / 1000
    api = int(parts[1])
    if not 0 <= api < known:
        return None
    answered = asked + int(parts[2]) / 1000
    if len(parts) == 3:
        return Answer(api, asked, answered, True)
    words = parts[3].rstrip()
    return Answer(api, asked, answered, _SIGNS[words[0]], words[1:])


def _header(said: dict[str, Any]) -> Header:
    apis = tuple(Api(str(name), str(url), float(every)) for name, url, every in said["apis"])
    return Header(str(said["boot"]), float(said["at"]), float(said["clock"]), float(said["timeout"]), apis)


def probe_pid(folder: Path) -> int:
    """Process that took the lock last; 0 where none did."""
    try:
        return int((folder / LOCK).read_bytes() or b"0")
    except (OSError, ValueError):
        return 0


def probe_works(folder: Path) -> bool:
    """Whether a probe works on this folder now. Asks for its lock for an instant; a probe that starts waits longer."""
    try:
        return locked(folder / LOCK)
    except OSError:  # also for who may not even read
        return False
