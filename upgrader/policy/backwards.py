"""Hops lead forward only; a way back belongs to a run, not to a plan."""

from __future__ import annotations

from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    if request.start is None or request.end is None or request.start.id <= request.end.id:
        return ()
    return (
        Verdict(
            "block",
            "backwards",
            f"{request.start.id} → {request.end.id} goes backwards. No project supports a schema downgrade, so no plan"
            " leads back.",
            details=("A hop of a run can be taken back while its way back is open.",),
            next_command="upgrader rollback",
        ),
    )
