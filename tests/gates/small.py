"""A small site to judge: a record of a few words, with everything known unless a test says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from upgrader.gates import Judged, World, compile_condition
from upgrader.graph import ReleaseGraph, load_graph
from upgrader.model import CloudFacts, HostFacts, ReleaseReading
from upgrader.observed import Observed
from upgrader.record import Definition, Effective, SiteRecord, Variable

SOURCE, TARGET = "2024.2", "2025.1"
HOSTS = (("ctl1", ("control", "rabbitmq")), ("ctl2", ("control", "rabbitmq")), ("cmp1", ("compute",)))


def graph() -> ReleaseGraph:
    """The shipped one, read once."""
    if not _GRAPH:
        _GRAPH.append(load_graph())
    return _GRAPH[0]


_GRAPH: list[ReleaseGraph] = []


def variable(
    name: str,
    value: Any = None,
    *,
    hosts: Mapping[str, Any] | None = None,
    place: str = "",
    text: str = "x",
    **more: Any,
) -> Variable:
    """A variable with a value, or one value per host. With a place in globals.yml it is the operator's."""
    definitions = (Definition(place=place, kind="globals", text=text),) if place else ()
    per_host = tuple((host, json.dumps(one)) for host, one in sorted((hosts or {}).items()))
    told = None if hosts is not None or "error" in more or value is None else json.dumps(value)
    return Variable(
        name=name, value=told, per_host=per_host, configured=bool(place), definitions=definitions, **more
    )  # fmt: skip


def effective(release: str, *variables: Variable, by: Any = "toolchain", error: str = "") -> Effective:
    return Effective(release=release, by=by, variables=variables, error=error)


def record(*variables: Variable, observed: Observed | None = None, **more: Any) -> SiteRecord:
    """Both releases of the hop have these variables. `more` are parts of the record, or `facts_hosts`."""
    hosts = more.pop("facts_hosts", tuple(HostFacts(name=name, groups=groups) for name, groups in HOSTS))
    given: dict[str, Any] = {
        "effective": (effective(SOURCE, *variables), effective(TARGET, *variables)),
        "hosts": HOSTS,
        "groups": ("compute", "control", "rabbitmq", "storage"),
        "passwords": (),
        "config_files": (),
        "config_options": (),
        **more,
    }
    facts = CloudFacts(
        site="small", observed_at="2026-01-01T00:00:00Z", hosts=hosts, observed=observed or Observed(),
        reading=ReleaseReading(kind="exact", release=SOURCE),
    )  # fmt: skip
    return SiteRecord(facts=facts, **given)


def world(of: SiteRecord | None = None) -> World:
    return World(of or record(), graph(), graph().hop(SOURCE, TARGET))


def judged(text: str, of: SiteRecord | None = None) -> Judged:
    return compile_condition(text).judge(world(of))


def answer(text: str, of: SiteRecord | None = None) -> str:
    return judged(text, of).answer
