"""Stage `broker`: queues of a type that the target release refuses are made anew, on the source release.

Switches, configuration, services stopped, RabbitMQ reset, services deployed; then the queues are asked for their type.
A full API outage, so it has its own approval, and where nothing has to be migrated it is not entered at all. Every
step may be done again: each looks at what is there first, and what a look cannot show any more is in queue_record.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from upgrader.database.services import switch
from upgrader.facts.names import release_names
from upgrader.facts.observe import observe
from upgrader.facts.plays import group_hosts
from upgrader.graph import services_of
from upgrader.graph.queues import migration, needs, seen_queues, tags_of
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import BROKER_DONE, BrokerPlan, CloudFacts, Code, Finding
from upgrader.observed import BrokerFacts
from upgrader.probes.rabbitmq import rabbitmq
from upgrader.stages import configuration
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import extra_groups, inventory_of, look, run_action
from upgrader.stages.queue_record import QueueRecord
from upgrader.stages.stale import restart_stale
from upgrader.states import State

GROUP = "rabbitmq"
PATIENCE_SECONDS = 600.0
"""How long RabbitMQ may take to show what a step has to lead to. Asking takes seconds, so nothing sleeps in between."""


def work(ctx: StageContext) -> None:
    toolchain, record = ctx.source_toolchain, QueueRecord.of(ctx.request)
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("queues as they are") as evidence:
        facts = look(ctx, toolchain, inventory, services=True)
        broker = facts.observed.rabbitmq
        ctx.judge(whole(facts, strict=not record.begun), "RabbitMQ is not fit to be reset")
        answer, why = needs(ctx.hop.broker.demands, seen_queues(broker))
        if answer == "unknown" and not record.begun:
            raise StepFailed(why)
        evidence.append(why)
    if answer != "no" or record.open:
        plan = planned(ctx, facts)
        record = _begin(record, plan, broker, tags_of(ctx.graph, present(ctx, facts)))
        _migrate(ctx, toolchain, inventory, plan, record, reset=answer != "no")
        record.keep(done=True)
        ctx.facts[BROKER_DONE] = why
    _confirm(ctx)


def whole(facts: CloudFacts, *, strict: bool = True) -> tuple[Finding, ...]:
    """What is wrong with the cluster. Without `strict`, as after a cut-off reset, it is only told."""
    found = tuple(finding for finding in rabbitmq(facts) if finding.code is Code.FAILURE)
    return found if strict else tuple(finding.model_copy(update={"code": Code.WARNING}) for finding in found)


def planned(ctx: StageContext, facts: CloudFacts) -> BrokerPlan:
    """The migration as the plan has it; made now where the plan expected none and the hop's checks found one."""
    if ctx.hop.broker.migration != "no":
        return ctx.hop.broker
    settings = site_settings(ctx.site, ctx.hop.source)
    fields = migration(
        ctx.graph,
        ctx.graph.hop(ctx.hop.source, ctx.hop.target),
        seen_queues(facts.observed.rabbitmq),
        ctx.hop.broker.demands,
        ctx.hop.broker.streams,
        present(ctx, facts),
        lambda _release, name: settings.values.get(name),
    )
    return ctx.hop.broker.model_copy(update=fields)


def present(ctx: StageContext, facts: CloudFacts) -> tuple[str, ...]:
    """Services that the cloud has, stopped ones too."""
    return tuple(services_of(ctx.graph, [item.name for host in facts.hosts for item in host.containers]))


def _begin(record: QueueRecord, plan: BrokerPlan, broker: BrokerFacts | None, tags: tuple[str, ...]) -> QueueRecord:
    """Write down what a reset makes invisible, before anything is changed; an earlier attempt's word stays."""
    if record.begun:
        return record
    mirrored = plan.mirrored == "yes" or bool(broker and broker.mirrored_queues)
    services = plan.services or tags
    return record.keep(begun=True, done=False, mirrored=mirrored, services=services, settings=plan.settings)


def _migrate(
    ctx: StageContext,
    toolchain: Toolchain,
    inventory: Inventory,
    plan: BrokerPlan,
    record: QueueRecord,
    *,
    reset: bool,
) -> None:
    with ctx.step("switches") as evidence:
        evidence.append("; ".join(configuration.set_switches(ctx, record.settings)))
    with ctx.step(f"kolla-ansible genconfig of {ctx.hop.source}") as evidence:
        result = run_action(ctx, "genconfig", toolchain, inventory)
        evidence.append(f"done on {len(result.hosts_seen)} hosts")
    if reset:
        reset_queues(ctx, toolchain, inventory, record)
    with ctx.step(f"deploy the services of {ctx.hop.source} again") as evidence:
        result = run_action(ctx, "deploy", toolchain, inventory, tags=record.services)
        evidence.append(f"{', '.join(record.services)} in {round(result.seconds)} s")
    if ctx.request.after_interrupt:
        with ctx.step("restarts that an interruption swallowed") as evidence:
            evidence.append(restart_stale(ctx, toolchain, inventory))
    declaring = set(record.services) - set(ctx.graph.rabbitmq.users.notify_only)
    with ctx.step("types of the new queues") as evidence:

        def fault(broker: BrokerFacts) -> str:
            return mistyped(plan, broker, expected=bool(declaring))

        evidence.append(await_broker(ctx, toolchain, inventory, fault))


def reset_queues(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, record: QueueRecord) -> None:
    """Stop what uses RabbitMQ and drop every queue. Leaves the services stopped and the broker empty."""
    with ctx.step("stop the services that use RabbitMQ") as evidence:
        if ctx.request.number == 1 and ctx.request.stage == State.BROKER:
            run_action(ctx, "stop", toolchain, inventory, tags=record.services)
        else:
            # kolla-ansible does not stop where a container is missing, as after a deployment that was cut off
            _stop_one_by_one(ctx, toolchain, using(ctx, look(ctx, toolchain, inventory, heads=False), record.services))
        left = using(ctx, look(ctx, toolchain, inventory, heads=False), record.services)
        if left:
            words = "; ".join(f"{host}: {', '.join(names)}" for host, names in left.items())
            raise StepFailed(f"still running after the stop: {words}")
        evidence.append(f"stopped: {', '.join(record.services)}")
    if record.mirrored:
        with ctx.step("kolla-ansible reconfigure of RabbitMQ") as evidence:
            run_action(ctx, "reconfigure", toolchain, inventory, tags=(GROUP,))
            evidence.append("its definitions no longer mirror queues, or mirror them again")
    with ctx.step("kolla-ansible rabbitmq-reset-state") as evidence:
        hosts = group_hosts(inventory, GROUP)
        run_action(ctx, "rabbitmq-reset-state", toolchain, inventory, hosts=hosts)
        evidence.append(f"reset on {len(hosts)} nodes")
    with ctx.step("RabbitMQ is empty") as evidence:
        evidence.append(await_broker(ctx, toolchain, inventory, occupied))


def using(ctx: StageContext, facts: CloudFacts, tags: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Containers of these services that run, by host."""

    def uses(container: str) -> bool:
        return not set(tags).isdisjoint(tags_of(ctx.graph, tuple(services_of(ctx.graph, [container]))))

    found = {
        host.name: tuple(item.name for item in host.containers if item.state == "running" and uses(item.name))
        for host in facts.hosts
    }
    return {host: names for host, names in found.items() if names}


def _stop_one_by_one(ctx: StageContext, toolchain: Toolchain, left: Mapping[str, tuple[str, ...]]) -> None:
    if not left:
        return
    folder = ctx.attempt.play_folder("stop-services")
    result = switch(ctx.site, toolchain, ctx.attempt.runner(), folder, left, start=False)
    if not result.verdict:
        raise StepFailed(result.message)


def _confirm(ctx: StageContext) -> None:
    """The target's own checks of RabbitMQ; those of this hop's preflight left the one about queues out.

    The whole role's prechecks, because its check of queue types alone (tag rabbitmq-ha-precheck) stands on a variable
    that only they set, and passes without a word where it is missing.
    """
    toolchain = ctx.target_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step(f"kolla-ansible prechecks of {ctx.hop.target} for RabbitMQ") as evidence:
        more = extra_groups(ctx, inventory)
        run_action(ctx, "prechecks", toolchain, inventory, release=ctx.hop.target, more_inventory=more, tags=(GROUP,))
        evidence.append(f"{ctx.hop.target} accepts every queue")


# ---------------------------------------------------------------- asking until it is so


def occupied(broker: BrokerFacts) -> str:
    """What is left after a reset; empty when nothing is."""
    counts = {
        "exchanges besides the default ones": broker.non_default_exchanges,
        "classic queues": broker.non_quorum_queues,
        "quorum queues": broker.quorum_queues,
        "streams": broker.stream_queues,
    }
    if any(count is None for count in counts.values()):
        return broker.error or "it gave no counts"
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def mistyped(plan: BrokerPlan, broker: BrokerFacts, *, expected: bool = True) -> str:
    """What is not as it should be after the services came back; empty when everything is.

    `expected`: a service that declares queues of its own came back.
    """
    answer, why = needs(plan.demands, seen_queues(broker))
    if answer != "no":
        return why
    if expected and not (broker.quorum_queues or broker.stream_queues):
        return "no service has declared a queue yet"
    if expected and plan.streams and plan.demands == "durable" and not broker.stream_queues:
        return "no fanout is a stream yet"
    if broker.under_replicated_queues is None:
        return broker.error or "it gave no counts of replicas"
    if broker.under_replicated_queues:
        return f"{broker.under_replicated_queues} queues lack replicas"
    return ""


def await_broker(
    ctx: StageContext, toolchain: Toolchain, inventory: Inventory, fault: Callable[[BrokerFacts], str]
) -> str:
    """Ask RabbitMQ until the whole cluster answers and `fault` finds none; says what it is then. Has a time limit."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        facts = ask(ctx, toolchain, inventory)
        broker = facts.observed.rabbitmq
        wrong = "; ".join(finding.message for finding in whole(facts))
        if broker is None:
            wrong = wrong or "RabbitMQ could not be asked"
        elif not wrong:
            wrong = fault(broker)
            if not wrong:
                return f"{len(broker.running or ())} nodes; {_counted(broker)}"
        if ctx.attempt.cancelled():
            raise StageCanceled("asking RabbitMQ")
        if time.monotonic() >= deadline:
            raise StepFailed(f"after {round(PATIENCE_SECONDS)} s RabbitMQ is not as it should be: {wrong}")


def _counted(broker: BrokerFacts) -> str:
    return f"{broker.quorum_queues} quorum queues, {broker.stream_queues} streams, {broker.non_quorum_queues} others"


def ask(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> CloudFacts:
    """What RabbitMQ says now, asked on its own hosts only; not kept for `status`, which wants whole looks."""
    hosts = set(group_hosts(inventory, GROUP))
    narrow = replace(inventory, hosts={name: groups for name, groups in inventory.hosts.items() if name in hosts})
    return observe(
        ctx.site,
        toolchain,
        ctx.attempt.runner(),
        ctx.attempt.play_folder("ask-rabbitmq"),
        release_names(ctx.graph),
        inventory=narrow,
        cancelled=ctx.attempt.cancelled,
    )
