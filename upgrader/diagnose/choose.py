"""Whose logs are read: the failing role's services and those they stand on, on the hosts that matter."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from upgrader.diagnose.model import Story
from upgrader.graph import ReleaseGraph

HOSTS = 8
"""Hosts whose logs are read, at most."""
_FILE = Path(__file__).parent / "services.toml"
_CENTRE = ("mariadb", "rabbitmq", "keystone", "loadbalancer")
_OF_SERVICE = re.compile(r"^(?:[\w-]+ : )?([a-z][\w-]*) \| ")
_OF_PLAY = re.compile(r"^Apply role ([a-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of the hosts."""

    roles: tuple[str, ...]
    """The failing role first; empty when no role is known to have failed."""
    containers: tuple[str, ...]
    folders: tuple[str, ...]
    hosts: tuple[str, ...]
    main: tuple[str, ...] = ()
    """Folders of the failing role itself."""

    @property
    def role(self) -> str:
        return self.roles[0] if self.roles else ""


@cache
def _table() -> Mapping[str, Any]:
    with _FILE.open("rb") as stream:
        return tomllib.load(stream)


def role_of(story: Story, graph: ReleaseGraph) -> str:
    """The role whose service failed; empty when none did.

    Roles that work for others (`service-ks-register`, `haproxy-config`) name them before a bar in the task's name, or
    the play does.
    """
    known = {container.role for container in graph.containers.containers} | set(_table()["roles"])
    for failure in story.failures:
        told = [failure.role]
        for pattern, text in ((_OF_SERVICE, failure.task), (_OF_PLAY, failure.play)):
            found = pattern.search(text)
            told += [found[1]] if found else []
        for name in told:
            if name in known:
                return name
    return ""


def choose(
    story: Story,
    graph: ReleaseGraph,
    inventory: Mapping[str, Sequence[str]],
    *,
    reachable: Iterable[str] | None = None,
    sick: Iterable[str] = (),
) -> Choice:
    """What to read. `inventory`: host → groups. `reachable`: None when it is not known. `sick`: containers that do not
    run as they should, whose logs are wanted whatever failed."""
    role = role_of(story, graph)
    table = _table()
    known: Mapping[str, Any] = table["roles"]
    if role:
        needs = known[role]["needs"] if role in known else table["needs_of_services"]
    else:
        needs = table["needs_of_nobody"]
    roles = tuple(dict.fromkeys([*([role] if role else []), *needs]))
    by_name = {container.name: container.role for container in graph.containers.containers}
    roles = tuple(dict.fromkeys([*roles, *(by_name[name] for name in sick if name in by_name)]))
    containers = [name for wanted in roles for name, own in by_name.items() if own == wanted]
    return Choice(
        roles=roles if role else ("", *roles),
        containers=tuple(dict.fromkeys([*containers, *sick])),
        folders=tuple(dict.fromkeys(folder for wanted in roles for folder in folders_of(wanted))),
        hosts=_hosts(story, inventory, role, reachable),
        main=folders_of(role) if role else (),
    )


def folders_of(role: str) -> tuple[str, ...]:
    """Folders of a role's logs below /var/log/kolla."""
    known = _table()["roles"].get(role)
    return tuple(known["folders"]) if known else (role, role.replace("-", "_")) if "-" in role else (role,)


def _hosts(
    story: Story, inventory: Mapping[str, Sequence[str]], role: str, reachable: Iterable[str] | None
) -> tuple[str, ...]:
    """The hosts that failed, then those of the database and the broker, then others of the role: as many as may be."""
    there = set(inventory if reachable is None else reachable)
    failed = [failure.host for failure in story.failures]
    centre = [host for group in _CENTRE for host, groups in sorted(inventory.items()) if group in groups]
    own = [host for host, groups in sorted(inventory.items()) if role and role in groups]
    return tuple(host for host in dict.fromkeys([*failed, *centre, *own]) if host in there and host in inventory)[
        :HOSTS
    ]
