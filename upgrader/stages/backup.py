"""Stage `backup`: everything the way back needs, taken and checked byte by byte. Changes no service.

The set is fresh for every attempt; one left by an interrupted attempt stays `in-progress` and is never used. Being
restorable is proved by restoring, which no part of this stage claims.
"""

from __future__ import annotations

from datetime import UTC, datetime

from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import MARIABACKUP, BackupSet, Manifest, now
from upgrader.database.take import take_parts
from upgrader.durable import make_dir
from upgrader.stages.base import StageContext
from upgrader.stages.common import inventory_of, look, run_action


def work(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    backup_set = _begin(ctx)
    with ctx.step("configuration, inventory, passwords") as evidence:
        save_configuration(ctx.site, backup_set)
        evidence.append("configuration folder, inventory and passwords saved")
    if ctx.site.backup_database == "mariabackup":
        with ctx.step("mariadb-backup by kolla-ansible") as evidence:
            run_action(ctx, "mariadb-backup", toolchain, inventory, hosts=())
            backup_set.record(MARIABACKUP, [], {"place": "volume mariadb_backup on the database host"})
            evidence.append("full physical backup in the volume mariadb_backup")
    with ctx.step("databases, accounts, keys, images") as evidence:
        facts = look(ctx, toolchain, inventory)
        findings = take_parts(
            ctx.site,
            toolchain,
            ctx.attempt.runner(),
            ctx.attempt.play_folder("take-backup"),
            backup_set,
            facts,
            cancelled=ctx.attempt.cancelled,
        )
        ctx.judge(findings, "the backup is not complete")
        databases = backup_set.manifest.part("databases")
        evidence.append(f"{len(databases.files) if databases else 0} schemas dumped, heads and row counts noted")
    with ctx.step("check every part") as evidence:
        ctx.judge(backup_set.finish(), "the backup is not complete")
        size = sum(entry.bytes for part in backup_set.manifest.parts for entry in part.files)
        evidence.append(f"{len(backup_set.manifest.parts)} parts, {size} bytes, checksums right: {backup_set.folder}")
    ctx.facts["backup_set"] = str(backup_set.folder)
    ctx.facts["backup_made_at"] = backup_set.manifest.finished_at
    ctx.facts["server_before"] = backup_set.manifest.server_version


def _begin(ctx: StageContext) -> BackupSet:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    make_dir(ctx.site.backup_dir, exist_ok=True)
    folder = ctx.site.backup_dir / f"{ctx.hop.source}-{stamp}-{ctx.request.attempt[:8]}"
    return BackupSet.begin(
        folder,
        Manifest(
            site=ctx.site.name,
            release=ctx.hop.source,
            plan=ctx.plan.sha256,
            hop=ctx.hop.name,
            made_at=now(),
        ),
    )
