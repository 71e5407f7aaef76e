"""Every action of the release graph, judged for a site: what has to be settled on which hop. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from upgrader.gates.baseline import VARIABLES
from upgrader.gates.language import Condition, Judged, NotAConditionError, compile_condition
from upgrader.gates.words import listed
from upgrader.gates.world import World
from upgrader.graph import Hop, ReleaseGraph
from upgrader.model import Code, Finding
from upgrader.record import SiteRecord

if TYPE_CHECKING:
    from upgrader.graph.records import Action


def judge(graph: ReleaseGraph, hops: Sequence[Hop], record: SiteRecord) -> tuple[Finding, ...]:
    """What applies to the site, hop by hop in the order of the data. What cannot be judged is a finding, too.

    An action that is the same for every hop is told once, on the first hop where it applies, unless its condition
    depends on the hop. Raises DataError when the graph's files are damaged.
    """
    told: dict[str, list[_Case]] = {}
    cases: list[_Case] = []
    world: World | None = None
    for hop in hops:
        world = World(record, graph, hop, beside=world)
        for action in graph.actions(hop):
            judged = judge_action(world, action)
            if judged.answer == "no":
                continue
            case = _Case(hop, action, judged)
            if not _depends_on_hop(action):
                told.setdefault(action.id, []).append(case)
                if len(told[action.id]) > 1:
                    continue
            cases.append(case)
    return tuple(_finding(case, told.get(case.action.id, ())) for case in cases)


def judge_action(world: World, action: Action) -> Judged:
    """Whether an action is still to be done on a site and hop: it applies and is not settled. `no` for what this tool
    does itself; a condition that is none is unknown, never no."""
    if action.done_by:
        return Judged(answer="no", evidence=(f"done by {action.done_by}",))
    try:
        return needed(action).judge(world)
    except NotAConditionError as error:
        return Judged(answer="unknown", missing=(f"its condition cannot be read: {error.why}",))


def needed(action: Action) -> Condition:
    """When an action has to be done: it applies and is not settled. Raises NotAConditionError."""
    return _needed(action.applies_if, action.satisfied_if)


@cache
def _needed(applies_if: str, satisfied_if: str) -> Condition:
    applies = compile_condition(applies_if)
    return applies.unless(compile_condition(satisfied_if)) if satisfied_if else applies


def variables_needed(graph: ReleaseGraph, hops: Sequence[Hop] = ()) -> frozenset[str]:
    """Every variable whose effective value conditions, the checks for production or a plan ask for.

    With `hops`, only what the conditions of these ask for, without the checks for production.
    """
    names: set[str] = set() if hops else set(VARIABLES)
    for hop in hops or (graph.hop(*edge) for edge in graph.edges):
        removed = False
        for action in graph.actions(hop):
            try:
                found = needed(action).names
            except NotAConditionError:
                continue
            names |= found.variables | found.after | found.configured
            removed = removed or "removed_variables" in found.hop
        if removed:
            gone = graph.variables(hop).removed
            names.update(gone.group_vars, gone.role_defaults)
    for release in graph.ids:
        for role in graph.service_order(release).roles:
            front = role.enabled_by.split("_True")[0].split("_False")[0]
            if front.startswith("enable_"):
                names.add(front)
    return frozenset(names)


# ---------------------------------------------------------------- findings


@dataclass(frozen=True, slots=True)
class _Case:
    hop: Hop
    action: Action
    judged: Judged


def _depends_on_hop(action: Action) -> bool:
    try:
        return needed(action).names.depends_on_hop
    except NotAConditionError:
        return False


def _finding(case: _Case, everywhere: Sequence[_Case]) -> Finding:
    action = case.action
    cases = everywhere or (case,)
    sure = next((one.judged for one in cases if one.judged.answer == "yes"), None)
    judged = sure or case.judged
    failure = action.severity == "blocker" and action.when == "before"
    fix = (*(f"{key}: {value}" for key, value in action.settings.items()), *action.commands)
    return Finding(
        id=action.id,
        code=Code.FAILURE if failure else Code.WARNING,
        message=action.title,
        host=",".join(judged.hosts),
        evidence=_evidence(action, judged, cases),
        next=fix[0] if fix else "",
        source="; ".join(action.source),
        severity=action.severity,
        hop=f"{case.hop.source}→{case.hop.target}",
        when=action.when,
        variable=_variable_of(action),
        why=action.detail,
        fix=fix,
        unknown=sure is None,
        overridable=action.overridable,
    )


def _evidence(action: Action, judged: Judged, cases: Sequence[_Case]) -> str:
    parts = [*judged.evidence] if judged.answer == "yes" else []
    parts += judged.missing
    if judged.answer == "unknown" and action.evidence:
        parts.append(action.evidence)
    if len(cases) > 1:
        parts.append(f"on {listed([case.hop.title for case in cases], 8)}")
    return "; ".join(parts)


def _variable_of(action: Action) -> str:
    """The first variable its condition names."""
    try:
        references = needed(action).references
    except NotAConditionError:
        return ""
    roots = ("variable", "after", "configured")
    return next((reference.path[0] for reference in references if reference.root in roots), "")
