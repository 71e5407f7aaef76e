"""Answers of the hosts → leftovers, and leftovers → findings. Pure.

Owns what counts as one: only what a role of the releases in question sets, only where its value is a role's and not
the operator's, and never a guess: a service that runs and did not answer is told as unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from upgrader.facts.parse import Sections, object_of, pairs
from upgrader.graph.leftovers import LeftoverKind
from upgrader.model import Code, Finding

OURS = ("set-back", "revive", "start-app", "allocate", "start", "wait")
"""Repairs that are done without asking; `next` is done by the play that follows, `hand` by a human."""
_STARTING = ("haproxy", "proxysql", "keepalived")
"""What carries an address comes up after what answers at it."""
_UP = re.compile(r"up\b|restarting|removing", re.I)


@dataclass(frozen=True, slots=True)
class Answers:
    """What every host said."""

    containers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Host → container → state as `ps` shows it."""
    sections: Mapping[str, Sections] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    """Hosts that could not be asked, and why."""
    brokers: int = 0
    """Hosts of group rabbitmq."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that a role set or stopped and did not put back."""

    id: str
    service: str
    host: str
    message: str
    why: str
    evidence: str
    repair: str
    """One of the ways in leftovers.toml."""
    command: str
    """As a human types it on the host."""
    job: tuple[str, ...] = ()
    """The repair's words; empty where this tool does not do it."""
    source: tuple[str, ...] = ()
    """Where the published role does it."""

    @property
    def ours(self) -> bool:
        return self.repair in OURS

    @property
    def name(self) -> str:
        """The job as the repair's answer calls it."""
        return "-".join(self.job[:2])


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found, and what it could not see: (host, what, why)."""

    found: tuple[Leftover, ...] = ()
    unread: tuple[tuple[str, str, str], ...] = ()


def judge(kinds: Sequence[LeftoverKind], answers: Answers) -> Look:
    """Leftovers of these kinds, host by host in the order of the kinds."""
    found: list[Leftover] = []
    for kind in kinds:
        match kind.seen:
            case "database":
                found += _variables(kind, answers)
            case "broker":
                found += _brokers(kind, answers)
            case "search":
                found += _search(kind, answers)
            case _:
                found += _containers(kind, answers)
    return Look(tuple(found), tuple(_unread(answers)))


def _leftover(kind: LeftoverKind, host: str, subject: str, evidence: str, **more: Any) -> Leftover:
    values: dict[str, Any] = {"repair": kind.repair, "command": kind.command, **more}
    message = f"{host}: {subject}: {kind.message}" if subject else f"{host}: {kind.message}"
    return Leftover(kind.id, kind.service, host, message, kind.why, evidence, source=kind.source, **values)


# ---------------------------------------------------------------- what is set


def _variables(kind: LeftoverKind, answers: Answers) -> Iterator[Leftover]:
    for host, said in sorted(answers.sections.items()):
        settings = pairs(said.get("settings"))
        wanted = settings.get(kind.setting, "").strip() or kind.back
        if _true(settings.get(kind.unless, "")) or wanted.lower() == kind.left.lower():
            continue
        for line in said.get("leftovers"):
            variable, value, origin = (*line.split("\t"), "", "")[:3]
            if variable != kind.variable or value.lower() != kind.left.lower() or not _of_a_role(kind, origin):
                continue
            command = kind.command.replace(kind.back, wanted)
            job = ("set-back", variable, wanted) if re.fullmatch(r"[A-Za-z0-9_]+", wanted) else ()
            yield _leftover(
                kind, host, "", f"{variable}={value} ({origin})", command=command, job=job,
                repair=kind.repair if job else "hand",
            )  # fmt: skip


def _of_a_role(kind: LeftoverKind, origin: str) -> bool:
    """A value from a server's own file is the operator's, except where the role writes it there as well."""
    return origin.upper() == "SQL" or (bool(kind.setting) and origin.upper() == "CONFIG")


def _true(text: str) -> bool:
    return text.strip().lower() in ("true", "yes", "on", "1", "y", "t")


def _brokers(kind: LeftoverKind, answers: Answers) -> Iterator[Leftover]:
    views = {host: view for host, said in sorted(answers.sections.items()) if (view := _object(said, "rabbitmq"))}
    for host, view in views.items():
        node = str(view.get("node") or _node_of(host, view))
        if kind.repair == "revive" and node in _texts(view.get("maintenance")):
            yield _leftover(kind, host, "", f"{node} is marked for maintenance", job=("revive",))
        if kind.repair == "start-app" and view.get("app") is False:
            # a node of a cluster that stands still may have been emptied: whoever starts it decides what it joins
            alone = answers.brokers <= 1
            yield _leftover(
                kind, host, "", f"RabbitMQ is stopped in {node or 'its node'}",
                job=("start-app",) if alone else (), repair=kind.repair if alone else "hand",
            )  # fmt: skip


def _node_of(host: str, view: Mapping[str, Any]) -> str:
    nodes = {*_texts(view.get("nodes")), *_texts(view.get("maintenance"))}
    return next((node for node in sorted(nodes) if node.partition("@")[2].partition(".")[0] == host), "")


def _search(kind: LeftoverKind, answers: Answers) -> Iterator[Leftover]:
    """A setting of the whole cluster: told by one node is told by all."""
    for host, said in sorted(answers.sections.items()):
        view = _object(said, "opensearch")
        if view and view.get("allocation") == "none":
            yield _leftover(kind, host, "", "transient cluster.routing.allocation.enable=none", job=("allocate",))
            return


def _object(said: Sections, section: str) -> dict[str, Any] | None:
    return next(filter(None, map(object_of, said.get(section))), None)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


# ---------------------------------------------------------------- what stands still or still runs


def _containers(kind: LeftoverKind, answers: Answers) -> Iterator[Leftover]:
    for host, states in sorted(answers.containers.items()):
        named = [name for name in states if any(fnmatchcase(name, wanted) for wanted in kind.containers)]
        if kind.seen == "beside":
            neighbour = next((name for name in kind.beside if name in states), "")
            chosen = named if neighbour else []
        else:
            chosen = [name for name in named if bool(_UP.match(states[name])) is (kind.seen == "running")]
        for name in sorted(chosen, key=lambda item: (_STARTING.index(item) if item in _STARTING else -1, item)):
            job = (kind.repair, name) if kind.repair in ("start", "wait") else ()
            command = kind.command.replace("CONTAINER", name)
            yield _leftover(kind, host, name, f"{name}: {states[name]}", job=job, command=command)


def _unread(answers: Answers) -> Iterator[tuple[str, str, str]]:
    yield from ((host, "the host", why) for host, why in sorted(answers.troubles.items()))
    for host, said in sorted(answers.sections.items()):
        yield from ((host, _WHAT.get(what, what), words) for what, words in sorted(said.failed.items()))
        for section in ("rabbitmq", "opensearch"):
            view = _object(said, section)
            if section in said.lines and section not in said.failed and (view is None or view.get("error")):
                yield host, _WHAT[section], str((view or {}).get("error") or "its answer cannot be read")


_WHAT = {
    "leftovers": "the database server",
    "rabbitmq": "RabbitMQ",
    "opensearch": "OpenSearch",
    "containers": "its containers",
}

# ---------------------------------------------------------------- telling


def told(
    before: Look, after: Look | None = None, refused: Mapping[tuple[str, str], str] | None = None
) -> tuple[Finding, ...]:
    """Findings of what was found. With `after`, the look that followed the repair: what is gone was put right.

    A leftover that this tool should have mended, or a human has to, is a failure with the exact command; what the
    following play mends by itself a warning; what could not be seen a warning that says so.
    """
    still = {(one.id, one.host, one.evidence.partition(":")[0]) for one in (after or before).found}
    seen = {
        (one.id, one.host, one.evidence.partition(":")[0]): one for one in (*before.found, *(after or before).found)
    }
    words = refused or {}
    found = [_finding(one, key in still, words.get((one.host, one.name), "")) for key, one in seen.items()]
    silent: dict[tuple[str, str], list[str]] = {}
    for host, what, why in (after or before).unread:
        silent.setdefault((what, why), []).append(host)
    for (what, why), hosts in silent.items():
        told_hosts = ", ".join(hosts[:5]) + (f" and {len(hosts) - 5} more" if len(hosts) > 5 else "")
        message = f"{told_hosts}: {what} could not be asked what an interrupted role left"
        found.append(
            Finding(
                id="leftovers-unread",
                code=Code.WARNING,
                host=",".join(hosts),
                unknown=True,
                evidence=why,
                message=message,
            )
        )
    return tuple(found)


def _finding(one: Leftover, there: bool, refused: str) -> Finding:
    common: dict[str, Any] = {"id": f"leftover-{one.id}", "host": one.host, "evidence": one.evidence, "why": one.why}
    if not there:
        return Finding(code=Code.SUCCESS, message=f"{one.message}; put right", **common)
    if one.repair == "next":
        message = f"{one.message}; the play that follows puts it right"
        return Finding(code=Code.WARNING, message=message, fix=(one.command,), **common)
    message = f"{one.message}{f' ({refused})' if refused else ''}"
    return Finding(
        code=Code.FAILURE, message=message, next=f"on {one.host}: {one.command}", fix=(one.command,), **common
    )


def summary(findings: Iterable[Finding]) -> str:
    """One line for a step's evidence."""
    findings = tuple(findings)
    parts = [
        f"{count} {words}"
        for code, words in ((Code.SUCCESS, "put right"), (Code.WARNING, "noted"), (Code.FAILURE, "left"))
        if (count := sum(finding.code is code for finding in findings))
    ]
    if not parts:
        return "no interrupted role left anything"
    named = "; ".join(finding.message for finding in findings[:4])
    return f"{', '.join(parts)}: {named}{' …' if len(findings) > 4 else ''}"
