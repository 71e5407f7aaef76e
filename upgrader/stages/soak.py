"""Stage `soak`: watch the new release for the time the site asks for, then check once more. Changes nothing."""

from __future__ import annotations

import time

from upgrader.stages import verify
from upgrader.stages.base import StageCanceled, StageContext

_TICK = 1.0


def work(ctx: StageContext) -> None:
    seconds = ctx.site.soak_seconds
    if not seconds:
        with ctx.step("soak") as evidence:
            evidence.append("the site asks for no soak time ([run] soak)")
        return
    with ctx.step("soak") as evidence:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if ctx.attempt.cancelled():
                raise StageCanceled("soak")
            time.sleep(min(_TICK, max(0.0, deadline - time.monotonic())))
        evidence.append(f"{seconds} s on {ctx.hop.target}")
    verify.check(ctx, ctx.hop.target, verify.left_behind(ctx))
