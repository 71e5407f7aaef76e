"""What the herald does once a second: look, write the metrics, hand notices to a process that sends them.

Reads what everybody may read; writes its own files and the metrics' file. A failure of either is noted in the ledger,
from which the commands that drive a run say it; the other goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from upgrader.availability import folder_of as probe_folder
from upgrader.availability.records import probe_works
from upgrader.config import Site, load_site
from upgrader.errors import UpgraderError
from upgrader.herald.place import folder_of, since
from upgrader.journal import EventRow, open_journal
from upgrader.journal.place import exists
from upgrader.metrics.reading import Reader
from upgrader.metrics.textfile import write_textfile
from upgrader.notices.addresses import Address, lacking, read_addresses
from upgrader.notices.ledger import Delivery, Ledger
from upgrader.notices.notice import Notice
from upgrader.notices.occasions import KINDS, Moment, occasions
from upgrader.notices.sender import Sending, order_for
from upgrader.notices.sending import Order
from upgrader.watch.model import Watched
from upgrader.watch.sample import Watcher

PATIENCE = 60.0
"""Seconds without anybody at work before an unfinished run counts as left alone."""
LINGER = 75.0
"""Seconds without anybody at work, and nothing left to tell, after which the herald ends."""
RETRY = 30.0
"""Seconds after which a failure is tried once more."""
_ALIVE = ("running", "orphaned")


class Sends(Protocol):
    """A process that sends one notice (`upgrader.notices.sender.Sending`)."""

    @property
    def over(self) -> bool: ...
    def results(self, patience: float | None = None) -> dict[str, tuple[str, str]]: ...


class Herald:
    """One site's herald. `variable`: value of `[notices] urls_environment`, which only its starter has."""

    def __init__(
        self,
        site: Site,
        *,
        after: int = 0,
        variable: str = "",
        send: Callable[[Order], Sends] = Sending,
        mono: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        retry: float = RETRY,
        patience: float = PATIENCE,
    ) -> None:
        self.site = site
        self._after, self._variable = after, variable
        self._send, self._mono, self._now = send, mono, now
        self._retry, self._patience = retry, patience
        self._take_site(site)
        self._file_mark = self._site_mark()
        self._sending: tuple[Order, Sends] | None = None
        self._pending = False
        self._busy_at = mono()
        self._seen: tuple[str, tuple[EventRow, ...]] = ("", ())
        self._written: tuple[str, float] = ("", float("-inf"))

    def _take_site(self, site: Site) -> None:
        self.site = site
        self._watcher = Watcher(site)
        self._reader = Reader(site)
        self._ledger = Ledger.of(site.state_dir)

    # ------------------------------------------------------------ one look

    def tick(self) -> None:
        """One look and what follows from it. Raises nothing that can be told otherwise."""
        self._site_again()
        try:
            watched = self._watcher.sample()
        except (UpgraderError, OSError):
            return  # a journal that cannot be read now: the commands say so
        if self._at_work(watched):
            self._busy_at = self._mono()
        with suppress(UpgraderError, OSError):
            if self.site.metrics.textfile is not None:
                self._write(watched)
        with suppress(UpgraderError, OSError):
            if self.site.notices.wanted:
                self._tell(watched)

    @property
    def idle(self) -> float:
        """Seconds for which nobody has been at work."""
        return self._mono() - self._busy_at

    @property
    def through(self) -> bool:
        """Nothing is on its way, and nothing will be tried again."""
        return self._sending is None and not self._pending

    def at_work(self) -> bool:
        """Whether anybody works on the site right now."""
        try:
            return self._at_work(self._watcher.sample())
        except (UpgraderError, OSError):
            return False

    def _at_work(self, watched: Watched) -> bool:
        report = watched.report
        alive = report.attempt is not None and report.attempt.evidence in _ALIVE
        if report.controller or alive:
            return True
        return bool(report.run) and probe_works(probe_folder(self.site.state_dir, report.run))

    def _site_again(self) -> None:
        """The site file may be mended while a run goes on; one that is broken is not taken."""
        mark = self._site_mark()
        if mark == self._file_mark:
            return
        self._file_mark = mark
        try:
            fresh = load_site(self.site.file)
        except UpgraderError:
            return
        if fresh.state_dir == self.site.state_dir and fresh != self.site:
            self._take_site(fresh)

    def _site_mark(self) -> tuple[int, int, int]:
        try:
            about = self.site.file.stat()
        except OSError:
            return (0, 0, 0)
        return (about.st_ino, about.st_mtime_ns, about.st_size)

    # ------------------------------------------------------------ metrics

    def _write(self, watched: Watched) -> None:
        path = self.site.metrics.textfile
        assert path is not None  # noqa: S101 - the caller has looked
        now = self._mono()
        text = self._reader.text(watched, 0.0)  # without the moment, which always differs
        if text == self._written[0] and now - self._written[1] < self.site.metrics.interval:
            return
        try:
            write_textfile(path, self._reader.text(watched, self._now().timestamp()))
        except OSError as error:
            self._trouble(f"The metrics cannot be written to {path}: {error.strerror or error}")
            return
        self._written = (text, now)

    # ------------------------------------------------------------ notices

    def _tell(self, watched: Watched) -> None:
        if self._sending is not None and not self._ended():
            return
        self._ledger.read()
        moment = Moment(
            watched, self._events(watched), self._now(), self.idle, self._patience, self.site.notices.title
        )  # fmt: skip
        wanted = [one for one in occasions(moment) if one.event in self.site.notices.events]
        fresh = [one for one in wanted if one.id not in self._ledger.entries]
        if not fresh and all(entry.settled for entry in self._ledger.entries.values()):
            self._pending = False
            return
        self._pending = True
        addresses = self._addresses()
        for notice in fresh:
            if addresses:
                self._ledger.open(notice, [address.name for address in addresses.values()])
        self._next(addresses)

    def _events(self, watched: Watched) -> tuple[EventRow, ...]:
        """The journal's events that may be told of, read again only when there are more."""
        mark = f"{watched.report.run} {watched.report.last_event_at}"
        if not exists(self.site.state_dir) or mark == self._seen[0]:
            return self._seen[1]
        with open_journal(self.site.state_dir, readonly=True) as journal:
            lineage = journal.snapshot(recent=0).lineage
            after = since(folder_of(self.site.state_dir), lineage, self._after)
            self._seen = (mark, tuple(journal.events(after=after, kinds=KINDS)))
        return self._seen[1]

    def _addresses(self) -> dict[str, Address]:
        """Read when they are needed, so that a mended file counts at once; none where they cannot be used."""
        try:
            addresses = read_addresses(self.site.notices, self._variable)
        except UpgraderError as error:
            self._trouble(f"No notice can be sent: {error.message} {'; '.join(error.details)}".strip())
            return {}
        if missing := lacking(addresses):
            self._trouble(missing)
        return {address.name: address for address in addresses}

    def _next(self, addresses: dict[str, Address]) -> None:
        """Hand the first notice that is due to a process; one at a time."""
        timeout = float(self.site.notices.timeout)
        waiting = False
        for entry in list(self._ledger.entries.values()):
            if entry.settled:
                continue
            due = self._ledger.due(
                entry.notice.id, self._now(), retry_after=self._retry, lost_after=timeout + 15
            )  # fmt: skip
            waiting = waiting or not entry.settled
            gone = [one for one in due if one.name not in addresses]
            self._drop(entry.notice, gone if addresses else [])
            to = tuple((addresses[one.name], one.tries + 1) for one in due if one.name in addresses)
            if to and self._start(entry.notice, to):
                return
        self._pending = waiting and bool(addresses)

    def _drop(self, notice: Notice, gone: list[Delivery]) -> None:
        for one in gone:
            self._ledger.note(notice.id, one.name, one.tries, "unknown", "the address is no longer in the list")
            one.state = "unknown"

    def _start(self, notice: Notice, to: tuple[tuple[Address, int], ...]) -> bool:
        order = order_for(self.site.notices, notice, to, str(self._ledger.path))
        try:
            self._sending = (order, self._send(order))
        except OSError as error:
            self._trouble(f"No notice can be sent: {error.strerror or error}")
            return False
        return True

    def _ended(self) -> bool:
        """Take in the results of the process that sends. False: it is still at it."""
        assert self._sending is not None  # noqa: S101 - the caller has looked
        order, process = self._sending
        if not process.over:
            return False
        process.results()
        self._sending = None
        self._ledger.read()
        known = self._ledger.entries[order.notice.id].deliveries
        for address, number in order.to:
            if known[address.name].tries < number:  # else it would be begun again and again
                self._ledger.note(order.notice.id, address.name, number, "failed", "its process ended without a word")
        return True

    def _trouble(self, words: str) -> None:
        try:
            self._ledger.trouble(words)
        except OSError:
            return  # the state folder's disk is full: the journal says so first
