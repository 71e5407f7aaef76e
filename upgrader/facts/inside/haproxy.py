"""Servers of one HAProxy as its statistics socket tells them.

The socket's path is that of openstack/kolla-ansible@18.8.0 to 22.2.0:
ansible/roles/loadbalancer/templates/haproxy/haproxy_main.cfg.j2.
"""

from __future__ import annotations

import csv
import json
import socket
import sys
from typing import Any

SOCKET = "/var/lib/kolla/haproxy/haproxy.sock"
SECONDS = 10
LIMIT = 4 << 20
"""Bytes read at most; a line of the table has some 500."""


def statistics(path: str) -> str:
    """The table of `show stat`. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(b"show stat\n")
        parts: list[bytes] = []
        size = 0
        while size < LIMIT:
            part = connection.recv(65536)
            if not part:
                break
            parts.append(part)
            size += len(part)
    return b"".join(parts).decode(errors="replace")


def servers(table: str) -> dict[str, Any]:
    """`total` servers, `[backend, server, status]` of those that take no requests, `dead` backends with none left."""
    rows = csv.DictReader(table.lstrip("# ").splitlines())
    seen: dict[str, list[bool]] = {}
    down = []
    for row in rows:
        backend, server, status = (row.get(key) or "" for key in ("pxname", "svname", "status"))
        if server in ("", "FRONTEND", "BACKEND") or not status:
            continue
        bad = status.startswith(("DOWN", "MAINT", "NOLB", "STOPPED"))
        seen.setdefault(backend, []).append(bad)
        if bad:
            down.append([backend, server, status])
    return {
        "total": sum(map(len, seen.values())),
        "down": down,
        "dead": sorted(backend for backend, states in seen.items() if all(states)),
    }


def main() -> None:
    try:
        answer = servers(statistics(sys.argv[2] if len(sys.argv) > 2 else SOCKET))
    except OSError as error:
        answer = {"error": f"the statistics socket: {error.strerror or error}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
