"""What a probe is, and how several are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from upgrader.model import CloudFacts, Code, Finding

Probe = Callable[[CloudFacts], tuple[Finding, ...]]
"""Judges one observation. Pure: what it needs from the outside was looked at before."""


def ask(probes: Iterable[Probe], facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings of every probe, in order; one failing question does not keep the others from being asked."""
    return tuple(finding for probe in probes for finding in probe(facts))


def good(identifier: str, message: str) -> Finding:
    return Finding(id=identifier, code=Code.SUCCESS, message=message)


def warning(identifier: str, message: str, *, host: str = "", evidence: str = "", next: str = "") -> Finding:  # noqa: A002
    return Finding(id=identifier, code=Code.WARNING, message=message, host=host, evidence=evidence, next=next)


def failure(identifier: str, message: str, *, host: str = "", evidence: str = "", next: str = "") -> Finding:  # noqa: A002
    return Finding(id=identifier, code=Code.FAILURE, message=message, host=host, evidence=evidence, next=next)
