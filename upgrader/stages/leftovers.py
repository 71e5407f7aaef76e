"""The step of a stage that puts right what an interrupted role left set, stopped or running."""

from __future__ import annotations

from collections.abc import Collection

from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.leftovers.judge import summary
from upgrader.leftovers.work import Asked, put_right
from upgrader.stages.base import StageCanceled, StageContext


def leftovers(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, *, but: Collection[str] = ()) -> str:
    """Put right what is safe to and say what there was. Ends the step when something stayed that must not.

    `toolchain` is only the Ansible that asks; what there can be is that of the hop's both releases, `but` those that
    the stage itself deals with.
    """
    asked = Asked(ctx.site, toolchain, ctx.attempt.runner(), inventory, ctx.attempt.play_folder, ctx.attempt.cancelled)
    findings = put_right(asked, ctx.graph, (ctx.hop.source, ctx.hop.target), but=but)
    if ctx.attempt.cancelled():
        raise StageCanceled("putting right what interrupted roles left")
    ctx.judge(findings, "an interrupted role left what has to be put right first")
    return summary(findings)


def migrations_end(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> str:
    """Wait until no one-shot container of an interrupted play works on a database any more; look for nothing else."""
    others = {kind.id for kind in ctx.graph.leftovers.leftovers if kind.repair != "wait"}
    return leftovers(ctx, toolchain, inventory, but=others)


def interrupted(ctx: StageContext) -> bool:
    """Whether anything of this hop may have been cut off before: a first attempt finds nothing of the kind."""
    return ctx.request.number > 1 or ctx.request.after_interrupt
