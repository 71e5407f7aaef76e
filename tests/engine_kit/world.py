"""A cloud of files for tests of the engine: it outlives every process, and counts every effect it suffers.

An effect has a key that names attempt and effect; the same key twice means that a one-way step ran twice. What
an attempt shall do is written in the world too (`script`), so that a supervisor in another process finds it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.facts.names import release_names
from upgrader.facts.reading import read_release
from upgrader.graph import ReleaseGraph
from upgrader.model import CloudFacts, ContainerFacts, HostFacts, SchemaHead
from upgrader.observed import GaleraFacts

HOSTS = ("ctl1", "ctl2", "cmp1")
SERVICES = {"ctl1": ("keystone", "neutron_server"), "ctl2": ("keystone", "neutron_server"), "cmp1": ("neutron_agent",)}
DATABASES = ("keystone", "neutron")
GALERA = GaleraFacts(size=2, status="Primary", state="Synced", ready=True, server_version="10.11.9-MariaDB")


class World:
    """`release` of every host, `schema` of every database, `settings` of the operator, all as releases; and `queues`:
    `classic`, `none` after a reset, or `durable`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, release: str) -> World:
        world = cls(folder)
        for kind, names in (("host", HOSTS), ("schema", DATABASES), ("settings", ("globals",))):
            durable.make_dir(folder / kind, exist_ok=True)
            for name in names:
                world.put(kind, name, release)
        durable.make_dir(folder / "queues", exist_ok=True)
        world.put("queues", "broker", "classic")
        return world

    @classmethod
    def of(cls, state_dir: Path) -> World:
        """The world that lies beside a state folder."""
        return cls(state_dir.parent / "world")

    # ------------------------------------------------------------ its condition

    def put(self, kind: str, name: str, release: str) -> None:
        durable.write_atomic(self.folder / kind / name, release)

    def become(self, release: str) -> None:
        """All of it at once, as a complete upgrade leaves it."""
        for kind, name in (*(("host", host) for host in HOSTS), ("schema", "neutron"), ("settings", "globals")):
            self.put(kind, name, release)

    def at(self, kind: str) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((self.folder / kind).iterdir()) if path.suffix == ""}

    def condition(self) -> dict[str, dict[str, str]]:
        """All of it, to compare two ends."""
        return {kind: self.at(kind) for kind in ("host", "schema", "settings", "queues")}

    def facts(self, graph: ReleaseGraph) -> CloudFacts:
        """What an observation of it says."""
        hosts = tuple(
            HostFacts(
                name=name,
                groups=("control",) if name.startswith("ctl") else ("compute",),
                engine="docker",
                containers=tuple(
                    ContainerFacts(name=service, image=f"registry/kolla/{service.replace('_', '-')}:{release}-debian")
                    for service in SERVICES[name]
                ),
                galera=GALERA if name.startswith("ctl") else None,
            )
            for name, release in self.at("host").items()
        )
        heads = tuple(
            SchemaHead(database=name, heads=graph.heads(release)[name]) for name, release in self.at("schema").items()
        )
        reading = read_release(hosts, heads, release_names(graph))
        return CloudFacts(site="crash", observed_at="2026-11-22T14:00:00Z", hosts=hosts, heads=heads, reading=reading)

    # ------------------------------------------------------------ effects

    def effect(self, attempt: str, name: str, kind: str, item: str, release: str) -> None:
        """One change by an attempt, noted before it is made. A crash is possible on both sides of it."""
        durable.failpoint(f"world.{name}.before")
        line = json.dumps({"attempt": attempt, "effect": name, "from": self.at(kind)[item], "to": release})
        with (self.folder / "effects.jsonl").open("a") as stream:
            stream.write(line + "\n")
        self.put(kind, item, release)
        durable.failpoint(f"world.{name}.after")

    def effects(self) -> list[dict[str, str]]:
        try:
            return [json.loads(line) for line in (self.folder / "effects.jsonl").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def twice(self) -> list[tuple[str, str]]:
        """Effects that one attempt had more than once."""
        counted = Counter((row["attempt"], row["effect"]) for row in self.effects())
        return [key for key, count in counted.items() if count > 1]

    # ------------------------------------------------------------ what attempts shall do

    def script(self, plays: Mapping[str, Sequence[str]]) -> None:
        """For each stage, what its attempts do, the first first; after the last one they come right."""
        durable.write_json(self.folder / "script.json", {stage: list(deeds) for stage, deeds in plays.items()})

    def deed(self, stage: str, number: int) -> str:
        document: Mapping[str, Any] = durable.read_json(self.folder / "script.json").document or {}
        deeds = document.get(stage, [])
        return str(deeds[number - 1]) if number <= len(deeds) else "good"
