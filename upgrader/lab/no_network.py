"""Answers Nova in the place of Neutron, which the lab does not have: there are no ports, no networks, no extensions.

Nova asks Neutron for the ports of an instance before it deletes or moves it, even where the instance was made
without any. Started by the lab as a program of its own: `python -m upgrader.lab.no_network ADDRESS PORT MARK`, where
the mark tells the lab's processes from others.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PORT = 9696
"""Neutron's own."""


def answer(path: str) -> tuple[int, dict[str, object]]:
    """Status and body for a GET: an empty list for every kind of thing, and nothing by id."""
    words = urlsplit(path).path.removesuffix(".json").strip("/").split("/")
    if words[0] != "v2.0" or len(words) != 2:
        return 404, {"NeutronError": {"type": "NotFound", "message": "the lab has no networks", "detail": ""}}
    return 200, {words[1].replace("-", "_"): []}


class NoNetwork(BaseHTTPRequestHandler):
    """GET is answered, everything else refused."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(*answer(self.path))

    def do_POST(self) -> None:
        self._refuse()

    def do_PUT(self) -> None:
        self._refuse()

    def do_DELETE(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._say(409, {"NeutronError": {"type": "Conflict", "message": "the lab has no networks", "detail": ""}})

    def _say(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    address, port, _mark = sys.argv[1:4]
    ThreadingHTTPServer((address, int(port)), NoNetwork).serve_forever()


if __name__ == "__main__":
    main()
