"""The lab's own container engine and image registry: started by hand, told apart from any the machine runs.

Neither touches the packet filter, the routing switch or the default bridge: containers of the lab talk over one
bridge network, and image builds use the machine's own network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from upgrader.errors import FailedCleanError
from upgrader.lab import no_network
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.steps import tail

NETWORK = "lab"
START_SECONDS = 60
STOP_SECONDS = 30


def search_path() -> str:
    """PATH with the folders of system programs, which not every root shell has."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


class Docker:
    """The docker client, speaking to the lab's engine only and reading no settings of the calling user."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self.program = shutil.which("docker", path=search_path()) or "docker"
        self.env = {
            "PATH": search_path(),
            "HOME": "/root",
            "DOCKER_HOST": folder.docker_host,
            "DOCKER_CONFIG": str(folder.run / "client"),
        }

    def command(self, *words: str) -> list[str]:
        return [self.program, *words]

    def ask(self, *words: str) -> str:
        """Standard output of a client command, stripped; FailedCleanError with the client's words when it fails."""
        done = self.attempt(*words)
        if done.returncode:
            raise FailedCleanError(
                f"docker {words[0]} failed: {done.stderr.strip()[-500:]}",
                cloud="the lab is incomplete",
                next_command=f"upgrader lab up --dir {self._folder.root}",
            )
        return done.stdout.strip()

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, env=self.env, stdin=subprocess.DEVNULL, check=False
        )

    def alive(self) -> bool:
        """Whether the engine answers; it does not where its client is not installed either."""
        try:
            return self.attempt("version", "--format", "{{.Server.Version}}").returncode == 0
        except FileNotFoundError:
            return False


def running(pid: int, mark: str) -> bool:
    """Whether a process lives (not as a zombie) and carries the mark in its command line: ids are used again."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (OSError, IndexError):
        return False
    return state != "Z" and mark in words


def _pid(folder: LabFolder, name: str) -> int | None:
    try:
        pid = int((folder.run / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if running(pid, str(folder.run)) else None


def _spawn(folder: LabFolder, name: str, command: Sequence[str]) -> None:
    """Starts a program that outlives this one; its words go to `log/<name>.log`."""
    folder.log.mkdir(parents=True, exist_ok=True)
    with (folder.log / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": search_path()},
            cwd="/",
            start_new_session=True,
        )
    (folder.run / f"{name}.pid").write_text(f"{process.pid}\n")


def _wait(folder: LabFolder, name: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    unseen = 0  # a program that was just started shows no command line for an instant
    while time.monotonic() < deadline and unseen < 5:
        if ready():
            return
        unseen = unseen + 1 if _pid(folder, name) is None else 0
        time.sleep(0.2)
    log = folder.log / f"{name}.log"
    raise FailedCleanError(
        f"{name} does not start; log: {log}",
        cloud="the lab is not running",
        next_command=f"upgrader lab up --dir {folder.root}",
        details=tail(log),
    )


def start_engine(folder: LabFolder, record: LabRecord) -> Docker:
    """Starts containerd and dockerd below the lab's folder unless they run; FailedCleanError with the log's end."""
    folder.run.mkdir(parents=True, exist_ok=True)
    folder.run.chmod(0o711)
    folder.engine.mkdir(parents=True, exist_ok=True)
    (folder.run / "client").mkdir(exist_ok=True)
    containerd = folder.run / "containerd.sock"
    if _pid(folder, "containerd") is None:
        settings = folder.run / "containerd.toml"
        settings.write_text(
            f'version = 2\nroot = "{folder.engine}/containerd"\nstate = "{folder.run}/containerd"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{containerd}"\n[debug]\nlevel = "warn"\n'
        )
        containerd.unlink(missing_ok=True)
        _spawn(folder, "containerd", ["containerd", "--config", str(settings)])
        _wait(folder, "containerd", containerd.is_socket)
    docker = Docker(folder)
    if _pid(folder, "dockerd") is None:
        settings = folder.run / "dockerd.json"
        settings.write_text(json.dumps(_engine_settings(folder, record), indent=1))
        # left behind by an engine that was killed, they would stop the new one
        (folder.run / "docker.pid").unlink(missing_ok=True)
        (folder.run / "docker.sock").unlink(missing_ok=True)
        _spawn(folder, "dockerd", ["dockerd", "--config-file", str(settings)])
    _wait(folder, "dockerd", docker.alive)
    return docker


def _engine_settings(folder: LabFolder, record: LabRecord) -> dict[str, object]:
    return {
        "hosts": [folder.docker_host],
        "containerd": str(folder.run / "containerd.sock"),
        "data-root": str(folder.engine / "docker"),
        "exec-root": str(folder.run / "docker"),
        "pidfile": str(folder.run / "docker.pid"),
        "cgroup-parent": f"/{folder.cgroup}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy": False,
        "insecure-registries": [record.subnet],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "2"},
        "max-concurrent-uploads": 2,
        "shutdown-timeout": 10,
    }


def ensure_network(docker: Docker, record: LabRecord) -> None:
    """The lab's one bridge; its address is the registry's, reachable from this machine and the nodes only."""
    if docker.attempt("network", "inspect", NETWORK).returncode:
        docker.ask(
            "network", "create", "--driver", "bridge", "--subnet", record.subnet, "--gateway", record.gateway,
            "--opt", f"com.docker.network.bridge.name={record.bridge}", NETWORK,
        )  # fmt: skip
    _let_nodes_talk(record, insert=True)


def _let_nodes_talk(record: LabRecord, *, insert: bool) -> None:
    """Where bridged packets pass the machine's packet filter (another engine switches that on), lets the lab's pass."""
    try:
        filtered = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").read_text().strip() == "1"
    except OSError:
        filtered = False
    rule = ["FORWARD", "-i", record.bridge, "-o", record.bridge, "-j", "ACCEPT"]
    environment = {"PATH": search_path()}

    def iptables(action: str) -> int:
        command = ["iptables", "-w", action, *rule]
        return subprocess.run(command, capture_output=True, env=environment, check=False).returncode

    if insert and filtered and iptables("-C"):
        iptables("-I")
    if not insert and shutil.which("iptables", path=search_path()):
        while iptables("-C") == 0 and iptables("-D") == 0:
            pass


def start_registry(folder: LabFolder, record: LabRecord) -> None:
    """Starts the image registry on the bridge's address unless it runs."""
    if _pid(folder, "registry") is not None:
        return
    storage = folder.cache / "registry"
    storage.mkdir(parents=True, exist_ok=True)
    settings = folder.run / "registry.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{storage}'}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '{record.registry}'}}\n"
    )
    _spawn(folder, "registry", ["docker-registry", "serve", str(settings)])
    _wait(folder, "registry", lambda: _answers(f"http://{record.registry}/v2/"))


def _answers(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start_no_network(folder: LabFolder, record: LabRecord) -> None:
    """Starts what answers Nova in Neutron's place, where there is a Nova, unless it runs."""
    if not record.computes or _pid(folder, "no-network") is not None:
        return
    words = [sys.executable, "-P", "-m", "upgrader.lab.no_network", record.gateway, str(no_network.PORT)]
    _spawn(folder, "no-network", [*words, f"{folder.run}/no-network"])
    _wait(folder, "no-network", lambda: _answers(f"{record.no_network}/v2.0/networks"))


def marked_processes(mark: str) -> list[int]:
    """Processes whose command line names the lab's own run folder: its daemons and their shims."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and running(int(entry.name), mark):
            found.append(int(entry.name))
    return found


def _end(pids: Iterable[int], mark: str, number: signal.Signals, seconds: float) -> None:
    waiting = [pid for pid in pids if running(pid, mark)]
    for pid in waiting:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        time.sleep(0.1)
        waiting = [pid for pid in waiting if running(pid, mark)]


def stop_everything(folder: LabFolder, record: LabRecord | None) -> None:
    """Ends registry, engine and whatever they started, in that order; processes of others are left alone."""
    mark = str(folder.run)
    for name in ("no-network", "registry", "dockerd", "containerd"):
        pid = _pid(folder, name)
        if pid is not None:
            _end([pid], mark, signal.SIGTERM, STOP_SECONDS)
            _end([pid], mark, signal.SIGKILL, 5)
        (folder.run / f"{name}.pid").unlink(missing_ok=True)
    # the shims are called by the engine's socket; they outlive a containerd that was killed
    _end(marked_processes(f"{mark}/"), f"{mark}/", signal.SIGKILL, 5)
    if record is not None:
        _let_nodes_talk(record, insert=False)
        if Path(f"/sys/class/net/{record.bridge}").exists():
            subprocess.run(["ip", "link", "delete", record.bridge], capture_output=True, check=False)


def status(folder: LabFolder, record: LabRecord) -> dict[str, bool]:
    names = ("containerd", "dockerd", "registry", *(("no-network",) if record.computes else ()))
    return {name: _pid(folder, name) is not None for name in names}
