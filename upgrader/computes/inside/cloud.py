"""Nova, Glance and Neutron as the service user of nova.conf sees them: sign in, find the endpoints, ask.

The user `nova` of project `service` is an administrator in every Kolla cloud
(openstack/kolla-ansible@22.2.0:ansible/roles/nova/defaults/main.yml, nova_ks_users).
"""

from __future__ import annotations

import configparser
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Optional, TypeVar

from upgrader.computes.inside import records

CONF = "/etc/nova/nova.conf"
SECTION = "keystone_authtoken"
MICROVERSION = "2.84"
"""Of Victoria. Needed: services by UUID (2.53), servers by host (2.74), events with words (2.84); every release from
2023.1 on has it (openstack/nova@27.1.0:nova/api/openstack/compute/rest_api_version_history.rst)."""
TIMEOUT = 30
PATIENCE = 60.0
"""Seconds to go on asking while an API, or the load balancer before it, says that it is not there yet."""
_VERSIONS = {"image": "/v2", "network": "/v2.0"}
"""What the catalogue leaves out of these URLs."""
_Answer = TypeVar("_Answer")
AWAY = (0, 502, 503, 504)
"""What is said where no API took the question up: by the load balancer before it, or by nobody."""
NOT_YET = (*AWAY, 500)


class Refused(Exception):  # noqa: N818 - an API's answer, in its own words
    """`status` 0: no answer at all."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


def settings(path: str) -> configparser.RawConfigParser:
    """nova.conf: oslo.config allows an option several times and values without a name's end. Raises Refused."""
    found = configparser.RawConfigParser(strict=False, allow_no_value=True, default_section="")
    try:
        with open(path, encoding="utf-8") as stream:
            found.read_file(stream)
    except (OSError, configparser.Error) as error:
        kind = type(error).__name__
        raise Refused(0, f"{path} cannot be read: {kind}") from None  # a parser's error quotes the line
    return found


class Cloud:
    """One sign-in. Every question raises Refused with the API's own words."""

    def __init__(self, conf: str = CONF, patience: float = PATIENCE) -> None:
        self.settings = settings(conf)
        self._patience = patience
        self._openers: dict[bool, urllib.request.OpenerDirector] = {}
        self._token = ""
        self._catalogue: list[dict[str, Any]] = []
        self.project = self.user = ""
        self._sign_in()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def option(self, name: str, section: str = SECTION) -> str:
        return (self.settings.get(section, name, fallback="") or "").strip()

    def _opener(self, secure: bool) -> urllib.request.OpenerDirector:
        if secure not in self._openers:
            # the API is inside; a container's proxy settings are for outside
            handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
            if secure:
                handlers.append(urllib.request.HTTPSHandler(context=self._context()))
            self._openers[secure] = urllib.request.build_opener(*handlers)
        return self._openers[secure]

    def _context(self) -> ssl.SSLContext:
        if self.option("insecure").lower() in ("true", "1", "yes", "on"):
            return ssl._create_unverified_context()  # noqa: S323 - as this Nova itself is told to
        return ssl.create_default_context(cafile=self.option("cafile") or None)

    def _sign_in(self) -> None:
        base = self.option("auth_url").rstrip("/")
        if not base:
            raise Refused(0, f"nova.conf has no auth_url in [{SECTION}]")
        base = base[:-3] if base.endswith("/v3") else base
        user = {"name": self.option("username"), "domain": self._domain("user"), "password": self.option("password")}
        scope = {"project": {"name": self.option("project_name"), "domain": self._domain("project")}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        headers, said = self._patiently(lambda: self._call("POST", base + "/v3/auth/tokens", body, {}))
        token = said.get("token", {}) if isinstance(said, dict) else {}
        self._token = headers.get("X-Subject-Token", "")
        self._catalogue = token.get("catalog", [])
        self.project = token.get("project", {}).get("id", "")
        self.user = token.get("user", {}).get("id", "")

    def _domain(self, kind: str) -> dict[str, str]:
        name = self.option(f"{kind}_domain_name")
        return {"name": name} if name else {"id": self.option(f"{kind}_domain_id") or "default"}

    def versions(self) -> dict[str, int]:
        """See records.versions."""
        return records.versions(self.option("connection", "api_database"), self.option("connection", "database"))

    def endpoint(self, kind: str) -> str:
        """Internal URL of a service of this type, without a slash at its end; empty when there is none."""
        region = self.option("region_name")
        urls = [
            (str(item.get("region_id", "")), str(item.get("url", "")))
            for service in self._catalogue
            if service.get("type") == kind
            for item in service.get("endpoints", [])
            if item.get("interface") == "internal"
        ]
        here = [url for name, url in urls if name == region] or [url for _, url in urls]
        return here[0].rstrip("/") if here else ""

    # ---------------------------------------------------------------- questions

    def get(self, kind: str, path: str, /, **query: str) -> Any:
        """Asked again while the API is not there yet: a question changes nothing."""
        return self._patiently(lambda: self.ask("GET", kind, path, query))

    def found(self, kind: str, path: str) -> Any:
        """Like get; None for what is not there."""
        try:
            return self.get(kind, path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def listed(self, path: str, name: str, /, **query: str) -> Iterator[dict[str, Any]]:
        """Every row of one of Nova's lists, page by page."""
        said = self.get("compute", path, **query)
        while True:
            yield from said.get(name, [])
            more = [link["href"] for link in said.get(f"{name}_links", []) if link.get("rel") == "next"]
            if not more:
                return
            # a link names the address the API believes it has; the rest of it is what counts
            parts = urllib.parse.urlsplit(more[0])
            said = self.get("compute", path, **dict(urllib.parse.parse_qsl(parts.query)))

    def send(self, method: str, kind: str, path: str, body: Any = None, data: Optional[bytes] = None) -> Any:
        """A change, tried once: whether a change without an answer happened is found out by looking."""
        return self.ask(method, kind, path, {}, body, data)

    def put(self, kind: str, path: str, body: Any) -> Any:
        """A change that is the same however often it is made: asked again like a question."""
        return self._patiently(lambda: self.ask("PUT", kind, path, {}, body))

    def ask(
        self, method: str, kind: str, path: str, query: dict[str, str], body: Any = None, data: Optional[bytes] = None
    ) -> Any:
        """One exchange with the API of type `kind`: the decoded answer."""
        base = self.endpoint(kind)
        if not base:
            raise Refused(501, f"the catalogue has no internal endpoint of type {kind}")
        version = _VERSIONS.get(kind, "")
        base = base if base.endswith(version) else base + version
        headers = {"X-Auth-Token": self._token}
        if kind == "compute":
            headers["OpenStack-API-Version"] = f"compute {MICROVERSION}"
        if data is not None:
            headers["Content-Type"] = "application/octet-stream"
        url = base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        return self._call(method, url, body, headers, data)[1]

    def _patiently(self, call: Callable[[], _Answer]) -> _Answer:
        ends = time.monotonic() + self._patience
        while True:
            try:
                return call()
            except Refused as refused:
                if refused.status not in NOT_YET or time.monotonic() >= ends:
                    raise
            self.pause(2)

    def _call(
        self, method: str, url: str, body: Any, headers: dict[str, str], data: Optional[bytes] = None
    ) -> tuple[Any, Any]:
        """Headers and decoded body."""
        if not url.startswith(("http:", "https:")):
            raise Refused(0, "the URL of an API is not one of HTTP")
        sent = data if data is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, sent, {"Content-Type": "application/json", **headers}, method=method)  # noqa: S310 - checked above
        request.add_header("Accept", "application/json")
        try:
            with self._opener(url.startswith("https:")).open(request, timeout=TIMEOUT) as reply:
                return reply.headers, _decoded(reply.read())
        except urllib.error.HTTPError as error:
            raise Refused(error.code, f"HTTP {error.code}: {_words(error)}") from None
        except (OSError, ValueError) as error:  # no connection, no TLS, not HTTP
            where = urllib.parse.urlsplit(url)
            reason = getattr(error, "reason", error)
            raise Refused(0, f"{where.hostname}:{where.port or where.scheme}: {reason}") from None


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        return {}


def _words(error: urllib.error.HTTPError) -> str:
    """The message of an error as Nova, Keystone, Glance and Neutron wrap it."""
    try:
        text = error.read(4096).decode(errors="replace")
        found = json.loads(text)
        inner = next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else found
        return str(inner["message"] if isinstance(inner, dict) else inner)[:400]
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)[:200]
