"""Stage `rollback_restore`: services stopped, schemas, accounts and keys loaded, old release deployed.

Reached only by an operator's typed confirmation. Every step may be done again, so an interrupted restore is resumed
from its beginning; one server is loaded alone, and the others take over its state (one_server.py). A physical copy is
not loaded but takes the place of one server's data (physical.py), which is made ready before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping

from upgrader.back_map import RESTORE_CHANGED, changed_databases, scope
from upgrader.database.losses import losses
from upgrader.database.manifest import Manifest, must_be_whole
from upgrader.database.restore import restore, restore_keys
from upgrader.database.services import database_users, switch
from upgrader.database.staged import schema_files
from upgrader.database.throwaway import series
from upgrader.facts.heads import head_disagreements
from upgrader.facts.names import release_names
from upgrader.facts.reading import release_of
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code
from upgrader.stages import physical
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look
from upgrader.stages.leftovers import migrations_end
from upgrader.stages.old_server import rebuild, rebuild_broker
from upgrader.stages.one_server import leave_one, rejoin
from upgrader.stages.rollback_redeploy import put_back, redeploy


def work(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("backup set") as evidence:
        if ctx.backup_set is None:
            raise StepFailed("this hop has no backup set")
        manifest = must_be_whole(ctx.backup_set)
        evidence.append(f"{ctx.backup_set.name}: whole, taken {manifest.made_at} from {manifest.release}")
    it = physical.begin(ctx, toolchain, inventory, manifest) if manifest.method == "mariabackup" else None
    if it is not None:
        with ctx.step("make the physical copy ready") as evidence:
            evidence.extend(physical.make_ready(it))
    with ctx.step("migrations that still run") as evidence:
        # what would go on writing into databases that are being loaded; stopping the services does not stop it
        evidence.append(migrations_end(ctx, toolchain, inventory))
    with ctx.step("stop the services") as evidence:
        users = database_users(look(ctx, toolchain, inventory), release_names(ctx.graph))
        result = switch(
            ctx.site, toolchain, ctx.attempt.runner(), ctx.attempt.play_folder("stop-services"), users, start=False
        )
        if not result.verdict:
            raise StepFailed(result.message)
        evidence.append(f"{sum(map(len, users.values()))} containers stopped on {len(users)} hosts")
    only = _only(ctx, manifest)
    if only is not None:
        with ctx.step("what is restored alone") as evidence:
            evidence.append(_still_sound(ctx, toolchain, inventory, manifest, only))
    with ctx.step("configuration") as evidence:
        # before the database servers: recovering them reads it
        evidence.append("; ".join(put_back(ctx)))
    with ctx.step("database servers of the old series") as evidence:
        evidence.append(rebuild(ctx, toolchain, inventory, manifest) if it is None else physical.servers_anew(it))
    with ctx.step("message brokers of the old series") as evidence:
        evidence.append(rebuild_broker(ctx, toolchain, inventory))
    if it is None:
        _load(ctx, toolchain, inventory, only)
    else:
        _place(ctx, it)
    with ctx.step("the other database servers rejoin") as evidence:
        evidence.append(rejoin(ctx, toolchain, inventory))
    with ctx.step("start what still is of the old release") as evidence:
        # what runs the new release stays down: the deployment below makes it anew, on the old schema
        evidence.append(_start(ctx, _of_source(ctx, look(ctx, toolchain, inventory), users)))
    redeploy(ctx)
    with ctx.step("start what the deployment left stopped") as evidence:
        evidence.append(_start(ctx, _of_source(ctx, look(ctx, toolchain, inventory), None)))
    if it is not None:
        with ctx.step("remove what made the copy ready") as evidence:
            evidence.extend(physical.finish(it))


def _load(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, only: tuple[str, ...] | None) -> None:
    """A set of statements: loaded through one server that is alone."""
    assert ctx.backup_set is not None  # noqa: S101 - the first step refused
    with ctx.step("one database server") as evidence:
        facts, line = leave_one(ctx, toolchain, inventory)
        evidence.append(line)
    with ctx.step("load databases, accounts and keys") as evidence:
        findings = restore(
            ctx.site, toolchain, ctx.attempt.runner(), ctx.attempt.play_folder("restore"), ctx.backup_set, facts,
            only=only,
        )  # fmt: skip
        ctx.judge(findings, f"the backup was not restored ({line})")
        evidence.extend(finding.message for finding in findings if finding.code is Code.SUCCESS)


def _place(ctx: StageContext, it: physical.Physical) -> None:
    """A physical copy: takes the place of one server's data, and that one begins a cluster of its own."""
    with ctx.step("put the physical copy in place") as evidence:
        evidence.append(physical.put_in_place(it))
    with ctx.step("one database server") as evidence:
        evidence.append(physical.begin_cluster(it))
    with ctx.step("keys") as evidence:
        play = ctx.attempt.play_folder("restore-keys")
        findings = restore_keys(ctx.site, it.toolchain, ctx.attempt.runner(), play, it.folder)
        ctx.judge(findings, f"the keys were not put back (the databases are those of {it.manifest.made_at})")
        evidence.extend(finding.message for finding in findings if finding.code is Code.SUCCESS)


def _only(ctx: StageContext, manifest: Manifest) -> tuple[str, ...] | None:
    """The schemas to put back, where the operator chose those that the hop changed; None: all of the set."""
    if scope(ctx.request.acceptances) != RESTORE_CHANGED:
        return None
    changed = changed_databases(ctx.hop)
    return tuple(name for name in schema_files(manifest) if name in changed)


def _still_sound(
    ctx: StageContext, toolchain: Toolchain, inventory: Inventory, manifest: Manifest, only: tuple[str, ...]
) -> str:
    """Asked again now that nobody writes any more: what was true when the operator chose may not be."""
    facts = look(ctx, toolchain, inventory)
    play = ctx.attempt.play_folder("losses")
    found = losses(ctx.site, toolchain, ctx.attempt.runner(), play, manifest, facts)
    loud = [name for name in only if name not in found.unchanged]
    others = head_disagreements(
        ctx.hop.source,
        {row.database: row.heads for row in facts.heads if row.database not in only},
        release_names(ctx.graph),
    )
    if _other_series(manifest, facts):
        raise StepFailed(
            "the database servers have to be made anew in the old series, which empties all of them: restoring only "
            "what the hop changed is not possible. No database was touched. Next: upgrader rollback --restore"
        )
    if loud or others or not only:
        why = found.error or "; ".join(
            [*(f"{name} was written to since the backup, or could not be read" for name in loud), *others]
        )
        raise StepFailed(
            f"restoring only what the hop changed is not sound any more: {why or 'the set has none of it'}. No "
            "database was touched; the services are stopped. Next: upgrader rollback --restore"
        )
    return f"{', '.join(only)}: nothing was written since the backup; all others are of {ctx.hop.source}"


def _other_series(manifest: Manifest, facts: CloudFacts) -> bool:
    seen = {host.galera.server_version for host in facts.hosts if host.galera and host.galera.server_version}
    return any(series(version) != series(manifest.server_version) for version in seen if manifest.server_version)


def _of_source(
    ctx: StageContext, facts: CloudFacts, chosen: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]]:
    """Stopped containers of the old release, by host; of the chosen ones, or of all that use a database."""
    names = release_names(ctx.graph)
    wanted = database_users(facts, names) if chosen is None else chosen
    found = {}
    for host in facts.hosts:
        stopped = tuple(
            container.name
            for container in host.containers
            if container.name in wanted.get(host.name, ())
            and container.state == "exited"
            and release_of(container, names) == ctx.hop.source
        )
        if stopped:
            found[host.name] = stopped
    return found


def _start(ctx: StageContext, containers: Mapping[str, tuple[str, ...]]) -> str:
    if not containers:
        return "nothing to start"
    play = ctx.attempt.play_folder("start-services")
    result = switch(ctx.site, ctx.source_toolchain, ctx.attempt.runner(), play, containers, start=True)
    if not result.verdict:
        raise StepFailed(result.message)
    return f"{sum(map(len, containers.values()))} containers on {len(containers)} hosts"
