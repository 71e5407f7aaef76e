"""What is wrong with the conditions of the release graph: text that is none, names that no release knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from upgrader.gates.language import NotAConditionError, compile_condition
from upgrader.graph import ReleaseGraph
from upgrader.graph.records import Action
from upgrader.states import State

STAGES = ("toolchain", *(state.value for state in State))
"""What may carry out an action: building the environment of a release, or a stage of a hop."""


def condition_faults(graph: ReleaseGraph) -> tuple[str, ...]:
    """Everything wrong with the conditions of the data: file, id, field, position and why."""
    faults: dict[str, None] = {}
    there = _variables(graph)
    shared = {action.id for action in graph.common_actions}
    for hop in (graph.hop(*edge) for edge in graph.edges):
        for action in graph.actions(hop):
            file = "common" if action.id in shared else hop.key
            names = None if hop.provisional else there  # what a provisional release will have is not published
            faults.update({f"actions/{file}.toml: {action.id}: {fault}": None for fault in _faults(action, names)})
    return tuple(faults)


def _variables(graph: ReleaseGraph) -> frozenset[str]:
    """Variables of any release: those with a default that conditions name, and those that hops remove."""
    found: set[str] = set()
    for release in graph.releases:
        if not release.provisional:
            found.update(name for file in graph.defaults(release.id).files for name in file.values)
    for removed in (graph.variables(graph.hop(*edge)).removed for edge in graph.edges):
        found.update(removed.group_vars, removed.role_defaults)
    return frozenset(found)


def _faults(action: Action, there: frozenset[str] | None) -> Iterable[str]:
    for field in ("applies_if", "satisfied_if"):
        text = getattr(action, field)
        if not text:
            continue
        try:
            names = compile_condition(text).names
        except NotAConditionError as error:
            yield f"{field}: character {error.position}: {error.why}"
            continue
        if names.answers and not action.evidence:
            yield f"evidence: required, {field} asks for answers.{sorted(names.answers)[0]}"
        if there is None:
            continue
        for name in sorted((names.variables | names.after) - names.configured - there):
            near = difflib.get_close_matches(name, there, n=1)
            yield f"{field}: no release has a variable {name}" + (f"; nearest: {near[0]}" if near else "")
    if action.done_by and action.done_by not in STAGES:
        yield f"done_by: {action.done_by} is not one of {', '.join(STAGES)}"
    if action.overridable and action.severity != "blocker":
        yield f"overridable: says true, severity says {action.severity}; only blockers need it"
