"""What is drawn, as plain frozen values. Times are seconds; moments are seconds since 1970 (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal["open", "path", "done", "back", "blocked", "skip"]
StageState = Literal["", "done", "running", "failed", "skipped", "waiting"]


@dataclass(frozen=True, slots=True)
class Release:
    """One release; drawn in the order given, which has to be the order of the releases."""

    id: str
    codename: str = ""
    note: str = ""
    """A few words beside it, e.g. `runs now`, `goal`, `SLURP`."""
    provisional: bool = False
    """Not published yet: drawn with a broken outline."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A hop between two releases. `back`: it was taken back; `skip`: upstream allows it, this tool never takes it."""

    source: str
    target: str
    kind: EdgeKind = "open"
    note: str = ""
    """E.g. the estimate, or what blocks the hop."""


@dataclass(frozen=True, slots=True)
class StageBar:
    """One stage (or one attempt of it) of a hop."""

    name: str
    seconds: float | None
    """How long it takes, or took; None: nobody knows."""
    low: float | None = None
    high: float | None = None
    when: Literal["before", "window"] = "window"
    """`before`: may run days ahead; such stages get a time axis of their own."""
    state: StageState = ""
    note: str = ""
    begins: float | None = None
    """Seconds after the beginning of its axis; None: right after the stage before it."""


@dataclass(frozen=True, slots=True)
class NoReturn:
    """The point of no return: `seconds` into `stage`; of several bars of that name the last one counts."""

    stage: str
    seconds: float = 0
    text: str = "point of no return"


@dataclass(frozen=True, slots=True)
class Window:
    """The change window, which begins where the axis of the window's stages begins, or `opens` seconds after that."""

    seconds: float
    way_back_seconds: float = 0
    """Kept free at its end for the way back."""
    begins: str = ""
    """When, in words for people."""
    opens: float = 0


@dataclass(frozen=True, slots=True)
class Duration:
    """One row of planned versus actual; None: not planned, or not measured."""

    label: str
    planned: float | None = None
    low: float | None = None
    high: float | None = None
    actual: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """An API did not answer from `began` to `ended` (moments); None: it still does not."""

    began: float
    ended: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Api:
    """One API and when it was away. It was asked from `asked_from` to `asked_to`; None: the whole time drawn."""

    name: str
    outages: tuple[Outage, ...] = ()
    asked_from: float | None = None
    asked_to: float | None = None
    text: str = ""
    """What stands at the end of its row; empty: the sum of its outages."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name, e.g. where a stage began. `strong`: it is drawn as the point of no return is."""

    at: float
    text: str
    strong: bool = False
