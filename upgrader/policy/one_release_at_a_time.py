"""No hop is ever skipped. Upstream's support for a skip is named, because the rule here is stricter than upstream's."""

from __future__ import annotations

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    if request.hops is None or not request.path or request.hops == len(request.path):
        return ()
    if request.hops > len(request.path) or request.hops < 1:
        return (_wrong_number(request, request.hops),)
    return (_skips(request),)


def _skips(request: Request) -> Verdict:
    origin, goal = request.path[0].source, request.path[-1].target
    between = [hop.target for hop in request.path[:-1]]
    return Verdict(
        "block",
        "skips-a-release",
        f"{origin} → {goal} {_what(request.hops or 0, between)}. This tool upgrades one release at a time.",
        details=(_upstream(request, origin, goal), f"The way: {request.way}."),
        next_command=request.command,
    )


def _what(asked: int, between: list[str]) -> str:
    if asked == 1:
        return f"skips {_listed(between)}"
    return f"in {asked} hops would skip {len(between) + 1 - asked} of {_listed(between)}"


def _upstream(request: Request, origin: str, goal: str) -> str:
    stricter = "the policy here is stricter: every hop's migrations and checks are run"
    if request.graph.skip(origin, goal):
        return f"Upstream supports this skip between SLURP releases; {stricter}."
    inside = [skip for skip in request.graph.skips if origin <= skip.origin and skip.target <= goal]
    if inside:
        skips = ", ".join(f"{skip.origin} → {skip.target}" for skip in inside)
        return f"Upstream supports no such jump, only the skips between SLURP releases inside it ({skips}); {stricter}."
    return "Upstream does not support this skip either: only skips between SLURP releases are."


def _wrong_number(request: Request, asked: int) -> Verdict:
    count = len(request.path)
    return Verdict(
        "block",
        "wrong-number-of-hops",
        f"{request.path[0].source} → {request.path[-1].target} takes {_steps(count)}, not {asked}.",
        details=(f"The way: {request.way}.",),
        next_command=request.command,
    )


def _steps(count: int) -> str:
    return "1 hop" if count == 1 else f"{count} hops"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
