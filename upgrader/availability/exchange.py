"""One HTTP question on a connection of its own, as a client would ask it: connect, TLS, request, whole answer.

Never blocks: whoever owns the poll calls `step` when something happened on the descriptor. Small on purpose, because
thirty of these a second have to cost next to nothing. Owns what a failure is called, and which failures are this
machine's own.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from upgrader.availability.address import Address, Where

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that are read; a catalogue of a large cloud has some ten thousand."""
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r|$)")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)

_OURS = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL,
     errno.EPERM, errno.EACCES)
)  # fmt: skip
"""Errors of the machine that asks, not of the one that is asked."""
_KINDS = {
    errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable", errno.EHOSTDOWN: "unreachable", errno.ECONNABORTED: "reset",
}  # fmt: skip
_BUSY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 0)
_NO_BODY = frozenset((204, 304))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question. `trouble`: kind and words; empty when there was a whole answer."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    trouble: str = ""
    ours: bool = False
    """The trouble is one of this machine."""

    def header(self, name: str) -> str:
        """Value of a header line; empty when it is not there."""
        match = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r]*)", self.head, re.IGNORECASE)
        return match[1].decode("latin-1").strip() if match else ""


def request(
    address: Address, method: str = "GET", headers: str = "", body: bytes = b"", *, keep: bool = False
) -> bytes:  # fmt: skip
    """The bytes of a question. `headers`: further lines, each with its line end; `keep`: the connection may stay."""
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return (
        f"{method} {address.path} HTTP/1.1\r\nHost: {address.authority}\r\nUser-Agent: upgrader-availability\r\n"
        f"Accept: application/json\r\nConnection: {'keep-alive' if keep else 'close'}\r\n{headers}{length}\r\n"
    ).encode() + body


class Exchange:
    """One question under way. `fd` is what to poll; `step` and `start` return an outcome once there is one."""

    __slots__ = (
        "_address", "_connected", "_context", "_keep", "_places", "_received", "_request", "_sent", "_socket", "fd",
        "opened", "polled",
    )  # fmt: skip

    def __init__(
        self,
        address: Address,
        places: Sequence[Where],
        sent: bytes,
        context: ssl.SSLContext | None,
        *,
        keep: bool = False,
    ) -> None:
        self._address = address
        self._places = list(places)
        self._request = sent
        self._context = context
        self._socket: socket.socket | None = None
        self._sent = 0
        self._received = b""
        self._connected = False
        self._keep = keep
        self.opened = 0.0
        """For whoever keeps connections: when this one was begun."""
        self.fd = -1
        self.polled = False
        """The owner polls `fd`; not any more when a second place is tried, whatever number its descriptor has."""

    def start(self) -> Outcome | None:
        """Begin to connect, to the first place that does not refuse at once."""
        while self._places:
            family, place = self._places.pop(0)
            try:
                self._socket = socket.socket(family, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                self.fd, self.polled = self._socket.fileno(), False
                number = self._socket.connect_ex(place)
            except OSError as error:
                number = error.errno or errno.EINVAL
            if number in _BUSY:
                return None
            outcome = self._failed(number)
            if outcome is not None:
                return outcome
        return Outcome(trouble="name no address", ours=True)

    def again(self, sent: bytes) -> Outcome | None:
        """Another question on the connection of one that was answered whole (see `kept`)."""
        self._request, self._sent, self._received = sent, 0, b""
        return self.step()

    @property
    def kept(self) -> bool:
        """The last answer left the connection open, and the server said nothing against another question."""
        return self._socket is not None

    def step(self) -> Outcome | None:
        """Go on as far as it goes without waiting."""
        assert self._socket is not None  # noqa: S101 - started
        try:
            if not self._connected:
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    return self._failed(number) or self.start()
                self._secure()
                self._connected = True
            if isinstance(self._socket, ssl.SSLSocket) and not self._sent:
                self._socket.do_handshake()
            while self._sent < len(self._request):
                self._sent += self._socket.send(self._request[self._sent :] if self._sent else self._request)
            return self._receive(self._socket)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLError as error:
            return self._end(Outcome(trouble=f"tls {_tls_words(error)}"))
        except OSError as error:
            return self._failed(error.errno or errno.EIO, retry=False)

    def _secure(self) -> None:
        if self._context is not None:
            assert self._socket is not None  # noqa: S101
            self._socket = self._context.wrap_socket(
                self._socket, server_hostname=self._address.host, do_handshake_on_connect=False
            )

    def _receive(self, stream: socket.socket) -> Outcome | None:
        while True:
            try:
                data = stream.recv(65536)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            self._received += data
            outcome = self._answer(ended=not data)
            if outcome is not None:
                lasting = self._keep and bool(data) and not outcome.trouble and _may_stay(outcome)
                return outcome if lasting else self._end(outcome)

    def _answer(self, *, ended: bool) -> Outcome | None:
        """The whole answer, once it is there; trouble where it cannot become one."""
        head, blank, body = self._received.partition(b"\r\n\r\n")
        status = _STATUS.match(head) if blank or ended else None
        if not blank:
            if ended:
                return Outcome(trouble="reset closed without an answer" if not head else "garbage no HTTP answer")
            wrong = len(head) >= 9 and not head.startswith(b"HTTP/1.")
            return Outcome(trouble="garbage no HTTP answer") if wrong or len(head) > LARGEST else None
        if status is None:
            return Outcome(trouble="garbage no HTTP answer")
        number = int(status[1])
        if 100 <= number < 200:
            self._received = body
            return self._answer(ended=ended)
        head += b"\r\n"
        whole = number in _NO_BODY or len(body) > LARGEST or _complete(head, body, ended=ended)
        if not whole and ended:
            return Outcome(trouble="reset cut off in the middle of its answer")
        return Outcome(number, head, body) if whole else None

    def _failed(self, number: int, *, retry: bool = True) -> Outcome | None:
        """The outcome of an error; None where the next place is to be tried."""
        self.close()
        if retry and self._places and number not in _OURS:
            self._sent, self._received, self._connected = 0, b"", False
            return None
        if number in _OURS:
            return Outcome(trouble=f"local {os.strerror(number)}", ours=True)
        return Outcome(trouble=f"{_KINDS.get(number, 'failed')} {os.strerror(number)}")

    def _end(self, outcome: Outcome) -> Outcome:
        self.close()
        return outcome

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.fd = -1


def _may_stay(outcome: Outcome) -> bool:
    return outcome.head.startswith(b"HTTP/1.1") and outcome.header("Connection").lower() != "close"


def _complete(head: bytes, body: bytes, *, ended: bool) -> bool:
    if _CHUNKED.search(head):
        return ended or body.endswith(b"0\r\n\r\n")
    length = _LENGTH.search(head)
    return ended if length is None else len(body) >= int(length[1])


def _tls_words(error: ssl.SSLError) -> str:
    said = getattr(error, "verify_message", "") or error.reason or "handshake failed"
    return str(said).lower().replace("_", " ")


def context_of(authorities: Iterable[str], *, insecure: bool) -> ssl.SSLContext:
    """How TLS servers are checked: by the system's authorities and those in the given files.

    Raises OSError or ssl.SSLError when a file cannot be used.
    """
    context = ssl.create_default_context()
    for file in authorities:
        context.load_verify_locations(cafile=file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
