"""Keystone, Glance, Nova, Neutron and Cinder in memory: as much of them as the trial asks, with faults to plant."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "adm1n-of-the-cloud"
PORTS = {"identity": "/v3", "image": "", "compute": "/v2.1", "network": "", "volumev3": "/v3/%(project)s"}


@dataclass
class Cloud:
    url: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    flavors: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    """token → (user, project)."""
    types: list[str] = field(default_factory=lambda: list(PORTS))
    roles: list[str] = field(default_factory=lambda: ["admin", "member", "reader"])
    lag: int = 1
    """Questions until a server is active, and until it is gone."""
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    """`METHOD /path-pattern` → (status, words)."""
    away: dict[str, int] = field(default_factory=dict)
    """The same → how many requests are still answered 503."""
    lost: set[str] = field(default_factory=set)
    """The same: what is carried out, with an answer that never comes."""
    server_ends: str = "ACTIVE"
    first_server_ends: str = ""
    """Of the first server alone."""
    damaged: bool = False
    """Images come back other than they went in."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path, user)."""
    counter: int = 0

    def __post_init__(self) -> None:
        self.users["u-admin"] = {"id": "u-admin", "name": "admin", "password": PASSWORD}
        self.projects["p-admin"] = {"id": "p-admin", "name": "admin"}

    def fresh(self, kind: str) -> str:
        self.counter += 1
        return f"{kind}-{self.counter}"

    def things(self) -> dict[str, list[str]]:
        """Names of everything there is."""
        kinds = ("users", "projects", "images", "servers", "flavors")
        return {kind: sorted(one["name"] for one in getattr(self, kind).values()) for kind in kinds}

    # ------------------------------------------------------------ answers

    def answer(self, method: str, path: str, query: dict[str, list[str]], user: str, project: str, body: Any) -> Any:
        """(status, JSON or bytes)."""
        planted = self._planted(method, path)
        said = planted or self._answer(method, path, query, user, project, body)
        return (504, b"") if any(re.fullmatch(pattern, f"{method} {path}") for pattern in self.lost) else said

    def _planted(self, method: str, path: str) -> Any:
        for pattern, left in self.away.items():
            if left and re.fullmatch(pattern, f"{method} {path}"):
                self.away[pattern] = left - 1
                return 503, b"<html>No server is available</html>"
        for pattern, (status, words) in self.refuse.items():
            if re.fullmatch(pattern, f"{method} {path}"):
                return status, {"error": {"code": status, "message": words}}
        return None

    def _answer(self, method: str, path: str, query: dict[str, list[str]], user: str, project: str, body: Any) -> Any:
        parts = [part for part in path.split("/") if part]
        match [method, *parts]:
            case ["GET", "v3", "roles"]:
                return 200, {"roles": [{"id": f"r-{name}", "name": name} for name in self.roles]}
            case [_, "v3", "projects" | "users" as kind, *rest] if "roles" not in rest:
                return self._owned(getattr(self, kind), kind[:-1], method, rest, body)
            case ["PUT", "v3", "projects", *_]:
                return 204, b""
            case ["GET", "v3", _, "os-quota-sets", _]:
                return 200, {"quota_set": {"volumes": 10, "gigabytes": 1000}}
            case ["GET", "v2.0", "quotas", _]:
                if user != "u-admin":
                    return 403, {"NeutronError": {"message": "not for you"}}
                return 200, {"quota": {"network": 10, "port": 50}}
            case [_, "v2", "images", *rest]:
                return self._image(method, rest, query, project, body)
            case [_, "v2.1", *rest]:
                return self._nova(method, rest, query, project, body)
            case _:
                return (200, {}) if method == "GET" and len(parts) <= 2 else (404, {"error": {"message": "no such"}})

    def _owned(self, rows: dict[str, Any], kind: str, method: str, rest: list[str], body: Any) -> Any:
        if method == "POST":
            made = {**body[kind], "id": self.fresh(kind)}
            rows[made["id"]] = made
            return 201, {kind: {key: value for key, value in made.items() if key != "password"}}
        if method == "DELETE":
            return (204, b"") if rows.pop(rest[0], None) else (404, {"error": {"message": "not found"}})
        return 200, {f"{kind}s": list(rows.values())}

    def _image(self, method: str, rest: list[str], query: dict[str, list[str]], project: str, body: Any) -> Any:
        if not rest and method == "POST":
            made = {**body, "id": self.fresh("image"), "status": "queued", "owner": project}
            self.images[made["id"]] = made
            return 201, made
        if not rest:
            owner = query.get("owner", [""])[0]
            return 200, {"images": [one for one in self.images.values() if owner in ("", one["owner"])]}
        image = self.images.get(rest[0])
        if image is None:
            return 404, {"message": "no image"}
        if method == "DELETE":
            del self.images[rest[0]]
            return 204, b""
        if rest[1:] == ["file"] and method == "PUT":
            self.content[rest[0]] = body
            digest = hashlib.sha512(body).hexdigest()
            image |= {"status": "active", "os_hash_algo": "sha512", "os_hash_value": digest}
            return 204, b""
        if rest[1:] == ["file"]:
            return 200, self.content[rest[0]][::-1] if self.damaged else self.content[rest[0]]
        return 200, image

    def _nova(self, method: str, rest: list[str], query: dict[str, list[str]], project: str, body: Any) -> Any:
        match [method, *rest]:
            case ["GET", "os-quota-sets", _]:
                return 200, {"quota_set": {"instances": 10, "cores": 20}}
            case ["POST", "flavors", _, "action"]:
                return 200, {}
            case [_, "flavors", *more] if more != ["detail"]:
                return self._owned(self.flavors, "flavor", method, more, body)
            case ["GET", "flavors", "detail"]:
                return 200, {"flavors": list(self.flavors.values())}
            case ["POST", "servers"]:
                made = {**body["server"], "id": self.fresh("server"), "status": "BUILD", "owner": project}
                self.servers[made["id"]] = {**made, "left": self.lag}
                return 202, {"server": {"id": made["id"]}}
            case ["GET", "servers"]:
                wanted = query.get("project_id", [project])[0]
                return 200, {"servers": [one for one in self.servers.values() if one["owner"] == wanted]}
            case ["POST", "servers", name, "action"]:
                self.servers.pop(name)
                return 202, b""
            case [_, "servers", name]:
                return self._server(method, name)
        return 404, {"itemNotFound": {"message": "no such"}}

    def _server(self, method: str, name: str) -> Any:
        server = self.servers.get(name)
        if server is None:
            return 404, {"itemNotFound": {"message": "no server"}}
        if method == "DELETE":
            server |= {"status": "DELETING", "left": self.lag}
            return 204, b""
        server["left"] -= 1
        if server["left"] < 0 and server["status"] == "BUILD":
            server["status"], self.first_server_ends = self.first_server_ends or self.server_ends, ""
            if server["status"] == "ERROR":
                server["fault"] = {"message": "No valid host was found."}
        elif server["left"] < 0 and server["status"] == "DELETING":
            del self.servers[name]
            return 404, {"itemNotFound": {"message": "no server"}}
        return 200, {"server": server}

    def login(self, body: Any) -> Any:
        identity = body["auth"]["identity"]["password"]["user"]
        scope = body["auth"]["scope"]["project"]
        user = next(
            (u for u in self.users.values() if identity.get("id", identity.get("name")) in (u["id"], u["name"])), None
        )
        if user is None or user["password"] != identity["password"]:
            return 401, {"error": {"message": "The request you have made requires authentication."}}, ""
        project = next(p for p in self.projects.values() if scope.get("id", scope.get("name")) in (p["id"], p["name"]))
        token = f"gAAAA{self.fresh('token')}-of-{user['id']}"
        self.tokens[token] = (user["id"], project["id"])
        ends = [
            {
                "type": kind,
                "endpoints": [{"interface": "internal", "url": self.url + path % {"project": project["id"]}}],
            }
            for kind, path in PORTS.items()
            if kind in self.types
        ]
        roles = ["admin"] if user["id"] == "u-admin" else ["member", "reader"]
        said = {"user": {"id": user["id"]}, "project": {"id": project["id"]}, "catalog": ends}
        return 201, {"token": {**said, "roles": [{"name": role} for role in roles]}}, token


@contextmanager
def running_cloud() -> Iterator[Cloud]:
    cloud = Cloud()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, status: int, content: object, token: str = "") -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if token:
                self.send_header("X-Subject-Token", token)
            self.end_headers()
            self.wfile.write(data)

        def handle_one(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body: Any = json.loads(raw) if raw and self.headers.get("Content-Type") == "application/json" else raw
            parts = urlsplit(self.path)
            if parts.path == "/v3/auth/tokens":
                for pattern, left in cloud.away.items():
                    if left and pattern == "login":
                        cloud.away[pattern] -= 1
                        return self.reply(503, b"")
                return self.reply(*cloud.login(body))
            user, project = cloud.tokens.get(str(self.headers["X-Auth-Token"]), ("", ""))
            cloud.asked.append((self.command, parts.path, user))
            if not user:
                return self.reply(401, {"error": {"message": "no token"}})
            return self.reply(*cloud.answer(self.command, parts.path, parse_qs(parts.query), user, project, body))

        do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - as the base class looks for them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
