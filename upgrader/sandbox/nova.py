"""Nova's API of the sandbox, with the little of Glance's and Neutron's that goes with it.

Answers what computes/inside asks, in the form of the real APIs, from `<root>/nova.json` and the hosts' containers: a
service is up while its container runs, and its version is that of its image's release. Time passes when it is asked.
Every exchange holds a lock, because stretches and plays may overlap. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from upgrader.computes.inside.cloud import Refused
from upgrader.sandbox import records, store, world

FILE = "nova.json"
PROJECT, USER = "p-service", "user-nova"
PAGE = 5
"""Servers on a page: few, so that following the links is practised."""
INSTANCES = 12
"""As many as the database's rows say."""

MIGRATION_SECONDS = 0.05

State = dict[str, Any]


@contextmanager
def opened(root: str) -> Iterator[State]:
    """The state, kept when the block ends well."""
    with open(f"{root}/{FILE}.lock", "w", encoding="utf-8") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = store.read_if_there(f"{root}/{FILE}") or _first(root)
        yield state
        store.write(f"{root}/{FILE}", state)


def compute_hosts(root: str) -> list[str]:
    # by the file alone: there may be a thousand
    there = "containers/nova_compute.json"
    return [name for name in world.hosts(root) if os.path.exists(f"{root}/hosts/{name}/{there}")]  # noqa: PTH110


def name_of(root: str, host: str) -> str:
    """Nova's name of a host: what the machine calls itself."""
    try:
        with open(f"{root}/hosts/{host}/nodename", encoding="utf-8") as stream:  # noqa: PTH123
            return stream.read().strip()
    except FileNotFoundError:
        return host


def _first(root: str) -> State:
    """A few instances spread over the computes."""
    names = [name_of(root, host) for host in compute_hosts(root)]
    state: State = {"services": {}, "servers": {}, "flavors": {}, "images": {}, "trial": {}}
    for number in range(INSTANCES if names else 0):
        server = new_server(f"instance-{number + 1:04d}", names[number % len(names)])
        state["servers"][server["id"]] = server
    return state


def new_server(name: str, host: str, *, status: str = "ACTIVE", project: str = "p-demo") -> State:
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{project}"))
    return {"id": identity, "name": name, "host": host, "status": status, "project": project, "extra": {},
            "metadata": {}, "migration": "quick", "words": "", "actions": []}  # fmt: skip


class Api:
    """One exchange at a time: `ask` as inside/cloud.py's."""

    def __init__(self, root: str, state: State) -> None:
        self.root, self.state = root, state
        self.hosts = {name_of(root, host): world.Host(root, host) for host in compute_hosts(root)}
        for server in state["servers"].values():
            self._pass_time(server)

    def ask(
        self, method: str, kind: str, path: str, query: dict[str, str], body: Any = None, data: bytes | None = None
    ) -> Any:
        """Raises Refused, as Nova refuses."""
        parts = path.strip("/").split("/")
        if kind == "image":
            return self._image(method, parts, query, body, data)
        if kind == "network":
            return {"agents": list(self._agents())}
        match method, parts:
            case "GET", ["os-services"]:
                return {"services": [self._service(name) for name in sorted(self.hosts)]}
            case "PUT", ["os-services", identity]:
                return self._switch(identity, body)
            case "GET", ["os-hypervisors", "detail"]:
                rows = [{"hypervisor_type": "QEMU", "service": {"host": name}} for name in self.hosts]
                return {"hypervisors": rows}
            case method, ["flavors", *rest]:
                return self._flavor(method, rest, body)
            case method, ["servers", *rest]:
                return self._servers(method, rest, query, body)
        raise Refused(404, f"HTTP 404: the sandbox's Nova does not know {method} {path}")

    # ------------------------------------------------------------ services

    def _service(self, name: str) -> State:
        about = self.state["services"].get(name, {})
        disabled = about.get("disabled", False)
        return {
            "id": f"service-{name}",
            "binary": "nova-compute",
            "host": name,
            "zone": about.get("zone", "nova"),
            "status": "disabled" if disabled else "enabled",
            "state": "up" if self._up(name) else "down",
            "disabled_reason": about.get("reason") if disabled else None,
        }

    def _up(self, name: str) -> bool:
        host, silent = self.hosts[name], self.state["services"].get(name, {}).get("silent")
        return host.running("nova_compute") and silent not in ("", self._release(name))

    def _release(self, name: str) -> str:
        found = self.hosts[name].container("nova_compute") or {"image": ""}
        return str(found["image"]).rpartition(":")[2].partition("-")[0]

    def versions(self) -> dict[str, int]:
        return {name: records.service_version(self._release(name)) for name in self.hosts}

    def _takes(self, name: str) -> bool:
        return name in self.hosts and self._up(name) and not self.state["services"].get(name, {}).get("disabled")

    def _switch(self, identity: str, body: Any) -> State:
        name = identity.removeprefix("service-")
        if name not in self.hosts:
            raise Refused(404, f"HTTP 404: Service {identity} could not be found.")
        disabled = body["status"] == "disabled"
        about = self.state["services"].setdefault(name, {})
        about.update(disabled=disabled, reason=body.get("disabled_reason") or "")
        store.note(self.root, f"compute-{'disable' if disabled else 'enable'}:{self.hosts[name].name}")
        return {"service": self._service(name)}

    # ------------------------------------------------------------ servers

    def _servers(self, method: str, rest: list[str], query: dict[str, str], body: Any) -> Any:
        match method, rest:
            case "GET", ["detail"]:
                return self._page(query)
            case "POST", []:
                return self._create(body["server"])
        server = self.state["servers"].get(rest[0])
        if server is None:
            raise Refused(404, f"HTTP 404: Instance {rest[0]} could not be found.")
        match method, rest[1:]:
            case "GET", []:
                return {"server": self._shown(server)}
            case "DELETE", []:
                del self.state["servers"][server["id"]]
                return {}
            case "POST", ["action"]:
                return self._act(server, body)
            case "GET", ["os-instance-actions"]:
                return {"instanceActions": list(reversed(server["actions"]))}
            case "GET", ["os-instance-actions", request]:
                return {"instanceAction": next(item for item in server["actions"] if item["request_id"] == request)}
            case "GET", ["migrations"]:
                return {"migrations": [{"id": 1, "status": "running"}] if server["status"] == "MIGRATING" else []}
            case "DELETE", ["migrations", _]:
                return self._abort(server)
        raise Refused(404, f"HTTP 404: the sandbox's Nova does not know {method} of a server's {'/'.join(rest[1:])}")

    def _page(self, query: dict[str, str]) -> State:
        found = [
            server
            for server in sorted(self.state["servers"].values(), key=lambda item: str(item["id"]))
            if query.get("host") in (None, server["host"]) and re.search(query.get("name", ""), server["name"])
        ]
        after = [server for server in found if server["id"] > query.get("marker", "")]
        said: State = {"servers": [self._shown(server) for server in after[:PAGE]]}
        if len(after) > PAGE:
            again = "&".join(f"{key}={value}" for key, value in {**query, "marker": after[PAGE - 1]["id"]}.items())
            said["servers_links"] = [{"rel": "next", "href": f"http://elsewhere/servers/detail?{again}"}]
        return said

    def _shown(self, server: State) -> State:
        moving = server["status"] == "MIGRATING"
        return {
            "id": server["id"],
            "name": server["name"],
            "status": server["status"],
            "tenant_id": server["project"],
            "metadata": server["metadata"],
            "flavor": {"extra_specs": server["extra"]},
            "OS-EXT-SRV-ATTR:host": server["host"],
            "OS-EXT-STS:task_state": "migrating" if moving else server.get("task"),
            "OS-EXT-STS:vm_state": "active" if moving else server["status"].lower(),
            **({"fault": {"message": server["words"]}} if server["status"] == "ERROR" else {}),
        }

    def _create(self, wanted: State) -> State:
        host = wanted.get("host") or ""
        if host not in self.hosts:
            raise Refused(400, f"HTTP 400: Compute host {host} could not be found.")
        if wanted["imageRef"] not in self.state["images"] or wanted["flavorRef"] not in self.state["flavors"]:
            raise Refused(400, "HTTP 400: Can not find requested image or flavor")
        server = new_server(wanted["name"], host, project=PROJECT)
        server.update(id=str(uuid.uuid4()), metadata=wanted.get("metadata", {}))
        planted = self.state["trial"].get(host, {})
        words = planted.get("create") or ("" if self._takes(host) else "No valid host was found. ")
        if words:
            server.update(status="ERROR", words=words)
        server.update(migration="fails" if planted.get("migrate") else "quick")
        server["words"] = server["words"] or planted.get("migrate", "")
        self.state["servers"][server["id"]] = server
        store.note(self.root, f"create:{self.hosts[host].name}")
        return {"server": {"id": server["id"]}}

    def _act(self, server: State, body: Any) -> State:
        if "os-getConsoleOutput" in body:
            if not self._up(server["host"]):
                raise Refused(409, "HTTP 409: Instance is not ready")
            return {"output": "SeaBIOS\nBooting from Hard Disk...\n"}
        if server["status"] not in ("ACTIVE", "PAUSED"):
            raise Refused(409, f"HTTP 409: Cannot 'os-migrateLive' instance while it is in vm_state {server['status']}")
        host = body["os-migrateLive"]["host"]
        fit = [name for name in sorted(self.hosts) if name != server["host"] and self._takes(name)]
        words = server["words"] if server["migration"] == "fails" else ""
        if (host or (fit or [""])[0]) not in fit:
            words = "No valid host was found. There are not enough hosts available."
        request = f"req-{uuid.uuid4()}"
        event = {"start_time": f"{len(server['actions']):06d}", "result": "Error", "details": words}
        server["actions"].append(
            {"action": "live-migration", "request_id": request, "user_id": USER, "events": [event] if words else []}
        )
        ends = 0.0 if words else time.time() + (1e9 if server["migration"] == "endless" else MIGRATION_SECONDS)
        server.update(before=server["status"], status="MIGRATING", ends=ends, to="" if words else host or fit[0])
        return {}

    def _pass_time(self, server: State) -> None:
        """A migration whose time has come ends, where its words say why it fails if it does."""
        if server["status"] != "MIGRATING" or server["ends"] > time.time():
            return
        server["status"] = server["before"]
        if server["to"]:
            store.note(self.root, f"moved:{server['name']}:{server['host']}:{server['to']}")
            server["host"] = server["to"]

    def _abort(self, server: State) -> State:
        if server["status"] != "MIGRATING":
            raise Refused(400, "HTTP 400: Migration 1 state of instance is completed.")
        server.update(ends=0.0, to="")
        return {}

    # ------------------------------------------------------------ flavors, images, agents

    def _flavor(self, method: str, rest: list[str], body: Any) -> Any:
        flavors = self.state["flavors"]
        if method == "POST":
            flavors[body["flavor"]["id"]] = body["flavor"]
        elif rest[0] not in flavors:
            raise Refused(404, f"HTTP 404: Flavor {rest[0]} could not be found.")
        elif method == "DELETE":
            del flavors[rest[0]]
        return {}

    def _image(self, method: str, parts: list[str], query: dict[str, str], body: Any, data: bytes | None) -> Any:
        images = self.state["images"]
        match method, parts:
            case "GET", ["images"]:
                return {"images": [image for image in images.values() if image["name"] == query.get("name")]}
            case "POST", ["images"]:
                image = {**body, "id": str(uuid.uuid4()), "status": "queued", "owner": PROJECT}
                images[image["id"]] = image
                return image
            case "PUT", ["images", identity, "file"] if identity in images and data:
                images[identity]["status"] = "active"
            case "DELETE", ["images", identity] if identity in images:
                del images[identity]
            case _:
                raise Refused(404, "HTTP 404: No image found")
        return {}

    def _agents(self) -> Iterator[State]:
        for name in world.hosts(self.root):
            host = world.Host(self.root, name)
            for container, kind in records.AGENTS.items():
                if host.container(container):
                    yield {
                        "host": name_of(self.root, name),
                        "agent_type": kind,
                        "alive": host.running(container),
                        "admin_state_up": True,
                    }
