"""Which host is upgraded in which wave. Pure: rules and groups in, waves out, or every fault of the rules at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upgrader.errors import ConfigError
from upgrader.rolling_rules import RollingRules
from upgrader.wave import Wave

_NOT_PURE = frozenset(
    {
        "control", "network", "storage", "monitoring", "mariadb", "rabbitmq", "loadbalancer", "haproxy", "keystone",
        "nova-api", "nova-conductor", "nova-scheduler", "neutron-server", "cinder-volume", "ovn-database", "memcached",
    }
)  # fmt: skip
"""Groups whose hosts serve more than their own instances (openstack/kolla-ansible:ansible/inventory/multinode)."""

CLOSING_TAGS = ("nova-reload", "nova-online-data-migrations")
"""Nova's own plays for the time after the last compute host (openstack/kolla-ansible@18.8.0 to 21.3.0:
ansible/nova.yml): services start again without the old release's RPC pin, rows are moved online."""


@dataclass(frozen=True, slots=True)
class Waves:
    """`waves` in order; none: all hosts in one run. `left` stay on the release they run."""

    waves: tuple[Wave, ...] = ()
    left: tuple[str, ...] = ()


def compute_hosts(groups: Mapping[str, Sequence[str]], rules: RollingRules) -> tuple[str, ...]:
    """Hosts that run instances and nothing that others need, by name; `groups` is host → its groups.

    One that also holds storage, network or control services is upgraded with the control plane.
    """
    wanted = set(rules.groups)
    found = (host for host, inside in groups.items() if wanted & set(inside) and not _NOT_PURE & set(inside))
    return tuple(sorted(found, key=_natural))


def waves_of(groups: Mapping[str, Sequence[str]], rules: RollingRules, cloud: Iterable[str]) -> Waves:
    """The waves for the hosts `cloud`. Raises ConfigError with every fault of the rules that these hosts show."""
    known = {host: groups[host] for host in cloud}
    computes = compute_hosts(known, rules)
    faults = _faults(known, computes, rules)
    if faults:
        raise ConfigError(
            f"[rolling] does not fit the inventory: {faults[0]}",
            cloud="Nothing was changed.",
            details=faults[1:],
            reason="rolling-rules",
        )
    left = tuple(host for host in computes if host in rules.exclude)
    rolling = tuple(host for host in computes if host not in left)
    if rules.together or not computes:
        return Waves()
    control = tuple(sorted((host for host in known if host not in computes), key=_natural))
    waves = [Wave(kind="control", name="control plane", hosts=control)] if control else []
    zones = _by_zone(rolling, known, rules)
    ordered = [host for hosts in zones for host in hosts]
    canaries = rules.canaries or tuple(ordered[: rules.canary])
    if canaries:
        waves.append(Wave(kind="canary", name="canary", hosts=canaries))
    size = max(1, -(-len(rolling) * rules.batch // 100)) if rules.share else rules.batch
    number = 0
    for hosts in zones:
        rest = [host for host in hosts if host not in canaries]
        for begin in range(0, len(rest), size):
            number += 1
            waves.append(Wave(kind="batch", name=f"batch {number}", hosts=tuple(rest[begin : begin + size])))
    return Waves(tuple(waves), left)


def _by_zone(hosts: Sequence[str], groups: Mapping[str, Sequence[str]], rules: RollingRules) -> list[list[str]]:
    rank = {host: place for place, host in enumerate(rules.order)}
    ordered = sorted(hosts, key=lambda host: (rank.get(host, len(rank)), _natural(host)))
    if not rules.zones:
        return [ordered]
    return [[host for host in ordered if zone in groups[host]] for zone in rules.zones]


def _faults(groups: Mapping[str, Sequence[str]], computes: Sequence[str], rules: RollingRules) -> list[str]:
    found = []
    for key, names in (("canary", rules.canaries), ("order", rules.order), ("exclude", rules.exclude)):
        for name in names:
            if name not in groups:
                found.append(f"{key}: the inventory has no host {name}")
            elif name not in computes:
                found.append(f"{key}: {_why_not(name, key)}")
        double = sorted({name for name in names if names.count(name) > 1})
        found += [f"{key}: {name} is named twice" for name in double]
    found += [f"canary: {name} is excluded" for name in rules.canaries if name in rules.exclude]
    rolling = [host for host in computes if host not in rules.exclude]
    if computes and not rules.together:
        if not rules.share and rules.batch > max(1, len(rolling)):
            found.append(f"batch: {rules.batch} is more than the {len(rolling)} compute hosts there are")
        if not rules.canaries and rules.canary > max(1, len(rolling)):
            found.append(f"canary: {rules.canary} is more than the {len(rolling)} compute hosts there are")
    if rules.together and rules.exclude:
        found.append('exclude: with computes = "together" every host is upgraded in the same run')
    return [*found, *_zone_faults(groups, rolling, rules)]


def _why_not(name: str, key: str) -> str:
    if key == "exclude":
        return (
            f"{name} is no pure compute host; without it database, broker or a control service would run two releases, "
            "or lack the member that their majority needs"
        )
    return f"{name} is no pure compute host; it is upgraded with the control plane"


def _zone_faults(groups: Mapping[str, Sequence[str]], rolling: Sequence[str], rules: RollingRules) -> list[str]:
    if not rules.zones:
        return []
    every = {group for inside in groups.values() for group in inside}
    found = [f"zones: the inventory has no group {zone} with hosts" for zone in rules.zones if zone not in every]
    for host in rolling:
        inside = [zone for zone in rules.zones if zone in groups[host]]
        if not inside:
            found.append(f"zones: {host} is in none of them")
        elif len(inside) > 1:
            found.append(f"zones: {host} is in {' and '.join(inside)}")
    return found


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """cmp2 before cmp10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
