"""A place for one run: state folder, world, site and plan; and a session whose eyes are the world's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.engine_kit.world import World
from upgrader.availability_rules import AvailabilityRules
from upgrader.conduct import Conduct
from upgrader.config import Site
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.journal import Journal, Snapshot, acquire, open_journal
from upgrader.journal.place import FULL, Durability
from upgrader.kolla.inventory import Inventory
from upgrader.model import BrokerPlan, CloudFacts, HopPlan, Plan, ToolchainPin, Way, WayBack
from upgrader.session import Session

REPO = Path(__file__).parents[2]
RUN_STAGE = "tests.engine_kit.stages:run_stage"
RELEASES = ("2024.1", "2024.2", "2025.1", "2025.2")


@cache
def graph() -> ReleaseGraph:
    return load_graph()


def site_of(place: Path, **changes: Any) -> Site:
    values: dict[str, Any] = {
        "name": "crash", "file": place / "upgrader.toml", "config_dir": place, "inventory": place / "inventory",
        "passwords": place / "passwords.yml", "extra_vars": (), "vault_password_file": None, "engine": "docker",
        "engine_command": "docker", "staging": place / "staging.toml", "backup_dir": place / "backups",
        "backup_database": "logical", "toolchains_dir": place, "wheelhouse": None, "sandbox": None,
        "state_dir": place / "state", "soak_seconds": 0, "min_free_bytes": 0,
        "forks": 5, "max_attempts": 5, "availability": AvailabilityRules(enabled=False),
    }  # fmt: skip
    return Site(**{**values, **changes})


MIGRATION = BrokerPlan(
    runs=True, before="3.13.7", after="4.0", allowed="yes", demands="durable", migration="yes",
    migration_why="34 reply or fanout queues are classic", services=("keystone", "neutron"),
    settings=(("om_enable_queue_manager", "true"),),
)  # fmt: skip


def a_hop(source: str, target: str, *, schema: bool = True, queues: bool = False) -> HopPlan:
    """A hop of two services. Without `schema` nothing changes that a restore would have to undo; with `queues` they
    have to be migrated first."""
    before, after = graph().heads(source), graph().heads(target)

    def pin(release: str) -> ToolchainPin:
        return ToolchainPin(release=release, kolla_ansible="1", ansible_core="1", python="3")

    return HopPlan.model_validate(
        {
            "from": source,
            "to": target,
            "toolchain": pin(target),
            "toolchain_back": pin(source),
            "stages": (),
            "broker": MIGRATION if queues else BrokerPlan(),
            "ponr": "the first schema change of neutron" if schema else "",
            "way_back": (
                WayBack(
                    service="keystone", database="keystone", changes_schema=False, heads_before=before["keystone"],
                    heads_after=after["keystone"], way=Way.REDEPLOY, why="same heads", enabled=True,
                ),
                WayBack(
                    service="neutron", database="neutron", changes_schema=schema, heads_before=before["neutron"],
                    heads_after=after["neutron"] if schema else before["neutron"],
                    way=Way.RESTORE if schema else Way.REDEPLOY, why="heads", enabled=True,
                ),
            ),
        }
    )  # fmt: skip


def a_plan(journal: Journal, hops: int = 1, *, schema: bool = True, queues: bool = False) -> Plan:
    """A plan bound to the journal as it is now."""
    shot = journal.snapshot()
    names = RELEASES[: hops + 1]
    return Plan.model_validate(
        {
            "site": "crash", "lineage": shot.lineage, "serial": shot.serial, "from": names[0], "to": names[-1],
            "made_at": "2026-11-22T14:00:00Z", "tool_version": "0", "graph_version": "1", "graph_sha256": "0" * 64,
            "hops": tuple(a_hop(a, b, schema=schema, queues=queues) for a, b in pairwise(names)),
        }
    )  # fmt: skip


class WorldSession(Session):
    """A session that looks at the world instead of a cloud, and whose supervisors run the kit's stages."""

    def observe(self, release: str) -> tuple[CloudFacts, Inventory]:
        return World.of(self.site.state_dir).facts(self.graph), None  # type: ignore[return-value]

    def conduct(self, snapshot: Snapshot) -> Conduct:
        made = super().conduct(snapshot)
        made.run_stage = RUN_STAGE
        made.env = {"PYTHONPATH": str(REPO)}
        made.diagnose = lambda _attempt, _stop: (None, "")  # there is no cloud to ask
        asked = made.no_restore_point
        # a hop that a test walked to its upgrade by hand has no set; sets of the kit's own stage are asked about
        made.no_restore_point = lambda hop: asked(hop) if "backup_set" in hop.facts else ""
        return made


def prepare(place: Path, **site: Any) -> Site:
    """A fresh place with an untouched world at the first release."""
    World.create(place / "world", RELEASES[0])
    return site_of(place, **site)


@contextmanager
def opened(
    site: Site,
    say: Callable[[str, dict[str, Any]], None] = lambda _kind, _data: None,
    *,
    durability: Durability = FULL,
) -> Iterator[WorldSession]:
    """Own the place for one command, as `upgrader.session.session` does."""
    with (
        acquire(site.state_dir, "run") as lease,
        open_journal(site.state_dir, durability=durability) as journal,
    ):
        journal.enter(lease)
        yield WorldSession(site, graph(), journal, "anna", say)
