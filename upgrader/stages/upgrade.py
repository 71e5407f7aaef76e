"""Stage `upgrade`: the one that changes the cloud. Configuration first, then the target release's own playbooks.

Where the plan has waves, the control plane comes first, then compute hosts: a canary, then batches. Refuses to begin
without a whole backup set and a database cluster at full size. What it says of schema changes (`schema_started`)
decides later whether deploying the old release again is enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.database.manifest import must_be_whole
from upgrader.facts.names import release_names
from upgrader.facts.reading import is_kolla, release_of
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.containers import containers
from upgrader.probes.galera import galera
from upgrader.rolling import Halt, RollRecord, walk
from upgrader.stages import configuration
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.common import inventory_of, look, run_action
from upgrader.stages.health import ills, told
from upgrader.stages.leftovers import interrupted, leftovers
from upgrader.stages.stale import restart_stale
from upgrader.stages.waves import CloudGround

_LEAVING = frozenset({"opensearch", "elasticsearch"})
"""Containers whose role switches shard allocation off, and nothing on again (release_graph/leftovers.toml)."""


def work(ctx: StageContext) -> None:
    toolchain = ctx.target_toolchain
    inventory = inventory_of(ctx, toolchain)
    record = RollRecord.of(ctx.request)
    with ctx.step("ground") as evidence:
        if ctx.backup_set is None:
            raise StepFailed("this hop has no backup set; the upgrade does not begin without one")
        must_be_whole(ctx.backup_set)
        facts = look(ctx, toolchain, inventory, heads=True, services=bool(ctx.plan.waves), spared=_computes(ctx))
        lost = tuple(host.name for host in facts.hosts if not host.reachable)
        ctx.judge(_ground(ctx, facts, lost), "the cloud is not fit to be upgraded")
        evidence.append(f"backup set whole, database cluster whole, the cloud is {_runs(facts)}")
        if lost:
            evidence.append(f"not reachable, and left as they are for now: {', '.join(lost)}")
    if interrupted(ctx):
        with ctx.step("what interrupted roles left") as evidence:
            evidence.append(leftovers(ctx, toolchain, inventory))
    with ctx.step("configuration") as evidence:
        evidence.append("; ".join(configuration.edit(ctx, inventory, facts)))
    inventory = inventory_of(ctx, toolchain)
    if ctx.plan.waves:
        _in_waves(ctx, toolchain, inventory, facts, record, lost)
    else:
        with ctx.step(f"kolla-ansible upgrade to {ctx.hop.target}") as evidence:
            closing = not ctx.request.after_interrupt
            result = run_action(ctx, "upgrade", toolchain, inventory, watch=ctx.watch, closing=closing)
            evidence.append(f"done on {len(result.hosts_seen)} hosts in {round(result.seconds)} s")
    if any(container.name in _LEAVING for host in facts.hosts for container in host.containers):
        with ctx.step("what roles leave behind even when they end well") as evidence:
            evidence.append(leftovers(ctx, toolchain, inventory))
    if ctx.request.after_interrupt:
        with ctx.step("restarts that an interruption swallowed") as evidence:
            evidence.append(restart_stale(ctx, toolchain, inventory))


def _in_waves(
    ctx: StageContext,
    toolchain: Toolchain,
    inventory: Inventory,
    facts: CloudFacts,
    record: RollRecord,
    lost: Sequence[str],
) -> None:
    names = release_names(ctx.graph)
    if record.known is None:
        record.keep(known=tuple(told(finding) for finding in ills(facts, names)))
    # the record says what came right; what runs decides whether that still holds
    runs = {
        host.name
        for host in facts.hosts
        if all(release_of(one, names) == ctx.hop.target for one in host.containers if is_kolla(one, names))
    }
    record.keep(done=tuple(host for host in record.done if host in runs or host in lost))
    ground = CloudGround(ctx, toolchain, inventory, facts, record, record.known or (), tuple(lost))
    ground.bring_back_left()
    try:
        walk(ctx.plan.waves, record, ground, ctx.site.rolling.failed_hosts)
    except Halt as halt:
        ctx.findings += [
            Finding(
                id="host-not-upgraded",
                code=Code.FAILURE,
                message=f"{host}: {why}",
                host=host,
                next="upgrader resume  # works on what is not done; hosts that are done are left alone",
            )
            for host, why in halt.hosts.items()
        ]
        done = f"{len(record.done)} of {sum(len(wave.hosts) for wave in ctx.plan.waves)} hosts are done"
        raise StepFailed(f"{halt.message}; {done}") from None
    finally:
        ctx.facts["hosts_done"] = str(len(record.done))


def _computes(ctx: StageContext) -> tuple[str, ...]:
    """Hosts of waves after the control plane: one that is lost does not stop the others."""
    return tuple(host for wave in ctx.plan.waves if wave.kind != "control" for host in wave.hosts)


def _ground(ctx: StageContext, facts: CloudFacts, lost: Sequence[str]) -> tuple[Finding, ...]:
    """A first attempt wants the old release and nothing else; a later one finds what the one before left."""
    if ctx.request.number == 1 and not ctx.request.after_interrupt:
        found = (*galera(facts), *containers(facts, release_names(ctx.graph), ctx.hop.source))
        return tuple(one for one in found if not (one.id == "host-unreachable" and one.host in lost))
    # an attempt that was cut off may have left the database servers themselves between two releases: what it takes
    # to mend them is the very play that follows
    after = [
        finding.model_copy(update={"code": Code.WARNING}) if finding.code is Code.FAILURE else finding
        for finding in galera(facts)
    ]
    reading = facts.reading
    foreign = [row for row in reading.by_service if row[1] not in ("", ctx.hop.source, ctx.hop.target)]
    if foreign:
        words = "; ".join(f"{service} runs {release}" for service, release, _ in foreign)
        after.append(Finding(id="foreign-release", code=Code.FAILURE, message=words))
    return tuple(after)


def _runs(facts: CloudFacts) -> str:
    return facts.reading.release if facts.reading.kind == "exact" else facts.reading.kind
