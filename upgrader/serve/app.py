"""A request in, a response out: what may be asked for, by whom, and with which headers. Knows no socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from importlib.resources import files
from typing import Literal

from upgrader.serve.access import Token
from upgrader.serve.address import Address, ours
from upgrader.serve.feed import Frame
from upgrader.serve.picture import POLICY as PICTURE
from upgrader.serve.picture import hop_picture
from upgrader.views.page import plain_text
from upgrader.views.watch import watch_page

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS: tuple[tuple[str, str], ...] = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_ASSETS: Mapping[str, tuple[str, str]] = {
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_LOOKS = frozenset({"/", "/status.json", "/status.txt", "/events", "/hop.svg"})
"""What is answered from a look at the run."""
REALM = 'Basic realm="upgrader (any user name; the password is the token)", charset="UTF-8"'


@dataclass(frozen=True, slots=True)
class Request:
    """What counts of a request; header names in lower case, the last of each."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """`stream`: the body is only the beginning, events follow for as long as the reader stays."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    stream: bool = False


Answer = Response | Literal["later"]


@dataclass(frozen=True, slots=True)
class App:
    """`names`: further host names of the page, in lower case."""

    address: Address
    token: Token | None = None
    names: frozenset[str] = frozenset()

    def answer(self, request: Request, frame: Frame | None) -> Answer:
        """The response, or `later`: it needs a look at the run, and `frame` is None."""
        found = self._refused(request) or self._found(request, frame)
        if request.method == "HEAD" and isinstance(found, Response):
            return replace(found, body=b"", stream=False)
        return found

    def _found(self, request: Request, frame: Frame | None) -> Answer:
        path = request.path
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            return _response(200, asset(name), kind)
        if path not in _LOOKS:
            return _words(404, "There is nothing here. The page is at /\n")
        if frame is None:
            return "later"
        if path == "/events":
            return self._events(request, frame)
        if path == "/status.json":
            return _response(200, json.dumps(frame.document).encode("ascii"), "application/json")
        if path == "/hop.svg":
            picture = hop_picture(frame.seen, request.target.partition("?")[2])
            own = tuple((key, PICTURE if key == "Content-Security-Policy" else value) for key, value in ALWAYS)
            body = picture.encode()
            return Response(200, (("Content-Type", "image/svg+xml"), ("Content-Length", str(len(body))), *own), body)
        text = plain_text(watch_page(frame.seen, width=78), width=78)
        if path == "/status.txt":
            return _response(200, text.encode(), "text/plain; charset=utf-8")
        return _response(200, shell(frame, text), "text/html; charset=utf-8")

    def _refused(self, request: Request) -> Response | None:
        """Why the request is not answered, the first reason that holds; None when it is."""
        if request.method not in ("GET", "HEAD"):
            return _words(405, "This page is read-only: GET and nothing else.\n", ("Allow", "GET, HEAD"))
        if not ours(request.headers.get("host", ""), self.address, self.names):
            return _words(421, "This is not a name of this page. Start it with: upgrader serve --name NAME\n")
        site = request.headers.get("sec-fetch-site", "")
        if site in ("cross-site", "same-site") and request.headers.get("sec-fetch-mode") != "navigate":
            return _words(403, "Another site's page may not read this.\n")
        if self.token is not None and not self.token.opens(request.headers.get("authorization", "")):
            return _words(401, "A token is needed.\n", ("WWW-Authenticate", REALM))
        return None

    def _events(self, request: Request, frame: Frame) -> Response:
        # one who has everything already is told so, and no more
        known = request.headers.get("last-event-id", "") == frame.id
        body = b"retry: 1000\n\n" + (frame.beat() if known else frame.whole())
        headers = (("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"), *ALWAYS)
        return Response(200, headers, body, stream=True)


def _response(status: int, body: bytes, kind: str, *more: tuple[str, str]) -> Response:
    return Response(status, (("Content-Type", kind), ("Content-Length", str(len(body))), *more, *ALWAYS), body)


def _words(status: int, text: str, *more: tuple[str, str]) -> Response:
    return _response(status, text.encode(), "text/plain; charset=utf-8", *more)


def asset(name: str) -> bytes:
    """One file of the page."""
    return files("upgrader.serve").joinpath("page", name).read_bytes()


def shell(frame: Frame, text: str) -> bytes:
    """The page before its first event; without JavaScript the plain text, loaded anew every ten seconds."""
    page = asset("index.html").decode()
    title = escape(f"{frame.seen.report.site} · upgrader")
    return page.replace("{{title}}", title).replace("{{plain}}", escape(text)).encode()
