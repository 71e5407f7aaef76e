"""Policy: which requests are allowed on the release graph. One rule per file; all run, all reasons are listed."""

from __future__ import annotations

from upgrader.errors import RefusedError
from upgrader.graph import Hop, ReleaseGraph
from upgrader.model import CloudFacts, ReleaseReading
from upgrader.policy import (
    backwards,
    known_release,
    no_path,
    one_release_at_a_time,
    provisional,
    reading,
    same_release,
    support_window,
)
from upgrader.policy.base import Request, Rule, Verdict

__all__ = ["RULES", "Request", "Verdict", "check_reading", "check_request", "judge_path", "refusal"]

RULES: tuple[Rule, ...] = (
    known_release.judge,
    reading.judge,
    same_release.judge,
    backwards.judge,
    no_path.judge,
    one_release_at_a_time.judge,
    provisional.judge,
    support_window.judge,
)
"""In the order in which their reasons are told."""


def judge_path(
    graph: ReleaseGraph, source: str, target: str, hops: int | None = None, seen: ReleaseReading | None = None
) -> tuple[Verdict, ...]:
    """What every rule says about going from one release to another; one `allow` when none has anything against it.

    `source` may be empty when `seen`, the reading of a cloud, is exact. Raises DataError for damaged data only.
    """
    request = Request(graph, source, target, hops, seen)
    verdicts = tuple(verdict for rule in RULES for verdict in rule(request))
    if any(verdict.code == "block" for verdict in verdicts):
        return verdicts
    return (*verdicts, Verdict("allow", "allowed", f"The way: {request.way}.", next_command=request.command))


def check_request(
    graph: ReleaseGraph, source: str, target: str, hops: int | None = None, seen: ReleaseReading | None = None
) -> tuple[Hop, ...]:
    """The hops of an allowed request. Raises RefusedError that lists every reason against it."""
    verdicts = judge_path(graph, source, target, hops, seen)
    blocked = [verdict for verdict in verdicts if verdict.code == "block"]
    if blocked:
        raise refusal(blocked)
    return Request(graph, source, target, hops, seen).path


def check_reading(facts: CloudFacts) -> None:
    """Raises RefusedError, with the evidence host by host, unless it is known which one release the cloud runs."""
    blocked = reading.of_cloud(facts.reading)
    if blocked:
        raise refusal(list(blocked))


def refusal(blocked: list[Verdict]) -> RefusedError:
    """One error for all blocks: the first gives message, reason and next command, the rest follow as details."""
    first, *others = blocked
    details = [*first.details]
    for verdict in others:
        details += [verdict.message, *verdict.details]
    return RefusedError(
        first.message,
        cloud="Nothing was changed.",
        next_command=first.next_command,
        details=details,
        reason=first.reason,
    )
