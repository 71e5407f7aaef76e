"""Stage `backup`: everything the way back needs, taken and checked byte by byte. Changes no service.

The set is fresh for every attempt; one left by an interrupted attempt stays `in-progress` and is never used. Being
restorable is proved by restoring, which is the last step.
"""

from __future__ import annotations

from upgrader.database.manifest import manifest_sha256
from upgrader.database.take_set import Taking, begin_set, take_set
from upgrader.stages.base import StageContext
from upgrader.stages.common import inventory_of, look, run_action
from upgrader.stages.offbox import copy_off_this_machine


def work(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    backup_set = begin_set(
        ctx.site,
        ctx.hop.source,
        ctx.request.attempt,
        plan=ctx.plan.sha256,
        hop=ctx.hop.name,
        journal_head=ctx.request.journal_head,
    )
    taking = Taking(
        site=ctx.site,
        toolchain=toolchain,
        runner=ctx.attempt.runner(),
        play_folder=ctx.attempt.play_folder,
        look=lambda: look(ctx, toolchain, inventory),
        physical=lambda: _physical(ctx),
        step=ctx.step,
        judge=ctx.judge,
        cancelled=ctx.attempt.cancelled,
    )
    take_set(taking, backup_set)
    ctx.facts["backup_set"] = str(backup_set.folder)
    ctx.facts["backup_made_at"] = backup_set.manifest.finished_at
    ctx.facts["backup_manifest_sha256"] = manifest_sha256(backup_set.folder)
    ctx.facts["server_before"] = backup_set.manifest.server_version
    # after the proof, so that what is elsewhere says that it was proved
    copy_off_this_machine(ctx, backup_set.folder)


def _physical(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    run_action(ctx, "mariadb-backup", toolchain, inventory_of(ctx, toolchain), hosts=())
