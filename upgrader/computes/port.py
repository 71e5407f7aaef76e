"""What a rolling upgrade asks of Nova's computes: the values, and the port that gives and changes them.

The mark by which this tool's own doing is found again in the cloud itself is `MARK`. Light: no Ansible, no pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from upgrader.computes.inside.judge import MARK, marked, reason_of
from upgrader.errors import AttentionError


@dataclass(frozen=True, slots=True)
class ComputeService:
    """One nova-compute, as Nova's API lists it and its records complete it."""

    host: str
    """The inventory's name; empty for a service of a host that the inventory does not have."""
    zone: str
    enabled: bool
    up: bool
    """It reported within Nova's `service_down_time` (60 s unless configured)."""
    reason: str = ""
    """Why it is disabled; empty while it is enabled."""
    version: int = 0
    """SERVICE_VERSION of the code that runs (nova/objects/service.py); 0: not known."""
    hypervisor: str = ""
    """Type as its driver names it (QEMU, fake, ironic); empty: it reports none."""
    name: str = ""
    """Nova's own name of the host."""
    seen: str = ""
    """When it last reported, by Nova's own clock (every 10 s unless configured); empty: not told."""

    @property
    def ours(self) -> bool:
        """Disabled, and by this tool."""
        return not self.enabled and marked(self.reason)


@dataclass(frozen=True, slots=True)
class Instance:
    """A server on a compute host. `why_not` says why it cannot be live migrated; empty where nothing speaks against."""

    id: str
    name: str
    host: str
    """The inventory's name, as in ComputeService."""
    status: str
    """ACTIVE, PAUSED, SHUTOFF, ERROR, MIGRATING …"""
    task_state: str = ""
    live_migratable: bool = True
    why_not: str = ""

    @property
    def runs(self) -> bool:
        """A guest is there that an interruption of its host would harm."""
        return self.status not in AT_REST


__all__ = [
    "MARK", "Agent", "ComputeService", "Computes", "ComputesError", "ComputesStopped", "Drained", "Instance", "Left",
    "Switched", "Trial", "TrialStep", "marked", "reason_of",
]  # fmt: skip

AT_REST = frozenset({"SHUTOFF", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "DELETED", "SOFT_DELETED"})
"""States of a server in which no guest runs; what is in ERROR may well run."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One Neutron agent."""

    host: str
    """The inventory's name where it has one, else Neutron's."""
    kind: str
    """`agent_type`, as `Open vSwitch agent`."""
    alive: bool
    enabled: bool = True
    """Its `admin_state_up`."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one host's service that was to be disabled or enabled.

    `done`: changed now. `already`: it was so. `theirs`: disabled for somebody else's `reason`, and left so.
    `absent`: Nova has no service for the host. `failed`: Nova refused, `reason` has its words.
    """

    host: str
    how: Literal["done", "already", "theirs", "absent", "failed"]
    reason: str = ""

    @property
    def right(self) -> bool:
        """The service is as it was asked for, and its state is this tool's to change back."""
        return self.how in ("done", "already")


@dataclass(frozen=True, slots=True)
class Left:
    """An instance that stayed, and why: in this tool's words, or Nova's where it was tried."""

    instance: Instance
    why: str


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain ended.

    `empty`: nothing is left on the host that runs. `stuck`: everything that can move has moved. `budget`: the time was
    over first. `canceled`: asked to stop. `trouble`: Nova could not be asked any more, `words` says why.
    """

    host: str
    how: Literal["empty", "stuck", "budget", "canceled", "trouble"]
    moved: tuple[tuple[str, str], ...] = ()
    """(instance id, inventory name of the host it went to), in order."""
    left: tuple[Left, ...] = ()
    """Every instance that is still there, those at rest included."""
    seconds: int = 0
    words: str = ""

    @property
    def complete(self) -> bool:
        return self.how == "empty"


@dataclass(frozen=True, slots=True)
class TrialStep:
    """One step of a trial. `ok` is None where it was not possible and left out; `words` say why, or what was seen."""

    name: str
    ok: bool | None
    words: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial instance's way. It passed when the instance came up and went, and nothing that was tried failed."""

    host: str
    passed: bool
    steps: tuple[TrialStep, ...] = ()
    """clear, prepare, create, reach, migrate-away, migrate-back, delete, in this order, as far as it came."""
    why: str = ""
    """The first thing that failed, in a sentence; empty when it passed."""
    left: tuple[str, ...] = field(default=())
    """What of the trial is still in the cloud because it could not be removed: `server trial-… (id)`."""


Cancelled = Callable[[], bool]


class ComputesError(AttentionError):
    """Nova could not be asked, or did not say anything that can be understood. Nothing is known of what it did."""


class ComputesStopped(ComputesError):  # noqa: N818 - it is what was asked for
    """The question was stopped because its asker is to stop."""


class Computes(Protocol):
    """Nova's computes of one cloud. Every call can be repeated after a kill at any moment.

    Raises ComputesError when Nova could not be asked at all (its `details` are what was said), ComputesStopped when the
    play that asks was stopped. Hosts are named as in the inventory, in arguments and answers.
    """

    trouble: str
    """Why the last answer of `services` lacks versions or hypervisors; empty when it does not."""

    def services(self) -> tuple[ComputeService, ...]:
        """Every nova-compute, those of hosts unknown to the inventory included, by name."""
        ...

    def instances(self, hosts: Sequence[str]) -> tuple[Instance, ...]:
        """Every server on these hosts, of every project, by host and name."""
        ...

    def disable(self, hosts: Sequence[str], reason: str) -> tuple[Switched, ...]:
        """Take hosts out of scheduling, with `reason_of(reason)`. One an operator disabled stays theirs."""
        ...

    def enable(self, hosts: Sequence[str]) -> tuple[Switched, ...]:
        """Put back what carries the mark, and nothing else. Not stopped by `cancelled`: it is how a stop ends."""
        ...

    def drain(self, host: str, targets: Sequence[str], budget_seconds: float, cancelled: Cancelled) -> Drained:
        """Live migrate one instance after the other to `targets` (none: wherever the scheduler likes).

        Ends by the budget plus one short play; a migration begun here that is under way then is aborted.
        """
        ...

    def trial(self, host: str, other: str = "") -> Trial:
        """Create an instance without network on `host`, reach it, migrate it to `other` and back, delete it.

        A disabled host takes no instance at all (Nova's placement excludes it even where the host is forced), so one
        that carries our mark is enabled for the trial and disabled again with its own reason. What an interrupted
        trial left is removed first.
        """
        ...

    def agents(self, hosts: Sequence[str]) -> tuple[Agent, ...]:
        """Neutron's agents on these hosts (none given: on all); none where the cloud has no Neutron."""
        ...
