"""Requests to the cloud's APIs with a token, as its users make them. See smoke/inside/__init__.py.

Never shows a secret: what is told of a refusal is the API's own short words, without the request.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

TIMEOUT = 60.0
"""For one request: the first ones after a restart have to wait for a service's workers."""
PATIENCE = 60.0
"""Seconds to go on asking while a load balancer says that its servers are not there yet."""
NOT_YET = {0, 502, 503, 504}
PAUSE = 1.0


class Refused(Exception):  # noqa: N818
    """An API said no, or nothing; `status` 0 when no answer came."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words

    def __str__(self) -> str:
        return f"status {self.status or 'none'}: {self.words}"


class OutOfTime(Exception):  # noqa: N818
    """The time for the whole is used up."""


def opener() -> urllib.request.OpenerDirector:
    # the APIs are inside; a container's proxy settings are for outside
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    bundle = os.environ.get("OS_CACERT") or os.environ.get("REQUESTS_CA_BUNDLE")
    handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=bundle)))
    return urllib.request.build_opener(*handlers)


class Api:
    """One account's way to every API of the catalogue."""

    def __init__(self, keystone: str, deadline: float) -> None:
        self.keystone, self.deadline = keystone, deadline
        self.token = ""
        self.user = self.project = ""
        self.roles: list[str] = []
        self.catalogue: list[dict[str, Any]] = []
        self._opener = opener()

    def login(self, user: str, secret: str, project: str, *, by_id: bool = False) -> None:
        """Take a token for the project. `by_id`: user and project are ids; else names in the domain `default`."""
        domain = {"id": "default"}
        account = {"id": user} if by_id else {"name": user, "domain": domain}
        scope = {"id": project} if by_id else {"name": project, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": {**account, "password": secret}}}
        body = {"auth": {"identity": identity, "scope": {"project": scope}}}
        headers, content = self.request("POST", self.keystone + "/auth/tokens", body, patient=True)
        said = content["token"]
        self.token = str(headers["X-Subject-Token"])
        self.user, self.project = said["user"]["id"], said["project"]["id"]
        self.roles = [role["name"] for role in said.get("roles", ())]
        self.catalogue = said.get("catalog") or []

    def endpoint(self, types: Sequence[str]) -> str:
        """Address of the first of these service types in the catalogue, internal before public; empty: none."""
        for wanted in types:
            for service in self.catalogue:
                if service["type"] != wanted:
                    continue
                for interface in ("internal", "public"):
                    for end in service["endpoints"]:
                        if end["interface"] == interface:
                            return str(end["url"]).rstrip("/")
        return ""

    def get(self, url: str, **more: Any) -> Any:
        return self.request("GET", url, **more)[1]

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        binary: bool = False,
        patient: bool = False,
        seconds: float = PATIENCE,
    ) -> tuple[Mapping[str, str], Any]:
        """Headers and decoded body of an answer. `patient` ones are repeated while nobody is there, for `seconds`.

        Raises Refused, and OutOfTime."""
        ends = time.monotonic() + seconds
        while True:
            try:
                return self._once(method, url, body, dict(headers or {}), raw, binary, min(TIMEOUT, seconds))
            except Refused as refused:
                if not patient or refused.status not in NOT_YET or time.monotonic() >= ends:
                    raise
            time.sleep(PAUSE)

    def _once(
        self, method: str, url: str, body: Any, headers: dict[str, str], raw: bytes | None, binary: bool, limit: float
    ) -> tuple[Mapping[str, str], Any]:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime("the time for the whole trial is used up")
        if not url.startswith(("http:", "https:")):
            raise Refused(0, "no address of the API is known")
        sent = {"Accept": "*/*" if binary else "application/json", **headers}
        if self.token:
            sent["X-Auth-Token"] = self.token
        data = raw
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(url, data=data, headers=sent, method=method)  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=max(1.0, min(limit, left))) as reply:
                content = reply.read()
                return reply.headers, content if binary else json.loads(content or b"{}")
        except urllib.error.HTTPError as error:
            raise Refused(error.code, words_of(error)) from None
        except (OSError, ValueError) as error:
            raise Refused(0, f"{type(error).__name__}: {error}") from None


def words_of(error: urllib.error.HTTPError) -> str:
    """The message in an API's refusal: each wraps it in its own way."""
    try:
        found = json.loads(error.read(4096))
        while isinstance(found, dict) and found and "message" not in found:
            found = next(iter(found.values()))
        if isinstance(found, dict):
            found = found["message"]
        return str(found)[:300]
    except (ValueError, KeyError, OSError):
        return str(error.reason)[:300]
