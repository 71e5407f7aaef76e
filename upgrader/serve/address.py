"""Where the page is served, and by which names it may be asked for. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from upgrader.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address of this machine (or all of them) and a port; port 0: any that is free."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def everywhere(self) -> bool:
        return ipaddress.ip_address(self.host).is_unspecified

    @property
    def v6(self) -> bool:
        return ipaddress.ip_address(self.host).version == 6

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.v6 else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """`127.0.0.1:8620`, `[::1]:8620`, `localhost:8620`, `:8620` (loopback), `8620`. Raises UsageError."""
    host, _, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _wrong(text, "an IPv6 address stands in brackets: [::1]:8620")
    if host in ("", "localhost"):
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise _wrong(text, f"{host!r} is no IP address; name this machine's address, not its name") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise _wrong(text, f"{port!r} is no port")
    return Address(host, int(port))


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(
        f"--listen {text!r}: {why}.", next_command="upgrader serve --listen 127.0.0.1:8620", reason="bad-address"
    )


def ours(header: str, address: Address, names: Iterable[str]) -> bool:
    """Whether a Host header names this page. A foreign name that was made to point here (DNS rebinding) does not.

    Addresses need no name service, so nobody can point one here: any is taken, loopback alone where only that listens.
    """
    host = _host_of(header)
    if host is None:
        return False
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host in names
    return literal.is_loopback or not address.loopback


def _host_of(header: str) -> str | None:
    text = header.strip().lower().rstrip(".")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return host if bracket and _port(rest) else None
    host, colon, port = text.partition(":")
    host = host.rstrip(".")
    return host if host and (not colon or _port(f":{port}")) else None


def _port(rest: str) -> bool:
    return rest == "" or (rest.startswith(":") and rest[1:].isascii() and rest[1:].isdigit())
