"""The probe itself: asks until the run is at rest, records every answer, and keeps present.json fresh.

Alone in its process, beside the run and not below it: neither the end of the command that started it nor the end of a
stage ends it. What it needs comes over a pipe and stays in memory; see `upgrader.outside` for who starts it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.availability.address import Names, from_catalogue, keystone_base, version_document
from upgrader.availability.asking import Asking
from upgrader.availability.downtime import Account as Sums
from upgrader.availability.downtime import Tally
from upgrader.availability.exchange import context_of
from upgrader.availability.keystone import TOKEN, VALIDATION, Account, Keystone, account_of
from upgrader.availability.present import ApiNow, document, state_of
from upgrader.availability.records import LOCK, Answer, Api, items
from upgrader.availability.writer import Writer, boottime, tidy
from upgrader.durable import write_json
from upgrader.processes import boot_id

ENDPOINTS = "endpoints.json"
LARGEST = 96 * 1024 * 1024
"""Bytes of records after which the APIs are asked ten times less often."""
_LOCK_SECONDS = 3.0
_TIDY_SECONDS = 10.0
_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a probe is to do. Its representation holds no secret."""

    interval: float
    timeout: float
    token_interval: float
    limit: float
    keystone: str = ""
    endpoints: tuple[tuple[str, str], ...] = ()
    catalogue: bool = True
    region: str = ""
    authorities: tuple[str, ...] = ()
    """Files with certificate authorities besides the system's own."""
    insecure: bool = False
    account: Account | None = None
    known: tuple[tuple[str, str], ...] = ()
    """The catalogue as an earlier probe saw it, for a Keystone that is away now."""
    state_dir: str = ""
    run: str = ""


def order_of(document: Mapping[str, Any]) -> Order:
    """From the JSON that came over the pipe. Raises KeyError, TypeError or ValueError."""
    said = dict(document)
    account = said.pop("account", None)
    for key in ("endpoints", "known"):
        said[key] = tuple((str(name), str(url)) for name, url in said.get(key, ()))
    said["authorities"] = tuple(str(name) for name in said.get("authorities", ()))
    return Order(**said, account=account_of(account) if account else None)


def lock(folder: Path) -> int | None:
    """The folder's lock, held until this process ends; None where another probe works on it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(descriptor, f"{os.getpid():<10}\n".encode(), 0)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.05)


class Probe:
    """Asks as ordered. `ended` says why it is time to stop, and is asked beside the asking; empty: not yet."""

    def __init__(
        self, folder: Path, order: Order, ended: Callable[[], str] = lambda: "", *, names: Names | None = None
    ) -> None:
        self._folder, self._order, self._ended = folder, order, ended
        self._writer = Writer(folder, order.timeout)
        self._sums = Sums()
        self._sums.take(items(folder))
        self._sums.result()
        self._keystone = (
            Keystone(order.keystone, order.account) if order.keystone and order.account is not None else None
        )  # fmt: skip
        if self._keystone is not None:
            self._keystone.want_catalogue = order.catalogue
        self._asking = Asking(
            self._told, interval=order.interval, timeout=order.timeout, clock=boottime, context=self._tls, names=names,
        )  # fmt: skip
        self._waiting: list[Answer] = []
        self._latest: dict[str, Answer] = {}
        self._away_since: dict[str, float] = {}
        self._catalogue: dict[str, str] = dict(order.known)
        self._apis: tuple[Api, ...] = ()
        self._stop = ""
        self._rest = False
        """It stopped because the run is at rest: what comes after is not asked, and rightly so."""
        self._bytes = 0
        self._over = threading.Event()
        self._began = boottime()

    # ------------------------------------------------------------ life

    def run(self) -> str:
        """Ask until it is time to stop; why it was."""
        beside = threading.Thread(target=self._beside, daemon=True)
        self._set()
        beside.start()
        second = 0.0
        try:
            while not self._stop:
                self._asking.ask()
                due = self._asking.next_due()
                self._asking.listen(min(due, max(second, boottime()) + 1.0))
                if (now := boottime()) >= second:
                    second = now + 0.95
                    self._each_second(now)
        finally:
            self._over.set()
            self._settle(float("inf"))
            words = self._stop or "the probe broke off"
            self._writer.mark("rest" if self._rest else "stop", words)
            self._writer.close()
            self._show(words)
            self._writer.leave()
            self._asking.close()
        return self._stop

    def stop(self, *_: object) -> None:
        self._stop = self._stop or "it was asked to end"

    def _beside(self) -> None:
        """What may wait for a disk or a database: in a thread of its own."""
        tidied = time.monotonic()
        while not self._over.wait(_LOOK_SECONDS):
            try:
                # it may look once more before the asking has stopped: the first reason stands
                if (reason := self._ended()) and not self._stop:
                    self._rest, self._stop = True, reason
            except Exception as error:  # whatever is wrong with the journal, the asking goes on
                self._asking.note = f"the run cannot be looked at ({type(error).__name__})"
            if time.monotonic() - tidied >= _TIDY_SECONDS:
                tidied = time.monotonic()
                with suppress(OSError):
                    self._bytes = tidy(self._folder)

    def _each_second(self, now: float) -> None:
        if now - self._began > self._order.limit:
            self._stop = self._stop or f"it has asked for {self._order.limit / 3600:g} h, its limit"
        if self._keystone is not None and self._keystone.catalogue is not None:
            try:
                self._catalogue = from_catalogue(self._keystone.catalogue, self._order.region)
            except (AttributeError, TypeError):
                self._asking.note = "the catalogue makes no sense: only what is configured is asked"
            self._keystone.catalogue = None
            self._set()
        if self._bytes > LARGEST and self._asking.stretch == 1.0:
            self._asking.stretch = 10.0
            self._asking.note = "the records are long: every API is asked ten times less often"
            self._set(force=True)
        if (step := self._writer.watch_clock()) is not None:
            self._sums.take([step])
        self._settle(self._asking.earliest)
        self._writer.flush()
        self._show("")

    # ------------------------------------------------------------ what is asked

    def _set(self, *, force: bool = False) -> None:
        """Ask what is configured, and what the catalogue has besides."""
        self._keep()
        order, stretch = self._order, self._asking.stretch
        every = order.interval * stretch
        found: list[Api] = []
        if self._keystone is not None:
            found.append(Api(TOKEN, self._keystone.url, max(every, order.token_interval * stretch)))
            found.append(Api(VALIDATION, self._keystone.url, every))
        documents = dict(self._catalogue) if order.catalogue else {}
        if order.keystone and not documents:
            documents["keystone"] = version_document(keystone_base(order.keystone) + "/")
        documents.update(order.endpoints)
        found += [Api(name, url, every) for name, url in documents.items()]
        if tuple(found) == self._apis and not force:
            return
        self._settle(float("inf"))
        self._apis = tuple(found)
        self._writer.begin(self._apis)
        self._asking.set(self._apis, self._keystone)
        for api in self._apis:
            self._sums.tallies.setdefault(api.name, Tally(api)).api = api
        self._sums.adopt(boot_id(), boottime(), time.time())

    def _keep(self) -> None:
        """Keep where things are for the next probe of this site, which may begin while no database answers."""
        if self._order.keystone:
            document = {"catalogue": self._catalogue, "keystone": self._order.keystone}
            with suppress(OSError):
                write_json(self._folder.parent / ENDPOINTS, document)

    def _tls(self) -> ssl.SSLContext:
        return context_of(self._order.authorities, insecure=self._order.insecure)

    # ------------------------------------------------------------ what is heard

    def _told(self, answer: Answer) -> None:
        self._writer.answer(answer)
        self._waiting.append(answer)
        if answer.up is None:
            return
        name = self._apis[answer.api].name
        latest = self._latest.get(name)
        if latest is not None and latest.asked > answer.asked:
            return
        self._latest[name] = answer
        if answer.up:
            self._away_since.pop(name, None)
        else:
            self._away_since.setdefault(name, answer.asked)

    def _settle(self, earliest: float) -> None:
        """Add up the answers that no answer to an earlier question can overtake any more."""
        self._waiting.sort(key=lambda answer: answer.asked)
        ready = [answer for answer in self._waiting if answer.asked < earliest]
        self._waiting = self._waiting[len(ready) :]
        for answer in ready:
            self._sums.count(answer, self._apis[answer.api], self._order.timeout)

    def _show(self, stopped: str) -> None:
        now = boottime()
        words = "; ".join(filter(None, (self._asking.note, self._writer.trouble)))
        if stopped:
            self._away_since.clear()
        apis = [self._now(api, now) for api in self._apis]
        self._writer.present(
            document(apis, boot=boot_id(), clock=now, at=time.time(), words=words, stopped=stopped)
        )  # fmt: skip

    def _now(self, api: Api, now: float) -> ApiNow:
        tally = self._sums.tallies[api.name]
        latest = self._latest.get(api.name)
        going_on = now - self._away_since[api.name] if api.name in self._away_since else 0.0
        seconds, outages, error = tally.so_far(going_on)
        since = self._sums.iso(self._away_since[api.name]) if going_on else tally.since_words
        return ApiNow(
            api.name, api.url, state_of(latest), since, round(seconds, 1), outages, tally.asked, tally.failed,
            round((latest.answered - latest.asked) * 1000) if latest is not None else 0,
            latest.words if latest is not None and not latest.up else error,
        )  # fmt: skip


def main(folder: Path, said: bytes, ended: Callable[[Order], Callable[[], str]]) -> int:
    """Work on `folder` as ordered by the JSON `said`. Returns an exit code: 0, or 75 beside another probe."""
    held = lock(folder)
    if held is None:
        return 75
    try:
        order = order_of(json.loads(said))
        probe = Probe(folder, order, ended(order))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, probe.stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        probe.run()
    finally:
        os.close(held)
    return 0
