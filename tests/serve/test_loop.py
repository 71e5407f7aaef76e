"""The sockets: readers, those who do not read, requests that do not end, too many of everything. Real connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.serve.test_app import HERE, SEEN
from upgrader.serve import connection, loop
from upgrader.serve.app import App
from upgrader.serve.feed import Feed
from upgrader.watch.model import Watched

GET = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Served:
    """A server on a free port whose model the test changes."""

    def __init__(self) -> None:
        self.seen: Watched = SEEN
        self.skew = 0.0
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.loop = loop.Loop(listening, App(HERE).answer, now=lambda: time.monotonic() + self.skew)
        self.feed = Feed(lambda: self.seen, self.loop.wake, interval=0.02)
        self.thread = threading.Thread(target=self.loop.run, args=(self.feed,))
        self.clients: list[socket.socket] = []

    def client(self, data: bytes = b"") -> socket.socket:
        made = socket.create_connection(self.address, timeout=10)
        made.sendall(data)
        self.clients.append(made)
        return made

    def change(self, words: str) -> None:
        self.seen = replace(self.seen, trouble=words)

    def until(self, true: Callable[[], bool]) -> None:
        """For as long as it takes; the test's own limit ends it."""
        while not true():
            time.sleep(0.005)
            self.loop.wake()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    made.feed.start()
    made.thread.start()
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
        made.loop.stop()
        made.thread.join(10)
        made.feed.stop()
        assert not made.thread.is_alive()


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        more = client.recv(65536)
        assert more, f"it ended: {data!r}"
        data += more
    return data


def ended(client: socket.socket) -> bool:
    """It was closed from the other side, whatever was still on its way."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_readers_are_told_of_every_change(served: Served):
    readers = [served.client(GET) for _ in range(5)]
    for reader in readers:
        assert b"event: all" in read_until(reader, b"\n\n\r\n")
    served.change("first")
    for reader in readers:
        told = read_until(reader, b"first")
        assert b"event: part" in told and b"event: all" not in told
    assert served.loop.readers == 5


def test_one_connection_for_several_requests(served: Served):
    client = served.client()
    for path in (b"/page.css", b"/status.txt", b"/nothing"):
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_until(client, b"\r\n\r\n")
        time.sleep(0.05)
        client.setblocking(False)
        try:
            while client.recv(65536):
                pass
        except BlockingIOError:
            client.settimeout(10)


def test_requests_behind_one_another(served: Served):
    request = b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client = served.client(request * 3)
    data = b""
    while data.count(b"</svg>") < 3:
        data += client.recv(65536)
    assert data.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600 + b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"421"),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", b"200"),
        (b"GET http://localhost/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
    ],
)
def test_whatever_comes_is_answered(served: Served, sent: bytes, status: bytes):
    client = served.client(sent)
    assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 " + status)
    assert b"retry" in read_until(served.client(GET), b"retry"), "and the next one is served"


def test_a_reader_that_does_not_read_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "BUFFER", 20_000)
    monkeypatch.setattr(loop, "STUCK_SECONDS", 1e9)
    monkeypatch.setattr(connection, "_KERNEL", 4096)
    good, bad = served.client(GET), served.client()
    bad.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bad.sendall(GET)
    read_until(good, b"event: all")
    served.until(lambda: served.loop.readers == 2)
    sent = 0
    while not served.loop.dropped:
        sent += 1
        served.change(f"{sent:06d}" + "x" * 50_000)
        read_until(good, f"{sent:06d}".encode())
        assert sent < 40, "everything is kept for it"
    served.until(lambda: served.loop.readers == 1)
    assert ended(bad)
    served.change("still told")
    read_until(good, b"still told")


def test_a_reader_that_is_stuck_is_dropped_in_time(served: Served):
    bad = served.client()
    bad.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bad.sendall(GET)
    served.until(lambda: served.loop.readers == 1)
    one = next(iter(served.loop._connections.values()), None)
    assert one is not None
    number = 0
    while not one.pending:
        number += 1
        served.change(f"{number}" + "x" * 40_000)
        time.sleep(0.03)
    served.skew = loop.STUCK_SECONDS + 1
    served.until(lambda: served.loop.readers == 0)
    assert served.loop.dropped == 1


def test_a_request_that_does_not_end_is_cut_off(served: Served):
    slow = served.client(b"GET / HTTP/1.1\r\nHost: loc")
    reader = served.client(GET)
    read_until(reader, b"event: all")
    slow.sendall(b"alhost\r\nX-A: ")
    served.skew = loop.HEAD_SECONDS + 1
    served.loop.wake()
    assert ended(slow)
    served.change("still here")
    read_until(reader, b"still here")


def test_many_slow_ones_do_not_keep_an_honest_one_out(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "UNHEARD", 8)
    monkeypatch.setattr(loop, "HEAD_SECONDS", 1e9)
    slow = [served.client(b"GET / HT") for _ in range(20)]
    assert b"event: all" in read_until(served.client(GET), b"event: all")
    assert ended(slow[0])
    served.until(lambda: len(served.loop._connections) <= 9)


def test_more_readers_than_there_is_room_for(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "READERS", 2)
    for _ in range(2):
        read_until(served.client(GET), b"event: all")
    third = read_until(served.client(GET), b"\r\n\r\n")
    assert third.startswith(b"HTTP/1.1 503") and b"Retry-After" in third


def test_a_reader_that_speaks_or_goes_is_let_go(served: Served):
    talker, goer = served.client(GET), served.client(GET)
    for reader in (talker, goer):
        read_until(reader, b"event: all")
    talker.sendall(b"x")
    goer.close()
    served.until(lambda: served.loop.readers == 0)
    assert ended(talker)


def test_who_comes_back_after_a_while_gets_everything_once(served: Served):
    first = read_until(served.client(GET), b"\n\n\r\n")
    known = first.split(b"id: ")[1].split(b"\n")[0]
    again = served.client(GET[:-2] + b"Last-Event-ID: " + known + b"\r\n\r\n")
    assert b"event: beat" in read_until(again, b"event: ")
    served.change("news")
    told = read_until(again, b"news")
    assert b"event: part" in told
    body = next(line for line in told.split(b"\n") if b"news" in line)
    assert json.loads(body.removeprefix(b"data: "))["trouble"] == "news"
