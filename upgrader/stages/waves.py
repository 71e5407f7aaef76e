"""The upgrade in waves, on the real cloud: what each move of `upgrader.rolling.walk` does with hosts.

Every wave is one run of the target's own `site.yml` within a limit. What hosts need to know of each other is gathered
once for each attempt and kept for the waves after it, so that a host that is lost later does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from upgrader.computes.plays import computes_of
from upgrader.computes.port import Computes, ComputesError, ComputesStopped
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError
from upgrader.kolla.inventory import Inventory
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.rolling import RollRecord
from upgrader.rolling.walk import Why
from upgrader.rolling.waves import CLOSING_TAGS
from upgrader.runner.base import PlayResult
from upgrader.stages.base import StageCanceled, StageContext, StepFailed
from upgrader.stages.common import action_play
from upgrader.stages.health import await_health
from upgrader.stages.services import segments
from upgrader.wave import Wave

FACTS = "facts"
FACT_HOSTS_SINCE = "2025.1"
"""Release whose playbooks let `kolla_ansible_delegate_facts_hosts` say whose facts a limited run gathers."""
LEFT_DISABLED = "compute services that an interruption left disabled"
PAUSE = 2.0


class _Short(StepFailed):
    """Some hosts did not come right; the step is told as failed, the stage decides."""


@dataclass
class CloudGround:
    """The `Ground` of a walk."""

    ctx: StageContext
    toolchain: Toolchain
    inventory: Inventory
    facts: CloudFacts
    """As the stage's first step saw the cloud."""
    record: RollRecord
    known: tuple[str, ...]
    """What was ill before the first wave."""
    lost: tuple[str, ...] = ()
    """Compute hosts that could not be reached when the attempt began."""
    _expected: dict[str, str] = field(default_factory=dict)

    @cached_property
    def computes(self) -> Computes | None:
        """None where the cloud has no Nova: compute hosts then only run what other services have there."""
        return computes_here(self.ctx, self.toolchain, self.inventory, self.facts)

    def bring_back_left(self) -> None:
        """Enable what an attempt before left out of scheduling: it was killed before it could."""
        if self.computes is None or (self.ctx.request.number == 1 and not self.ctx.request.after_interrupt):
            return
        with self.ctx.step(LEFT_DISABLED, always=True) as evidence:
            evidence.append(enable_left(self.computes))

    # ------------------------------------------------------------ moves

    def upgrade(self, wave: Wave, hosts: Sequence[str]) -> dict[str, str]:
        whole = wave.kind == "control" and not self.ctx.site.rolling.by_service
        if wave.kind != "control" or whole:
            return self._step(f"{wave.name}: upgrade", hosts, lambda: self._run(wave, hosts))
        for segment in segments(self.ctx.graph, self.ctx.hop.target, self.facts):
            if segment.name in self.record.services:
                continue
            failed = self._step(f"{wave.name}: {segment.name}", hosts, partial(self._run, wave, hosts, segment.tags))
            if failed:
                return failed
            if why := self._gate(f"after {segment.name}", self.ctx.site.rolling.gate_seconds, ()):
                return dict.fromkeys(hosts[:1], f"after {segment.name}: {why}")
            self.record.keep(services=(*self.record.services, segment.name))
        return {}

    def take_out(self, wave: Wave, hosts: Sequence[str]) -> dict[str, str]:
        nova, rules = self.computes, self.ctx.site.rolling
        unreachable = {host: "it cannot be reached" for host in hosts if host in self.lost}
        if nova is None:
            return unreachable
        there = [host for host in hosts if host not in unreachable]

        def work() -> tuple[dict[str, str], str]:
            failed = dict(unreachable)
            switched = nova.disable(there, f"{self.ctx.hop.name}, {wave.name}")
            failed |= {one.host: f"Nova: {one.reason}" for one in switched if one.how == "failed"}
            theirs = [one for one in switched if one.how == "theirs"]
            absent = [one.host for one in switched if one.how == "absent"]
            words = [f"{len(there)} out of scheduling"]
            words += [f"{one.host} was already disabled ({one.reason}) and stays so" for one in theirs]
            words += [f"Nova does not know {', '.join(absent)}"] if absent else []
            return failed, "; ".join(words)

        failed = self._step(f"{wave.name}: out of scheduling", hosts, work)
        if not rules.drain:
            return failed
        for host in [host for host in there if host not in failed]:
            failed |= self._drain(wave, nova, host)
        return failed

    def arrived(self, wave: Wave, hosts: Sequence[str]) -> dict[str, str]:
        return self._arrived(wave.name, hosts)

    def _arrived(self, name: str, hosts: Sequence[str]) -> dict[str, str]:
        nova = self.computes
        if nova is None:
            return {}
        wanted = self.ctx.graph.components(self.ctx.hop.target).nova_rpc.service_version
        beats: dict[str, set[str]] = {}

        def work() -> tuple[dict[str, str], str]:
            ends = time.monotonic() + self.ctx.site.rolling.gate_seconds
            while True:
                try:
                    waits = _waits(nova, hosts, wanted, beats)
                except ComputesStopped:
                    raise
                except ComputesError as error:  # an API that starts again belongs to what is waited for
                    waits = dict.fromkeys(hosts, f"Nova was not to be asked: {error.message}")
                if not waits or time.monotonic() >= ends:
                    return waits, f"{len(hosts)} up, at version {wanted}"
                if self.ctx.attempt.cancelled():
                    raise StageCanceled(f"{name}: services")
                time.sleep(PAUSE)

        return self._step(f"{name}: services", hosts, work)

    def bring_back(self, wave: Wave, hosts: Sequence[str]) -> dict[str, str]:
        nova = self.computes
        if nova is None:
            return {}

        def work() -> tuple[dict[str, str], str]:
            switched = nova.enable(hosts)
            failed = {one.host: f"not enabled again: {one.reason}" for one in switched if one.how == "failed"}
            return failed, f"{sum(one.right for one in switched)} take instances again"

        return self._step(f"{wave.name}: back in scheduling", hosts, work, always=True)

    def trial(self, wave: Wave, hosts: Sequence[str]) -> dict[str, str]:
        nova = self.computes
        if nova is None or not self.ctx.site.rolling.trial:
            return {}
        others = [host for part in self.ctx.plan.waves if part.kind != "control" for host in part.hosts]

        def work() -> tuple[dict[str, str], str]:
            failed, words = {}, []
            for host in hosts:
                other = next((name for name in others if name not in (host, *self.lost)), "")
                trial = nova.trial(host, other)
                done = ", ".join(step.name for step in trial.steps if step.ok)
                skipped = "; ".join(f"{step.name}: {step.words}" for step in trial.steps if step.ok is None)
                words.append(f"{host}: {done}" + (f" (not {skipped})" if skipped else ""))
                if not trial.passed:
                    failed[host] = f"the trial instance: {trial.why}"
            return failed, "; ".join(words)

        return self._step(f"{wave.name}: trial instance", hosts, work)

    def gate(self, wave: Wave, failed: Why) -> str:
        # after a failure patience would only cost time: one look says what state the cloud is in
        seconds = 0 if any(host in failed for host in wave.hosts) else self.ctx.site.rolling.gate_seconds
        return self._gate(f"after {wave.name}", seconds, (*failed, *self.lost))

    def close(self) -> None:
        if self.computes is None:
            return
        hosts = [host for wave in self.ctx.plan.waves for host in wave.hosts]

        def work() -> tuple[dict[str, str], str]:
            result = self._play("closing", hosts, "", CLOSING_TAGS)
            return _troubles(result), "services without the old release's pin, rows moved online"

        failed = self._step("closing: Nova's services start again", hosts, work)
        # every nova-compute was restarted once more
        computes = [host for wave in self.ctx.plan.waves if wave.kind != "control" for host in wave.hosts]
        failed |= {} if failed else self._arrived("closing", computes)
        if failed:
            raise StepFailed("; ".join(f"{host}: {why}" for host, why in failed.items()))

    # ------------------------------------------------------------ parts of moves

    def _run(self, wave: Wave, hosts: Sequence[str], tags: Sequence[str] = ()) -> tuple[dict[str, str], str]:
        others = [host for part in self.ctx.plan.waves if part.kind != "control" for host in part.hosts]
        limit = ",".join(hosts)
        if wave.kind == "control":
            limit = ":".join(("all", *(f"!{host}" for host in (*others, *self.ctx.plan.left))))
        result = self._play(wave.name, hosts, limit, tags)
        return _troubles(result, hosts), f"done on {len(result.hosts_seen)} hosts in {round(result.seconds)} s"

    def _play(self, name: str, hosts: Sequence[str], limit: str, tags: Sequence[str]) -> PlayResult:
        facts = self.ctx.attempt.folder / FACTS
        make_dir(facts, exist_ok=True)
        more: list[tuple[str, object]] = []
        if self.lost and self.toolchain.release >= FACT_HOSTS_SINCE:
            more.append(
                ("kolla_ansible_delegate_facts_hosts", [host for host in self.inventory.hosts if host not in self.lost])
            )
        if not limit and self.lost:
            limit = ":".join(("all", *(f"!{host}" for host in (*self.lost, *self.ctx.plan.left))))
        chosen = action_play(
            self.ctx, "upgrade", self.toolchain, self.inventory, hosts=hosts, watch=self.ctx.watch, tags=tags,
            limit=limit, extra_vars=more,
        )  # fmt: skip
        cache = (("ANSIBLE_CACHE_PLUGIN", "jsonfile"), ("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(facts)))
        result = self.ctx.attempt.run(replace(chosen, name=f"upgrade {name}", env=(*chosen.env, *cache)))
        if result.status == "canceled":
            raise StageCanceled(name)
        if not result.verdict and not _troubles(result):
            raise StepFailed(result.message)
        return result

    def _drain(self, wave: Wave, nova: Computes, host: str) -> dict[str, str]:
        def work() -> tuple[dict[str, str], str]:
            drained = nova.drain(host, (), self.ctx.site.rolling.drain_seconds, self.ctx.attempt.cancelled)
            if drained.how == "canceled":
                raise StageCanceled(f"{wave.name}: drain of {host}")
            if drained.complete:
                return {}, f"{len(drained.moved)} instances moved in {drained.seconds} s"
            left = "; ".join(f"{one.instance.name}: {one.why}" for one in drained.left if one.instance.runs)
            words = {"budget": "not empty in time", "stuck": "cannot be emptied"}.get(drained.how, drained.words)
            return {host: f"{words} ({left})" if left else words}, ""

        return self._step(f"{wave.name}: drain {host}", [host], work)

    def _gate(self, name: str, seconds: float, spared: Sequence[str]) -> str:
        found: tuple[Finding, ...] = ()
        try:
            with self.ctx.step(f"health {name}") as evidence:
                found = await_health(self.ctx, self.toolchain, self.inventory, seconds, known=self.known, spared=spared)
                if found:
                    words = "; ".join(dict.fromkeys(finding.message for finding in found[:4]))
                    raise _Short(words, evidence=[finding.message for finding in found[4:]])
                evidence.append("every condition holds")
        except _Short as short:
            self.ctx.findings += [one.model_copy(update={"code": Code.FAILURE}) for one in found]
            return short.message
        except UpgraderError as error:
            # why the wave failed must not be lost behind this
            return f"the cloud could not be looked at: {error.message}"
        return ""

    def _step(
        self, name: str, hosts: Sequence[str], work: Callable[[], tuple[dict[str, str], str]], *, always: bool = False
    ) -> dict[str, str]:
        """A step whose failed hosts are an answer, not the end of the stage."""
        failed: dict[str, str] = {}
        try:
            with self.ctx.step(name, always=always) as evidence:
                failed, words = work()
                if failed:
                    raise _Short("; ".join(f"{host}: {why}" for host, why in failed.items()))
                evidence += [words, ", ".join(hosts)]
        except _Short:
            pass
        except ComputesStopped:
            raise StageCanceled(name) from None
        return failed


def computes_here(ctx: StageContext, toolchain: Toolchain, inventory: Inventory, facts: CloudFacts) -> Computes | None:
    """Nova's compute services; None where no Nova is among what was seen of the cloud."""
    if not any(container.name == "nova_api" for host in facts.hosts for container in host.containers):
        return None
    return computes_of(
        ctx.site, toolchain, ctx.attempt.runner(), inventory, ctx.attempt.play_folder, ctx.attempt.cancelled,
        last=ctx.attempt.runner(stopping=False),
    )  # fmt: skip


def enable_left(nova: Computes) -> str:
    """Enable every service that this tool once disabled; says which. Raises StepFailed, and what asking Nova raises."""
    left = [service.host for service in nova.services() if service.ours and service.host]
    switched = nova.enable(left) if left else ()
    bad = [f"{one.host}: {one.reason}" for one in switched if one.how == "failed"]
    if bad:
        raise StepFailed("not enabled again: " + "; ".join(bad))
    return f"{', '.join(left)} take instances again" if left else "none is left"


def _troubles(result: PlayResult, hosts: Sequence[str] | None = None) -> dict[str, str]:
    """Host → why, of everything that keeps a play from its verdict; hosts beside those asked for are told with them."""
    if result.verdict:
        return {}
    found: dict[str, str] = {}
    for trouble in result.failed:
        where = f"failed in task {trouble.task!r}" if trouble.task else "failed"
        found[trouble.host] = f"{where}: {trouble.message}" if trouble.message else where
    for trouble in result.unreachable:
        found[trouble.host] = f"lost during the upgrade: {trouble.message or 'it does not answer'}"
    for host in result.missing:
        found.setdefault(host, "never worked on")
    strange = [host for host in found if hosts is not None and host not in hosts]
    if hosts and strange and not any(host in found for host in hosts):
        # a task that was sent elsewhere failed; whose it was is not told, so nobody of the wave is sure
        words = "; ".join(f"{host}: {found[host]}" for host in strange)
        return dict.fromkeys(hosts, words)
    return found


_BEATS = 3
"""Reports of a service to be seen, the last one of the old process perhaps among them: the playbooks restart
nova-compute as their last act, Nova calls it up for a minute on its old word, and what it does when it starts
(openstack/nova: nova/compute/manager.py, init_host) puts instances into ERROR that were sent to it meanwhile."""


def _waits(nova: Computes, hosts: Sequence[str], wanted: int, beats: dict[str, set[str]]) -> dict[str, str]:
    """Host → what is not there yet: its service up at the release's version and reporting, its agents alive.

    `beats`: host → the reports seen so far, for the next call.
    """
    known = {service.host: service for service in nova.services()}
    found: dict[str, str] = {}
    for host in hosts:
        service = known.get(host)
        if service is None:
            continue  # Nova never knew it
        if not service.up:
            found[host] = "nova-compute is not up"
        elif service.version and service.version < wanted:
            found[host] = f"nova-compute says version {service.version}, {wanted} is the release's"
        elif service.seen and len(beats.setdefault(host, set()) | {service.seen}) < _BEATS:
            beats[host].add(service.seen)
            found[host] = "nova-compute has not reported since it was restarted"
    for agent in nova.agents(hosts):
        if not agent.alive and agent.host in hosts:
            found.setdefault(agent.host, f"{agent.kind} is not alive")
    return found
