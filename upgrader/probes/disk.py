"""Is there room for images on every host, and for the backup on this machine?"""

from __future__ import annotations

import os
from pathlib import Path

from upgrader.model import CloudFacts, DiskFacts, Finding
from upgrader.probes.base import failure, good, warning

ID = "disk"


def local_disk(path: Path) -> DiskFacts:
    """The file system that `path` is on, or would be on once it is made. Raises OSError."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    figures = os.statvfs(place)
    return DiskFacts(
        path=str(path),
        total_bytes=figures.f_blocks * figures.f_frsize,
        free_bytes=figures.f_bavail * figures.f_frsize,
    )


def disk(facts: CloudFacts, min_free_bytes: int, local: tuple[DiskFacts, ...] = ()) -> tuple[Finding, ...]:
    """Findings for the engine's root on every host and for the given places on this machine."""
    found: list[Finding] = []
    for host in facts.hosts:
        if not host.reachable:
            continue  # said by the containers probe
        if not host.disks:
            found.append(warning(ID, f"{host.name}: free disk space could not be read", host=host.name))
        for seen in host.disks:
            if seen.free_bytes < min_free_bytes:
                found.append(_short(host.name, seen, min_free_bytes))
    found.extend(_short("this machine", seen, min_free_bytes) for seen in local if seen.free_bytes < min_free_bytes)
    if found:
        return tuple(found)
    return (good(ID, f"every host has at least {size(min_free_bytes)} free"),)


def _short(where: str, seen: DiskFacts, wanted: int) -> Finding:
    return failure(
        "disk-full",
        f"{where}: {seen.path} has {size(seen.free_bytes)} free, {size(wanted)} are wanted",
        host="" if where == "this machine" else where,
        next="make room, or lower [run] min_free in upgrader.toml",
    )


def size(count: int) -> str:
    """`12.3 GiB` for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
