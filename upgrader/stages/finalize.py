"""Stage `finalize`: closes the way back of the hop. Deletes nothing: retention is the operator's own decision."""

from __future__ import annotations

from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look


def work(ctx: StageContext) -> None:
    with ctx.step("confirm the release") as evidence:
        facts = look(ctx, ctx.target_toolchain, inventory_of(ctx, ctx.target_toolchain), heads=False)
        if facts.reading.kind != "exact" or facts.reading.release != ctx.hop.target:
            raise StepFailed(
                f"the cloud runs {facts.reading.release or facts.reading.kind}, not {ctx.hop.target}",
                evidence=facts.reading.evidence,
            )
        evidence.append(f"every container runs {ctx.hop.target}")
