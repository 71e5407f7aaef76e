"""Nova of the sandbox as a program fed to a container finds it, and the troubles it can be given.

The program's own modules do the work (drain, trial, switching), over an API imitated in nova.py: what they do here is
what they do in a cloud, up to the APIs' answers.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from upgrader.computes.inside.cloud import Cloud, Refused
from upgrader.computes.inside.main import answer
from upgrader.computes.program import request_of
from upgrader.errors import UsageError
from upgrader.sandbox import nova, schemas, world

_PAUSE_SECONDS = 0.06
"""A pause of the program's at most: a sandbox's migrations are that quick."""


class SandboxCloud(Cloud):
    """Signed in without a password: the program would have read it from a file that no sandbox has."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._patience = 0.0
        self.project, self.user = nova.PROJECT, nova.USER

    def endpoint(self, kind: str) -> str:
        return f"sandbox:{kind}"

    def versions(self) -> dict[str, int]:
        with nova.opened(self._root) as state:
            return nova.Api(self._root, state).versions()

    def pause(self, seconds: float) -> None:
        time.sleep(min(seconds, _PAUSE_SECONDS))

    def ask(
        self, method: str, kind: str, path: str, query: dict[str, str], body: Any = None, data: bytes | None = None
    ) -> Any:
        with nova.opened(self._root) as state:
            return nova.Api(self._root, state).ask(method, kind, path, query, body, data)


def run(host: world.Host, program: str) -> dict[str, Any]:
    """What the program prints in a container on this host."""
    try:
        request = request_of(program)
    except ValueError as error:
        return {"error": str(error), "status": 0}
    silent = _silent(host.root)
    if silent:
        return {"error": silent, "status": 503}
    try:
        return answer(request, SandboxCloud(host.root))
    except Refused as refused:
        return {"error": refused.words, "status": refused.status}


def _silent(root: str) -> str:
    """Why no API answers; empty when they do."""
    hosts = [world.Host(root, name) for name in world.hosts(root)]
    for container in ("haproxy", "keystone", "nova_api"):
        if not any(host.running(container) for host in hosts):
            return f"HTTP 503: no {container} runs"
    if world.galera_size(root) == 0 or schemas.load(root, "nova_api") is None:
        return "HTTP 500: Unexpected API Error. <class 'oslo_db.exception.DBConnectionError'>"
    return ""


# ---------------------------------------------------------------- troubles, and what is there


def state_of(root: Path) -> dict[str, Any]:
    """Nova as it is now: services, servers, flavors, images."""
    with nova.opened(str(root)) as state:
        nova.Api(str(root), state)
        return state


def plant_service(
    root: Path,
    host: str,
    *,
    zone: str | None = None,
    disabled: str | None = None,
    silent: str | None = None,
) -> None:
    """Change a compute service: its zone; disabled for this reason by somebody; silent (never up) while it runs this
    release, or always ("")."""
    changes: dict[str, Any] = {"zone": zone, "silent": silent}
    if disabled is not None:
        changes |= {"disabled": True, "reason": disabled}
    with nova.opened(str(root)) as state:
        about = state["services"].setdefault(_known(root, host), {})
        about.update({name: value for name, value in changes.items() if value is not None})


def plant_instance(
    root: Path,
    host: str,
    name: str,
    *,
    status: str = "ACTIVE",
    migration: Literal["quick", "endless", "fails"] = "quick",
    words: str = "Live migration of the domain failed.",
    extra: dict[str, str] | None = None,
) -> str:
    """One more instance; `migration`: how it goes when it is moved. Returns its id."""
    with nova.opened(str(root)) as state:
        server = nova.new_server(name, _known(root, host), status=status)
        server.update(migration=migration, words=words, extra=extra or {})
        state["servers"][server["id"]] = server
        return str(server["id"])


def remove_instances(root: Path, host: str = "") -> None:
    """No instances on the host, or on any."""
    with nova.opened(str(root)) as state:
        where = _known(root, host) if host else ""
        state["servers"] = {key: one for key, one in state["servers"].items() if where and one["host"] != where}


def plant_trial(root: Path, host: str, *, create: str = "", migrate: str = "") -> None:
    """What a trial instance on the host fails with: when it is made, or when it is moved. Neither: it works again."""
    with nova.opened(str(root)) as state:
        state["trial"][_known(root, host)] = {"create": create, "migrate": migrate}


def plant_name(root: Path, host: str, nodename: str) -> None:
    """Another name that the host's machine gives itself, and by which Nova knows it. To be done first."""
    (root / "hosts" / host / "nodename").write_text(f"{nodename}\n", encoding="utf-8")


def _known(root: Path, host: str) -> str:
    if host not in nova.compute_hosts(str(root)):
        raise UsageError(f"The sandbox has no compute host {host}.")
    return nova.name_of(str(root), host)
