"""Asks every API in its interval, on one thread and one poll, and tells each answer to whoever records it.

Every question has a connection of its own, as a client's has. Only over TLS, whose greeting costs more than all the
rest, a connection serves for a few seconds; whatever goes wrong on one that was used before is no verdict: the question
is put again on a fresh one, and that is judged.

Questions do not wait for each other: an API that does not answer is asked again while the last question still hangs,
as other clients would. When this process itself could not run for a while, what it missed is no API's fault.
"""

from __future__ import annotations

import heapq
import select
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from upgrader.availability.address import Address, Names, address_of, redirected
from upgrader.availability.exchange import Exchange, Outcome, request
from upgrader.availability.keystone import TOKEN, VALIDATION, Keystone
from upgrader.availability.records import Answer, Api

STALLED = 1.0
"""Seconds by which this process may wake late before it no longer blames an API for what it did not hear."""
KEPT = 5.0
"""Seconds for which a TLS connection serves: so late at most is seen what only new connections suffer from."""
_IMPATIENCE = 1.0
"""Seconds after which a question on a used connection is put again on a fresh one."""
_REDIRECTS = 4
_REDIRECTED = frozenset((301, 302, 303, 307, 308))
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET

Kind = Literal["document", "token", "validation"]


@dataclass
class Asked:
    """One API, and where its asking stands."""

    number: int
    api: Api
    kind: Kind
    request: bytes = b""
    address: Address | None = None
    due: float = 0.0
    open: int = 0
    """Questions under way."""
    silenced: bool = False
    """Not asked any more."""


@dataclass(eq=False)
class _Question:
    asked: Asked
    began: float
    address: Address
    exchange: Exchange | None = None
    redirects: int = 0
    over: bool = False
    fd: int = -1
    sent: bytes = b""
    used: bool = False
    """It was put on a connection that had served before."""


class Asking:
    """The questions under way. `told` hears every answer as soon as it is known."""

    def __init__(
        self,
        told: Callable[[Answer], None],
        *,
        interval: float,
        timeout: float,
        clock: Callable[[], float],
        context: Callable[[], ssl.SSLContext],
        names: Names | None = None,
    ) -> None:
        self._told, self._interval, self._timeout = told, interval, timeout
        self._clock, self._make_context = clock, context
        self._context: ssl.SSLContext | None = None
        self._names = names or Names(timeout)
        self._poll = select.epoll()
        self._open: dict[int, _Question] = {}
        self._deadlines: list[tuple[float, int, _Question, bool]] = []
        """(when, tie-breaker, question, whether that is its end: otherwise only the end of a used connection)."""
        self._kept: dict[str, Exchange] = {}
        """API → connection that serves it."""
        self._count = 0
        self._most = max(2, int(timeout / interval) + 2)
        self.asked: list[Asked] = []
        self.keystone: Keystone | None = None
        self.stretch = 1.0
        """Factor on all intervals, for when records grow too long."""
        self.note = ""
        """What people should know of the asking itself."""

    # ------------------------------------------------------------ what is asked

    def set(self, apis: Sequence[Api], keystone: Keystone | None) -> None:
        """Ask these from now on. Those that were asked before go on in their rhythm."""
        before = {one.api.name: one for one in self.asked}
        grid = min((one.due for one in self.asked if not one.silenced), default=0.0)
        self.keystone = keystone
        self.asked = []
        for number, api in enumerate(apis):
            kind: Kind = "token" if api.name == TOKEN else "validation" if api.name == VALIDATION else "document"
            one = Asked(number, api, kind)
            if kind == "document":
                one.address = address_of(api.url)
                one.request = request(one.address, keep=one.address.tls)
            one.due = grid
            if (old := before.get(api.name)) is not None:
                one.due, one.silenced = old.due, old.silenced
            self.asked.append(one)
        # answers to what was asked before would be told under another number
        for question in list(self._open.values()):
            self._drop(question)
        self._deadlines.clear()
        self._hang_up()

    def _hang_up(self) -> None:
        for exchange in self._kept.values():
            exchange.close()
        self._kept.clear()

    def ask(self) -> None:
        """Begin the questions that are due."""
        now = self._clock()
        for one in self.asked:
            if one.due <= now and not one.silenced:
                # on a grid, so that all of an interval go out on one waking; what was missed is not made up for
                step = self._interval * self.stretch
                one.due = max(one.due + step, now + step / 2)
                if one.open < (1 if one.kind == "token" else self._most):
                    self._begin(one, now)

    def _begin(self, one: Asked, now: float) -> None:
        sent = one.request
        address = one.address
        if one.kind != "document":
            assert self.keystone is not None  # noqa: S101 - set with these kinds
            question = self.keystone.issue() if one.kind == "token" else self.keystone.validate()
            if question is None:
                return
            address, sent = question
        assert address is not None  # noqa: S101
        asking = _Question(one, now, address)
        one.open += 1
        self._due(asking, now + self._timeout, final=True)
        kept = self._kept.pop(one.api.name, None) if one.kind != "token" else None
        if kept is None or now - kept.opened > KEPT:
            if kept is not None:
                kept.close()
            self._send(asking, sent)
            return
        asking.exchange, asking.sent, asking.used, asking.fd = kept, sent, True, kept.fd
        self._open[kept.fd] = asking
        self._due(asking, now + min(_IMPATIENCE, self._timeout / 2), final=False)
        self._follow(asking, kept.again(sent))

    def _due(self, question: _Question, when: float, *, final: bool) -> None:
        self._count += 1
        heapq.heappush(self._deadlines, (when, self._count, question, final))

    def _send(self, question: _Question, sent: bytes) -> None:
        found = self._names.find(question.address.host, question.address.port)
        if found is None:
            # its name was never looked up: asked again at the next interval, which is soon
            self._forget(question)
            return
        places, why = found
        if why:
            self._finish(question, Outcome(trouble=f"name {why}"))
            return
        keep = question.address.tls and question.asked.kind != "token" and not question.redirects
        question.exchange = Exchange(question.address, places, sent, self._tls(question.address), keep=keep)
        question.exchange.opened = self._clock()
        self._follow(question, question.exchange.start())

    def _tls(self, address: Address) -> ssl.SSLContext | None:
        if not address.tls:
            return None
        if self._context is None:
            self._context = self._make_context()
        return self._context

    # ------------------------------------------------------------ what is heard

    def listen(self, until: float) -> None:
        """Take what comes until the time `until`, and give up on questions that are too old."""
        while True:
            now = self._clock()
            wake = min(until, self._deadlines[0][0]) if self._deadlines else until
            try:
                events = self._poll.poll(max(0.0, wake - now))
            except InterruptedError:
                events = []
            if self._clock() > wake + STALLED:
                self._stalled()
                return
            for number, _ in events:
                if (question := self._open.get(number)) is not None and question.exchange is not None:
                    self._follow(question, question.exchange.step())
            self._expire()
            if self._clock() >= until:
                return

    def _follow(self, question: _Question, outcome: Outcome | None) -> None:
        """Poll for what the exchange waits for, or take its outcome."""
        exchange = question.exchange
        if outcome is None and exchange is not None:
            if not exchange.polled:
                self._open.pop(question.fd, None)
                question.fd, exchange.polled = exchange.fd, True
                self._open[exchange.fd] = question
                self._poll.register(exchange.fd, _EVENTS)
            return
        self._open.pop(question.fd, None)
        question.fd = -1
        if outcome is not None and outcome.trouble and question.used:
            self._afresh(question)
            return
        if exchange is not None and exchange.kept:
            self._keep(question.asked.api.name, exchange)
        if outcome is not None and not self._redirect(question, outcome):
            self._finish(question, outcome)

    def _keep(self, name: str, exchange: Exchange) -> None:
        if (other := self._kept.get(name)) is not None:
            other.close()
        self._kept[name] = exchange

    def _afresh(self, question: _Question) -> None:
        """A used connection did not serve: that is no verdict, a fresh one has to."""
        self._abandon(question)
        question.used = False
        self._send(question, question.sent)

    def _redirect(self, question: _Question, outcome: Outcome) -> bool:
        """Ask where the answer sends its client. A password is sent to no other place than the one it is for."""
        location = outcome.header("Location") if outcome.status in _REDIRECTED else ""
        if not location or question.asked.kind != "document" or question.redirects >= _REDIRECTS:
            return False
        try:
            question.address = redirected(question.address, location)
        except ValueError:
            return False
        question.redirects += 1
        question.used = False
        self._send(question, request(question.address))
        return True

    def _expire(self) -> None:
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, question, final = heapq.heappop(self._deadlines)
            if not final:
                if question.used and not question.over:
                    self._afresh(question)
            elif not question.over:
                self._abandon(question)
                self._finish(question, Outcome(trouble=f"timeout no answer within {self._timeout:g} s"))
        # finished ones at the front are of no use any more
        while self._deadlines and self._deadlines[0][2].over:
            heapq.heappop(self._deadlines)

    def _stalled(self) -> None:
        """This process slept through its questions: what happened to them cannot be told."""
        for _, _, question, _ in self._deadlines:
            if not question.over:
                self._abandon(question)
                self._finish(question, Outcome(trouble="local this machine was too busy to listen", ours=True))
        self._deadlines.clear()

    def _abandon(self, question: _Question) -> None:
        self._open.pop(question.fd, None)
        question.fd = -1
        if question.exchange is not None:
            question.exchange.close()

    def _forget(self, question: _Question) -> None:
        question.over = True
        question.asked.open -= 1

    def _drop(self, question: _Question) -> None:
        self._abandon(question)
        self._forget(question)

    # ------------------------------------------------------------ what it means

    def _finish(self, question: _Question, outcome: Outcome) -> None:
        self._forget(question)
        one = question.asked
        now = self._clock()
        up, words = self._verdict(one, outcome, now)
        if one.kind == "token" and self.keystone is not None:
            self._pace(one, now, up=up)
        self._told(Answer(one.number, question.began, max(now, question.began), up, words))

    def _verdict(self, one: Asked, outcome: Outcome, now: float) -> tuple[bool | None, str]:
        if outcome.trouble:
            return (None if outcome.ours else False), outcome.trouble
        if one.kind == "document" or self.keystone is None or outcome.status >= 500:
            good = outcome.status < 500
            return good, "" if outcome.status == 200 else str(outcome.status)
        if one.kind == "token":
            refusal = self.keystone.issued(outcome, now)
            if refusal and outcome.status in (401, 403) and not self.keystone.worked:
                self._silence(refusal)
                return None, refusal
            return not refusal, refusal or str(outcome.status)
        refusal = self.keystone.validated(outcome)
        return not refusal, refusal

    def _pace(self, one: Asked, now: float, *, up: bool | None) -> None:
        """A token costs Keystone a password hash: rarely while it is up, often while it is away."""
        assert self.keystone is not None  # noqa: S101
        if up:
            # back on the grid of the others: one waking for all
            steps = max(1, round(one.api.every * self.stretch / self._interval))
            one.due += (steps - 1) * self._interval
        elif self.keystone.pause:
            one.due = now + self.keystone.pause

    def _silence(self, refusal: str) -> None:
        for one in self.asked:
            if one.kind != "document":
                one.silenced = True
        self.note = f"Keystone refused the account ({refusal}): tokens are not asked for"

    @property
    def earliest(self) -> float:
        """When the oldest question under way began; infinite when there is none."""
        return min((question.began for _, _, question, _ in self._deadlines if not question.over), default=float("inf"))

    def next_due(self) -> float:
        return min((one.due for one in self.asked if not one.silenced), default=self._clock() + self._interval)

    def close(self) -> None:
        for _, _, question, _ in self._deadlines:
            if not question.over:
                self._drop(question)
        self._deadlines.clear()
        self._hang_up()
        self._poll.close()
