"""Stage `backup`: everything the way back needs, taken and checked byte by byte. Changes no service.

The set is fresh for every attempt; one left by an interrupted attempt stays `in-progress` and is never used. Being
restorable is proved by restoring, which is the last step.
"""

from __future__ import annotations

from upgrader.database.manifest import BackupSet, manifest_sha256
from upgrader.database.prove import PROOFS, prove
from upgrader.database.restore_point import NOT_PROVED
from upgrader.database.take_set import Taking, begin_set, take_set
from upgrader.errors import EnvironmentMissingError
from upgrader.findings import accept_all
from upgrader.model import Code, Finding
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
    backup_set = _proved(ctx, backup_set)
    ctx.facts["backup_set"] = str(backup_set.folder)
    ctx.facts["backup_made_at"] = backup_set.manifest.finished_at
    ctx.facts["backup_manifest_sha256"] = manifest_sha256(backup_set.folder)
    ctx.facts["server_before"] = backup_set.manifest.server_version
    # after the proof, so that what is elsewhere says that it was proved
    copy_off_this_machine(ctx, backup_set.folder)


def _proved(ctx: StageContext, backup_set: BackupSet) -> BackupSet:
    """The set restored and compared, as it is then. Without a server to restore into the stage ends, unless somebody
    took the risk by name; a proof that failed cannot be taken as one."""
    folder = backup_set.folder
    with ctx.step("prove by restoring") as evidence:
        try:
            proof = prove(folder, ctx.site.state_dir / PROOFS, site=ctx.site, say=evidence.append)
        except EnvironmentMissingError as error:
            words = f"the set was restored nowhere: {error.message.rstrip('.')}"
            missing = Finding(
                id=NOT_PROVED, code=Code.FAILURE, message=words, next=error.next_command, overridable=True
            )
            ctx.judge(accept_all((missing,), dict(ctx.request.acceptances)), "the backup is not proved")
            evidence.insert(0, f"{words}; accepted")
            return BackupSet.open(folder)
        ctx.judge(proof.findings, "the backup is not proved")
        evidence[:0] = [
            f"{sum(count for _, count in proof.rows)} rows in {len(proof.rows)} tables restored into {proof.server} "
            f"and compared in {proof.seconds} s",
            *(finding.message for finding in proof.findings),
        ]
        ctx.facts["restore_point"] = proof.proved_at
    return BackupSet.open(folder)


def _physical(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    run_action(ctx, "mariadb-backup", toolchain, inventory_of(ctx, toolchain), hosts=())
