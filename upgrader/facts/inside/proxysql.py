"""Database servers as one ProxySQL sees them: `python - proxysql USER PORT`, the password in UPGRADER_SECRET.

Runs in kolla_toolbox, because the image of ProxySQL holds no client and the toolbox holds PyMySQL; both share the
host's network. The address comes from the kernel's table of listening sockets, so that it need not be known.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any

SECONDS = 10
LISTEN = "0A"


def listening(lines: Iterable[str], port: int) -> list[str]:
    """Addresses of /proc/net/tcp or tcp6 on which something listens at `port`."""
    found = []
    for line in lines:
        words = line.split()
        if len(words) < 4 or words[3] != LISTEN:
            continue
        address, _, number = words[1].partition(":")
        if int(number, 16) == port:
            found.append(_address(address))
    return found


def _address(text: str) -> str:
    """Words of 32 bits in the machine's own byte order."""
    raw = b"".join(struct.pack("=I", int(text[place : place + 8], 16)) for place in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def addresses(port: int) -> list[str]:
    found: list[str] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as stream:
                found += listening(stream, port)
        except OSError:
            continue
    return [{"0.0.0.0": "127.0.0.1", "::": "::1"}.get(item, item) for item in found]  # noqa: S104


def judged(rows: Iterable[tuple[Any, ...]], offline: Iterable[int]) -> dict[str, Any]:
    """Rows are (hostgroup, host, port, status, comment). A server is up where it is ONLINE in a group that serves.

    ProxySQL moves a Galera node that fails its check to the offline group, where it counts as ONLINE all the same,
    and shuns surplus writers in the writers' group while they wait in the backup group.
    """
    gone = {int(group) for group in offline}
    states: dict[str, dict[int, str]] = {}
    for group, host, port, status, *_ in rows:
        states.setdefault(f"{host}:{port}", {})[int(group)] = str(status).upper()
    serving = {
        server: any(status == "ONLINE" and group not in gone for group, status in groups.items())
        for server, groups in states.items()
    }
    down = [
        ["galera", server, ", ".join(f"{status} in {group}" for group, status in sorted(states[server].items()))]
        for server, good in sorted(serving.items())
        if not good
    ]
    return {"total": len(serving), "down": down, "dead": [] if any(serving.values()) or not serving else ["galera"]}


def ask(host: str, port: int, user: str, password: str) -> dict[str, Any]:
    # of the toolbox, not of this tool
    pymysql = importlib.import_module("pymysql")
    connection = pymysql.connect(
        host=host, port=port, user=user, password=password, connect_timeout=SECONDS, read_timeout=SECONDS
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT hostgroup_id, hostname, port, status, comment FROM runtime_mysql_servers")
            rows = cursor.fetchall()
            cursor.execute("SELECT offline_hostgroup FROM runtime_mysql_galera_hostgroups")
            return judged(rows, [row[0] for row in cursor.fetchall()])
    finally:
        connection.close()


def main() -> None:
    user, port = sys.argv[2], int(sys.argv[3])
    answer: dict[str, Any] = {"error": f"nothing listens at port {port}"}
    try:
        for host in addresses(port):
            try:
                answer = ask(host, port, user, os.environ.get("UPGRADER_SECRET", ""))
                break
            except Exception as error:  # PyMySQL's own kinds, which are not known here
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    except ImportError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
