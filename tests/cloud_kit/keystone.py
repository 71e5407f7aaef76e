"""The two requests of the Identity API that probes make, answered from memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .hosts import ADMIN_PASSWORD


@dataclass
class Keystone:
    url: str = ""
    tokens: set[str] = field(default_factory=set)
    issued: int = 0
    away: int = 0
    """How many requests are still answered 503, as a load balancer does while its servers restart."""


@contextmanager
def running_keystone() -> Iterator[Keystone]:
    """Accepts the site's admin password; `tokens` is what it will recognise, and may be changed while it runs."""
    state = Keystone()

    class Requests(BaseHTTPRequestHandler):
        def reply(self, status: int, body: object, token: str = "") -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if token:
                self.send_header("X-Subject-Token", token)
            self.end_headers()
            self.wfile.write(data)

        def refuse(self, status: int, words: str) -> None:
            self.reply(status, {"error": {"code": status, "message": words}})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.away:
                state.away -= 1
                return self.refuse(503, "No server is available to handle this request.")
            if asked["auth"]["identity"]["password"]["user"]["password"] != ADMIN_PASSWORD:
                return self.refuse(401, "The request you have made requires authentication.")
            state.issued += 1
            token = f"gAAAA-token-{state.issued}-of-this-test"
            state.tokens.add(token)
            return self.reply(201, {"token": {"expires_at": "2099-01-01T00:00:00.000000Z"}}, token)

        def do_GET(self) -> None:
            if self.headers["X-Subject-Token"] not in state.tokens:
                return self.refuse(404, "Could not recognize Fernet token")
            return self.reply(200, {"token": {"user": {"name": "admin"}}})

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
