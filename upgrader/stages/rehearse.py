"""Stage `rehearse`: the same hop, for real, on the staging cloud first. Changes nothing of this cloud.

Without a staging cloud the stage is reached only after the operator accepted by name that nothing was rehearsed; it
then records that, and claims nothing.
"""

from __future__ import annotations

from upgrader.model import Code, Finding
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.rehearse_staging import note_settings, on_staging


def work(ctx: StageContext) -> None:
    note_settings(ctx)
    if ctx.site.staging is None:
        _accepted(ctx)
        return
    on_staging(ctx)


def _accepted(ctx: StageContext) -> None:
    reasons = dict(ctx.request.acceptances)
    with ctx.step("rehearsal") as evidence:
        reason = reasons.get("not-rehearsed", "")
        if not reason:
            raise StepFailed("nothing was rehearsed, and nobody accepted that")
        evidence.append(f"nothing was rehearsed; accepted: {reason}")
        message = f"{ctx.hop.name} was rehearsed nowhere; accepted: {reason}"
        ctx.findings.append(Finding(id="not-rehearsed", code=Code.WARNING, message=message))
