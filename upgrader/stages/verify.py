"""Stage `verify`: does the cloud run the release it should, whole and healthy? Changes nothing.

Nothing that Ansible said about the upgrade counts here: images, schema heads, database cluster and tokens are read
from the cloud itself, because a re-run after an interruption can end well and leave work undone.
"""

from __future__ import annotations

from pathlib import Path

from upgrader.database.manifest import TOKEN, read_manifest
from upgrader.facts.names import release_names
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.containers import containers
from upgrader.probes.galera import galera
from upgrader.probes.heads import heads
from upgrader.probes.verify import look
from upgrader.stages.base import Inconclusive, StageContext
from upgrader.stages.common import inventory_of, keep

UNREADABLE = "heads-unreadable"


def work(ctx: StageContext) -> None:
    check(ctx, ctx.hop.target)


def check(ctx: StageContext, release: str) -> CloudFacts:
    """Every question about `release`, all asked before the verdict; raises StepFailed with all failures."""
    toolchain = ctx.target_toolchain if release == ctx.hop.target else ctx.source_toolchain
    names = release_names(ctx.graph)
    with ctx.step(f"look at the cloud on {release}") as evidence:
        facts, tokens = look(
            ctx.site,
            toolchain,
            ctx.attempt.runner(),
            ctx.attempt.play_folder("look"),
            names,
            inventory=inventory_of(ctx, toolchain),
            token_file=token_file(ctx),
            cancelled=ctx.attempt.cancelled,
        )
        keep(ctx, facts)
        evidence.append(f"{sum(len(host.containers) for host in facts.hosts)} containers on {len(facts.hosts)} hosts")
    with ctx.step(f"judge it against {release}") as evidence:
        schema = heads(facts, names, release)
        findings = (*containers(facts, names, release), *galera(facts), *schema, *tokens)
        told = [finding for finding in findings if finding.code is not Code.FAILURE or not _untold(facts, finding)]
        ctx.judge(told, f"not {release} as it should be")
        if len(told) < len(findings):
            untold = [finding for finding in findings if finding not in told]
            raise Inconclusive(f"the schema heads could not be read: {facts.heads_error}", untold)
        evidence.extend(finding.message for finding in findings if finding.code is Code.SUCCESS)
    return facts


def _untold(facts: CloudFacts, finding: Finding) -> bool:
    return bool(facts.heads_error) and finding.evidence == facts.heads_error


def token_file(ctx: StageContext) -> Path | None:
    """The token kept from before the upgrade, when this hop's backup set has one."""
    folder = ctx.backup_set
    if folder is None:
        return None
    part = read_manifest(folder).part(TOKEN)
    return folder / part.files[0].path if part and part.files else None
