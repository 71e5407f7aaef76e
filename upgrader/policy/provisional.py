"""No plan leads to or through a release whose facts are not final."""

from __future__ import annotations

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    stops = [request.graph.release(hop.target) for hop in request.path]
    final = [release.id for release in stops if not release.provisional]
    reachable = request.command_to(final[-1]) if final else "upgrader graph"
    return tuple(
        Verdict(
            "block",
            "provisional-release",
            f"{release.title} is provisional: {release.provisional}.",
            details=(f"{final[-1]} is the newest release on this way that can be planned.",) if final else (),
            next_command=reachable,
        )
        for release in stops
        if release.provisional
    )
