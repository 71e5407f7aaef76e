"""(graph, goal, what was seen of the cloud) → Plan, or one refusal that lists every reason. Pure: reads no file,
asks no host, knows no clock.

Owns the shape of a plan: its hops, their stages, the way back and the point of no return in words. Which way is legal
is the policies' judgement, what a way back takes is the graph's knowledge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from upgrader import __version__
from upgrader.errors import RefusedError
from upgrader.graph import Hop, ReleaseGraph, services_of, way_back
from upgrader.graph.broker import plans_of
from upgrader.graph.queues import untyped
from upgrader.model import (
    Binding,
    BrokerPlan,
    ByHand,
    CloudFacts,
    Code,
    Component,
    Finding,
    HopPlan,
    Plan,
    ReleaseReading,
    StagePlan,
    ToolchainPin,
    Way,
    WayBack,
)
from upgrader.policy import Verdict, check_request, judge_path
from upgrader.rolling.waves import Waves
from upgrader.states import FORWARD, INFO, State

if TYPE_CHECKING:
    from upgrader.graph.records import Action
    from upgrader.record import SiteRecord

Applies = Literal["yes", "no", "unknown"]

Typed = Callable[[str, str], tuple[str, ...]]
"""(release, stage) → the kolla-ansible commands an operator would type for it."""


TypedAction = Callable[[str, str, tuple[str, ...]], str]
"""(release, action of kolla-ansible, tags) → the command."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked for. Names may be ids or codenames."""

    target: str
    source: str = ""
    """Release to start from: needed without a site, and the answer where a cloud does not say."""
    hops: int | None = None
    """Hops the operator wants it done in, if they said so."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is known of a site besides the release graph."""

    record: SiteRecord
    findings: tuple[Finding, ...] = ()
    """Everything that gates, policies and probes found on the path, in order, with what was accepted of it."""
    passwords: frozenset[str] | None = None
    """Names in passwords.yml; None: could not be read."""
    binding: Binding = field(default_factory=Binding)
    lineage: str = ""
    serial: int = 0
    rolled: Waves = field(default_factory=Waves)
    """In which waves hosts are upgraded, and which stay behind."""

    @property
    def facts(self) -> CloudFacts:
        return self.record.facts


@dataclass(frozen=True, slots=True)
class Frame:
    """What goes into a plan besides goal and site: when it is made, what is typed, which toolchains are built."""

    made_at: str = ""
    typed: Typed = lambda _release, _stage: ()
    typed_action: TypedAction = untyped
    built: Mapping[str, ToolchainPin] = field(default_factory=dict)
    """Exact versions of the toolchains that are built."""
    usable: frozenset[str] | None = None
    """Releases whose toolchain is there; None: not looked at (a paper plan)."""


def plan(graph: ReleaseGraph, goal: Goal, site: SiteFacts | None = None, frame: Frame | None = None) -> Plan:
    """The plan. Raises RefusedError listing every reason against it, DataError for damaged data."""
    frame = frame or Frame()
    reading = site.facts.reading if site else None
    hops = check_request(graph, goal.source, goal.target, goal.hops, reading)
    if site and site.rolled.left and len(hops) > 1:
        raise _left_behind(site.rolled.left, hops)
    verdicts = judge_path(graph, hops[0].source, hops[-1].target, goal.hops, reading)
    brokers = plans_of(graph, hops, site.record if site else None, frame.typed_action)
    plans = tuple(_hop_plan(graph, hop, site, frame, broker) for hop, broker in zip(hops, brokers, strict=True))
    return Plan.model_validate(
        {
            "site": site.facts.site if site else "",
            "lineage": site.lineage if site else "",
            "serial": site.serial if site else 0,
            "from": hops[0].source,
            "to": hops[-1].target,
            "known_by": _known_by(reading),
            "made_at": frame.made_at,
            "tool_version": __version__,
            "graph_version": graph.version,
            "graph_sha256": graph.sha256,
            "hops": plans,
            "findings": (*(_found(site) if site else _warnings(verdicts)), *_missing_toolchains(plans, frame)),
            "binding": site.binding if site else Binding(),
            "hosts": site.record.hosts if site else (),
            "waves": site.rolled.waves if site else (),
            "left": site.rolled.left if site else (),
        }
    )


def _left_behind(hosts: tuple[str, ...], hops: Sequence[Hop]) -> RefusedError:
    return RefusedError(
        f"{', '.join(hosts)} would be left behind by more than one release ([rolling] exclude).",
        cloud="Nothing was changed.",
        details=(f"{hops[1].source}→{hops[1].target} begins once every host runs {hops[1].source}.",),
        next_command=f"upgrader plan --to {hops[0].target}",
        reason="left-behind",
    )


# ---------------------------------------------------------------- what is known


def _known_by(reading: ReleaseReading | None) -> str:
    if reading is None:
        return "the operator's word (--from)"
    return reading.how if reading.kind == "exact" else "the operator's word (--from); the cloud does not say"


def _containers(facts: CloudFacts) -> tuple[str, ...]:
    return tuple(container.name for host in facts.hosts for container in host.containers)


# ---------------------------------------------------------------- one hop


def _hop_plan(graph: ReleaseGraph, hop: Hop, site: SiteFacts | None, frame: Frame, broker: BrokerPlan) -> HopPlan:
    rows = way_back(graph, hop, services_of(graph, _containers(site.facts)) if site else None)
    names = [name for name in hop.passwords.added if site is None or name not in (site.passwords or ())]
    return HopPlan.model_validate(
        {
            "from": hop.source,
            "to": hop.target,
            "summary": hop.summary,
            "toolchain": frame.built.get(hop.target) or pin(graph, hop.target),
            "toolchain_back": frame.built.get(hop.source) or pin(graph, hop.source),
            "stages": _stages(hop, rows, frame, broker),
            "components": tuple(
                Component(name=change.name, before=change.before, after=change.after) for change in hop.components
            ),
            "by_hand": _by_hand(graph, hop, site.record if site else None),
            "way_back": rows,
            "ponr": _ponr(rows),
            "settings": (("openstack_release", hop.target),),
            "groups_added": tuple(name for name in hop.groups.added if site is None or name not in site.record.groups),
            "passwords_added": tuple(names),
            "broker": broker,
        }
    )


def pin(graph: ReleaseGraph, release: str) -> ToolchainPin:
    """The toolchain of a release as ranges, for one that is not built yet."""
    kolla = graph.release(release).kolla_ansible
    return ToolchainPin(
        release=release, kolla_ansible=kolla.newest, ansible_core=kolla.ansible_core, python=kolla.python_requires
    )


def _stages(hop: Hop, rows: tuple[WayBack, ...], frame: Frame, broker: BrokerPlan) -> tuple[StagePlan, ...]:
    return tuple(
        StagePlan(
            name=state.value,
            when="before" if INFO[state].when == "before" else "window",
            changes_cloud=INFO[state].touches_cloud,
            way_back=_stage_way(state, rows),
            commands=broker.commands
            if state is State.BROKER
            else frame.typed(hop.source if state is State.BACKUP else hop.target, state.value),
        )
        for state in FORWARD
        if state is not State.BROKER or broker.migration != "no"
    )


def _stage_way(state: State, rows: tuple[WayBack, ...]) -> Way:
    """The most it can take to return from a stage: the law's word, less where nothing on this hop needs a restore."""
    way = Way(INFO[state].way_back)
    needs_restore = any(row.way in (Way.RESTORE, Way.FORWARD_ONLY) for row in rows if row.enabled is not False)
    return Way.REDEPLOY if way is Way.RESTORE and not needs_restore else way


def _by_hand(graph: ReleaseGraph, hop: Hop, record: SiteRecord | None) -> tuple[ByHand, ...]:
    answer = _paper if record is None else _judge(graph, hop, record)
    return tuple(
        ByHand(
            id=action.id,
            title=action.title,
            when=action.when,
            severity=action.severity,
            condition=_condition(action),
            applies=answer(action),
            detail=action.detail,
            fix=(*action.commands, *(f"{key}: {value}" for key, value in action.settings.items())),
            source=action.source,
        )
        for action in graph.actions(hop)
        if action.severity in ("blocker", "required") and not action.done_by
    )


def _condition(action: Action) -> str:
    """For people: the words where the data have some, else the expression without what only machines need."""
    return action.condition_text or " ".join(action.applies_if.replace(" | bool", "").split())


def _paper(action: Action) -> Applies:
    """Without a site nothing is known; conditions are not even read, which would cost a template engine's start."""
    return "yes" if action.applies_if == "always" and not action.satisfied_if else "unknown"


def _judge(graph: ReleaseGraph, hop: Hop, record: SiteRecord) -> Callable[[Action], Applies]:
    """The answer that gates give: whether an action is still to be done."""
    from upgrader.gates import World, judge_action

    world = World(record.with_own_groups, graph, hop)
    return lambda action: judge_action(world, action).answer


def _ponr(rows: tuple[WayBack, ...]) -> str:
    """The point of no return: from here on deploying the old release again is not enough."""
    rows = tuple(row for row in rows if row.enabled is not False and row.way in (Way.RESTORE, Way.FORWARD_ONLY))
    schemas = list(dict.fromkeys(row.service for row in rows if row.database))
    stores = list(dict.fromkeys(row.service for row in rows if not row.database))
    parts = []
    if schemas:
        parts.append(f"the first schema change ({_listed(schemas)})")
    if stores:
        parts.append(f"the first new server that writes its data ({_listed(stores)})")
    return " or ".join(parts)


def _listed(names: list[str], most: int = 4) -> str:
    return (
        ", ".join(names) if len(names) <= most else f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    )


# ---------------------------------------------------------------- findings


def _warnings(verdicts: tuple[Verdict, ...]) -> tuple[Finding, ...]:
    return tuple(
        Finding(id=verdict.reason, code=Code.WARNING, message=verdict.message, next=verdict.next_command)
        for verdict in verdicts
        if verdict.code == "warn"
    )


def _found(site: SiteFacts) -> tuple[Finding, ...]:
    """What was found of the site and is not good."""
    return tuple(finding for finding in site.findings if finding.code is not Code.SUCCESS)


def _missing_toolchains(hops: tuple[HopPlan, ...], frame: Frame) -> tuple[Finding, ...]:
    """The environments that the run will need, forward and back, and that are not there yet."""
    if frame.usable is None:
        return ()
    needed = dict.fromkeys(release for hop in hops for release in (hop.source, hop.target))
    return tuple(
        Finding(
            id="toolchain-missing",
            code=Code.WARNING,
            message=f"The toolchain of {release} is not built yet",
            next=f"upgrader toolchain build {release}",
        )
        for release in needed
        if release not in frame.usable
    )
