"""What runs a service's own programs: an environment or container images, behind one shape.

A `Programs` is one release's, a `Desk` runs one service's commands one after the other. Neither judges anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

from upgrader.graph.migrations import ServiceMigrations

By = Literal["environment", "images"]
Cancelled = Callable[[], bool]
Settings = Mapping[str, str]
"""Variables of a service's environment, besides those that every desk has."""


class RehearsalCanceled(Exception):  # noqa: N818 - the operator's wish, not an error
    """The operator asked to stop; nothing of what ran is left."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command ended: its exit code (None: ended at its time limit), its seconds, and those of loading it."""

    code: int | None
    seconds: float = 0.0
    load: float = 0.0


class Desk(Protocol):
    """Runs one service's commands in a folder of its own."""

    def run(self, argv: Sequence[str], log: Path, limit: float) -> Ran:
        """Run `argv`, what it says appended to `log`; returns when nothing of it is left.

        127 is a program that is not there. Raises RehearsalCanceled when the operator wants to stop.
        """
        ...

    def close(self) -> None: ...


class Programs(Protocol):
    """One release's programs. Enter it in the thread that outlives all use: what it runs ends with that thread."""

    @property
    def release(self) -> str: ...

    @property
    def by(self) -> By: ...

    def desk(self, service: ServiceMigrations, folder: Path, socket: Path, settings: Settings) -> Desk:
        """A desk for one service; `socket` is the copy's, which its programs have to reach."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
