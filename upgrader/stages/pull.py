"""Stage `pull`: the images of the target release on every host, with the target's own playbooks. Changes no service.

With the images there, the services' own upgrade checks of the target can be asked, and are: before anything is changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.facts.upgrade_checks import upgrade_checks
from upgrader.findings import accept_all
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import UpgradeCheck
from upgrader.probes.upgrade_checks import judge_upgrade_checks
from upgrader.stages.base import StageCanceled, StageContext
from upgrader.stages.common import extra_groups, inventory_of, look, run_action
from upgrader.status_read import facts_seen

ASK = "upgrade checks of the services"


def work(ctx: StageContext) -> None:
    toolchain = ctx.target_toolchain
    inventory = inventory_of(ctx, toolchain)
    with ctx.step("pull images") as evidence:
        result = run_action(
            ctx,
            "pull",
            toolchain,
            inventory,
            release=ctx.hop.target,
            more_inventory=extra_groups(ctx, inventory),
        )
        evidence.append(f"images of {ctx.hop.target} on {len(result.hosts_seen)} hosts")
    with ctx.step(ASK) as evidence:
        checks = _asked(ctx, toolchain, _known(ctx, toolchain, inventory))
        found = _judged(ctx, checks)
        ctx.judge(found, f"services of {ctx.hop.target} refuse this cloud")
        evidence.extend(_told(checks, found))


def _known(ctx: StageContext, toolchain: Toolchain, inventory: Inventory) -> CloudFacts:
    """Where services run, as this hop's preflight saw it; a look of its own only where none was kept.

    Where a container has moved since, its check is told as one that was not run.
    """
    return facts_seen(ctx.site) or look(ctx, toolchain, inventory, heads=False)


def _asked(ctx: StageContext, toolchain: Toolchain, facts: CloudFacts) -> tuple[UpgradeCheck, ...]:
    checks = upgrade_checks(
        ctx.site,
        toolchain,
        ctx.attempt.runner(),
        ctx.attempt.play_folder("upgrade-checks"),
        facts,
        ctx.hop.target,
        cancelled=ctx.attempt.cancelled,
    )
    if ctx.attempt.cancelled():
        raise StageCanceled(ASK)
    return checks


def _judged(ctx: StageContext, checks: Sequence[UpgradeCheck]) -> tuple[Finding, ...]:
    hop = f"{ctx.hop.source}→{ctx.hop.target}"
    found = (finding.model_copy(update={"hop": hop}) for finding in judge_upgrade_checks(checks))
    return accept_all(found, dict(ctx.request.acceptances))


def _told(checks: Sequence[UpgradeCheck], found: Sequence[Finding]) -> list[str]:
    if not checks:
        return ["no service that has one runs"]
    run = sum(check.code is not None for check in checks)
    open_ = [finding for finding in found if finding.code is not Code.SUCCESS]
    lines = [f"{run} of {len(checks)} were run, {sum(not finding.unknown for finding in open_)} findings"]
    for finding in open_:
        taken = f"; accepted: {finding.accepted[1]}" if finding.accepted[1] else ""
        lines.append(": ".join(part for part in (finding.message, finding.evidence) if part) + taken)
    return lines
