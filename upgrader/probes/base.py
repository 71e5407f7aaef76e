"""What a probe is, and how several are asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from upgrader.model import CloudFacts, Code, Finding

Probe = Callable[[CloudFacts], tuple[Finding, ...]]
"""Judges one observation. Pure: what it needs from the outside was looked at before."""


def ask(probes: Iterable[Probe], facts: CloudFacts) -> tuple[Finding, ...]:
    """Findings of every probe, in order; one failing question does not keep the others from being asked."""
    return tuple(finding for probe in probes for finding in probe(facts))


def _finding(
    code: Code,
    identifier: str,
    message: str,
    *,
    host: str = "",
    evidence: str = "",
    next: str = "",  # noqa: A002
    why: str = "",
    fix: tuple[str, ...] = (),
) -> Finding:
    return Finding(id=identifier, code=code, message=message, host=host, evidence=evidence, next=next, why=why, fix=fix)


warning = partial(_finding, Code.WARNING)
failure = partial(_finding, Code.FAILURE)


def good(identifier: str, message: str) -> Finding:
    return _finding(Code.SUCCESS, identifier, message)


def unread(code: Code, identifier: str, message: str, evidence: str, *, host: str = "") -> Finding:
    """A service runs and was not (wholly) read: never green, whatever else it said."""
    return Finding(
        id=identifier,
        code=code,
        message=message,
        host=host,
        evidence=evidence,
        unknown=True,
        next="upgrader check" if not host else f"look at the service on {host}, then: upgrader check",
    )


def hosts_with(facts: CloudFacts, container: str) -> tuple[str, ...]:
    """Hosts that have the container, running or not, in order."""
    return tuple(host.name for host in facts.hosts if any(seen.name == container for seen in host.containers))


def said_by(error: str) -> str:
    """Hosts named in an `error` of facts (`host: words; host: words`), separated by commas."""
    names = (part.partition(": ")[0] for part in error.split("; ") if ": " in part)
    return ", ".join(dict.fromkeys(name for name in names if name and " " not in name))


def listed(rows: Collection[object], noun: str) -> str:
    """`1 agent is`, `3 agents are`."""
    return f"{len(rows)} {noun}{' is' if len(rows) == 1 else 's are'}"


def in_container(facts: CloudFacts, container: str, command: str) -> str:
    """The command as an operator types it on a host that has the container."""
    podman = any(host.engine == "podman" for host in facts.hosts)
    return f"{'podman' if podman else 'docker'} exec {container} {command}"
