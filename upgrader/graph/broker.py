"""RabbitMQ as a sub-graph: which version each hop may bring from the one that runs, and what goes before it.

Two rules have to agree on a step: RabbitMQ's own (what a version may be started on) and the check of the release's
kolla-ansible role. Whether queues have to be made anew first is in `queues.py`. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from upgrader.graph.images import services_of
from upgrader.graph.queues import (
    Queues,
    Typed,
    Variables,
    demand_of,
    expected_queues,
    migration,
    seen_queues,
    untyped,
)
from upgrader.model import Answer, BrokerPlan, Code, Finding

if TYPE_CHECKING:
    from upgrader.graph.graph import ReleaseGraph
    from upgrader.graph.records import AllowedSteps
    from upgrader.graph.schema import Hop
    from upgrader.model import CloudFacts
    from upgrader.observed import BrokerFacts
    from upgrader.record import SiteRecord

ROLE = "rabbitmq"
_EXTRA = re.compile(r"^(\d+\.\d+) \(image ([\w-]+)")
_OVERRIDE = re.compile(r"/?(rabbitmq-(\d+)-(\d+))(?::\S*)?$")
_PLAIN = re.compile(r"(?:^|/)[\w.-]*?rabbitmq(?::\S*)?$")


@dataclass(frozen=True, slots=True)
class Step:
    """Whether one version may follow another, and why."""

    allowed: Answer
    why: str


def numbers(version: str) -> tuple[int, ...]:
    """`3.13.7` as numbers; empty for what does not begin with one."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def series(version: str) -> str:
    """`3.13` of `3.13.7`."""
    return ".".join(str(number) for number in numbers(version)[:2])


def images(graph: ReleaseGraph, release: str) -> Mapping[str, str]:
    """Series → image name of every RabbitMQ image of a release, its default first."""
    known = graph.components(release)
    found = {series(known.components[ROLE]): ROLE}
    for line in known.rabbitmq_extra_images:
        extra = _EXTRA.match(line)
        if extra:
            found[extra[1]] = extra[2]
    return found


def step(graph: ReleaseGraph, release: str, before: str, after: str, more: Any = None) -> Step:
    """May the role of `release` start series `after` where `before` runs? `more`: the operator's allowed upgrades."""
    old, new = numbers(before), numbers(after)
    if len(old) < 2 or len(new) < 2:
        return Step("unknown", f"the versions are not known ({before or '?'} → {after or '?'})")
    old_series, new_series = series(before), series(after)
    if old_series == new_series:
        return Step("yes", "no change of version")
    if old[:2] > new[:2]:
        return Step("no", f"{new_series} would be a downgrade from {before}, which RabbitMQ does not support")
    upstream = _upstream(graph, before, new_series)
    if upstream is not None:
        return upstream
    rule = next(found for found in graph.rabbitmq.allowed if found.first <= release <= found.last)
    if not _climbs(rule, old, new) and f"{old_series} {new_series}" not in (*rule.jumps, *_jumps(rule, more)):
        why = f"the check of {release} (tag {graph.rabbitmq.check_tag}) refuses {before} → {new_series}: {rule.rule}"
        return Step("no", why)
    return Step("yes", f"RabbitMQ and the check of {release} allow {old_series} → {new_series}")


def _upstream(graph: ReleaseGraph, before: str, after: str) -> Step | None:
    """RabbitMQ's own objection to the step; None when it has none."""
    rule = next((found for found in graph.rabbitmq.upstream_rules if found.version == after), None)
    if rule is None:
        return Step("unknown", f"nothing is recorded of what RabbitMQ {after} may be started on")
    floor = next((found for found in rule.oldest if series(found) == series(before)), None)
    known = numbers(before)
    if floor is None or (len(known) > 2 and known < numbers(floor)):
        return Step("no", f"RabbitMQ {after} needs {rule.needs}; {before} runs")
    return None


def _climbs(rule: AllowedSteps, old: Sequence[int], new: Sequence[int]) -> bool:
    if rule.minor_steps is None:
        return True
    return old[0] == new[0] and new[1] - old[1] <= rule.minor_steps


def _jumps(rule: AllowedSteps, more: Any) -> Iterator[str]:
    """What the operator allows besides, where the role asks for it."""
    if rule.extended_by and isinstance(more, Mapping):
        for old, targets in more.items():
            yield from (f"{old} {new}" for new in targets if isinstance(targets, list | tuple))


def reachable(graph: ReleaseGraph, hop: Hop, version: str) -> tuple[str, ...]:
    """Series that the hop may bring from `version`, out of the target's images, its default first."""
    return tuple(new for new in images(graph, hop.target) if step(graph, hop.target, version, new).allowed == "yes")


def detours(graph: ReleaseGraph, hop: Hop, version: str, after: str) -> tuple[str, ...]:
    """Series of the source's images over which `after` can be reached: RabbitMQ alone is moved there first."""
    return tuple(
        between
        for between in images(graph, hop.source)
        if between != series(version)
        and step(graph, hop.source, version, between).allowed == "yes"
        and step(graph, hop.target, between, after).allowed == "yes"
    )


# ---------------------------------------------------------------- plans


@dataclass(frozen=True, slots=True)
class Broker:
    """RabbitMQ as it is at the beginning of a path."""

    runs: bool | None = None
    """None: no cloud was looked at."""
    facts: BrokerFacts | None = None
    services: tuple[str, ...] | None = None
    """Roles that run, as `services_of` names them; None: not known."""
    own_images: Mapping[str, str] = field(default_factory=dict)
    """Release → version in the operator's own images, where they said so."""


def broker_plans(
    graph: ReleaseGraph,
    hops: Sequence[Hop],
    broker: Broker,
    variables: Variables = lambda _release, _name: None,
    typed: Typed = untyped,
) -> tuple[BrokerPlan, ...]:
    """RabbitMQ's part of every hop of a path: each starts from what the one before leaves.

    `variables(release, name)` gives what the operator set; None: the release's default counts. `typed` makes the
    commands.
    """
    found: list[BrokerPlan] = []
    version = (broker.facts.version or "") if broker.facts else ""
    queues = seen_queues(broker.facts)
    if broker.runs is None:
        version = version or graph.components(hops[0].source).components[ROLE]
        queues = expected_queues(graph, hops[0].source, variables)
    for hop in hops:
        made = broker_plan(graph, hop, replace(broker), version, queues, variables, typed)
        found.append(made)
        version = made.after
        queues = queues.after(made)
    return tuple(found)


def broker_plan(
    graph: ReleaseGraph,
    hop: Hop,
    broker: Broker,
    version: str,
    queues: Queues,
    variables: Variables,
    typed: Typed = untyped,
) -> BrokerPlan:
    """One hop, from the version and the queues that it starts with."""
    if broker.runs is False:
        words = "this cloud runs no RabbitMQ"
        return BrokerPlan(runs=False, allowed="yes", allowed_why=words, migration="no", migration_why=words)
    own = series(broker.own_images.get(hop.target, ""))
    after, missing = (own, "") if own else _after(graph, hop, variables)
    allowed = Step("no", missing) if missing else _step(graph, hop, version, after, variables)
    demands, streams = demand_of(graph, hop.target, variables)
    return BrokerPlan(
        runs=broker.runs,
        before=version,
        after=after,
        allowed=allowed.allowed,
        allowed_why=allowed.why,
        flags=_flags(graph, broker.facts, version, after),
        demands=demands,
        **migration(graph, hop, queues, demands, streams, broker.services, variables, typed),
    )


def _step(graph: ReleaseGraph, hop: Hop, version: str, after: str, variables: Variables) -> Step:
    more = variables(hop.target, "rabbitmq_allowed_upgrades")
    return step(graph, hop.target, version, after, more)


def _after(graph: ReleaseGraph, hop: Hop, variables: Variables) -> tuple[str, str]:
    """(series that the target's image brings, what is wrong with the image)."""
    there = images(graph, hop.target)
    default = next(iter(there))
    named = variables(hop.target, "rabbitmq_image")
    if not isinstance(named, str) or not named:
        return default, ""
    override = _OVERRIDE.search(named)
    if override is None:
        return (default, "") if _PLAIN.search(named) else ("", "")
    wanted = f"{override[2]}.{override[3]}"
    if there.get(wanted) == override[1]:
        return wanted, ""
    return wanted, f"rabbitmq_image names {override[1]}, and {hop.target} builds no image of that name"


def _flags(graph: ReleaseGraph, facts: BrokerFacts | None, before: str, after: str) -> tuple[str, ...]:
    """Flags that the new version needs: those seen to be off, or the rule's words where they could not be seen."""
    rule = next((found for found in graph.rabbitmq.upstream_rules if found.version == after), None)
    if rule is None or series(before) == after:
        return ()
    if facts is None or facts.disabled_flags is None or series(facts.version or "") != series(before):
        return rule.flags
    return facts.disabled_flags


def plans_of(
    graph: ReleaseGraph, hops: Sequence[Hop], record: SiteRecord | None, typed: Typed = untyped
) -> tuple[BrokerPlan, ...]:
    """RabbitMQ's part of a path for a site; without a record, for a cloud that nobody looked at."""
    if not hops:
        return ()
    if record is None:
        return broker_plans(graph, hops, Broker(), typed=typed)
    broker = replace(broker_of(graph, record.facts), own_images=_own_images(record, hops))
    return broker_plans(graph, hops, broker, variables_of(record), typed)


def own_image_answer(release: str) -> str:
    """Name in [answers] of upgrader.toml under which an operator who builds images says what RabbitMQ they hold."""
    return f"rabbitmq_version_{release.replace('.', '_')}"


def _own_images(record: SiteRecord, hops: Sequence[Hop]) -> dict[str, str]:
    answers = {name: json.loads(value) for name, value in record.answers}
    said = {hop.target: answers.get(own_image_answer(hop.target)) for hop in hops}
    return {release: version for release, version in said.items() if isinstance(version, str) and numbers(version)}


def broker_of(graph: ReleaseGraph, facts: CloudFacts) -> Broker:
    """RabbitMQ as an observation shows it. A cloud in which a host was not read may run it there."""
    names = [container.name for host in facts.hosts for container in host.containers]
    whole = all(host.reachable and not host.error for host in facts.hosts)
    runs = ROLE in names or not whole
    return Broker(runs, facts.observed.rabbitmq, tuple(sorted(services_of(graph, names))))


def variables_of(record: SiteRecord) -> Variables:
    """What the operator set, as Ansible computes it; None where only the release's default holds, or hosts differ."""

    def value(release: str, name: str) -> Any:
        effective = record.effective_of(release)
        variable = effective.find(name) if effective else None
        if variable is None or not variable.configured or variable.value is None:
            return None
        return variable.loaded()

    return value


def variables_wanted(graph: ReleaseGraph) -> frozenset[str]:
    """Names of the variables that a broker's plan is made from."""
    known = graph.rabbitmq
    more = {rule.extended_by for rule in known.allowed if rule.extended_by}
    return frozenset({"rabbitmq_image", *more, *(found.name for found in known.switches)})


# ---------------------------------------------------------------- findings


VERSION_FINDING, MIGRATION_FINDING = "rabbitmq-version", "rabbitmq-queue-migration"


def judge_broker(graph: ReleaseGraph, hops: Sequence[Hop], plans: Sequence[BrokerPlan]) -> tuple[Finding, ...]:
    """What stands in the way of RabbitMQ on a path, and the outage that is to come. Nothing for a cloud without it."""
    found: list[Finding] = []
    for hop, made in zip(hops, plans, strict=True):
        if made.runs is not True:
            continue
        if made.allowed != "yes" and not any(item.id == VERSION_FINDING and item.unknown for item in found):
            found.append(_version_finding(graph, hop, made))
        if made.migration != "no":
            found.append(_migration_finding(graph, hop, made))
    return tuple(found)


def _version_finding(graph: ReleaseGraph, hop: Hop, made: BrokerPlan) -> Finding:
    unknown = made.allowed == "unknown"
    words = "may not follow" if not unknown else "cannot be judged to follow"
    over = () if unknown else detours(graph, hop, made.before, made.after)
    others = () if unknown else reachable(graph, hop, made.before)
    return Finding(
        id=VERSION_FINDING,
        code=Code.FAILURE,
        severity="blocker",
        hop=f"{hop.source}→{hop.target}",
        message=f"RabbitMQ {made.after} of {hop.target} {words} {made.before or 'what runs'}: {made.allowed_why}",
        why="the role's check stops the upgrade in its middle, when other services are on the new release already",
        evidence=f"observed.rabbitmq.version = {made.before}" if made.before else "RabbitMQ told no version",
        fix=(
            *(_other_image(graph, hop, version) for version in others),
            *(_detour(graph, hop, between) for between in over),
            *(_newest_patch(graph, hop, made) if not unknown else ()),
            f'images of your own with another RabbitMQ: {own_image_answer(hop.target)} = "VERSION" in [answers]',
        ),
        unknown=unknown,
        source="; ".join(graph.rabbitmq.upstream_source),
    )


def _detour(graph: ReleaseGraph, hop: Hop, between: str) -> str:
    image = images(graph, hop.source)[between]
    return f"on {hop.source}: set rabbitmq_image to …/{image}, then kolla-ansible upgrade --tags rabbitmq ({between})"


def _other_image(graph: ReleaseGraph, hop: Hop, version: str) -> str:
    """An image of the target that may follow what runs, where another was meant to."""
    image = images(graph, hop.target)[version]
    if image == ROLE:
        return f"take rabbitmq_image out for {hop.target}: its own image holds {version}"
    return f"for {hop.target}: set rabbitmq_image to …/{image} ({version})"


def _newest_patch(graph: ReleaseGraph, hop: Hop, made: BrokerPlan) -> Iterator[str]:
    """The series that runs is right, its patch is too old: the source's own newest image first."""
    rule = next((found for found in graph.rabbitmq.upstream_rules if found.version == made.after), None)
    floor = next((one for one in rule.oldest if series(one) == series(made.before)), "") if rule else ""
    image = images(graph, hop.source).get(series(made.before))
    if floor and image and len(numbers(made.before)) > 2 and numbers(made.before) < numbers(floor):
        newest = f"pull its newest …/{image}, then kolla-ansible upgrade --tags rabbitmq ({floor} or newer)"
        yield f"on {hop.source}: {newest}"


def _migration_finding(graph: ReleaseGraph, hop: Hop, made: BrokerPlan) -> Finding:
    unknown = made.migration == "unknown"
    message = f"queues have to be made anew: {made.migration_why}" if not unknown else made.migration_why
    return Finding(
        id=MIGRATION_FINDING,
        code=Code.WARNING,
        severity="required",
        hop=f"{hop.source}→{hop.target}",
        when="during",
        message=message,
        why=made.outage,
        fix=(*(f'{name}: "{value}"' for name, value in made.settings), *made.commands),
        unknown=unknown,
        source="; ".join(graph.rabbitmq.migration.source),
    )
