"""What the sandbox's containers and services say in their logs: what really happened to them, and what was planted.

Standard output of a container goes with the container, as an engine does it; the services' own files are in the
volume kolla_logs, by service, in local time, as Kolla has them. Standard library only, see store.py.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from upgrader.sandbox.world import Host

VOLUME = "kolla_logs"
"""openstack/kolla-ansible@22.2.0:ansible/roles/*/defaults/main.yml: mounted at /var/log/kolla in every container."""


def begin(host: Host, container: str, *lines: str) -> None:
    """A container was made: its output begins anew."""
    forget(host, container)
    say(host, container, *lines)


def say(host: Host, container: str, *lines: str) -> None:
    """Lines on the standard output of a container, each with the engine's own time before it."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
    _append(f"{host.dir}/logs/{container}.log", "".join(f"{stamp} {line}\n" for line in lines).encode())


def forget(host: Host, container: str) -> None:
    """The container is gone, and its output with it."""
    try:
        os.unlink(f"{host.dir}/logs/{container}.log")  # noqa: PTH108
    except FileNotFoundError:
        return


def service(host: Host, folder: str, file: str, level: str, text: str, request: str = "") -> None:
    """A line of a service in its own file, in the form of oslo.log."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
    asked = f" [{request} - - - - -]" if request else ""
    plant(host, f"{folder}/{file}", f"{stamp} 7 {level} {folder}{asked} {text}\n".encode())


def plant(host: Host, path: str, data: bytes) -> None:
    """Add bytes to a file of the volume, whatever they are."""
    _append(f"{host.volume(VOLUME)}/{path}", data)


def output(host: Host, container: str, since: str, until: str) -> Iterator[str]:
    """The container's output between two times as an engine prints it with --timestamps; ISO 8601, UTC, seconds."""
    try:
        with open(f"{host.dir}/logs/{container}.log", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            for line in stream:
                if since[:19] <= line[:19] <= until[:19]:
                    yield line
    except FileNotFoundError:
        return


def status(found: dict[str, object]) -> str:
    """How the engine's list shows a container's state."""
    if found["status"] != "running":
        return f"Exited ({found['exit_code']}) a while ago"
    return f"Up a while ({found['health']})" if found["health"] else "Up a while"


def _append(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
