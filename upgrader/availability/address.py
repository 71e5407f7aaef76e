"""Addresses that are asked: taken apart, made from a catalogue, and their names resolved beside the asking."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from upgrader.availability_rules import fault_of

_VERSION = re.compile(r"^v\d+(\.\d+)?$")
_FOR_SOMEBODY = re.compile(r"^(AUTH_|[$%]\()")

Where = tuple[int, Any]
"""Address family, and what connect(2) wants."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart."""

    host: str
    port: int
    tls: bool
    path: str
    """With its query; never empty."""

    @property
    def authority(self) -> str:
        """As it stands in the Host line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


@lru_cache(maxsize=512)
def address_of(url: str) -> Address:
    """Raises ValueError for what cannot be asked; its words hold no login."""
    if fault := fault_of(url):
        raise ValueError(fault)
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    assert parts.hostname  # noqa: S101 - fault_of looked
    return Address(parts.hostname, parts.port or (443 if tls else 80), tls, path)


def redirected(asked: Address, location: str) -> Address:
    """Where an answer sends its client. Raises ValueError when that cannot be asked."""
    return address_of(urljoin(asked.url, location.strip()).partition("#")[0])


def version_document(url: str) -> str:
    """Address of a service's version document, from its endpoint: what comes before the version, if there is one."""
    parts = urlsplit(url)
    kept = []
    for segment in parts.path.split("/"):
        if _VERSION.match(segment) or _FOR_SOMEBODY.match(segment):
            break
        kept.append(segment)
    path = "/".join(kept).rstrip("/") + "/"
    return f"{parts.scheme}://{parts.netloc}{path}"


def keystone_base(url: str) -> str:
    """Keystone's address without a version."""
    base = url.rstrip("/")
    for version in ("/v3", "/v2.0"):
        base = base.removesuffix(version)
    return base


def from_catalogue(catalogue: Iterable[Mapping[str, Any]], region: str) -> dict[str, str]:
    """Service → version document of its public endpoint, each document once. Entries that make no sense are left out.

    Of several regions the wanted one is taken, or all where none is wanted or it is not there.
    """
    found: list[tuple[str, str, str]] = []
    for entry in catalogue:
        points: Sequence[Mapping[str, Any]] | None = entry.get("endpoints")
        for point in points or ():
            if point.get("interface") != "public":
                continue
            url = str(point.get("url", ""))
            if fault_of(re.sub(r"[$%]\([^)]*\)s", "x", url)):
                continue
            name = str(entry.get("name") or entry.get("type") or "")
            found.append((name, version_document(url), str(point.get("region_id") or point.get("region") or "")))
    regions = {where for _, _, where in found}
    several = len(regions) > 1 and region not in regions
    chosen: dict[str, str] = {}
    for name, url, where in sorted(found):
        label = f"{name} {where}" if several else name
        if (several or where == region or len(regions) == 1) and url not in chosen.values() and label:
            chosen.setdefault(_plain(label), url)
    return chosen


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ._-]", "_", name)[:63]


@lru_cache(maxsize=512)
def literal(host: str, port: int) -> Where | None:
    """Where an address in digits is; None for a name."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    if number.version == 4:
        return socket.AF_INET, (host, port)
    # a link-local address names its interface behind a %
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, place


class Names:
    """Resolves host names in a thread of its own, so that a dead name server holds nothing up.

    A name is looked up anew every `fresh` seconds, every second while it fails.
    """

    def __init__(self, timeout: float, fresh: float = 15.0, look_up: Any = socket.getaddrinfo) -> None:
        self._timeout, self._fresh, self._look_up = timeout, fresh, look_up
        self._known: dict[tuple[str, int], tuple[Sequence[Where], str, float]] = {}
        self._asked: dict[tuple[str, int], float] = {}
        self._wanted: set[tuple[str, int]] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def find(self, host: str, port: int) -> tuple[Sequence[Where], str] | None:
        """Where a host is, or why its name cannot be resolved; None while that is not known yet."""
        if (where := literal(host, port)) is not None:
            return (where,), ""
        key = (host, port)
        now = time.monotonic()
        with self._changed:
            known = self._known.get(key)
            if known is None or now - known[2] > (1.0 if known[1] else self._fresh):
                self._want(key, now)
            began = self._asked.get(key)
            if began is not None and now - began > self._timeout:
                return (), "the name server does not answer"
            return None if known is None else known[:2]

    def _want(self, key: tuple[str, int], now: float) -> None:
        if key in self._asked:
            return
        self._asked[key] = now
        self._wanted.add(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._wanted:
                    self._changed.wait()
                key = self._wanted.pop()
            found, why = self._resolve(*key)
            with self._changed:
                self._known[key] = (found, why, time.monotonic())
                self._asked.pop(key, None)

    def _resolve(self, host: str, port: int) -> tuple[Sequence[Where], str]:
        try:
            rows = self._look_up(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            return (), f"{host} cannot be resolved: {getattr(error, 'strerror', None) or error}"
        return [(row[0], row[4]) for row in rows], ""
