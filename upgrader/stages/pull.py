"""Stage `pull`: the images of the target release on every host, with the target's own playbooks. Changes no service."""

from __future__ import annotations

from upgrader.stages.base import StageContext
from upgrader.stages.common import extra_groups, inventory_of, run_action


def work(ctx: StageContext) -> None:
    toolchain = ctx.target_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("pull images") as evidence:
        result = run_action(
            ctx,
            "pull",
            toolchain,
            inventory,
            release=ctx.hop.target,
            more_inventory=extra_groups(ctx, inventory),
        )
        evidence.append(f"images of {ctx.hop.target} on {len(result.hosts_seen)} hosts")
