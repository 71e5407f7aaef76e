"""The document's pictures, from its own values: the path among the releases, and each hop as a timeline."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.estimates import Estimate
from upgrader.estimates.value import in_window, of
from upgrader.model import HopPlan, Plan
from upgrader.pictures import Edge, NoReturn, Release, StageBar, Window, hop_timeline, release_graph, spoken
from upgrader.runbook.times import Opening

WIDTH = 720


def draw_path(plan: Plan, found: Sequence[Estimate]) -> str:
    """The releases of the path, with what blocks a hop."""
    names = [plan.hops[0].source, *(hop.target for hop in plan.hops)]
    notes = {names[0]: "runs now", names[-1]: "goal"}
    blocked = {finding.hop or plan.hops[0].name for finding in plan.blockers}
    releases = [Release(name, note=notes.get(name, "")) for name in names]
    edges = []
    for hop in plan.hops:
        known = any(one.hop == hop.name for one in found)
        note = f"window about {spoken(in_window(found, hop.name).seconds)}" if known else ""
        stopped = hop.name in blocked
        edges.append(
            Edge(hop.source, hop.target, "blocked" if stopped else "path", "findings block it" if stopped else note)
        )
    return release_graph(releases, edges, title="The way, one release at a time", width=WIDTH, styled=False)


def draw_hop(hop: HopPlan, found: Sequence[Estimate], opening: Opening | None, reserved: float) -> str:
    """The stages of a hop on a time axis, with window and point of no return; empty where nothing is known of times."""
    if not any(one.hop == hop.name for one in found):
        return ""
    bars = []
    for stage in hop.stages:
        known = of(found, hop.name, stage.name)
        bars.append(
            StageBar(
                stage.name,
                known.seconds if known else None,
                known.low if known else None,
                known.high if known else None,
                when=stage.when,
            )
        )
    line = NoReturn("upgrade", text="point of no return, from here on") if hop.ponr else None
    window = None
    if opening and opening.seconds:
        window = Window(opening.seconds, min(reserved, opening.seconds), opening.told(opening.begins))
    return hop_timeline(hop.name, bars, no_return=line, window=window, width=WIDTH, styled=False)
