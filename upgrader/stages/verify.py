"""Stage `verify`: does the cloud run the release it should, whole and healthy, and does it work for its users?

Nothing that Ansible said about the upgrade counts here: images, schema heads, database cluster, services and tokens
are read from the cloud itself, because a re-run after an interruption can end well and leave work undone. Then the
cloud is used; what that makes is removed again, and nothing else is changed. What cannot be told is never good.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upgrader.database.manifest import TOKEN, read_manifest
from upgrader.facts.names import release_names
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.agents import COVERED, SILENT, Expected, agents
from upgrader.probes.base import good, unread
from upgrader.probes.containers import PASSING, containers, missing, restarted
from upgrader.probes.galera import ID as GALERA
from upgrader.probes.galera import galera
from upgrader.probes.heads import heads
from upgrader.probes.logs_rate import UNREAD, logs_rate
from upgrader.probes.services import judge_services
from upgrader.probes.verify import Look, look
from upgrader.smoke.ask import Tried, runs_of, try_out
from upgrader.smoke.judge import judge_trial, left_out
from upgrader.smoke.times import Times, times_of
from upgrader.stages.base import Inconclusive, StageContext
from upgrader.stages.common import keep, whole_inventory
from upgrader.verify_rules import OFF

OFF_LOGS = good("errors", "the site does not ask for it ([verify] logs)")
SETTLING = PASSING | {SILENT, GALERA, "backend-dead", "backend-down", "rabbitmq-node-down", "vip-no-owner"}
"""Findings that are waited for: they may come right by themselves while services start."""
_PAUSE = 5.0
"""Seconds between two looks at a cloud that is not well yet."""


def work(ctx: StageContext) -> None:
    check(ctx, ctx.hop.target, left_behind(ctx))


def left_behind(ctx: StageContext) -> dict[str, str]:
    """Hosts that this plan leaves where they are, with the release they run."""
    return dict.fromkeys(ctx.plan.left, ctx.hop.source)


def check(ctx: StageContext, release: str, left: Mapping[str, str] | None = None) -> CloudFacts:
    """Every question about `release`, all asked before the verdict; then a trial of the APIs and the logs' errors.

    `left`: host → release, for hosts that are meant to stay behind: they are told, and fail only where they do not run
    that release either, or are too old for it. Raises StepFailed with all failures, Inconclusive for what is unknown.
    """
    toolchain = ctx.target_toolchain if release == ctx.hop.target else ctx.source_toolchain
    ask = _Question(ctx, release, dict(left or {}), toolchain, whole_inventory(ctx, toolchain), _times(ctx))
    with ctx.step(f"look at the cloud on {release}") as evidence:
        seen, findings = ask.until_settled()
        keep(ctx, seen.facts)
        evidence.append(
            f"{sum(len(host.containers) for host in seen.facts.hosts)} containers on {len(seen.facts.hosts)} hosts"
        )
    with ctx.step(f"judge it against {release}") as evidence:
        _verdict(ctx, findings, f"not {release} as it should be")
        evidence.extend(finding.message for finding in findings if finding.code is Code.SUCCESS)
    with ctx.step("use it as its users do") as evidence:
        tried = ask.tried(seen)
        _verdict(ctx, judge_trial(tried, ask.roles(seen.facts)), "the cloud does not work as it should")
        evidence.extend(_told(ctx, tried, seen))
    with ctx.step("errors in the services' logs") as evidence:
        found = _errors(ctx, tried, ask.times)
        ctx.findings.extend(found)
        evidence.extend(finding.message for finding in found or (OFF_LOGS,))
    return seen.facts


@dataclass
class _Question:
    """One verification: what is asked, of whom, and what it is held against."""

    ctx: StageContext
    release: str
    left: dict[str, str]
    toolchain: Toolchain
    inventory: Inventory
    times: Times

    def until_settled(self) -> tuple[Look, tuple[Finding, ...]]:
        """Look, and look again while something may still come right by itself, within the site's limit."""
        ends = time.monotonic() + self.ctx.site.verify.settle
        while True:
            seen = self._look()
            findings = self._judged(seen)
            coming = [one for one in findings if one.id in SETTLING and one.code is not Code.SUCCESS]
            if not coming or time.monotonic() + _PAUSE >= ends or self.ctx.attempt.cancelled():
                return seen, tuple(map(_overdue, findings))
            self.ctx.attempt.progress("waiting", message="; ".join(dict.fromkeys(one.message for one in coming[:3])))
            time.sleep(_PAUSE)

    def _look(self) -> Look:
        return look(
            self.ctx.site,
            self.toolchain,
            self.ctx.attempt.runner(),
            self.ctx.attempt.play_folder("look"),
            release_names(self.ctx.graph),
            inventory=self.inventory,
            token_file=token_file(self.ctx),
            cancelled=self.ctx.attempt.cancelled,
        )

    def _judged(self, seen: Look) -> tuple[Finding, ...]:
        facts, names = seen.facts, release_names(self.ctx.graph)
        found = [
            *containers(facts, names, self.release, self.left),
            *missing(facts, self._before(), self._belongs, self.release, self.left),
            *galera(facts),
            *(_unknown_heads(facts, finding) for finding in heads(facts, names, self.release)),
            *seen.tokens,
            *(finding for finding in judge_services(facts) if finding.id not in COVERED),
            *agents(facts, self._expected()),
        ]
        if self.times.ended is not None:
            found += restarted(facts, names, self.times.ended)
        return tuple(found)

    def _expected(self) -> Expected:
        graph, hop = self.ctx.graph, self.ctx.hop
        known = graph.components(self.release).nova_rpc.service_version
        oldest = None
        if self.release == hop.target:
            oldest = graph.components(graph.hop(hop.source, hop.target).nova_oldest_compute).nova_rpc.service_version
        since = (datetime.now(UTC) - self.times.began).total_seconds() if self.times.began else None
        return Expected(self.release, known, oldest, since, self.left)

    def _before(self) -> list[tuple[str, str]]:
        """Containers that ran when the plan was made; nothing for a plan that was not made from a cloud."""
        return [(host, container) for host, container, _ in self.ctx.plan.binding.images]

    def _belongs(self, container: str, release: str) -> bool:
        rows = [row for row in self.ctx.graph.containers.containers if row.name == container]
        return any(row.covers(release) for row in rows)

    def roles(self, facts: CloudFacts) -> frozenset[str]:
        roles = {row.name: row.role for row in self.ctx.graph.containers.containers}
        return frozenset(roles.get(seen.name, "") for host in facts.hosts for seen in host.containers)

    def tried(self, seen: Look) -> Tried:
        """Once more where the answer was lost: the trial first removes what one before it left."""
        found = self._tried(seen)
        return self._tried(seen) if found.lost and not self.ctx.attempt.cancelled() else found

    def _tried(self, seen: Look) -> Tried:
        return try_out(
            self.ctx.site,
            self.toolchain,
            self.ctx.attempt.runner(),
            self.ctx.attempt.play_folder("try"),
            inventory=self.inventory,
            runs=runs_of(seen.facts),
            host=seen.host,
            url=seen.url,
            times=self.times,
            cancelled=self.ctx.attempt.cancelled,
        )


def _verdict(ctx: StageContext, findings: Sequence[Finding], message: str) -> None:
    """End the step on a failure; when there is none, on what must be known and is not."""
    untold = [finding for finding in findings if finding.unknown and finding.blocks]
    ctx.judge([finding for finding in findings if finding not in untold], message)
    if untold:
        raise Inconclusive("; ".join(dict.fromkeys(_words(finding) for finding in untold[:4])), untold)


def _words(finding: Finding) -> str:
    return f"{finding.message}: {finding.evidence}" if finding.evidence else finding.message


def _unknown_heads(facts: CloudFacts, finding: Finding) -> Finding:
    untold = bool(facts.heads_error) and finding.evidence == facts.heads_error
    return finding.model_copy(update={"unknown": True}) if untold else finding


def _overdue(finding: Finding) -> Finding:
    """A container that is still starting when its time is over may become either."""
    if finding.id != "container-starting":
        return finding
    return finding.model_copy(update={"code": Code.FAILURE, "unknown": True})


def _errors(ctx: StageContext, tried: Tried, times: Times) -> tuple[Finding, ...]:
    rules = ctx.site.verify
    if not rules.logs:
        return ()
    if times.began is None:
        words = "no attempt says when the hop began to change the cloud"
        return (unread(Code.WARNING, UNREAD, "errors in the logs were not compared", words),)
    return logs_rate(tried.counted, least=rules.error_count, factor=rules.error_factor)


def _told(ctx: StageContext, tried: Tried, seen: Look) -> list[str]:
    if ctx.site.verify.smoke == OFF:
        return ["the site does not ask for it ([verify] smoke)"]
    if not seen.host:
        return ["no Keystone runs here, and no database to say where it is"]
    done = [f"{step.name}: {step.words} ({step.who}, {step.seconds} s)" for step in tried.steps if step.ok]
    return [f"{len(done)} steps went well", *done, *left_out(tried)]


def _times(ctx: StageContext) -> Times:
    return times_of(Path(ctx.request.state_dir), ctx.request.run, ctx.request.hop)


def token_file(ctx: StageContext) -> Path | None:
    """The token kept from before the upgrade, when this hop's backup set has one."""
    folder = ctx.backup_set
    if folder is None:
        return None
    part = read_manifest(folder).part(TOKEN)
    return folder / part.files[0].path if part and part.files else None
