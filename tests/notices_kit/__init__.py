"""Real servers on loopback that notices go to: a webhook's receiver that can misbehave, and a mail server."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from upgrader.notices.notice import Notice

AT = "2026-11-22T14:00:00+00:00"


def a_notice(id_: str = "hop_done:run:0", event: str = "hop_done", **more: Any) -> Notice:
    values: dict[str, Any] = {
        "level": "success", "at": AT, "site": "prod-fra", "title": "prod-fra: 2024.1→2024.2 is done",
        "text": "2024.1→2024.2 is done.\nNext:  upgrader status", "run": "run", "hop": 1, "hops": 2,
        "source": "2024.1", "target": "2024.2", "stage": "finalize", "command": "upgrader status",
    }  # fmt: skip
    return Notice(id_, event, **{**values, **more})


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Hooks:
    """What a receiver got; `answer` is what it says: a status, `hang`, `garbage` or `redirect`."""

    port: int
    answer: str = "204"
    got: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/hook") -> str:
        return f"webhook+http://127.0.0.1:{self.port}{path}"


@contextmanager
def hooks() -> Iterator[Hooks]:
    """A receiver of webhooks on a port of its own."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.got.append(Received(self.path, headers, body))
            if kept.answer == "hang":
                kept.released.wait(60)
                return
            if kept.answer == "garbage":
                self.wfile.write(b"\x00\x01 nothing of HTTP\r\n\r\n")
                return
            self.send_response(302 if kept.answer == "redirect" else int(kept.answer))
            if kept.answer == "redirect":
                self.send_header("Location", f"http://127.0.0.1:{kept.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    kept = Hooks(server.server_address[1])
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.released.set()
        server.shutdown()
        server.server_close()


@dataclass
class Mails:
    port: int
    got: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False

    def url(self, more: str = "") -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=upgrader@example.net&to=ops@example.net&mode=insecure{more}"


@contextmanager
def mails() -> Iterator[Mails]:
    """A mail server on a port of its own."""
    from aiosmtpd.controller import Controller

    class Sink:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - its name
            if kept.refuses:
                return "554 not for us"
            message = BytesParser(policy=default).parsebytes(envelope.original_content)
            kept.got.append(message)  # type: ignore[arg-type]
            return "250 OK"

    kept = Mails(free_port())
    controller = Controller(Sink(), hostname="127.0.0.1", port=kept.port)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port
