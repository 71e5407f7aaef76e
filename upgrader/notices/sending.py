"""What the sending process does: one notice, all its addresses at once, each with its own end, and then it is gone.

The order comes on standard input, addresses and key in it; a line of JSON per address goes to standard output. What
is not through in time is noted as failed and left behind with the process, whatever it hangs in.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrader.durable import failpoint
from upgrader.notices.addresses import Address
from upgrader.notices.ledger import Ledger
from upgrader.notices.notice import Notice, NotSent

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Order:
    """One notice for several addresses. Goes through a pipe and is kept nowhere."""

    notice: Notice
    to: tuple[tuple[Address, int], ...]
    """With the number of the try."""
    timeout: float
    ledger: str = ""
    """File to note every attempt in; empty: none, as for a test."""
    key: str = field(default="", repr=False)
    """Text of the webhook's secret file."""
    key_fault: str = ""
    """Why that cannot be used; what wants a signature is then not sent."""

    def document(self) -> dict[str, Any]:
        to = [[address.name, address.url, number] for address, number in self.to]
        return {
            "notice": self.notice.document(), "to": to, "timeout": self.timeout, "ledger": self.ledger,
            "key": self.key, "key_fault": self.key_fault,
        }  # fmt: skip

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Order:
        to = tuple((Address(name, url), number) for name, url, number in said["to"])
        return cls(Notice.of(said["notice"]), to, said["timeout"], said["ledger"], said["key"], said["key_fault"])


class Round:
    """All addresses of one order, each on a thread of its own."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self.order = order
        self._tell = tell
        self._ledger = Ledger(Path(order.ledger)) if order.ledger else None
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def run(self) -> bool:
        """Send to all. False: the time is up and some thread still hangs, so the process should be left at once."""
        threads = [
            threading.Thread(target=self._one, args=(address, number), daemon=True) for address, number in self.order.to
        ]
        deadline = time.monotonic() + self.order.timeout
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        words = f"no answer within {self.order.timeout:g} s"
        for address, number in self.order.to:
            self._end(address, number, words)
        return not any(thread.is_alive() for thread in threads)

    def _one(self, address: Address, number: int) -> None:
        why = ""
        try:
            if self._ledger is not None:
                self._ledger.note(self.order.notice.id, address.name, number, "trying")
            failpoint("notices.trying")
            self._send(address)
        except NotSent as error:
            why = str(error)
        except Exception as error:  # a defect of ours: without its words, which may quote the address
            why = f"could not be sent ({type(error).__name__})"
        failpoint("notices.sent")
        self._end(address, number, why)

    def _send(self, address: Address) -> None:
        order = self.order
        if address.ours:
            from upgrader.notices.webhook import key_of, post

            if order.key_fault:
                raise NotSent(order.key_fault)
            post(address.url, order.notice, key_of(order.key) if order.key else None, order.timeout)
            return
        from upgrader.notices.by_apprise import send

        send(address.url, order.notice)

    def _end(self, address: Address, number: int, why: str) -> None:
        """The first word about an address counts."""
        with self._lock:
            if address.name in self._ended:
                return
            self._ended.add(address.name)
            state = "failed" if why else "sent"
            if self._ledger is not None:
                self._ledger.note(self.order.notice.id, address.name, number, state, why)
            self._tell({"name": address.name, "state": state, "why": why})


def main(said: bytes) -> None:
    """The process. Never returns while a thread hangs in something that cannot be interrupted."""

    def tell(line: dict[str, Any]) -> None:
        data = (json.dumps(line) + "\n").encode()
        try:
            os.write(1, data)
        except OSError:
            return  # nobody listens any more; the ledger has it

    through = Round(Order.of(json.loads(said)), tell).run()
    os._exit(0 if through else 1)
