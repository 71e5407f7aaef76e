"""What a package says: order of the plays, groups, passwords, ranges of versions, accepted host systems."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from upgrader.graph.extract.package import Package

TOP = ("control", "network", "compute", "monitoring", "storage")
"""Groups of the sample inventory that hold hosts; every other group is made of them."""
_NOT_SERVICES = ("gather-facts.yml", "prechecks")
_ENABLED = re.compile(r"^&(enable_\w+)$")


@dataclass(frozen=True, slots=True)
class Play:
    """One role of the upgrade's order, as in `service_order/`."""

    name: str
    playbook: str
    enabled_by: str
    placement: tuple[str, ...]
    tags: tuple[str, ...]


def service_order(package: Package) -> tuple[Play, ...]:
    """Roles in the order in which one upgrade applies them; a playbook of its own counts as one."""
    groups = inventory(package)
    found: list[Play] = []
    for play in package.yaml("ansible/site.yml"):
        imported = play.get("import_playbook") or play.get("ansible.builtin.import_playbook")
        if imported in _NOT_SERVICES:
            continue
        if imported:
            plays = package.yaml(f"ansible/{imported}")
            name = imported.removesuffix(".yml")
            found.append(_play(name, imported, [one for one in plays if "hosts" in one], groups, play.get("tags")))
            continue
        for role in play.get("roles") or ():
            known = {"role": role} if isinstance(role, str) else role
            if known["role"] not in _NOT_SERVICES:
                found.append(_play(known["role"], "", [play], groups, known.get("tags")))
    return tuple(found)


def _play(
    name: str, playbook: str, plays: list[Mapping[str, Any]], groups: Mapping[str, tuple[str, ...]], tags: Any
) -> Play:
    hosts = [item for play in plays for item in _listed(play["hosts"])]
    enabled = list(dict.fromkeys(match[1] for item in hosts if (match := _ENABLED.match(item))))
    named = [item for item in hosts if item[0] not in "&!"]
    placement = [top for group in named for top in resolved(group, groups)]
    told = [tag for play in plays for tag in _listed(play.get("tags"))] + list(_listed(tags))
    if playbook:
        # the parts of a playbook have narrower tags (nova-api-upgrade); the whole answers to its own name
        told = [tag for tag in told if not tag.startswith(f"{name}-")]
    return Play(name, playbook, "".join(enabled[:1]), tuple(top for top in TOP if top in placement), _sorted(told))


def _sorted(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(tags)))


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return [str(item) for item in value]


# ---------------------------------------------------------------- inventory


def inventory(package: Package) -> dict[str, tuple[str, ...]]:
    """Group → the groups it is made of, in the sample inventory for several hosts; groups of hosts have none."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for raw in package.text("ansible/inventory/multinode").splitlines():
        line = raw.split("#")[0].strip()
        section = re.fullmatch(r"\[([^\]:]+)(?::(children|vars))?\]", line)
        if section:
            current = None if section[2] == "vars" else found.setdefault(section[1], [])
            if section[2] is None:
                current = []
        elif line and current is not None:
            current.append(line)
    return {name: tuple(children) for name, children in found.items()}


def resolved(group: str, groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The groups of hosts that a group of the sample inventory comes down to, in their usual order."""
    if group in TOP:
        # monitoring is made of control hosts in no sample; a group that names itself ends here
        return (group,)
    below = {top for child in groups.get(group, ()) if child != group for top in resolved(child, groups)}
    return tuple(top for top in TOP if top in below)


def passwords(package: Package) -> tuple[str, ...]:
    """Names in the sample passwords file, sorted."""
    return tuple(sorted(package.yaml("etc/kolla/passwords.yml")))


# ---------------------------------------------------------------- versions and hosts


def python_requires(package: Package) -> str:
    match = re.search(r"^Requires-Python: (.+)$", package.metadata, re.MULTILINE)
    return match[1].strip() if match else ""


def ansible_core(package: Package) -> str:
    """The range that the package requires, in the form of PEP 440; empty in packages that require none (to 2024.1)."""
    match = re.search(r"^Requires-Dist: ansible-core\s*\(?([^;)\n]*)\)?", package.metadata, re.MULTILINE)
    return match[1].strip() if match else ""


def ansible_core_series(package: Package) -> tuple[str, str]:
    """Oldest and newest ansible-core series that the prechecks accept."""
    told = package.yaml("ansible/roles/prechecks/vars/main.yml")
    return str(told["ansible_version_min"]), str(told["ansible_version_max"])


def host_systems(package: Package) -> dict[str, tuple[str, ...]]:
    """Distribution → releases that the prechecks accept, as Ansible's facts name them."""
    told = package.yaml("ansible/roles/prechecks/vars/main.yml")["host_os_distributions"]
    return {name: tuple(str(item) for item in versions) for name, versions in told.items()}


def openstack_release(package: Package) -> str:
    """The release it deploys by default: `2025.2`."""
    return str(package.group_vars["openstack_release"][1])
