"""What the services keep in their databases (records.sh) → their parts of Observed. Pure.

Owns which field each part of the answer fills, and what a part that could not be read costs: its own field, which
stays None, with the reason in `error`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from upgrader.facts.parse import Sections
from upgrader.observed import (
    CinderFacts,
    HeatFacts,
    IronicFacts,
    MagnumFacts,
    NeutronFacts,
    NovaFacts,
    OctaviaFacts,
)
from upgrader.value import Value

SECTION = "records"
_KINDS: Mapping[str, type[Value]] = {
    "nova": NovaFacts,
    "neutron": NeutronFacts,
    "cinder": CinderFacts,
    "ironic": IronicFacts,
    "heat": HeatFacts,
    "octavia": OctaviaFacts,
    "magnum": MagnumFacts,
}
"""Database, which is also the field of Observed → what is filled."""
_NUMBERS = frozenset({"nova.oldest_service_version", "nova.soft_deleted", "ironic.nodes", "heat.busy", "octavia.busy"})
_MAGNUM_DRIVERS = {
    ("kubernetes", "vm", "fedora-coreos"): "k8s_fedora_coreos_v1",
    ("kubernetes", "vm", "fedora-atomic"): "k8s_fedora_atomic_v1",
    ("kubernetes", "vm", "coreos"): "k8s_coreos_v1",
    ("kubernetes", "bm", "fedora"): "k8s_fedora_ironic_v1",
    ("swarm", "vm", "fedora-atomic"): "swarm_fedora_atomic_v1",
    ("swarm-mode", "vm", "fedora-atomic"): "swarm_fedora_atomic_v2",
    ("mesos", "vm", "ubuntu"): "mesos_ubuntu_v1",
}
"""(orchestrator, server type, distribution) → driver: what each one `provides` in magnum/drivers/*/driver.py of
openstack/magnum 16.0.0."""


@dataclass
class _Said:
    """The rows of one answer by part, and the parts that were read, lack something, or came too late."""

    databases: set[str] = field(default_factory=set)
    rows: dict[str, list[str]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    lacks: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)

    def parts(self, name: str) -> set[str]:
        """The sources of one field: `name` and every `name/more` that was mentioned at all."""
        known = self.rows.keys() | self.read | self.lacks.keys() | self.late
        return {part for part in known if part == name or part.startswith(f"{name}/")}


def observed_records(said: Sections) -> dict[str, Any]:
    """Field of Observed → what is known of that service; services without a database of theirs are left out.

    When the question as a whole failed, every service is there with nothing but the reason.
    """
    if SECTION not in said.lines and SECTION not in said.failed:
        return {}
    answer = _said(said.get(SECTION))
    if not answer.databases and SECTION in said.failed:
        return {name: kind(error=said.failed[SECTION]) for name, kind in _KINDS.items()}
    failed = {what.partition("/")[2]: why for what, why in said.failed.items() if what.startswith(f"{SECTION}/")}
    cut = said.failed.get(SECTION, "")
    return {name: _part(name, answer, failed, cut) for name in sorted(answer.databases & _KINDS.keys())}


def _said(lines: list[str]) -> _Said:
    found = _Said()
    for line in lines:
        name, tab, value = line.partition("\t")
        value = value.strip()
        if not tab:
            continue
        if name == "@database":
            found.databases.add(value)
        elif name == "@read":
            found.read.add(value)
        elif name == "@lacks":
            part, _, columns = value.partition(" ")
            found.lacks[part] = columns
        elif name == "@late":
            found.late.add(value)
        else:
            found.rows.setdefault(name, []).append(value)
    return found


def _part(service: str, answer: _Said, failed: Mapping[str, str], cut: str) -> Value:
    kind = _KINDS[service]
    values: dict[str, Any] = {}
    troubles: list[str] = []
    for name in _fields(kind):
        whole = f"{service}.{name}"
        parts = answer.parts(whole) | {part for part in failed if part.partition("/")[0] == whole}
        why = _unread(whole, parts, answer, failed) or ("" if parts & answer.read else cut or "not answered")
        if why:
            troubles.append(f"{name}: {why}")
            continue
        rows = [row for part in parts for row in answer.rows.get(part, ())]
        values[name] = _VALUES.get(whole, _number if whole in _NUMBERS else _names)(rows)
    return kind(**values, error="; ".join(troubles))


def _fields(kind: type[Value]) -> tuple[str, ...]:
    return tuple(name for name in kind.__annotations__ if name != "error")


def _unread(whole: str, parts: set[str], answer: _Said, failed: Mapping[str, str]) -> str:
    """Why the field cannot be filled. A column that a release does not have makes one of several sources moot, not
    the field unknown; a database that is called otherwise and any error do, because what they hide may matter."""
    for part in sorted(parts):
        absent = {column.partition(".")[0] for column in answer.lacks.get(part, "").split()} - answer.databases
        if part in failed:
            return failed[part]
        if part in answer.late:
            return "the database server took too long"
        if absent:
            return f"there is no database {', '.join(sorted(absent))}"
        if part not in answer.read and part not in answer.lacks:
            return "not answered"
    if parts and not parts & answer.read:
        return "not there: " + ", ".join(answer.lacks[part] for part in sorted(parts))
    return ""


def _names(rows: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(rows)))


def _number(rows: list[str]) -> int | None:
    numbers = [int(row) for row in rows if row.isdecimal()]
    return numbers[0] if len(numbers) == 1 else None


def _magnum(rows: list[str]) -> tuple[str, ...]:
    """`coe/driver` of clusters. Rows with `=` have a fourth word, the driver's name if its template gives one; they
    tell of every cluster, and the rows without say nothing more."""
    found = set()
    for row in [row for row in rows if row.startswith("=")] or rows:
        coe, server_type, distribution, driver = (*row.removeprefix("=").split("/", 3), "", "", "")[:4]
        made_of = "-".join(filter(None, (server_type, distribution)))
        found.add(f"{coe}/{driver or _MAGNUM_DRIVERS.get((coe, server_type, distribution), made_of)}")
    return tuple(sorted(found))


_VALUES: Mapping[str, Callable[[list[str]], Any]] = {"magnum.drivers": _magnum}
