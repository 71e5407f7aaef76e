"""What was told, to whom, and what became of it: one file that every attempt is noted in before it is made.

    <state_dir>/notices/sent.jsonl
      {"id": …, "event": …, "to": [names], "notice": {…}}    it is to be told, to these and no others
      {"id": …, "name": …, "try": 1, "state": "trying"}      written before anything goes out
      {"id": …, "name": …, "try": 1, "state": "sent"}        or "failed", with "why"
      {"trouble": …}                                        why nothing can be told at all

Names only, never an address. `trying` without an end, and nobody at it any more: it may have gone out, so it is not
sent again ("unknown"); whoever is told twice stops reading.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upgrader.durable import append_line, make_dir
from upgrader.notices.notice import Notice

FOLDER = "notices"
FILE = "sent.jsonl"
TRIES = 2
"""A failure is tried once more."""
TOO_OLD = 86400.0
"""Seconds after which what was not sent is no news any more."""


@dataclass(slots=True)
class Delivery:
    """One notice on its way to one address."""

    name: str
    tries: int = 0
    state: str = "open"
    """open, trying, sent, failed (to be tried again), given up, unknown."""
    why: str = ""
    at: str = ""


@dataclass(slots=True)
class Entry:
    """One notice and its deliveries."""

    notice: Notice
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return all(one.state in ("sent", "given up", "unknown") for one in self.deliveries.values())


class Ledger:
    """The file, read on with every look. Several processes append; each line is one write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        self.troubles: list[tuple[str, str]] = []
        """(when, words), the newest last."""
        self._offset = 0

    @classmethod
    def of(cls, state_dir: Path) -> Ledger:
        """The ledger of a site, read. Nothing is made."""
        ledger = cls(state_dir / FOLDER / FILE)
        ledger.read()
        return ledger

    # ------------------------------------------------------------ writing

    def open(self, notice: Notice, names: Iterable[str]) -> None:
        """Note that this is to be told to these. Once noted, a kill loses nothing and repeats nothing."""
        make_dir(self.path.parent, exist_ok=True)
        line = {"id": notice.id, "at": _now(), "to": list(names), "notice": notice.document()}
        append_line(self.path, line, fsync=True)
        self.read()

    def note(self, id_: str, name: str, number: int, state: str, why: str = "") -> None:
        """Note an attempt at one address: before it (`trying`), and how it ended (`sent`, `failed`)."""
        line = {"id": id_, "at": _now(), "name": name, "try": number, "state": state}
        append_line(self.path, {**line, **({"why": why} if why else {})}, fsync=True)

    def trouble(self, words: str) -> None:
        """Note why nothing can be told; nothing when that is the last that was noted."""
        self.read()
        if not self.troubles or self.troubles[-1][1] != words:
            make_dir(self.path.parent, exist_ok=True)
            append_line(self.path, {"at": _now(), "trouble": words})
            self.read()

    # ------------------------------------------------------------ reading

    def read(self) -> None:
        """Take in what was added. A torn line is passed over."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        whole, end, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(end)
        for line in whole.split(b"\n") if end else ():
            try:
                document = json.loads(line)
                self._take(document)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue

    def _take(self, line: Mapping[str, Any]) -> None:
        if "trouble" in line:
            self.troubles.append((str(line["at"]), str(line["trouble"])))
        elif "to" in line:
            if line["id"] not in self.entries:
                names = [str(name) for name in line["to"]]
                entry = Entry(Notice.of(line["notice"]), {name: Delivery(name, at=str(line["at"])) for name in names})
                self.entries[str(line["id"])] = entry
        else:
            delivery = self.entries[line["id"]].deliveries[line["name"]]
            delivery.tries, delivery.at = int(line["try"]), str(line["at"])
            delivery.state, delivery.why = str(line["state"]), str(line.get("why", ""))
            if delivery.state == "failed" and delivery.tries >= TRIES:
                delivery.state = "given up"

    def due(self, id_: str, now: datetime, *, retry_after: float, lost_after: float) -> tuple[Delivery, ...]:
        """Deliveries of a notice that are to be tried now, and nobody is at them. Seconds.

        What should have gone out a day ago goes out no more.

        One that was begun `lost_after` ago and never ended is noted as `unknown`.
        """
        found = []
        for one in self.entries[id_].deliveries.values():
            age = (now - _moment(one.at, now)).total_seconds()
            if one.state in ("open", "failed") and age > TOO_OLD:
                self.note(id_, one.name, one.tries, "unknown", "nobody was there to send it for a day")
                one.state = "unknown"
            elif one.state == "open" or (one.state == "failed" and not 0 <= age < retry_after):
                found.append(one)
            elif one.state == "trying" and not 0 <= age < lost_after:
                self.note(id_, one.name, one.tries, "unknown", "its process was ended; it may have gone out")
                one.state = "unknown"
        return tuple(found)

    def counts(self) -> dict[str, int]:
        """Deliveries by what became of them; all that are on their way are `pending`."""
        counted = Counter(
            {"sent": "sent", "given up": "failed", "unknown": "unknown"}.get(one.state, "pending")
            for entry in self.entries.values()
            for one in entry.deliveries.values()
        )
        return {name: counted[name] for name in ("sent", "failed", "unknown", "pending")}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _moment(text: str, otherwise: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return otherwise
