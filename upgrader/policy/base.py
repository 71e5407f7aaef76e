"""What a rule is: it looks at one request and says allow, warn or block, with words an operator can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from upgrader.errors import DataError, RefusedError
from upgrader.graph import Hop, Release, ReleaseGraph
from upgrader.model import ReleaseReading


@dataclass(frozen=True)
class Request:
    """A wish to go from one release to another, as it was typed, and what is known of the cloud.

    `source` may be empty when a reading says it. `hops` is the number of steps the operator asked for, None when it
    was not given. `reading` is None for a paper plan.
    """

    graph: ReleaseGraph
    source: str
    target: str
    hops: int | None = None
    reading: ReleaseReading | None = None

    @cached_property
    def start(self) -> Release | None:
        """The release to start from: what was typed, else what was read; None when unknown."""
        read = self.reading.release if self.reading and self.reading.kind == "exact" else ""
        return self.graph.find(self.source or read)

    @cached_property
    def end(self) -> Release | None:
        return self.graph.find(self.target)

    @cached_property
    def path(self) -> tuple[Hop, ...]:
        """The hops of the request, empty when there is none (the rules say why)."""
        if self.start is None or self.end is None or self.start.id >= self.end.id:
            return ()
        try:
            return self.graph.path(self.start.id, self.end.id)
        except DataError:
            raise
        except RefusedError:
            return ()

    @property
    def command(self) -> str:
        """The plan command for the same wish, one release at a time."""
        if self.start is None or self.end is None:
            return "upgrader graph"
        return self.command_to(self.end.id)

    def command_to(self, target: str) -> str:
        """The plan command from the same start to another release; a cloud that was read needs no `--from`."""
        if self.start is None or (self.reading and self.reading.kind == "exact"):
            return f"upgrader plan --to {target}"
        return f"upgrader plan --from {self.start.id} --to {target}"

    @property
    def way(self) -> str:
        """`2024.1 → 2024.2 → 2025.1`, empty when no path leads."""
        return " → ".join([hop.source for hop in self.path] + [hop.target for hop in self.path[-1:]])


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer of one rule. `reason` is stable and meant for machines; `details` are further lines."""

    code: Literal["allow", "warn", "block"]
    reason: str
    message: str
    details: tuple[str, ...] = field(default=())
    next_command: str = ""


Rule = Callable[[Request], tuple[Verdict, ...]]
"""A rule never raises for a known trouble and says nothing where it has no opinion."""
