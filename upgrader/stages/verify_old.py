"""Stage `verify_old`: does the cloud run the old release again, whole and healthy? Changes nothing."""

from __future__ import annotations

from upgrader.stages import verify
from upgrader.stages.base import StageContext


def work(ctx: StageContext) -> None:
    verify.check(ctx, ctx.hop.source, verify.left_behind(ctx))
