"""Stage `rollback_redeploy`: the old release's toolchain, configuration and images again, on the data as they are.

Reached only where the way is open (see decisions.py). May be done again after any interruption.
"""

from __future__ import annotations

from upgrader.stages import configuration
from upgrader.stages.base import StageContext
from upgrader.stages.common import inventory_of, run_action
from upgrader.stages.stale import restart_stale


def work(ctx: StageContext) -> None:
    with ctx.step("configuration") as evidence:
        evidence.append("; ".join(configuration.put_back(ctx)))
    redeploy(ctx)


def redeploy(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step(f"kolla-ansible deploy of {ctx.hop.source}") as evidence:
        result = run_action(ctx, "deploy", toolchain, inventory)
        evidence.append(f"done on {len(result.hosts_seen)} hosts in {round(result.seconds)} s")
    with ctx.step("restarts that an interruption swallowed") as evidence:
        evidence.append(restart_stale(ctx, toolchain, inventory))
