"""Compute hosts that an operator leaves on their release: does the control plane of the next one still take them?"""

from __future__ import annotations

import shutil
from pathlib import Path

from upgrader.config import Site
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.names import release_names
from upgrader.facts.observe import observe
from upgrader.facts.reading import is_kolla, release_of
from upgrader.graph import ReleaseGraph
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Finding
from upgrader.probes.base import failure, warning
from upgrader.runner.base import Runner

ID = "left-behind"


def look_behind(
    site: Site,
    graph: ReleaseGraph,
    toolchain: Toolchain,
    inventory: Inventory,
    target: str,
    runner: Runner,
    folder: Path,
) -> tuple[Finding, ...]:
    """Look at the hosts of `inventory` alone and judge them. Raises what `observe` raises."""
    names = release_names(graph)
    try:
        facts = observe(site, toolchain, runner, folder, names, inventory=inventory, heads=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return behind(facts, names, target, graph.components(target).nova_rpc.oldest_supported_compute)


def behind(facts: CloudFacts, names: ReleaseNames, target: str, oldest: str) -> tuple[Finding, ...]:
    """Findings about every host in `facts`; `oldest` is the release from which on `target` accepts computes.

    A host that runs an older one would make the new control services refuse to start.
    """
    found = []
    for host in facts.hosts:
        runs = {release_of(one, names) for one in host.containers if is_kolla(one, names)} - {""}
        if not host.reachable or not runs:
            words = "cannot be reached" if not host.reachable else "names no release"
            found.append(
                warning(
                    ID, f"{host.name} stays behind and {words}: what it runs is not known", host=host.name,
                    evidence=host.error, next="openstack compute service delete ID  # if it is gone for good",
                )
            )  # fmt: skip
        elif min(runs) < oldest:
            found.append(
                failure(
                    ID, f"{host.name} stays behind with {min(runs)}; {target} takes compute hosts from {oldest} on",
                    host=host.name, why="Nova's control services refuse to start beside an older compute service",
                    next="take it out of [rolling] exclude",
                )
            )  # fmt: skip
    return tuple(found)
