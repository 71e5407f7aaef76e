"""Ansible's events, one by one: turned into ours, stripped of secrets, written down, and added up to a result.

Matching (hosts, watched and collected tasks) is done on the raw names; only what leaves here is redacted.
"""

from __future__ import annotations

import json
import mmap
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.progress.kept import keep
from upgrader.progress.tally import Tally
from upgrader.redact import Redactor
from upgrader.runner.base import EventKind, HostTrouble, Play, PlayResult, PlayStatus, TaskEvent

EVENTS = "events.jsonl"
OUTPUT = "output.log"
RESULT = "result.json"
LONGEST_MESSAGE = 2000
"""Characters of a host's words that are kept; the whole is in output.log."""

_KINDS: dict[str, EventKind] = {
    "playbook_on_play_start": "play_start",
    "playbook_on_task_start": "task_start",
    "runner_on_ok": "host_ok",
    "runner_on_failed": "host_failed",
    "runner_on_unreachable": "host_unreachable",
    "runner_on_skipped": "host_skipped",
    "playbook_on_no_hosts_matched": "no_hosts",
    "playbook_on_stats": "stats",
}
_STATS = ("ok", "changed", "failures", "dark", "processed", "skipped", "rescued", "ignored")
_LASTING = frozenset({"host_failed", "host_unreachable", "no_hosts", "stats"})
_KEEP_SECONDS = 1.0
_CSI = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|.)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


def visible(text: str) -> str:
    """The text with terminal codes dropped and other control characters shown as `\\x..`."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", _CSI.sub("", text.replace("\r\n", "\n")))


def words(result: Mapping[str, Any]) -> str:
    """What a task's result says about its trouble: its message, and the end of what the command printed."""
    parts = [str(result[key]).strip() for key in ("censored", "msg", "reason") if result.get(key)]
    for item in result.get("results") or ():
        if isinstance(item, Mapping) and (item.get("failed") or item.get("unreachable")):
            label = item.get("_ansible_item_label", item.get("item", ""))
            parts.append(f"{label}: {words(item)}" if label else words(item))
    if not result.get("results"):
        for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
            if result.get(key):
                parts.append("\n".join(str(result[key]).strip().splitlines()[-5:]))
                break
    return "\n".join(part for part in dict.fromkeys(parts) if part)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


class Account:
    """Adds up the events of one play. `take` never raises: an error in a handler would end the play half way."""

    def __init__(self, play: Play, folder: Path, redactor: Redactor) -> None:
        self._play = play
        self._folder = folder
        self._redactor = redactor
        self._watch = [re.compile(pattern) for pattern in play.watch]
        self._counter = 0
        self._current_watched = False
        self._stats: dict[str, dict[str, int]] | None = None
        self._last_trouble: dict[tuple[str, str], HostTrouble] = {}
        self._watched: list[str] = []
        self._collected: dict[str, dict[str, Any]] = {}
        self._errors: list[str] = []
        self._tally = Tally()
        self._kept_at = float("-inf")
        self.faults: list[str] = []
        """Our own troubles while listening; the play went on."""

    def take(self, raw: Mapping[str, Any]) -> None:
        """Digest one event as ansible-runner hands it over."""
        try:
            self._log(raw)
            self._digest(raw)
        except Exception as error:
            fault = self._redactor.text(f"{type(error).__name__}: {error}")
            if len(self.faults) < 5 and fault not in self.faults:
                self.faults.append(fault)

    def _log(self, raw: Mapping[str, Any]) -> None:
        text = raw.get("stdout")
        if not text:
            return
        shown = visible(self._redactor.text(text))
        if raw.get("event") in {"error", "verbose"} and "ERROR" in shown:
            self._errors.append(shown)
        for line in shown.splitlines():
            durable.append_line(self._folder / OUTPUT, line)

    def _digest(self, raw: Mapping[str, Any]) -> None:
        kind = _KINDS.get(str(raw.get("event")))
        if kind is None:
            return
        data: Mapping[str, Any] = raw.get("event_data") or {}
        result = data.get("res") if isinstance(data.get("res"), Mapping) else {}
        assert isinstance(result, Mapping)  # noqa: S101 - for the type checker
        task = _text(data.get("task"))
        host = _text(data.get("host"))
        message = ""
        if kind == "task_start":
            self._current_watched = any(
                pattern.search(name) for pattern in self._watch for name in (task, _text(data.get("name")))
            )
            if self._current_watched:
                self._watched.append(self._redactor.text(task))
        elif kind == "host_ok" and result.get("changed"):
            kind = "host_changed"
        elif kind == "host_failed":
            kind = "host_ignored" if data.get("ignore_errors") else kind
            message = self._message(result)
        elif kind == "host_unreachable":
            message = self._message(result)
        elif kind == "stats":
            self._stats = {
                name: {str(key): int(count) for key, count in dict(data.get(name) or {}).items()} for name in _STATS
            }
        if kind in {"host_failed", "host_unreachable"}:
            trouble = HostTrouble(host, self._redactor.text(task), message)
            self._last_trouble[kind, host] = trouble
        if host and task in self._play.collect and kind != "task_start":
            kept = {key: value for key, value in result.items() if key != "invocation"}
            if data.get("end"):
                kept["heard_at"] = _text(data["end"])  # this machine's time, UTC: what a host's clock is held against
            self._collected.setdefault(task, {})[host] = self._redactor.value(kept)
        stopped = kind in {"host_failed", "host_unreachable"}
        event = TaskEvent(
            counter=self._counter + 1,
            kind=kind,
            play=self._redactor.text(_text(data.get("play") or (data.get("name") if kind == "play_start" else ""))),
            role=_text(data.get("role")),
            task=self._redactor.text(task),
            host=host if host in self._play.expected_hosts else self._redactor.text(host),
            message=message,
            at=_text(raw.get("created")) or now(),
            watched=self._current_watched and kind == "task_start",
            module=self._redactor.text(_text(data.get("task_action"))) if stopped else "",
            path=self._redactor.text(_text(data.get("task_path"))) if stopped else "",
        )
        self._write(event)

    def _message(self, result: Mapping[str, Any]) -> str:
        # redacted before it is cut: half a secret would not be recognised any more
        text = visible(self._redactor.text(words(result)))
        return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + " …"

    def _write(self, event: TaskEvent) -> None:
        self._counter = event.counter
        document = {key: value for key, value in event.document().items() if value not in ("", False)}
        if event.kind == "stats":
            document["stats"] = self._stats
        durable.append_line(self._folder / EVENTS, document, fsync=event.watched or event.kind in _LASTING)
        if self._tally.take(event.kind, event.play, event.role, event.task, event.host) and self._tally.roles:
            self._keep(patient=event.kind in {"host_failed", "host_unreachable"})

    def _keep(self, *, patient: bool) -> None:
        """Write down which services are done where; a thousand hosts that fail at once are one write."""
        if patient and time.monotonic() - self._kept_at < _KEEP_SECONDS:
            return
        with suppress(OSError):  # it repeats what the events say
            keep(self._folder, self._tally)
        self._kept_at = time.monotonic()

    def result(self, status: PlayStatus, rc: int | None, seconds: float, *, error: str = "") -> PlayResult:
        """The play's result from all that was heard."""
        if self._tally.roles:
            self._keep(patient=False)
        if not error and self._stats is None and status != "canceled":
            error = " ".join("\n".join(self._errors[:6]).split())
        troubles = tuple(self._last_trouble.values())
        summary = PlayResult(
            name=self._play.name,
            status=status,
            rc=rc,
            watched=tuple(self._watched),
            collected=self._collected,
            seconds=round(seconds, 3),
            error="; ".join([*filter(None, [error]), *(f"while listening: {fault}" for fault in self.faults)]),
        )
        return with_stats(summary, self._play.expected_hosts, self._stats, troubles)


def with_stats(
    result: PlayResult,
    expected: Iterable[str],
    stats: Mapping[str, Mapping[str, int]] | None,
    troubles: tuple[HostTrouble, ...] = (),
) -> PlayResult:
    """Fill in hosts and troubles. Ansible's closing account decides who failed: it leaves out ignored and rescued
    failures. Without one, every failure that was heard of counts."""
    if stats is None:
        return replace(result, failed=troubles, missing=tuple(expected))
    seen = set(stats["processed"])
    told = {trouble.host: trouble for trouble in troubles}

    def trouble_of(host: str) -> HostTrouble:
        return told.get(host, HostTrouble(host))

    return replace(
        result,
        stats=stats,
        hosts_seen=tuple(sorted(seen)),
        failed=tuple(trouble_of(host) for host in sorted(stats["failures"])),
        unreachable=tuple(trouble_of(host) for host in sorted(stats["dark"])),
        missing=tuple(host for host in expected if host not in seen),
    )


def now() -> str:
    """UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read(folder: Path, offset: int = 0) -> tuple[list[tuple[TaskEvent, dict[str, Any]]], int]:
    """Events of a play's folder from byte `offset` on, each with its raw line, and where to go on next time.

    A last line without its end is left for the next time; a line that is not JSON is passed over.
    """
    try:
        with (folder / EVENTS).open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rpartition(b"\n")[0]
    if not whole:
        return [], offset
    events = [found for line in whole.split(b"\n") if (found := _decoded(line)) is not None]
    return events, offset + len(whole) + 1


_TELLING = (b'"stats"', b'"host_failed"', b'"host_unreachable"', b'"watched"')


def _telling(folder: Path) -> Iterator[tuple[TaskEvent, dict[str, Any]]]:
    """The events that say how a play went, in order. Of a million lines of a large cloud only these are decoded."""
    try:
        with (folder / EVENTS).open("rb") as stream:
            if not stream.seek(0, 2):
                return
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                lines = {found for word in _TELLING for found in _lines_with(data, word)}
                chosen = [data[first:last] for first, last in sorted(lines)]
    except FileNotFoundError:
        return
    for line in chosen:
        found = _decoded(line)
        if found is not None:
            yield found


def _lines_with(data: mmap.mmap, word: bytes) -> Iterator[tuple[int, int]]:
    """Where whole lines begin and end that hold the word."""
    place = data.find(word)
    while place >= 0:
        last = data.find(b"\n", place)
        if last < 0:
            return  # a line without its end
        yield data.rfind(b"\n", 0, place) + 1, last
        place = data.find(word, last)


def _decoded(line: bytes) -> tuple[TaskEvent, dict[str, Any]] | None:
    try:
        document = json.loads(line)
        return TaskEvent(**{key: value for key, value in document.items() if key != "stats"}), document
    except (ValueError, TypeError, AttributeError):
        return None


def reconstruct(play: Play, folder: Path, *, error: str = "") -> PlayResult:
    """What can be told of a play whose process left no result: never a success, but its account if it got there."""
    events = tuple(_telling(folder))
    stats = next((document["stats"] for event, document in events if event.kind == "stats"), None)
    troubles = {
        (event.kind, event.host): HostTrouble(event.host, event.task, event.message)
        for event, _ in events
        if event.kind in {"host_failed", "host_unreachable"}
    }
    watched = tuple(event.task for event, _ in events if event.watched)
    lost = PlayResult(play.name, "lost", None, watched=watched, error=error)
    return with_stats(lost, play.expected_hosts, stats, tuple(troubles.values()))
