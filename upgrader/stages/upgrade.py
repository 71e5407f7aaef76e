"""Stage `upgrade`: the one that changes the cloud. Configuration first, then the target release's own playbooks.

Refuses to begin without a whole backup set and a database cluster at full size. What it says of schema changes
(`schema_started`) decides later whether deploying the old release again is enough.
"""

from __future__ import annotations

from upgrader.database.manifest import must_be_whole
from upgrader.facts.names import release_names
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.containers import containers
from upgrader.probes.galera import galera
from upgrader.stages import configuration
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look, run_action
from upgrader.stages.stale import restart_stale


def work(ctx: StageContext) -> None:
    toolchain = ctx.target_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("ground") as evidence:
        if ctx.backup_set is None:
            raise StepFailed("this hop has no backup set; the upgrade does not begin without one")
        must_be_whole(ctx.backup_set)
        facts = look(ctx, toolchain, inventory, heads=True)
        ctx.judge(_ground(ctx, facts), "the cloud is not fit to be upgraded")
        evidence.append(f"backup set whole, database cluster whole, the cloud is {_runs(facts)}")
    with ctx.step("configuration") as evidence:
        evidence.append("; ".join(configuration.edit(ctx, inventory, facts)))
    inventory = inventory_of(ctx, toolchain)
    with ctx.step(f"kolla-ansible upgrade to {ctx.hop.target}") as evidence:
        closing = not ctx.request.after_interrupt
        result = run_action(ctx, "upgrade", toolchain, inventory, watch=ctx.watch, closing=closing)
        evidence.append(f"done on {len(result.hosts_seen)} hosts in {round(result.seconds)} s")
    if ctx.request.after_interrupt:
        with ctx.step("restarts that an interruption swallowed") as evidence:
            evidence.append(restart_stale(ctx, toolchain, inventory))


def _ground(ctx: StageContext, facts: CloudFacts) -> tuple[Finding, ...]:
    """A first attempt wants the old release and nothing else; a later one finds what the one before left."""
    if ctx.request.number == 1 and not ctx.request.after_interrupt:
        return (*galera(facts), *containers(facts, release_names(ctx.graph), ctx.hop.source))
    # an attempt that was cut off may have left the database servers themselves between two releases: what it takes
    # to mend them is the very play that follows
    found = [
        finding.model_copy(update={"code": Code.WARNING}) if finding.code is Code.FAILURE else finding
        for finding in galera(facts)
    ]
    reading = facts.reading
    foreign = [row for row in reading.by_service if row[1] not in ("", ctx.hop.source, ctx.hop.target)]
    if foreign:
        words = "; ".join(f"{service} runs {release}" for service, release, _ in foreign)
        found.append(Finding(id="foreign-release", code=Code.FAILURE, message=words))
    return tuple(found)


def _runs(facts: CloudFacts) -> str:
    return facts.reading.release if facts.reading.kind == "exact" else facts.reading.kind
