"""Events of a play of kolla-ansible, one by one → roles, the hosts they worked on, and who broke off where. Pure.

Owns which service a task belongs to: the play says it, not the task's role, because one play includes the roles of
many services ("Apply role loadbalancer" configures the load balancer for each of them), and roles that serve all
services (service-ks-register and the like) run inside of every play.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

APPLY = "Apply role "
_ALIASES = {"nova-cell": "nova"}
"""Roles that are worked on in the plays of another one's playbook (ansible/nova.yml)."""
_HELPERS = frozenset(
    {"certificates", "haproxy-config", "loadbalancer-config", "module-load", "octavia-certificates", "prechecks",
     "proxysql-config", "sysctl"}
)  # fmt: skip
"""Roles that are no service's own (ansible/roles of 16.7.0 to 22.2.0 that site.yml has no play for)."""
_TROUBLE = ("host_failed", "host_unreachable")
_HEARD = frozenset({"host_ok", "host_changed", "host_skipped", "host_ignored"})


def _service(role: str) -> str:
    """The service whose role this is; empty for one that serves all services."""
    name = _ALIASES.get(role, role)
    return "" if name in _HELPERS or name.startswith("service-") else name


class Event(Protocol):
    """What is needed of an event; runner.base.TaskEvent has it."""

    @property
    def kind(self) -> str: ...
    @property
    def play(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def host(self) -> str: ...


@dataclass
class RoleTally:
    """One service in one play of kolla-ansible (or several, one after the other)."""

    hosts: set[str] = field(default_factory=set)
    """Who had at least one of its tasks."""
    broken: dict[str, str] = field(default_factory=dict)
    """Host that failed or went away in it → task."""
    ended: bool = False
    """A later service has begun, or the whole came to its end."""


class Tally:
    """Counts; `roles` in the order in which they began."""

    def __init__(self) -> None:
        self.roles: dict[str, RoleTally] = {}
        self.now = ""
        """The service that is worked on; empty before the first and after the last."""
        self.over = False
        """Ansible gave its closing account."""
        self._play = ""
        self._broken: set[str] = set()

    def take(self, kind: str, play: str = "", role: str = "", task: str = "", host: str = "") -> bool:
        """Count one event. True: another service began, a host broke off, or all is over."""
        if kind == "stats":
            if self.now:
                self.roles[self.now].ended = True
            self.now, self.over = "", True
            return True
        changed = False
        if kind == "play_start":
            self._play = play
            changed = play.startswith(APPLY) and self._leave(_service(play.removeprefix(APPLY)))
        elif kind == "task_start":
            # a play for hosts of a service that this cloud has not is announced too, and has no task
            named = self._play.removeprefix(APPLY) if self._play.startswith(APPLY) else role
            changed = self._begin(_service(named))
        if host and (kind in _HEARD or kind in _TROUBLE):
            changed |= self._heard(kind, task, host)
        return changed

    def _leave(self, service: str) -> bool:
        """The play of another service begins: the one before is at its end."""
        if not service or not self.now or service == self.now:
            return False
        self.roles[self.now].ended = True
        self.now = ""
        return True

    def _begin(self, service: str) -> bool:
        if not service or service == self.now:
            return False
        self._leave(service)
        self.now = service
        # begun again: it is not at its end
        self.roles.setdefault(service, RoleTally()).ended = False
        return True

    def _heard(self, kind: str, task: str, host: str) -> bool:
        if not self.now:
            return False
        known = self.roles[self.now]
        known.hosts.add(host)
        if kind in _TROUBLE:
            known.broken[host] = task
            self._broken.add(host)
            return True
        if host not in self._broken:
            return False
        # Ansible gives a host that failed no further task, so one that goes on was rescued
        self._broken.discard(host)
        for tally in self.roles.values():
            tally.broken.pop(host, None)
        return True

    def broken(self) -> dict[str, tuple[str, str]]:
        """Host → (service, task) at which it broke off."""
        return {host: (name, task) for name, known in self.roles.items() for host, task in known.broken.items()}


@dataclass(frozen=True, slots=True)
class RolesDone:
    """How far a play came in its release's own order. Each in that order."""

    done: tuple[str, ...] = ()
    """Worked on and at its end on every host that is to be upgraded."""
    absent: tuple[str, ...] = ()
    """Passed by: no host of the play has it. None where hosts are missing that may have had it."""
    rest: tuple[str, ...] = ()
    """To be done (again), from the one that was interrupted on, and those that lack a host."""
    lacking: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(service, hosts it was not done on), of those that were begun."""


def roles_done(events: Iterable[Event], order: Sequence[str], hosts: Collection[str]) -> RolesDone:
    """What of `order` (names of service_order) an interrupted play has finished on `hosts`, from its events alone.

    A host that broke off counts as lacking in every service from there on, whether it has that service or not: what
    it would have had cannot be seen any more. A service that was under way when the events end is not done.
    """
    tally = Tally()
    for event in events:
        tally.take(event.kind, event.play, event.role, event.task, event.host)
    return rest_of(tally, order, hosts)


def rest_of(tally: Tally, order: Sequence[str], hosts: Collection[str]) -> RolesDone:
    """As `roles_done`, of what was counted already."""
    wanted = set(hosts)
    furthest = max((order.index(name) for name in tally.roles if name in order), default=-1)
    lost: set[str] = set()
    done: list[str] = []
    absent: list[str] = []
    rest: list[str] = []
    lacking: list[tuple[str, tuple[str, ...]]] = []
    for place, name in enumerate(order):
        known = tally.roles.get(name)
        if known is not None and not known.hosts and known.ended:
            known = None
        if known is not None:
            lost |= set(known.broken) & wanted
        if place > furthest and not (tally.over and known is None):
            rest.append(name)
        elif known is None:
            (rest if lost else absent).append(name)
        elif known.ended and not lost:
            done.append(name)
        else:
            rest.append(name)
            lacking.append((name, tuple(sorted(lost if known.ended else (known.hosts & wanted) | lost))))
    return RolesDone(tuple(done), tuple(absent), tuple(rest), tuple(lacking))


def of_documents(lines: Iterable[Mapping[str, object]]) -> Tally:
    """Counted from lines of a play's events.jsonl."""
    tally = Tally()
    for line in lines:
        words = [str(line.get(name) or "") for name in ("kind", "play", "role", "task", "host")]
        tally.take(*words)
    return tally
