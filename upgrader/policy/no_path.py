"""Every hop between the two releases has to be in the graph."""

from __future__ import annotations

from itertools import pairwise

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    start, end = request.start, request.end
    if start is None or end is None or start.id >= end.id or request.path:
        return ()
    stops = [start.id, *(release.id for release in request.graph.between(start.id, end.id)), end.id]
    missing = [f"{a} → {b}" for a, b in pairwise(stops) if (a, b) not in request.graph.edges]
    return (
        Verdict(
            "block",
            "no-path",
            f"No path leads from {start.id} to {end.id}: the graph has no hop {', '.join(missing)}.",
            next_command="upgrader graph",
        ),
    )
