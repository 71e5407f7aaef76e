"""Where a lab keeps its things, and the record that lets a second command find them again."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from upgrader.errors import EnvironmentMissingError, LockedError
from upgrader.lab import no_network

DEFAULT_DIR = Path("/var/lib/upgrader-lab")

SOCKET_ROOM = 60
"""A unix socket's path holds 107 bytes; the engine appends up to about 45 to the folder of its sockets."""


@dataclass(frozen=True)
class LabRecord:
    """What was chosen when the lab was first brought up; every later command reads it from `lab.json`."""

    release: str
    also: str
    controllers: int
    subnet: str
    port: int
    bridge: str
    toolchains: str
    packages: tuple[str, ...] = ()
    """Debian packages `up` installed on this machine; `down` leaves them and says so."""
    computes: int = 0
    """Hosts for instances beside the controllers; without any there is no Nova."""

    @property
    def gateway(self) -> str:
        return str(next(ipaddress.ip_network(self.subnet).hosts()))

    @property
    def registry(self) -> str:
        return f"{self.gateway}:{self.port}"

    @property
    def no_network(self) -> str:
        """Where Nova finds what answers it in Neutron's place."""
        return f"http://{self.gateway}:{no_network.PORT}"

    @property
    def vip(self) -> str:
        """The address of the API: its own with load balancers, the node's without."""
        return self._host(250) if self.controllers > 1 else self.node_address(0)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every host, controllers first."""
        return (*self.control_nodes, *self.compute_nodes)

    @property
    def control_nodes(self) -> tuple[str, ...]:
        return tuple(f"control{number + 1}" for number in range(self.controllers))

    @property
    def compute_nodes(self) -> tuple[str, ...]:
        return tuple(f"compute{number + 1}" for number in range(self.computes))

    @property
    def releases(self) -> tuple[str, ...]:
        return (self.release, self.also) if self.also and self.also != self.release else (self.release,)

    def node_address(self, number: int) -> str:
        """The address of the host at this place in `nodes`: controllers from .11 on, the others from .31 on."""
        return self._host(11 + number if number < self.controllers else 31 + number - self.controllers)

    def _host(self, number: int) -> str:
        return str(ipaddress.ip_network(self.subnet).network_address + number)


@dataclass(frozen=True)
class LabSite:
    """A lab that is up: what a caller needs to use it as a site."""

    dir: Path
    site_dir: Path
    release: str
    also: str
    controllers: int
    api: str
    docker_host: str
    registry: str
    timings: dict[str, float]
    computes: int = 0


@dataclass(frozen=True)
class LabFolder:
    """The paths of one lab. Nothing here touches the disk except the methods that say so."""

    root: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def engine(self) -> Path:
        return self.root / "engine"

    @property
    def timings(self) -> Path:
        return self.root / "timings.json"

    @property
    def record_file(self) -> Path:
        return self.root / "lab.json"

    @property
    def tag(self) -> str:
        """Eight letters that set this lab's bridge and cgroup apart from those of other labs."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Sockets and process ids: inside the folder where the path is short enough for a socket."""
        inside = self.root / "run"
        return inside if len(str(inside)) <= SOCKET_ROOM else Path("/run") / f"upgrader-lab-{self.tag}"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.run / 'docker.sock'}"

    @property
    def cgroup(self) -> str:
        return f"upgrader-lab-{self.tag}"

    def read_record(self) -> LabRecord | None:
        """The record, or None where no lab was brought up in this folder."""
        try:
            fields = json.loads(self.record_file.read_text())
        except FileNotFoundError:
            return None
        fields["packages"] = tuple(fields.get("packages", ()))
        return LabRecord(**fields)

    def write_record(self, record: LabRecord) -> None:
        spare = self.record_file.with_suffix(".new")
        spare.write_text(json.dumps(asdict(record), indent=1) + "\n")
        spare.replace(self.record_file)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the lab for one command; LockedError while another one has it."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError(
                    f"another lab command is working in {self.root}",
                    cloud="the lab is being changed by that command",
                    next_command=f"upgrader lab status --dir {self.root}",
                ) from None
            yield
        finally:
            os.close(descriptor)


def free_subnet() -> str:
    """A /24 that no route of this machine touches; EnvironmentMissingError when all candidates are taken."""
    routes = json.loads(
        subprocess.run(["ip", "-json", "-4", "route"], capture_output=True, check=True, text=True).stdout or "[]"
    )
    taken = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for third in range(77, 200):
        candidate = ipaddress.ip_network(f"10.213.{third}.0/24")
        if not any(candidate.overlaps(network) for network in taken):
            return str(candidate)
    raise EnvironmentMissingError(
        "no free network among 10.213.77.0/24 … 10.213.199.0/24", cloud="nothing was changed", next_command="ip route"
    )


def free_port() -> int:
    """5000, the usual port of a registry, or another one where a program listens on every address already."""
    for port in (5000, 5050, 5051, 5052):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - bound for a moment, to learn whether it is taken
            except OSError:
                continue
            return port
    raise EnvironmentMissingError("ports 5000, 5050, 5051 and 5052 are all taken", cloud="nothing was changed")
