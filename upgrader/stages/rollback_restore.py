"""Stage `rollback_restore`: services stopped, schemas, accounts and keys loaded, old release deployed.

Reached only by an operator's typed confirmation. Every step may be done again, so an interrupted restore is resumed
from its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping

from upgrader.database.manifest import must_be_whole
from upgrader.database.restore import restore
from upgrader.database.services import database_users, switch
from upgrader.facts.names import release_names
from upgrader.facts.reading import release_of
from upgrader.model import CloudFacts, Code
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look
from upgrader.stages.rollback_redeploy import put_back, redeploy


def work(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("backup set") as evidence:
        if ctx.backup_set is None:
            raise StepFailed("this hop has no backup set")
        manifest = must_be_whole(ctx.backup_set)
        evidence.append(f"{ctx.backup_set.name}: whole, taken {manifest.made_at} from {manifest.release}")
    with ctx.step("stop the services") as evidence:
        users = database_users(look(ctx, toolchain, inventory), release_names(ctx.graph))
        result = switch(
            ctx.site, toolchain, ctx.attempt.runner(), ctx.attempt.play_folder("stop-services"), users, start=False
        )
        if not result.verdict:
            raise StepFailed(result.message)
        evidence.append(f"{sum(map(len, users.values()))} containers stopped on {len(users)} hosts")
    with ctx.step("load databases, accounts and keys") as evidence:
        facts = look(ctx, toolchain, inventory)
        findings = restore(
            ctx.site, toolchain, ctx.attempt.runner(), ctx.attempt.play_folder("restore"), ctx.backup_set, facts
        )
        ctx.judge(findings, "the backup was not restored")
        evidence.extend(finding.message for finding in findings if finding.code is Code.SUCCESS)
    with ctx.step("start what still is of the old release") as evidence:
        # what runs the new release stays down: the deployment below makes it anew, on the old schema
        evidence.append(_start(ctx, _of_source(ctx, look(ctx, toolchain, inventory), users)))
    with ctx.step("configuration") as evidence:
        evidence.append("; ".join(put_back(ctx)))
    redeploy(ctx)
    with ctx.step("start what the deployment left stopped") as evidence:
        evidence.append(_start(ctx, _of_source(ctx, look(ctx, toolchain, inventory), None)))


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
