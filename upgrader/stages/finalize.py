"""Stage `finalize`: closes the way back of the hop. Deletes no backup set: retention is the operator's own decision.

Images that the hop replaced go where the site wants that ([run] prune_images), once the release is confirmed.
"""

from __future__ import annotations

from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look
from upgrader.stages.prune import prune


def work(ctx: StageContext) -> None:
    toolchain = ctx.target_toolchain
    with ctx.step("confirm the release") as evidence:
        facts = look(ctx, toolchain, inventory_of(ctx, toolchain), heads=False)
        if facts.reading.kind != "exact" or facts.reading.release != ctx.hop.target:
            raise StepFailed(
                f"the cloud runs {facts.reading.release or facts.reading.kind}, not {ctx.hop.target}",
                evidence=facts.reading.evidence,
            )
        evidence.append(f"every container runs {ctx.hop.target}")
    if ctx.site.hops.prune_images:
        prune(ctx, toolchain, facts)
