"""What the services' own upgrade checks come to."""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.model import Code, Finding
from upgrader.observed import UpgradeCheck
from upgrader.probes.base import failure, good, unread, warning


def judge_upgrade_checks(checks: Iterable[UpgradeCheck]) -> tuple[Finding, ...]:
    """Findings by service: a failure or warning as the service gave it, and every check that was not run.

    A failure may be accepted by id and reason: the id names service and release.
    """
    checks = tuple(checks)
    found = tuple(finding for check in checks for finding in _one(check))
    if found or not checks:
        return found
    return (
        good(
            "upgrade-checks",
            f"the upgrade checks of {checks[0].release} find nothing: {', '.join(check.service for check in checks)}",
        ),
    )


def _one(check: UpgradeCheck) -> Iterable[Finding]:
    # with the release: whoever takes the risk of one hop says nothing of the next
    identifier = f"upgrade-check-{check.service}-{check.release}"
    if check.code is None:
        message = f"the upgrade check of {check.service} in {check.release} was not run"
        yield unread(Code.WARNING, identifier, message, check.error)
        return
    worst = {1: "warning", 2: "failure"}.get(check.code)
    if worst is None:
        return
    told = [(name, details) for name, result, details in check.checks if result.lower() == worst]
    say = failure if check.code == 2 else warning
    for name, details in told or [("", "")]:
        found = say(
            identifier,
            f"{check.service}-status of {check.release}: {name or f'code {check.code}, without a table'}",
            evidence=details,
            why="the service's own code of the release to come says so",
        )
        # a check may be wrong about a cloud, and its operator is the one who knows
        yield found.model_copy(update={"overridable": check.code == 2})
