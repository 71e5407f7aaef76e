"""Observations made by hand, for everything that judges them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from upgrader.facts.heads import ReleaseNames
from upgrader.facts.names import release_names
from upgrader.facts.reading import read_release
from upgrader.graph import load_graph
from upgrader.model import CloudFacts, ContainerFacts, DiskFacts, HostFacts, SchemaHead
from upgrader.observed import GaleraFacts

KOLLA = {"2024.1": "18.8.0", "2024.2": "19.8.0", "2025.1": "20.6.0", "2025.2": "21.3.0"}
SYNCED = GaleraFacts(size=3, status="Primary", state="Synced", ready=True, server_version="10.11.13-MariaDB-log")


@cache
def names() -> ReleaseNames:
    return release_names(load_graph())


def container(
    name: str, release: str = "2025.1", *, image: str = "", state: str = "running", health: str = "", label: str = "-"
) -> ContainerFacts:
    """`label`: kolla_version; "-" for the one that fits the release, empty for none."""
    version = KOLLA[release] if label == "-" else label
    return ContainerFacts(
        name=name,
        image=image or f"registry:4000/kolla/{name.replace('_', '-')}:{release}-debian-bookworm",
        image_id="sha256:" + f"{name}{release}".encode().hex().ljust(64, "0")[:64],
        labels=(("kolla_version", version),) if version else (),
        state=state,
        health=health,
    )


def host(name: str, *containers: ContainerFacts, groups: tuple[str, ...] = (), **changes: object) -> HostFacts:
    made = HostFacts(
        name=name,
        groups=groups,
        containers=containers,
        disks=(DiskFacts(path="/var/lib/docker", total_bytes=200 << 30, free_bytes=100 << 30),),
    )
    return made.model_copy(update=changes)


def cloud(*hosts: HostFacts, heads: Mapping[str, tuple[str, ...]] | None = None, heads_error: str = "") -> CloudFacts:
    rows = tuple(SchemaHead(database=name, heads=rows) for name, rows in sorted((heads or {}).items()))
    return CloudFacts(
        site="test",
        observed_at="2026-11-22T12:00:00Z",
        hosts=hosts,
        heads=rows,
        heads_error=heads_error,
        reading=read_release(hosts, rows, names()),
    )


def heads_of(release: str, *databases: str) -> dict[str, tuple[str, ...]]:
    known = names().heads[release]
    return {database: known[database] for database in databases}
