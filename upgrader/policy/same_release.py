"""From a release to itself is no upgrade."""

from __future__ import annotations

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    if request.start is None or request.end is None or request.start.id != request.end.id:
        return ()
    title = request.start.title
    return (
        Verdict(
            "block",
            "same-release",
            f"{title} is where it starts and where it should end; there is nothing to upgrade.",
            details=("Point releases inside one series are applied with kolla-ansible itself.",),
            next_command="upgrader graph",
        ),
    )
