"""One client: its socket, what h11 makes of its bytes, and what waits to be sent to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http import HTTPStatus

import h11

from upgrader.serve.app import ALWAYS, Request, Response

BUFFER = 256 * 1024
"""Bytes that may wait for a reader."""
_KERNEL = 64 * 1024
"""What the system may hold for it beside that."""
_HEAD = 16 * 1024
_UNACKNOWLEDGED_MS = 30_000
_FEW = 65536


class Connection:
    """A client's connection; every method returns at once."""

    def __init__(self, client: socket.socket, now: float) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)  # a phone that went away
        self.socket = client
        self.since = now
        """When it began to wait for its request, or for its answer."""
        self.moved = now
        """When anything was last sent, or nothing waited."""
        self.stream = False
        self.stuffed = False
        """More waits for it than it may have: it does not read."""
        self.waiting: Request | None = None
        """A request that waits for a look at the run."""
        self.number = 0
        """Number of the last look it was told of."""
        self.over = False
        self._close_after = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        self._out = bytearray()
        self._pending_head = ""

    @property
    def open(self) -> bool:
        return not self.over

    @property
    def pending(self) -> bool:
        return bool(self._out)

    @property
    def unheard(self) -> bool:
        """It owes us a request."""
        return not self.stream and self.waiting is None and not self._out

    def hear(self) -> Iterator[Request]:
        """Whole requests out of what has come. Raises h11.RemoteProtocolError and OSError."""
        try:
            data = self.socket.recv(_FEW)
        except BlockingIOError:
            return
        if not data or self.stream:
            self.over = True  # it went away; and one who reads events has nothing more to say
            return
        self._http.receive_data(data)
        request: Request | None = None
        while not self.over:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.ConnectionClosed):
                self.over = True
            elif isinstance(event, h11.Request):
                request = _request(event)
            elif isinstance(event, h11.Data):
                self._close_after = True  # nothing here takes a body
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                yield request
                if self.waiting is not None or self.stream:
                    return
                if len(self._out) > BUFFER:
                    self.over = True  # it asks and asks, and reads nothing

    def send(self, response: Response, now: float) -> None:
        """The whole response, or the beginning of a stream."""
        headers = [*response.headers]
        if self._close_after and not response.stream:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(response.status).phrase
        self._put(h11.Response(status_code=response.status, headers=headers, reason=reason), now)
        self.stream = response.stream
        if response.body:
            self._put(h11.Data(data=response.body), now)
        if not response.stream:
            self._put(h11.EndOfMessage(), now)
            self._next(now)

    def more(self, data: bytes, now: float) -> None:
        """Further bytes of a stream. One that does not read is over."""
        self._put(h11.Data(data=data), now)
        if len(self._out) > BUFFER:
            self.stuffed = self.over = True

    def refuse(self, status: int, now: float) -> None:
        """Answer what was no request, where that is still possible, and end."""
        self._close_after = True
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.send(Response(status, (("Content-Length", "0"), *ALWAYS)), now)
        else:
            self.over = True

    def flush(self, now: float) -> None:
        """Send what the system takes. Raises OSError when the client is gone."""
        while self._out:
            try:
                sent = self.socket.send(memoryview(self._out)[:_FEW])
            except BlockingIOError:
                return
            self.moved = now
            del self._out[:sent]
        self.moved = now
        if self._close_after and not self.stream:
            self.over = True

    def close(self) -> None:
        self.over = True
        self.socket.close()

    def _put(self, event: h11.Event, now: float) -> None:
        data = self._http.send(event)
        if data:
            if not self._out:
                self.moved = now
            self._out += data
            self.flush_soon(now)

    def flush_soon(self, now: float) -> None:
        """Try at once: nearly always the system takes it, and no round is lost."""
        try:
            self.flush(now)
        except OSError:
            self.over = True

    def _next(self, now: float) -> None:
        """Ready for the next request on this connection, where both sides agreed to go on."""
        self.since = now
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._close_after = True
            if not self._out:
                self.over = True


def _request(event: h11.Request) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("latin-1"), event.target.decode("latin-1"), headers)
