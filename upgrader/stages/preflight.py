"""Stage `preflight`: everything that can be known before anything is touched. All checks run, then one verdict.

Own questions first (what runs, is it whole, is there room, do the files say what the plan says), then the gates of
this hop with what was seen just now, then kolla-ansible's own prechecks with the target's toolchain against the
running old cloud. Changes nothing, but for rows that a site wants brought into the running release's form.
"""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.database.take import switched_off
from upgrader.facts.binding import drift
from upgrader.facts.names import release_names
from upgrader.findings import Path as HopPath
from upgrader.findings import accept_all, judge_hops
from upgrader.graph import Hop
from upgrader.graph.broker import plans_of
from upgrader.kolla.globals_yml import globals_files, plan_edit
from upgrader.kolla.inventory import Inventory, plan_groups
from upgrader.kolla.settings import site_key, site_settings
from upgrader.kolla.toolchain import Toolchain, verify
from upgrader.model import BROKER_DUE, BROKER_WHY, CloudFacts, Code, Finding, Plan
from upgrader.probes.containers import containers
from upgrader.probes.disk import disk, local_disk
from upgrader.probes.galera import galera
from upgrader.probes.services import judge_services
from upgrader.record import SiteRecord
from upgrader.recorded import effective_of, groups_of, record_of
from upgrader.stages.base import StageContext
from upgrader.stages.common import extra_groups, inventory_of, look, run_action
from upgrader.stages.online_rows import migrate_rows, rows_left
from upgrader.survey import bind_now, password_names

QUEUE_CHECK = "rabbitmq-ha-precheck"
"""Tag of kolla-ansible's check of queue types."""


def work(ctx: StageContext) -> None:
    with ctx.step("toolchains") as evidence:
        for toolchain in (ctx.source_toolchain, ctx.target_toolchain):
            ctx.judge(_toolchain(ctx, toolchain), "the toolchain is not as it was built")
            evidence.append(f"{toolchain.release}: as built, ansible-playbook starts")
    toolchain = ctx.target_toolchain
    with ctx.step("configuration") as evidence:
        inventory = inventory_of(ctx, toolchain)
        ctx.judge(_configuration(ctx), "the configuration does not fit the hop")
        # files that only a person can edit are named here, days before the window; nothing is written
        plan_edit(
            globals_files(ctx.site.config_dir, ctx.hop.target, ctx.site.extra_vars),
            dict(ctx.hop.settings),
            site_key(ctx.site),
        )
        plan_groups(ctx.site.inventory, inventory, ctx.graph.hop(ctx.hop.source, ctx.hop.target))
        evidence.append(f"globals say {ctx.hop.source}; {len(inventory.hosts)} hosts in the inventory")
    with ctx.step("cloud") as evidence:
        facts = look(ctx, toolchain, inventory, services=True)
        ctx.judge(_cloud(ctx, facts, inventory), "the cloud is not fit to be upgraded")
        evidence.append(f"{facts.reading.release} ({facts.reading.how}), database cluster whole, room enough")
    facts = _migrated(ctx, toolchain, inventory, facts)
    with ctx.step("gates of this hop") as evidence:
        found = _gates(ctx, facts, inventory)
        ctx.judge(found, "something known upstream stands against this hop")
        taken = [finding.id for finding in found if finding.accepted[1]]
        evidence.append("nothing blocks" + (f"; accepted: {', '.join(taken)}" if taken else ""))
    with ctx.step("kolla-ansible prechecks") as evidence:
        _prechecks(ctx, toolchain, inventory)
        evidence.append(f"prechecks of {ctx.hop.target} pass on every host")


def _migrated(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, facts: CloudFacts) -> CloudFacts:
    """The cloud once its rows are of the running release's form, where the site lets that be seen to; rows that are
    left then are named by the gates, as they are where it does not."""
    left = rows_left(facts)
    if not left or not ctx.site.hops.finish_online_migrations:
        return facts
    with ctx.step("online data migrations") as evidence:
        words = migrate_rows(ctx, toolchain, facts)
        facts = look(ctx, toolchain, inventory, services=True)
        still = "; ".join(row for rows in rows_left(facts).values() for row in rows)
        evidence.append(f"{'left: ' + still if still else 'none left'}, of {'; '.join(sum(left.values(), ()))}")
        evidence.append(words)
    return facts


def _toolchain(ctx: StageContext, toolchain: Toolchain) -> tuple[Finding, ...]:
    pin = ctx.hop.toolchain if toolchain.release == ctx.hop.target else ctx.hop.toolchain_back
    wrong = list(verify(toolchain))
    if pin.lock_sha256 and toolchain.lock_sha256 != pin.lock_sha256:
        wrong.append(
            f"its lock is {toolchain.lock_sha256[:12] or 'missing'}, the plan was made with {pin.lock_sha256[:12]}"
        )
    return tuple(
        Finding(
            id="toolchain",
            code=Code.FAILURE,
            message=f"{toolchain.release}: {line}",
            next=f"upgrader toolchain build {toolchain.release}",
        )
        for line in wrong
    )


def _configuration(ctx: StageContext) -> tuple[Finding, ...]:
    off = switched_off(ctx.site)
    findings = (off,) if off is not None else ()
    said = site_settings(ctx.site, ctx.hop.source).get("openstack_release")
    if said in ("", ctx.hop.source):
        return findings
    message = f"openstack_release is {said} in the configuration, the cloud is to leave {ctx.hop.source}"
    wrong = Finding(id="release-setting", code=Code.FAILURE, message=message, next=f'set it to "{ctx.hop.source}"')
    return (*findings, wrong)


def _cloud(ctx: StageContext, facts: CloudFacts, inventory: Inventory) -> tuple[Finding, ...]:
    findings = list(_reading(ctx, facts))
    if ctx.request.hop == 0 and ctx.plan.binding.running:
        findings += [
            Finding(id="drift", code=Code.FAILURE, message=line, next=f"upgrader plan --to {ctx.plan.target}")
            for line in drift(ctx.plan.binding, bind_now(ctx.site, ctx.graph, facts, inventory))
        ]
    findings += accept_all(other_hosts(ctx.plan, inventory.hosts), dict(ctx.request.acceptances))
    findings += containers(facts, release_names(ctx.graph), ctx.hop.source)
    findings += galera(facts)
    findings += judge_services(facts)
    findings += disk(facts, ctx.site.min_free_bytes, (local_disk(ctx.site.backup_dir), local_disk(ctx.site.state_dir)))
    return tuple(findings)


def other_hosts(plan: Plan, now: Iterable[str]) -> tuple[Finding, ...]:
    """The inventory has other hosts than the plan was made for, as after a rest of days between two hops.

    Before the first hop the drift of everything is refused. Later the tool itself has edited the configuration, and
    what findings asked for may have been edited by hand; hosts are nobody's to change on the way.
    """
    planned, found = {name for name, _ in plan.hosts}, set(now)
    if not planned or planned == found:
        return ()
    words = [f"{name} is new" for name in sorted(found - planned)]
    words += [f"{name} is gone" for name in sorted(planned - found)]
    message = f"the inventory has other hosts than the plan: {', '.join(words)}"
    return (
        Finding(
            id="hosts-changed", code=Code.FAILURE, message=message, overridable=True,
            why="what the plan says of hosts, and the order of their upgrade, was worked out for others",
            next=f"upgrader abort; upgrader plan --to {plan.target}",
        ),
    )  # fmt: skip


def _gates(ctx: StageContext, facts: CloudFacts, inventory: Inventory) -> tuple[Finding, ...]:
    """What the release graph and the hosts' systems have against this hop, judged with what was seen just now.

    Blockers, and those whose risk was taken; the rest is the plan's and `check`'s to tell.
    """
    hop = ctx.graph.hop(ctx.hop.source, ctx.hop.target)
    path = HopPath(hop.source, hop.target, (hop,))
    effective = effective_of(
        ctx.site,
        ctx.graph,
        inventory,
        path.releases,
        ctx.attempt.runner(),
        ctx.attempt.play_folder,
        hosts=facts.hosts,
        hops=path.hops,
    )
    names = password_names(ctx.site, ctx.target_toolchain)
    groups, missing = groups_of(ctx.site, inventory, path.hops)
    record = record_of(ctx.site, facts, inventory, names, effective, groups)
    _note_queues(ctx, hop, record)
    found = accept_all((*missing, *judge_hops(ctx.graph, path, record)), dict(ctx.request.acceptances))
    return tuple(finding for finding in found if finding.code is Code.FAILURE)


def _note_queues(ctx: StageContext, hop: Hop, record: SiteRecord) -> None:
    """Leave for the engine whether queues have to be migrated, as it was seen just now."""
    made = plans_of(ctx.graph, (hop,), record)[0]
    ctx.facts |= {BROKER_DUE: made.migration, BROKER_WHY: made.migration_why}


def _reading(ctx: StageContext, facts: CloudFacts) -> tuple[Finding, ...]:
    reading = facts.reading
    if reading.kind == "exact" and reading.release == ctx.hop.source:
        return ()
    if reading.kind == "unknown" and ctx.plan.known_by.startswith("the operator's word"):
        message = f"the cloud does not say what it runs; {ctx.hop.source} is the operator's word"
        return (Finding(id="release", code=Code.WARNING, message=message),)
    evidence = "; ".join(reading.evidence[:8])
    seen = reading.release if reading.kind == "exact" else reading.kind
    message = f"the cloud runs {seen}, the hop starts at {ctx.hop.source}"
    return (Finding(id="release", code=Code.FAILURE, message=message, evidence=evidence),)


def _prechecks(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> None:
    run_action(
        ctx,
        "prechecks",
        toolchain,
        inventory,
        release=ctx.hop.target,
        more_inventory=extra_groups(ctx, inventory),
        # queues that are still to be migrated cannot pass; the stage that migrates them asks again
        skip_tags=() if ctx.facts.get(BROKER_DUE) == "no" else (QUEUE_CHECK,),
    )
