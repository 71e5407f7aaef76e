"""memcached, Redis or Valkey on one host: `python3 - memcached|redis|valkey PORT`, a password in UPGRADER_SECRET.

Speaks the two line protocols itself: not every image holds a client. Where the server listens is read from what
Kolla gave it: the command of memcached, the configuration of the others.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from typing import Any

SECONDS = 5
COMMAND = "/run_command"
"""Written by kolla_set_configs before the service starts."""
CONFIGURATIONS = {"redis": ("/etc/redis/redis.conf",), "valkey": ("/etc/valkey/valkey.conf", "/etc/valkey.conf")}


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def place(kind: str, port: int) -> tuple[str, int]:
    """Address and port at which the server listens; this machine's own where nothing says so."""
    if kind == "memcached":
        text = read(COMMAND)
        host, number = re.search(r"\s-l\s+([^\s,]+)", text), re.search(r"\s-p\s+(\d+)", text)
    else:
        text = next(filter(None, map(read, CONFIGURATIONS[kind])), "")
        host, number = re.search(r"^bind\s+(\S+)", text, re.M), re.search(r"^port\s+(\d+)", text, re.M)
    return host[1].lstrip("-") if host else "127.0.0.1", int(number[1]) if number else port


def talk(where: tuple[str, int], lines: bytes) -> str:
    """What the server says until it closes or pauses. Raises OSError."""
    with socket.create_connection(where, SECONDS) as connection:
        connection.sendall(lines)
        said = b""
        while len(said) < 1 << 16:
            part = connection.recv(4096)
            if not part:
                break
            said += part
    return said.decode(errors="replace")


def memcached(said: str) -> dict[str, Any]:
    found = re.search(r"^VERSION (\S+)", said, re.M)
    return {"version": found[1]} if found else {"error": f"it said {said[:60]!r}"}


def replicated(said: str) -> dict[str, Any]:
    """Version and role out of `INFO`; Valkey tells its own version beside the one of Redis that it stands in for."""
    refusal = re.search(r"^-(.*)$", said, re.M)
    if refusal:
        return {"error": refusal[1].strip()[:200]}
    values = dict(re.findall(r"^(\w+):(.*?)\r?$", said, re.M))
    if "role" not in values:
        return {"error": f"it said {said[:60]!r}"}
    version = values.get("valkey_version") or values.get("redis_version", "")
    return {"version": version, "role": values["role"], "link": values.get("master_link_status", "")}


def bulk(*words: str) -> bytes:
    """One command in the protocol of Redis, in which a password may hold any character."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def ask(kind: str, port: int, secret: str) -> dict[str, Any]:
    where = place(kind, port)
    try:
        if kind == "memcached":
            return memcached(talk(where, b"version\r\nquit\r\n"))
        login = bulk("AUTH", secret) if secret else b""
        return replicated(talk(where, login + bulk("INFO", "server") + bulk("INFO", "replication") + bulk("QUIT")))
    except OSError as error:
        return {"error": f"{where[0]}:{where[1]}: {error.strerror or error}"}


def main() -> None:
    print(json.dumps(ask(sys.argv[1], int(sys.argv[2]), os.environ.get("UPGRADER_SECRET", ""))))


if __name__ == "__main__":
    main()
