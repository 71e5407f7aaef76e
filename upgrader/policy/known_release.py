"""Both ends must be releases of the graph; codenames are understood, everything else gets the nearest names."""

from __future__ import annotations

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    wanted = [(request.target, request.end)]
    if request.source:
        wanted.insert(0, (request.source, request.start))
    return tuple(
        Verdict(
            "block",
            "unknown-release",
            f"{name!r} is not a release of the graph.",
            details=(_sentence(request.graph.hint(name)),),
            next_command="upgrader graph",
        )
        for name, found in wanted
        if found is None
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
