"""Stage `rehearse`: the same hop, for real, somewhere else first. Changes nothing of this cloud.

On the staging cloud where the site names one, else on a copy of the hop's own backup set. Where neither can be had the
stage is reached only after the operator accepted by name that nothing was rehearsed; it then records that, and claims
nothing.
"""

from __future__ import annotations

from upgrader.model import Code, Finding
from upgrader.rehearsable import why_not
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.rehearse_copy import on_copy
from upgrader.stages.rehearse_staging import note_settings, on_staging


def work(ctx: StageContext) -> None:
    note_settings(ctx)
    reason = dict(ctx.request.acceptances).get("not-rehearsed", "")
    if ctx.site.staging is not None:
        on_staging(ctx)
    elif reason or why_not(ctx.site):
        _accepted(ctx, reason)
    else:
        on_copy(ctx)


def _accepted(ctx: StageContext, reason: str) -> None:
    with ctx.step("rehearsal") as evidence:
        if not reason:
            raise StepFailed("nothing was rehearsed, and nobody accepted that")
        evidence.append(f"nothing was rehearsed; accepted: {reason}")
        message = f"{ctx.hop.name} was rehearsed nowhere; accepted: {reason}"
        ctx.findings.append(Finding(id="not-rehearsed", code=Code.WARNING, message=message))
