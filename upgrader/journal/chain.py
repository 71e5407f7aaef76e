"""The hash chain over the events, and the second file that pins its head.

Every event's hash covers the one before, so nothing can be changed, taken out or put in between unnoticed. The
chain alone cannot show a cut tail; therefore `audit.log` holds two lines for each commit: `~ seq hash` before it
(fsynced) and `= seq hash` after it. An event without a line was not written here, a `=` line without its event was
cut off. Somebody with root rights can rewrite both files; an anchor outside the machine is the operator's to set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.journal.errors import JournalError
from upgrader.journal.rows import EventRow

GENESIS = "0" * 64
"""`prev` of the first event."""

_LINE = re.compile(r"([~=]) ([0-9]+) ([0-9a-f]{64})")


def canonical(document: Any) -> bytes:
    """The byte form that hashes are taken of; the same as `model.canonical`, without the price of importing it."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(document: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


def event_hash(event: EventRow) -> str:
    """Hash of an event: over the hash before it and everything the event says."""
    body = {
        "seq": event.seq,
        "txn": event.txn,
        "at": event.at,
        "mono": event.mono,
        "boot": event.boot,
        "epoch": event.epoch,
        "run": event.run,
        "hop": event.hop,
        "attempt": event.attempt,
        "kind": event.kind,
        "data": event.data,
    }
    return hashlib.sha256(event.prev.encode() + canonical(body)).hexdigest()


def new_id() -> str:
    """A fresh random uuid."""
    import uuid  # reading needs none, and `status` would pay for it

    return str(uuid.uuid4())


class AuditFile:
    """`audit.log` beside the journal: which heads were about to be committed, and which were."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync

    def promise(self, seq: int, head: str) -> None:
        """Before the commit. Raises OSError; then the commit must not happen."""
        durable.append_line(self.path, f"~ {seq} {head}", fsync=self._fsync)

    def keep(self, seq: int, head: str) -> None:
        """After the commit; it becomes safe against a loss of power with the next promise."""
        durable.append_line(self.path, f"= {seq} {head}")

    def settle(self, seq: int, head: str) -> None:
        """Finish what a crash left: close a torn line, and keep a commit whose second line is missing.

        Only a promised head is kept: events that were put in by somebody else stay without a line. Raises
        JournalError when the last kept commit is not in the journal, whose last event is `seq` with hash `head`.
        """
        lines = set(self.lines())
        last = self.last_kept()
        if last[0] > seq or (last[0] == seq and last[1] != head):
            raise JournalError(
                f"the journal ends at event {seq}, but audit.log knows event {last[0]}: an older copy was put back, "
                "or its end was cut off",
                cloud="not what this journal says; nothing was changed now",
                next_command="put back the journal that belongs to audit.log; upgrader history --verify",
                reason="journal-cut",
            )
        if self._torn():
            durable.append_line(self.path, "")
        if ("~", seq, head) in lines and ("=", seq, head) not in lines:
            self.keep(seq, head)

    def last_kept(self) -> tuple[int, str]:
        """(seq, hash) of the last commit that is known to have been in the journal; (0, "") when there is none."""
        return max((line[1:] for line in self.lines() if line[0] == "="), default=(0, ""))

    def refuse_lost(self) -> None:
        """Where there is no journal, or an empty file: raise JournalError when there was one."""
        seq, _ = self.last_kept()
        if seq:
            raise JournalError(
                f"the journal beside {self.path} is gone or empty, but {self.path.name} knows {seq} events of it",
                cloud="not known from here; nothing was changed now",
                next_command="put back the journal that belongs to audit.log; upgrader history --verify",
                reason="journal-lost",
            )

    def lines(self) -> Iterator[tuple[str, int, str]]:
        """(mark, seq, hash) of every whole line; the others are skipped, `faults` speaks about them."""
        for text in self._texts():
            parsed = _parse(text)
            if parsed:
                yield parsed

    def faults(self, commits: Iterable[tuple[int, str]]) -> Iterator[str]:
        """What does not fit between the file and the commits (seq and hash of each commit's last event) there are."""
        if not self.path.exists():
            yield "audit.log is missing"
            return
        lines = set()
        for number, text in enumerate(self._texts(), start=1):
            parsed = _parse(text)
            if parsed:
                lines.add(parsed)
            elif text and not _cut(text):  # a crash leaves a line without its end, that alone is no fault
                yield f"audit.log line {number} is damaged"
        there = dict(commits)
        for seq, head in there.items():
            if ("~", seq, head) not in lines:
                yield f"event {seq}: audit.log does not know this commit"
        for mark, seq, head in sorted(lines, key=lambda line: line[1]):
            if mark == "=" and there.get(seq) != head:
                yield f"event {seq}: audit.log holds a commit that is not in the journal"

    def _texts(self) -> list[str]:
        try:
            return self.path.read_bytes().decode("utf-8", "replace").split("\n")
        except FileNotFoundError:
            return []

    def _torn(self) -> bool:
        try:
            with self.path.open("rb") as stream:
                if stream.seek(0, 2) == 0:
                    return False
                stream.seek(-1, 2)
                return stream.read() != b"\n"
        except FileNotFoundError:
            return False


def _parse(text: str) -> tuple[str, int, str] | None:
    found = _LINE.fullmatch(text)
    return (found[1], int(found[2]), found[3]) if found else None


def _cut(text: str) -> bool:
    """Whether this is the beginning of a line, as a crash in the middle of writing it leaves it."""
    mark, _, rest = text.partition(" ")
    number, _, head = rest.partition(" ")
    return mark in ("~", "=") and (not number or number.isdecimal()) and not set(head) - set("0123456789abcdef")
