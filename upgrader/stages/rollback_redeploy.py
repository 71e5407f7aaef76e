"""Stage `rollback_redeploy`: the old release's toolchain, configuration and images again, on the data as they are.

Reached only where the way is open (see decisions.py). May be done again after any interruption.
"""

from __future__ import annotations

from upgrader.database.services import switch
from upgrader.facts.names import release_names
from upgrader.facts.reading import is_kolla, release_of
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.base import PlayResult
from upgrader.stages import configuration
from upgrader.stages.base import StageContext, StepFailed
from upgrader.stages.broker import reset_queues
from upgrader.stages.common import inventory_of, look, run_action
from upgrader.stages.leftovers import leftovers
from upgrader.stages.queue_record import QueueRecord
from upgrader.stages.stale import restart_stale
from upgrader.stages.waves import LEFT_DISABLED, computes_here, enable_left
from upgrader.status_read import facts_seen


def work(ctx: StageContext) -> None:
    with ctx.step("what interrupted roles left") as evidence:
        # before anything is put back: a migration that still runs must not meet the old release's playbooks
        # where RabbitMQ is reset below, its being stopped is no leftover
        but = ("broker-stopped",) if QueueRecord.of(ctx.request).open else ()
        evidence.append(leftovers(ctx, ctx.source_toolchain, inventory_of(ctx, ctx.source_toolchain), but=but))
    with ctx.step("configuration") as evidence:
        evidence.append("; ".join(put_back(ctx)))
    record = QueueRecord.of(ctx.request)
    if record.open:
        # queues may be of either type, services may stand still: the old switches need queues made anew once more
        reset_queues(ctx, ctx.source_toolchain, inventory_of(ctx, ctx.source_toolchain), record)
    redeploy(ctx)
    if record.open:
        record.keep(begun=False)


def put_back(ctx: StageContext) -> list[str]:
    """The files as the backup set has them; but queues that were migrated on this hop keep their switches, since
    they stay what they are, and the old release runs on them."""
    done = configuration.put_back(ctx)
    record = QueueRecord.of(ctx.request)
    return done + configuration.set_switches(ctx, record.settings) if record.done else done


def redeploy(ctx: StageContext) -> None:
    toolchain = ctx.source_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step(f"kolla-ansible deploy of {ctx.hop.source}") as evidence:
        result = _deployed(ctx, toolchain, inventory, evidence)
        evidence.append(f"done on {len(result.hosts_seen)} hosts in {round(result.seconds)} s")
    with ctx.step(f"containers that only {ctx.hop.target} has") as evidence:
        evidence.append(_stop_leftovers(ctx, toolchain, inventory))
    with ctx.step("restarts that an interruption swallowed") as evidence:
        evidence.append(restart_stale(ctx, toolchain, inventory))
    facts = facts_seen(ctx.site)
    nova = computes_here(ctx, toolchain, inventory, facts) if ctx.plan.waves and facts else None
    if nova is not None:
        with ctx.step(LEFT_DISABLED, always=True) as evidence:
            evidence.append(enable_left(nova))


def _deployed(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, evidence: list[str]) -> PlayResult:
    """Deploying may be done again at any time, so one failure is not the end: on the way back a container that is just
    starting, and answers a task with nothing, is no reason to leave the cloud half-way."""
    try:
        return run_action(ctx, "deploy", toolchain, inventory)
    except StepFailed as first:
        ctx.attempt.progress("waiting", message=f"deploys once more: {first.message}", left=0)
        result = run_action(ctx, "deploy", toolchain, inventory)
        evidence.append(f"at the second try (first: {first.message})")
        return result


def _stop_leftovers(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> str:
    """Stop, and leave in place, what still runs the new release: the old one's playbooks do not know it."""
    names = release_names(ctx.graph)
    left = {
        host.name: found
        for host in look(ctx, toolchain, inventory, heads=False).hosts
        if (
            found := tuple(
                container.name
                for container in host.containers
                if is_kolla(container, names)
                and container.state == "running"
                and release_of(container, names) == ctx.hop.target
            )
        )
    }
    if not left:
        return "none is left"
    play = ctx.attempt.play_folder("stop-leftovers")
    result = switch(ctx.site, toolchain, ctx.attempt.runner(), play, left, start=False)
    if not result.verdict:
        raise StepFailed(result.message)
    return "stopped " + ", ".join(f"{host}: {' '.join(found)}" for host, found in left.items())
