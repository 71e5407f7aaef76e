"""Shape of `leftovers.toml`: what roles set or stop for a while, how it is seen afterwards, how it is put right."""

from __future__ import annotations

from typing import Annotated, Literal

from upgrader.graph.schema import Record, Shape, Sources, Text
from upgrader.model import ReleaseId
from upgrader.value import AtLeast

Seen = Literal["database", "broker", "search", "stopped", "running", "beside"]
Repair = Literal["set-back", "revive", "start-app", "allocate", "start", "wait", "next", "hand"]


class LookedAt(Shape):
    """What might be taken for a leftover of a role and is none."""

    what: Text
    why: Text


class LeftoverKind(Record):
    """One thing that a role's playbook sets and puts back, or stops and starts again."""

    id: Text
    service: Text
    message: Text
    why: Text
    first: ReleaseId | None = None
    """Release whose role began to do it; None: before the graph's first."""
    last: ReleaseId | None = None
    sets: Text
    """Name of the task that does it."""
    unsets: str = ""
    """Name of the task that puts it back; empty: none does."""
    seen: Seen
    repair: Repair
    command: Text
    """As a human types it; CONTAINER and ADDRESS are placeholders."""
    variable: str = ""
    left: str = ""
    """Value of the variable while the role works."""
    back: str = ""
    """Value it has otherwise."""
    setting: str = ""
    """kolla-ansible's setting that names the value it has otherwise."""
    unless: str = ""
    """kolla-ansible's setting under which an operator keeps the value on purpose."""
    containers: tuple[Text, ...] = ()
    """Names, `*` for any letters."""
    beside: tuple[Text, ...] = ()

    def consistent(self) -> None:
        if self.seen == "database" and not (self.variable and self.left and self.back):
            raise ValueError("a database variable needs variable, left and back")
        if self.seen in ("stopped", "running", "beside") and not self.containers:
            raise ValueError("no container is named")
        if (self.seen == "beside") != bool(self.beside):
            raise ValueError("`beside` goes with seen = beside")

    def concerns(self, release: str) -> bool:
        """Whether that release's role does it."""
        return (self.first or release) <= release <= (self.last or release)


class Leftovers(Shape):
    source: Sources
    restarts_source: Sources
    restarts: Text
    """What kolla-ansible does with containers that stand still or still run."""
    looked_at: tuple[LookedAt, ...]
    leftovers: Annotated[tuple[LeftoverKind, ...], AtLeast(1)]

    def of(self, releases: tuple[str, ...]) -> tuple[LeftoverKind, ...]:
        """What the roles of any of these releases can leave."""
        return tuple(kind for kind in self.leftovers if any(kind.concerns(release) for release in releases))
