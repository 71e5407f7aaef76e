"""All sockets in one thread: short deadlines for requests, bounded buffers for readers, nobody waits for anybody.

What can be done to it from outside, and what becomes of it: a request that never ends is cut off after HEAD_SECONDS
(and, when many of them come, the oldest goes first); a reader that does not read is dropped once BUFFER bytes wait for
it or nothing has moved for STUCK_SECONDS; more than READERS are asked to come back later.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import h11

from upgrader.serve.app import Request, Response
from upgrader.serve.connection import Connection
from upgrader.serve.feed import BEAT, Feed, Frame

READERS = 200
"""Event streams at a time."""
UNHEARD = 64
"""Connections without a whole request."""
MOST = 400
"""Connections of any kind."""
HEAD_SECONDS = 10.0
STUCK_SECONDS = 20.0
_LATER_SECONDS = 8.0
_TICK = 1.0
Answering = Callable[[Request, Frame | None], "Response | str"]


class Loop:
    """Serves until `stop`. `answer` is the app's; `wake` may be called from any thread and from signals."""

    def __init__(
        self, listening: socket.socket, answer: Answering, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._answer, self._now = answer, now
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._woken, self._waking = socket.socketpair()
        self._connections: dict[int, Connection] = {}
        self._feed: Feed | None = None
        self._sent: Frame | None = None
        self._told = 0.0
        self._over = False
        self.dropped = 0
        """Readers that were let go because they did not read."""
        for one in (listening, self._woken, self._waking):
            one.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    @property
    def readers(self) -> int:
        return sum(one.stream for one in self._connections.values())

    def wake(self) -> None:
        with suppress(OSError):  # full: it will wake anyway
            self._waking.send(b"\0")

    def stop(self) -> None:
        self._over = True
        self.wake()

    def run(self, feed: Feed) -> None:
        """Until `stop`; closes every socket, the listening one too."""
        self._feed = feed
        try:
            while not self._over:
                self._round(feed)
        finally:
            for one in list(self._connections.values()):
                self._close(one)
            for end in (self._listening, self._woken, self._waking):
                end.close()
            self._selector.close()

    def _round(self, feed: Feed) -> None:
        for key, mask in self._selector.select(_TICK):
            if key.fileobj is self._listening:
                self._accept()
            elif key.fileobj is self._woken:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                self._serve(key.data, mask)
        self._tell(feed)
        self._look_after()
        feed.want(any(one.stream or one.waiting for one in self._connections.values()))

    # ------------------------------------------------------------ one connection

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and not self._make_room():
                time.sleep(0.05)  # no descriptor is free, and none of ours can be spared
            return
        unheard = sum(one.unheard for one in self._connections.values())
        if (unheard >= UNHEARD or len(self._connections) >= MOST) and not self._make_room():
            client.close()
            return
        made = Connection(client, self._now())
        self._connections[client.fileno()] = made
        self._selector.register(client, selectors.EVENT_READ, made)

    def _make_room(self) -> bool:
        """Let go of the one that has owed a request for the longest; an honest one has sent it long ago."""
        unheard = [one for one in self._connections.values() if one.unheard]
        if unheard:
            self._close(min(unheard, key=lambda one: one.since))
        return bool(unheard)

    def _serve(self, one: Connection, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._hear(one)
            if one.open and mask & selectors.EVENT_WRITE:
                one.flush(self._now())
        except OSError:
            one.over = True
        self._settle(one)

    def _hear(self, one: Connection) -> None:
        try:
            for request in one.hear():
                self._reply(one, request)
        except h11.RemoteProtocolError as error:
            one.refuse(error.error_status_hint, self._now())

    def _reply(self, one: Connection, request: Request) -> None:
        now = self._now()
        frame = self._feed.fresh() if self._feed else None
        answer = self._answer(request, frame)
        if isinstance(answer, str):
            one.waiting, one.since = request, now
            return
        if answer.stream and self.readers >= READERS:
            answer = Response(503, (("Content-Length", "0"), ("Retry-After", "10"), ("Cache-Control", "no-store")))
        one.waiting = None
        one.number = frame.number if frame else 0
        one.send(answer, now)

    def _settle(self, one: Connection) -> None:
        """Close what is over; ask for the events that it waits for."""
        if one.over:
            self._close(one)
            return
        wanted = selectors.EVENT_READ if one.stream or not one.pending else 0
        wanted |= selectors.EVENT_WRITE if one.pending else 0
        key = self._selector.get_key(one.socket)
        if key.events != wanted:
            self._selector.modify(one.socket, wanted, one)

    def _close(self, one: Connection) -> None:
        number = one.socket.fileno()
        if self._connections.get(number) is one:
            del self._connections[number]
            self._selector.unregister(one.socket)
        one.close()

    # ------------------------------------------------------------ all of them

    def _tell(self, feed: Feed) -> None:
        """Pass on the newest look; what waited for one is answered."""
        frame = feed.frame
        if frame is None:
            return
        now = self._now()
        for one in [one for one in self._connections.values() if one.waiting is not None]:
            request = one.waiting
            if request is not None and feed.fresh() is not None:
                self._reply(one, request)
                self._settle(one)
        if self._sent is not None and frame.number == self._sent.number and frame.boot == self._sent.boot:
            if now - self._told >= BEAT and frame.looked > self._told:
                self._told = now
                self._spread(lambda _one: frame.beat(), now)
            return
        before = self._sent.number if self._sent else 0
        self._sent, self._told = frame, now
        whole = b""

        def news(one: Connection) -> bytes:
            nonlocal whole
            if one.number >= frame.number:
                return b""
            if one.number == before and frame.number == before + 1:
                return frame.part
            whole = whole or frame.whole()  # it missed one
            return whole

        self._spread(news, now)
        for one in self._connections.values():
            one.number = frame.number

    def _spread(self, news: Callable[[Connection], bytes], now: float) -> None:
        for one in [one for one in self._connections.values() if one.stream]:
            data = news(one)
            if data:
                try:
                    one.more(data, now)
                except OSError:
                    one.over = True
                self.dropped += one.stuffed
            self._settle(one)

    def _look_after(self) -> None:
        """Let go of what has taken too long."""
        now = self._now()
        for one in list(self._connections.values()):
            if one.pending and now - one.moved > STUCK_SECONDS:
                self.dropped += one.stream
                self._close(one)
            elif one.waiting is not None and now - one.since > _LATER_SECONDS:
                one.waiting = None
                one.send(Response(503, (("Content-Length", "0"), ("Retry-After", "5"))), now)
                self._settle(one)
            elif one.unheard and now - one.since > HEAD_SECONDS:
                self._close(one)
