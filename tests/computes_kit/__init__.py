"""Keystone, Nova, Glance and Neutron over real HTTP, in this process: the sandbox's imitation behind real URLs.

What the imitation does not look at is looked at here: tokens, microversions, bodies' form, content types.
"""

from __future__ import annotations

import itertools
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from upgrader.computes import plays
from upgrader.computes.inside.cloud import Cloud, Refused
from upgrader.config import Site
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.base import Play, PlayResult
from upgrader.runner.recording import done
from upgrader.sandbox import computes as sandbox
from upgrader.sandbox import nova, world

PASSWORD = "pass%word$(with)=signs"
TOKEN = "gAAAA-token"
PREFIXES = {"compute": "/compute/v2.1", "image": "/image/v2", "network": "/network/v2.0"}


@dataclass
class Apis:
    """A running server over a sandbox's root; `fail` maps (method, start of path) to statuses answered first."""

    root: Path
    server: ThreadingHTTPServer
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    fail: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    region: str = "RegionOne"
    tls: bool = False

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.server.server_address[1]}"

    def conf(self, folder: Path, **changes: str) -> Path:
        """A nova.conf as Kolla writes it, for this server."""
        values = {
            "auth_url": f"{self.url}/keystone", "auth_type": "password", "project_domain_id": "default",
            "user_domain_id": "default", "project_name": "service", "username": "nova", "password": PASSWORD,
            "region_name": "RegionOne", "cafile": "", **changes,
        }  # fmt: skip
        lines = ["[DEFAULT]", "debug = False", "transport_url = rabbit://x:y@z:5672//", "", "[keystone_authtoken]"]
        lines += [f"{name} = {value}" for name, value in values.items()]
        lines += ["", "[oslo_policy]", "policy_file = a", "policy_file = b", "[database]", "connection = none://"]
        path = folder / "nova.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def cloud(self, folder: Path, **changes: str) -> Quick:
        return Quick(str(self.conf(folder, **changes)), 0.0)

    def token(self, body: Any) -> tuple[int, Any]:
        identity = body["auth"]["identity"]["password"]["user"]
        project = body["auth"]["scope"]["project"]
        asked = (identity["name"], identity["domain"], identity["password"], project["name"], project["domain"])
        if asked != ("nova", {"id": "default"}, PASSWORD, "service", {"id": "default"}):
            return 401, {"error": {"message": "The request you have made requires authentication.", "code": 401}}
        catalogue = [
            {
                "type": kind,
                "endpoints": [
                    {"interface": "public", "region_id": self.region, "url": "http://192.0.2.1:1/nowhere"},
                    {"interface": "internal", "region_id": "RegionTwo", "url": "http://192.0.2.2:1/nowhere"},
                    # Glance's and Neutron's are without their versions
                    {"interface": "internal", "region_id": self.region, "url": self.url + self._base(kind)},
                ],
            }
            for kind in PREFIXES
            if kind not in self.missing
        ]
        token = {"catalog": catalogue, "project": {"id": nova.PROJECT}, "user": {"id": nova.USER}}
        return 201, {"token": token}

    def _base(self, kind: str) -> str:
        return PREFIXES[kind] if kind == "compute" else f"/{kind}"

    def exchange(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(path)
        for (verb, start), statuses in self.fail.items():
            if verb == method and parts.path.startswith(start) and statuses:
                return statuses.pop(0), "<html>busy</html>"
        if parts.path == "/keystone/v3/auth/tokens":
            return self.token(json.loads(body))
        if headers.get("X-Auth-Token") != TOKEN:
            return 401, {"error": {"message": "no token", "code": 401}}
        kind = next(name for name, prefix in PREFIXES.items() if parts.path.startswith(prefix))
        if kind == "compute" and headers.get("OpenStack-API-Version") != "compute 2.84":
            return 406, {"computeFault": {"message": "Version is not supported", "code": 406}}
        query = dict(parse_qsl(parts.query))
        if kind == "compute" and parts.path.endswith("/servers/detail") and query.get("all_tenants") != "1":
            return 403, {"forbidden": {"message": "only its own", "code": 403}}
        upload = headers.get("Content-Type") == "application/octet-stream"
        document = json.loads(body) if body and not upload else None
        self.asked.append((method, kind, parts.path.removeprefix(PREFIXES[kind])))
        try:
            with nova.opened(str(self.root)) as state:
                api = nova.Api(str(self.root), state)
                found = api.ask(method, kind, self.asked[-1][2], query, document, body if upload else None)
        except Refused as refused:
            message = refused.words.partition(": ")[2]
            return refused.status, {"itemNotFound": {"code": refused.status, "message": message}}
        return 200, found


def small_cloud(place: Path) -> Path:
    """As much of a sandbox as Nova needs: three computes and a controller, no instances."""
    for name in ("cmp1", "cmp2", "cmp3", "ctl1"):
        (place / "hosts" / name / "containers").mkdir(parents=True)
        (place / "hosts" / name / "images").mkdir()
        container = "nova_compute" if name.startswith("cmp") else "neutron_dhcp_agent"
        release = "2024.1" if name == "cmp3" else "2025.1"
        image = f"sandbox/kolla/nova-compute:{release}-debian-bookworm"
        found = {"image": image, "status": "running", "started_at": world.now(), "health": "", "exit_code": 0}
        world.Host(str(place), name).put(container, found)
    sandbox.remove_instances(place)
    return place


class Quick(Cloud):
    """Does not sleep for long; counts how often it would have."""

    pauses = 0

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        threading.Event().wait(min(seconds, 0.03))


@contextmanager
def serving(root: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[Apis]:
    apis: Apis

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = apis.exchange(self.command, self.path, self.headers, body)
            said = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            if status == 201:
                self.send_header("X-Subject-Token", TOKEN)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    apis = Apis(root, server, tls=bool(certificate))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield apis
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class NoSqlalchemy:
    """Stands where SQLAlchemy is imported: rows by question."""

    def __init__(self, rows: dict[tuple[str, str], list[tuple[Any, ...]]]) -> None:
        self.rows, self.pool, self.urls = rows, type("pool", (), {"NullPool": None}), []

    def create_engine(self, url: str, poolclass: Any) -> Any:
        self.urls.append(url)
        rows = self.rows

        class Connection:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def execute(self, question: str) -> Any:
                return next(found for (part, at), found in rows.items() if part in question and url.endswith(at))

        return type("Engine", (), {"connect": lambda _: Connection()})()

    def text(self, question: str) -> str:
        return question

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sqlalchemy", self)


# ---------------------------------------------------------------- plays without Ansible


@dataclass(frozen=True)
class _Hosts:
    hosts: dict[str, tuple[str, ...]]


class InProcess:
    """Runs what the play would run in the container on its host, here. A cancelled play is not run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plays: list[Play] = []
        self.results: list[PlayResult] = []
        self.last = 0
        """Plays of the runner that does not stop."""

    def run(self, play: Play, folder: Path, *, on_event: Any = None, cancelled: Any = None) -> PlayResult:
        self.plays.append(play)
        if cancelled is not None and cancelled():
            result = PlayResult(play.name, "canceled", None)
        else:
            result = done(play, self._answers(dict(play.extra_vars)))
        self.results.append(result)
        return result

    def _answers(self, values: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
        host = str(values["upgrader_hosts"])
        found: dict[str, dict[str, dict[str, Any]]] = {}
        if (self.root / "hosts" / host / "gone").exists():
            found[plays.ANSWER] = {host: {"stdout": "", "rc": 1, "stderr": "Error\nNo such container: nova_api"}}
        else:
            said = sandbox.run(world.Host(str(self.root), host), str(values["upgrader_program"]))
            found[plays.ANSWER] = {host: {"stdout": f"a warning\n{json.dumps(said)}\n", "rc": 0}}
        named = [name for name in str(values["upgrader_named"]).split(",") if name]
        if named:
            found[plays.NAME] = {name: {"stdout": f"{nova.name_of(str(self.root), name)}\n"} for name in named}
        return found


class _Unstoppable:
    def __init__(self, runner: InProcess) -> None:
        self._runner = runner

    def run(self, play: Play, folder: Path, *, on_event: Any = None, cancelled: Any = None) -> PlayResult:
        self._runner.last += 1
        return self._runner.run(play, folder, on_event=on_event, cancelled=cancelled)


def computes_over(
    root: Path,
    *,
    api: tuple[str, ...] = ("ctl1",),
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    stretch: float = plays.STRETCH_SECONDS,
) -> tuple[plays.NovaComputes, InProcess]:
    """The real adapter over the sandbox's Nova, without Ansible."""
    hosts: dict[str, tuple[str, ...]] = dict.fromkeys(("cmp1", "cmp2", "cmp3"), ("compute",))
    hosts |= dict.fromkeys(api, ("control", "nova-api"))
    for name in api:
        (root / "hosts" / name / "containers").mkdir(parents=True, exist_ok=True)
    site = Site(
        file=root / "upgrader.toml", name="t", config_dir=root, inventory=root / "inventory",
        passwords=root / "passwords.yml", extra_vars=(), vault_password_file=None, engine="docker",
        engine_command="docker", staging=None, backup_dir=root, backup_database="logical", toolchains_dir=root,
        wheelhouse=None, sandbox=root, state_dir=root / "state", soak_seconds=0, min_free_bytes=0, forks=5,
        max_attempts=3,
    )  # fmt: skip
    runner = InProcess(root)
    numbers = itertools.count()
    made = plays.NovaComputes(
        site, Toolchain("2025.1", root), runner, _Hosts(hosts), lambda name: root / f"{next(numbers)}-{name}",
        cancelled, _Unstoppable(runner), clock,
    )  # fmt: skip
    made.stretch_seconds = stretch
    return made, runner
