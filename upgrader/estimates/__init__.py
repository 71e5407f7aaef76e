"""How long each stage of a plan will take, from what it took before; and how much of a stage is left.

Figures come, for every stage, from the first of these that has any: the same hop on this site, the same hop on its
staging cloud, the same stage of other hops on this site, the shipped baseline. A sample of a cloud of another size is
scaled by the baseline's model. Attempts that were cut short, failed, or went on with somebody else's half-done work
are no samples. No clock and no network: the same files give the same figures. Light: no pydantic.

    estimates(site, plan) -> tuple[Estimate, ...]        plan: a Plan, or its document
    for_plan_only(plan, forks=…, soak=…)                 without a site: the baseline alone
    of(found, hop, stage) -> Estimate | None
    total(found, hop, stages) -> Estimate                stages one after the other
    in_window(found, hop), before_window(found, hop)     the two columns of `upgrader plan`
    way_back(found, hop, ways) -> Estimate               what has to be kept free: the way back and its verification
    hop_fits(rules, now, plan's document, found)         each hop against the windows to come
    left(estimate, gone_seconds) -> Left                 of a stage that is under way: about how long, and is it slow
    by_service(site, plan) -> tuple[ServiceEstimate, ...]   services within upgrades and ways back, where measured
    documents(found)                                     for JSON
"""

from __future__ import annotations

from upgrader.estimates.find import estimates, for_plan_only
from upgrader.estimates.fit import HopFit, hop_fits, way_of
from upgrader.estimates.left import Left, left
from upgrader.estimates.services import ServiceEstimate, by_service
from upgrader.estimates.value import BACK, Estimate, before_window, documents, in_window, of, total, way_back

__all__ = [
    "BACK",
    "Estimate",
    "HopFit",
    "Left",
    "ServiceEstimate",
    "before_window",
    "by_service",
    "documents",
    "estimates",
    "for_plan_only",
    "hop_fits",
    "in_window",
    "left",
    "of",
    "total",
    "way_back",
    "way_of",
]
