"""Is the whole cloud healthy between two waves: conditions with a time limit, asked again, never a pause alone.

Which release runs where is not asked here: between two waves both do.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from upgrader.facts.heads import ReleaseNames
from upgrader.facts.names import release_names
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.containers import containers
from upgrader.probes.galera import galera
from upgrader.probes.services import judge_services
from upgrader.stages.base import StageCanceled, StageContext
from upgrader.stages.common import see

PAUSE = 2.0
MUST_PASS = frozenset(
    {
        "container-starting", "nova-service-down", "neutron-agent-down", "cinder-service-down", "rabbitmq-maintenance",
        "rabbitmq-under-replicated", "rabbitmq-unread", "galera-lost-setting",
    }
)  # fmt: skip
"""Findings that are only warnings of a cloud at rest, and that a wave must not leave behind."""


def ills(facts: CloudFacts, names: ReleaseNames, spared: Collection[str] = ()) -> tuple[Finding, ...]:
    """What a wave must not leave behind, but for what is about `spared` hosts alone. Pure."""
    found = (*containers(facts, names), *galera(facts), *judge_services(facts))
    return tuple(
        finding
        for finding in found
        if (finding.code is Code.FAILURE or finding.id in MUST_PASS) and not _spared(finding, spared)
    )


def _spared(finding: Finding, spared: Collection[str]) -> bool:
    hosts = [host.strip() for host in finding.host.split(",") if host.strip()]
    return bool(hosts) and all(host in spared for host in hosts)


def told(finding: Finding) -> str:
    """A finding as one line, the same for the same thing."""
    return ": ".join(part for part in (finding.id, finding.host, finding.message) if part)


def await_health(
    ctx: StageContext,
    toolchain: Toolchain,
    inventory: Inventory,
    seconds: float,
    *,
    known: Collection[str] = (),
    spared: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Look until nothing is ill but what was `known` before, at most for `seconds`; what is still ill at the end.

    With 0 seconds it looks once. Raises StageCanceled when the operator asked to stop.
    """
    names = release_names(ctx.graph)
    ends = time.monotonic() + seconds
    while True:
        facts = see(ctx, toolchain, inventory, services=True)
        found = tuple(finding for finding in ills(facts, names, spared) if told(finding) not in known)
        if not found or time.monotonic() >= ends:
            return found
        if ctx.attempt.cancelled():
            raise StageCanceled("health of the cloud")
        ctx.attempt.progress("waiting", message=f"waits for: {found[0].message}", left=round(ends - time.monotonic()))
        time.sleep(PAUSE)
