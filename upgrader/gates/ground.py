"""A site record as the lookup of names needs it: indexed once, and its values as sights with their evidence.

Pure; holds nothing that the record does not say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from upgrader.gates.names import Reference
from upgrader.gates.words import Sight, Spread, known, plain, unknown
from upgrader.model import HostFacts
from upgrader.policy.host_system import system_of
from upgrader.record import SiteRecord, Variable
from upgrader.value import Value

SERVICES: Mapping[str, tuple[str, ...]] = {
    "rabbitmq": ("rabbitmq",), "database": ("mariadb",), "vip": ("keepalived",), "external_vip": ("keepalived",),
    "haproxy": ("haproxy",), "proxysql": ("proxysql",), "fernet": ("keystone",), "memcached": ("memcached",),
    "redis": ("redis",), "valkey": ("valkey",), "ovn": ("ovn",), "nova": ("nova",), "neutron": ("neutron",),
    "cinder": ("cinder",), "ironic": ("ironic",), "heat": ("heat",), "octavia": ("octavia",), "magnum": ("magnum",),
}  # fmt: skip
"""Part of `observed` → how names of its containers begin. Ceph is not here: it runs beside kolla's containers."""


class Ground:
    """A record, indexed once for all hops."""

    def __init__(self, record: SiteRecord) -> None:
        self.record = record
        self.effective = {one.release: {v.name: v for v in one.variables} for one in record.effective}
        self.whole = {one.release for one in record.effective if one.by == "toolchain" and not one.error}
        self.answers = dict(record.answers)
        self.seen: dict[Reference, Sight | Spread] = {}
        """What is the same on every hop."""
        self.configured: dict[str, Variable] = {}
        for one in record.effective:
            for variable in one.variables:
                if variable.configured:
                    self.configured.setdefault(variable.name, variable)

    def usable(self, release: str, name: str) -> Variable | None:
        """The variable at a release, unless that release could not work it out for want of its toolchain."""
        found = self.effective.get(release, {}).get(name)
        return found if found is not None and (release in self.whole or has_value(found)) else None

    @cached_property
    def groups(self) -> dict[str, list[str]] | None:
        """Group → its hosts; None when no inventory was read."""
        if not self.record.hosts and not self.record.groups:
            return None
        found: dict[str, list[str]] = {name: [] for name in self.record.groups}
        for host, groups in self.record.hosts:
            for name in groups:
                found.setdefault(name, []).append(host)
        return found

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for host, _ in self.record.hosts) or tuple(host.name for host in self.record.facts.hosts)

    def runs(self, part: str) -> bool | None:
        """Whether containers of this part of `observed` are there; None: cannot be told."""
        names = self.record.facts.observed.containers
        if names is None or part not in SERVICES:
            return None
        return any(name == front or name.startswith(f"{front}_") for name in names for front in SERVICES[part])


# ---------------------------------------------------------------- values


def has_value(variable: Variable) -> bool:
    return variable.value is not None or bool(variable.per_host)


def variable_sight(name: str, found: Variable) -> Sight | Spread:
    if found.value is not None:
        return loaded(name, found.value, place_of(found), secret=found.secret)
    missing = unknown(f"{name}: {plain(found.error, 200) or 'its value could not be computed'}")
    if not found.per_host:
        return missing
    sights: dict[str, Sight] = {}
    by_text: dict[tuple[str, str], Sight] = {}
    for host, text in found.per_host:
        place = place_of(found, host)
        sight = by_text.get((text, place))
        if sight is None:
            sight = by_text[text, place] = loaded(name, text, place, secret=found.secret)
        sights[host] = sight
    return Spread(sights, missing)


def loaded(name: str, text: str, place: str, *, secret: bool = False) -> Sight:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return unknown(f"{name}: the record holds no value that can be read")
    if secret:
        said = f"{name} is {'set' if value else 'not set'}"
        return Sight("known", value, said, text)
    return known(name, value, place)


def place_of(variable: Variable, host: str = "") -> str:
    """Where the value comes from: the strongest definition that concerns the host."""
    fitting = [one for one in variable.definitions if not one.hosts or not host or host in one.hosts]
    return fitting[-1].place if fitting else ""


def host_sight(host: HostFacts, field: str) -> Sight:
    name = f"host.{field}"
    if field in ("name", "groups"):
        return known(name, jsonable(getattr(host, field)))
    why = dict(host.unread).get(field.split(".", maxsplit=1)[0], "") or host.error
    value: Any = host
    if not host.reachable:
        value, why = None, why or "it did not answer"
    elif field == "containers":
        value = None if host.error else [container.name for container in host.containers]
    elif field == "system":
        found = system_of(host.os)
        value = found.id if found else None
    else:
        for step in field.split("."):
            value = getattr(value, step, None) if value is not None else None
    if value is None or value == "":
        return unknown(f"{name} was not read" + (f": {plain(why, 120)}" if why else ""))
    return known(name, jsonable(value))


def jsonable(value: Any) -> Any:
    if isinstance(value, Value):
        return value.document()
    if isinstance(value, (tuple, list)):
        return [jsonable(item) for item in value]
    return value
