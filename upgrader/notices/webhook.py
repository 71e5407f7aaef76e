"""Our own webhook: `webhook+https://HOST/PATH` gets the notice as JSON in a POST, signed where there is a key.

Signed as the Standard Webhooks specification says (standardwebhooks.com), for which receivers find libraries:

    webhook-id          the notice's id, the same when it is tried again
    webhook-timestamp   Unix seconds
    webhook-signature   v1,BASE64(HMAC-SHA256(key, "ID.TIMESTAMP.BODY"))

The key is what follows `whsec_` in the secret file, decoded from base64, or else the file's text itself. Apprise's own
`json://` has no signature. Proxies come from the environment, redirects are not followed: they would carry the message
to somebody who was not named.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, InvalidURL
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from upgrader.notices.notice import Notice, NotSent

SHORTEST_KEY = 16
"""Bytes; the specification asks for 24 to 64, and a shorter one is not refused for that alone."""
_PREFIX: Final = "whsec_"


def key_of(text: str) -> bytes:
    """The key in a secret file. Raises NotSent for one that is none."""
    word = text.strip()
    if word.startswith(_PREFIX):
        try:
            key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise NotSent("the webhook's secret begins with whsec_ and is not base64") from None
    else:
        key = word.encode()
    if len(key) < SHORTEST_KEY:
        raise NotSent(f"the webhook's secret has {len(key)} bytes, a key has at least {SHORTEST_KEY}")
    return key


def signature(key: bytes, id_: str, at: int, body: bytes) -> str:
    signed = b".".join((id_.encode(), str(at).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def post(url: str, notice: Notice, key: bytes | None, timeout: float) -> None:
    """Send it. Returns when a 2xx answered; raises NotSent otherwise. `timeout`: seconds for each wait on the way."""
    body = json.dumps(notice.document(), ensure_ascii=False, separators=(",", ":")).encode()
    at = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "upgrader",
        "webhook-id": notice.id,
        "webhook-timestamp": str(at),
    }
    if key is not None:
        headers["webhook-signature"] = signature(key, notice.id, at, body)
    target, login = _plain(url)
    if login:
        headers["Authorization"] = login
    try:
        request = urllib.request.Request(target, body, headers, method="POST")  # noqa: S310 - http and https alone
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as error:
        where = " (a redirect, which is not followed)" if 300 <= error.code < 400 else ""
        raise NotSent(f"the server answered {error.code}{where}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise NotSent(words_of(error)) from None
    if not 200 <= status < 300:
        raise NotSent(f"the server answered {status}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _plain(url: str) -> tuple[str, str]:
    """The address without our prefix and its login, and the Authorization header for that."""
    parts = urlsplit(url[len("webhook+") :])
    if not parts.hostname:
        raise NotSent("the address names no host")
    user, at, host = parts.netloc.rpartition("@")
    login = ""
    if at:
        name, _, password = user.partition(":")
        plain = f"{unquote(name)}:{unquote(password)}".encode()
        login = "Basic " + base64.b64encode(plain).decode()
    return urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, "")), login


_WORDS: Mapping[type[BaseException], str] = {
    TimeoutError: "the server did not answer in time",
    ConnectionRefusedError: "nobody listens there (connection refused)",
    ConnectionResetError: "the server broke off the connection",
    socket.gaierror: "the name of its host is not known",
    ssl.SSLCertVerificationError: "the server's certificate is not accepted",
    ssl.SSLError: "no TLS connection could be made",
    InvalidURL: "its address is none that can be asked",
    HTTPException: "the server does not speak HTTP",
}


def words_of(error: BaseException) -> str:
    """What a network error says, in words of ours: its own may quote the address."""
    inner = getattr(error, "reason", None)
    cause = inner if isinstance(inner, BaseException) else error
    for kind, words in _WORDS.items():
        if isinstance(cause, kind):
            return words
    number = getattr(cause, "errno", None)
    return f"{type(cause).__name__}{f' {number}' if number else ''}"
