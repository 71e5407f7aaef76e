"""One thread looks at the run; everybody who reads gets the same bytes. Nobody reads: it does not look either."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from upgrader.errors import UpgraderError
from upgrader.watch.model import Watched

INTERVAL = 1.0
"""Seconds between two looks while somebody reads."""
BEAT = 5.0
"""Seconds after which readers are told that there is nothing new, so that they can tell it from a lost line."""
FRESH = 2.5
"""Seconds for which a look can be answered from."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One look, ready to be sent. `number` grows by one whenever anything differs from the look before."""

    number: int
    boot: str
    """Differs for every start of the server: its numbers mean nothing after a restart."""
    seen: Watched
    document: dict[str, Any]
    looked: float
    """Monotonic."""
    part: bytes = b""
    """What differs from the frame before, as a server-sent event; empty when nothing does."""

    @property
    def id(self) -> str:
        return f"{self.boot}-{self.number}"

    def whole(self) -> bytes:
        """The whole document as a server-sent event."""
        return event("all", self.document, self.id)

    def beat(self) -> bytes:
        return event("beat", {"at": self.document["at"]}, self.id)


def event(kind: str, data: dict[str, Any], ident: str) -> bytes:
    """One server-sent event. JSON has no line breaks of its own, so it fits one `data:` line."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return f"event: {kind}\nid: {ident}\ndata: {text}\n\n".encode("ascii")


def following(before: Frame | None, seen: Watched, boot: str, looked: float) -> Frame:
    """The frame after `before`: what differs in it, part by part."""
    document = seen.document()
    if before is None:
        return Frame(1, boot, seen, document, looked)
    parts = {name: value for name, value in document.items() if name != "at" and value != before.document.get(name)}
    if not parts:
        return Frame(before.number, boot, seen, document, looked)
    number = before.number + 1
    told = event("part", {"at": document["at"], **parts}, f"{boot}-{number}")
    return Frame(number, boot, seen, document, looked, told)


class Feed:
    """Looks while it is wanted. `told` is called in the looking thread after every look: it has to return at once."""

    def __init__(self, look: Callable[[], Watched], told: Callable[[], object], *, interval: float = INTERVAL) -> None:
        self._look, self._told, self._interval = look, told, interval
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="look", daemon=True)
        self._boot = secrets.token_hex(4)
        self.frame: Frame | None = None
        """The last look; replaced as a whole."""

    def start(self) -> None:
        self._thread.start()

    def want(self, wanted: bool = True) -> None:
        """Somebody reads, or nobody does any more."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    def stop(self) -> None:
        self._over.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def fresh(self) -> Frame | None:
        """The last look, if it is not older than FRESH; else a new one is asked for, and None."""
        frame = self.frame
        if frame is not None and time.monotonic() - frame.looked < FRESH + self._interval:
            return frame
        self.want()
        return None

    def step(self) -> None:
        """Look once, now. A first look that fails is told as a trouble too, once there was one that did not."""
        try:
            seen = self._look()
        except (UpgraderError, OSError):
            return  # the next look may do better; readers see that nothing comes
        self.frame = following(self.frame, seen, self._boot, time.monotonic())
        self._told()

    def _run(self) -> None:
        while not self._over.is_set():
            self._wanted.wait()
            if self._over.is_set():
                return
            began = time.monotonic()
            self.step()
            self._over.wait(max(0.05, self._interval - (time.monotonic() - began)))
