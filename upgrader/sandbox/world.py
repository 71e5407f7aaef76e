"""The state of the sandbox's hosts: containers, images, volumes, and the Galera cluster they form.

One file for each container, so that whoever is killed in between leaves each container either as it was or as it is
to be. Shared by the engine and the playbooks' action plugin; standard library only, see store.py.
"""

from __future__ import annotations

import os
import time

from upgrader.sandbox import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Container = dict[str, Any]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def hosts(root: str) -> list[str]:
    return sorted(name for name in os.listdir(f"{root}/hosts") if not name.startswith("."))  # noqa: PTH208


class Host:
    """One host of the cloud, by its folder `<root>/hosts/<name>`."""

    def __init__(self, root: str, name: str) -> None:
        self.root, self.name = root, name
        self.dir = f"{root}/hosts/{name}"

    def containers(self) -> list[str]:
        return store.names(f"{self.dir}/containers")

    def container(self, name: str) -> Container | None:
        found: Container | None = store.read_if_there(self._container(name))
        return found

    def running(self, name: str) -> bool:
        found = self.container(name)
        return bool(found and found["status"] == "running")

    def put(self, name: str, container: Container) -> None:
        store.write(self._container(name), container)

    def remove(self, name: str) -> None:
        try:
            os.unlink(self._container(name))  # noqa: PTH108
        except FileNotFoundError:
            return
        from upgrader.sandbox import logs

        logs.forget(self, name)

    def create(self, name: str, image: str, *, config: str = "", health: str = "healthy") -> None:
        """Make the container anew from `image`, which has to be on the host, and start it."""
        # every host's files would be looked at; of a thousand hosts that is most of the time they take to be made
        server = name == "mariadb"
        joined = server and (galera_size(self.root, without=self.name) > 0 or galera_hosts(self.root) <= 1)
        self.put(
            name,
            {
                "image": image,
                "image_id": image_id(image),
                "status": "running",
                "started_at": now(),
                "exit_code": 0,
                "health": health,
                "config": config,
                **({"joined": joined} if server else {}),
            },
        )
        from upgrader.sandbox import logs

        logs.begin(self, name, f"INFO:__main__:Running command: {name!r} of {image}")
        if health == "unhealthy":
            logs.say(self, name, "ERROR: the health check fails")
        self._tell_membership(name)

    def stop(self, name: str, exit_code: int = 0) -> None:
        """Stop a container; nothing happens when it does not run. Raises KeyError when it does not exist."""
        found = self._existing(name)
        if found["status"] == "running":
            self.put(name, {**found, "status": "exited", "exit_code": exit_code, "joined": False})
            from upgrader.sandbox import logs

            logs.say(self, name, f"stopped with exit code {exit_code}")

    def start(self, name: str) -> None:
        """Start a stopped container as it was made. Raises KeyError when it does not exist."""
        found = self._existing(name)
        if found["status"] == "running":
            return
        changed = {**found, "status": "running", "started_at": now(), "exit_code": 0}
        if name == "mariadb":
            # a server that comes back finds the others; when there are none it waits for a recovery, as Galera does
            changed["joined"] = galera_size(self.root) > 0 or galera_hosts(self.root) <= 1
        self.put(name, changed)
        from upgrader.sandbox import logs

        logs.say(self, name, f"INFO:__main__:Running command: {name!r} of {changed['image']}")
        self._tell_membership(name)

    def _tell_membership(self, name: str) -> None:
        """A database server that comes up says whether it found the others."""
        found = self.container(name)
        if name != "mariadb" or found is None:
            return
        from upgrader.sandbox import logs

        words = "Synchronized with group, ready for connections" if found.get("joined") else "no nodes coming from prim"
        level = "Note" if found.get("joined") else "Warning"
        stamp = time.strftime("%Y-%m-%d %k:%M:%S", time.localtime())
        logs.plant(self, "mariadb/mariadb.log", f"{stamp} 2 [{level}] WSREP: {words}\n".encode())

    def images(self) -> list[dict[str, Any]]:
        return [store.read(f"{self.dir}/images/{name}.json") for name in store.names(f"{self.dir}/images")]

    def image(self, id_or_reference: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = store.read_if_there(f"{self.dir}/images/{_file_name(id_or_reference)}.json")
        if found:
            return found
        wanted = id_or_reference.removeprefix("sha256:")
        for image in self.images():
            if wanted and image["id"].removeprefix("sha256:").startswith(wanted):
                return image
        return None

    def add_image(self, reference: str, labels: dict[str, str]) -> bool:
        """Put an image on the host; False when it was there already."""
        path = f"{self.dir}/images/{_file_name(reference)}.json"
        if os.path.exists(path):  # noqa: PTH110
            return False
        import hashlib

        repository = reference.rpartition(":")[0] or reference
        digest = hashlib.sha256(f"manifest {reference}".encode()).hexdigest()
        store.write(
            path,
            {
                "id": image_id(reference),
                "tags": [reference],
                "digests": [f"{repository}@sha256:{digest}"],
                "labels": labels,
            },
        )
        return True

    def image_path(self, reference: str) -> str:
        """File of an image that is on the host."""
        return f"{self.dir}/images/{_file_name(reference)}.json"

    def image_names(self) -> list[str]:
        """References of the images, from the names of their files alone."""
        return [name.replace("%2F", "/").replace("%25", "%") for name in store.names(f"{self.dir}/images")]

    def volumes(self) -> list[str]:
        try:
            return sorted(name.removesuffix(".json") for name in os.listdir(f"{self.dir}/volumes"))  # noqa: PTH208
        except FileNotFoundError:
            return []

    def volume(self, name: str) -> str:
        return f"{self.dir}/volumes/{name}"

    def _container(self, name: str) -> str:
        return f"{self.dir}/containers/{name}.json"

    def _existing(self, name: str) -> Container:
        found = self.container(name)
        if found is None:
            raise KeyError(name)
        return found


def image_id(reference: str) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(f"image {reference}".encode()).hexdigest()


def _file_name(reference: str) -> str:
    return reference.replace("%", "%25").replace("/", "%2F")


# ---------------------------------------------------------------- the database cluster


def galera_hosts(root: str) -> int:
    """How many hosts have a database server, running or not."""
    return sum(1 for name in hosts(root) if Host(root, name).container("mariadb"))


def galera_size(root: str, without: str = "") -> int:
    """How many running servers form the primary component."""
    return sum(1 for name in galera_members(root) if name != without)


def galera_members(root: str) -> list[str]:
    """Hosts whose running servers form the primary component."""
    found = ((name, Host(root, name).container("mariadb")) for name in hosts(root))
    return [name for name, server in found if server and server["status"] == "running" and server.get("joined")]


def galera_recover(root: str, first: str) -> None:
    """Form the cluster anew, starting with host `first`: what `mariadb-recovery` does."""
    for name in [first, *(host for host in hosts(root) if host != first)]:
        host = Host(root, name)
        server = host.container("mariadb")
        if server:
            host.put("mariadb", {**server, "status": "running", "started_at": now(), "exit_code": 0, "joined": True})


def galera_status(root: str, host: str) -> dict[str, str]:
    """`wsrep_*` and version as the server on `host` shows them; it has to be running."""
    server = Host(root, host).container("mariadb") or {}
    joined = bool(server.get("joined"))
    image = Host(root, host).image(str(server.get("image", ""))) or {"labels": {}}
    version = image["labels"].get("mariadb_version", "10.11.13")
    return {
        "wsrep_cluster_size": str(galera_size(root)) if joined else "1",
        "wsrep_cluster_status": "Primary" if joined else "non-Primary",
        "wsrep_flow_control_paused": "0",
        "wsrep_local_index": str(galera_members(root).index(host)) if joined else str(2**64 - 1),
        "wsrep_local_state_comment": "Synced" if joined else "Initialized",
        "wsrep_ready": "ON" if joined else "OFF",
        "version": f"{version}-MariaDB-log",
    } | _planted(root, host, "galera")


def galera_settings(root: str, host: str) -> list[tuple[str, str, str]]:
    """(variable, value, where the value comes from) of a server as the mariadb role leaves it."""
    values = {
        "innodb_fast_shutdown": "1", "read_only": "OFF", "wsrep_desync": "OFF", "wsrep_on": "ON",
        "wsrep_osu_method": "TOI", "wsrep_reject_queries": "NONE", "wsrep_sst_method": "mariabackup",
    }  # fmt: skip
    configured = ("wsrep_on", "wsrep_sst_method")
    from upgrader.sandbox import left

    planted = {name: value for name, value in left.values(Host(root, host)).items() if name in values}
    planted |= _planted(root, host, "settings")
    return [
        (
            name,
            planted.get(name, value),
            "SQL" if name in planted else "CONFIG" if name in configured else "COMPILE-TIME",
        )
        for name, value in values.items()
    ]


def _planted(root: str, host: str, kind: str) -> dict[str, str]:
    """What a server is to say instead: see faults.damage_answer."""
    changes = (store.read_if_there(f"{root}/services.json") or {}).get(kind, {})
    return {**changes.get("", {}), **changes.get(host, {})}
