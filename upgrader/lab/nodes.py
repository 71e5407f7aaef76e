"""Controllers: containers that run systemd and a container engine of their own, as kolla-ansible expects of a host."""

from __future__ import annotations

import time

from upgrader.errors import FailedCleanError
from upgrader.lab.engine import NETWORK, Docker
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.machine import cgroup_version, has_sys_resource

BOOT_SECONDS = 90


def node_command(folder: LabFolder, record: LabRecord, number: int, *, cgroup: int, resource: bool) -> list[str]:
    """The client words that start one node. Never `--privileged`: the capability it also asks for may be missing."""
    name = record.nodes[number]
    words = ["run", "--detach", "--name", name, "--hostname", name, "--restart", "no"]
    words += ["--network", NETWORK, "--ip", record.node_address(number), "--stop-signal", "SIGRTMIN+3"]
    words += ["--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    words += ["--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"]
    words += ["--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock", "--volume", f"{name}-docker:/var/lib/docker"]
    words += ["--env", f"LAB_REGISTRY={record.registry}", "--env", "container=docker"]
    if not resource:
        words += ["--cap-drop", "SYS_RESOURCE", "--env", "LAB_WITHOUT_RESOURCE=1"]
    if cgroup == 1:
        # systemd needs the tree of this machine; what the node's engine adds goes below the lab's own branch
        words += ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        words += ["--env", f"LAB_CGROUP=/{folder.cgroup}/{name}"]
    else:
        words += ["--cgroupns", "private"]
    return [*words, "lab/node:latest"]


def start_nodes(folder: LabFolder, record: LabRecord, docker: Docker) -> None:
    """Starts the nodes that do not run and waits for their engines.

    A node of an older recipe is kept as it is: its cloud lives in it. FailedCleanError when one does not boot.
    """
    for number, name in enumerate(record.nodes):
        state = docker.attempt("inspect", "--format", "{{.State.Status}}", name)
        if state.returncode:
            cgroup, resource = cgroup_version(), has_sys_resource()
            docker.ask(*node_command(folder, record, number, cgroup=cgroup, resource=resource))
        elif state.stdout.strip() != "running":
            docker.ask("start", name)
    for name in record.nodes:
        _wait_for_engine(folder, docker, name)


def _wait_for_engine(folder: LabFolder, docker: Docker, name: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if docker.attempt("exec", name, "docker", "info").returncode == 0:
            return
        time.sleep(0.5)
    journal = docker.attempt("exec", name, "journalctl", "--no-pager", "--lines", "30").stdout
    console = docker.attempt("logs", "--tail", "20", name)
    (folder.log / f"node-{name}.log").write_text(journal + console.stdout + console.stderr)
    raise FailedCleanError(
        f"node {name} has no working container engine after {BOOT_SECONDS} s; log: {folder.log}/node-{name}.log",
        cloud="the lab is incomplete",
        next_command=f"upgrader lab up --dir {folder.root}",
        details=(journal or console.stdout + console.stderr).splitlines()[-10:],
    )
