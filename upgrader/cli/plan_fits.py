"""Does a plan still fit its site: asked by `run` before it begins, and by everything that speaks of a plan as valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upgrader.errors import StaleError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.graph import ReleaseGraph
    from upgrader.kolla.inventory import Inventory
    from upgrader.model import CloudFacts, Plan


def same_release_data(plan: Plan, graph: ReleaseGraph, next_command: str) -> None:
    """Raises StaleError when the plan was made with other release data than are here."""
    if plan.graph_sha256 == graph.sha256:
        return
    raise StaleError(
        "The plan was made with other release data than this upgrader has.",
        cloud="Nothing was changed.",
        details=(f"release data: the plan has {plan.graph_sha256[:12]}, here it is {graph.sha256[:12]}",),
        next_command=next_command,
        reason="plan-stale",
    )


def no_drift(
    plan: Plan, site: Site, graph: ReleaseGraph, facts: CloudFacts, inventory: Inventory, next_command: str
) -> None:
    """Raises StaleError with every difference between what the plan was made from and what was seen just now."""
    from upgrader.facts.binding import drift
    from upgrader.survey import bind_now

    refuse(drift(plan.binding, bind_now(site, graph, facts, inventory)), next_command)


def refuse(differences: tuple[str, ...], next_command: str) -> None:
    """Raises StaleError when there are differences."""
    if not differences:
        return
    raise StaleError(
        "The cloud or its configuration is not what the plan was made from.",
        cloud="Nothing was changed.",
        details=differences,
        next_command=next_command,
        reason="drift",
    )
