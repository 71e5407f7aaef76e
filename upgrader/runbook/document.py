"""What the change document holds, as frozen plain values. The templates see these and nothing else.

Times are seconds; moments are texts that are shown as they are. Texts may come from a hostile place (host names, error
messages): they are escaped when they are rendered, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from upgrader.runbook_rules import Contact


@dataclass(frozen=True, slots=True)
class Span:
    """How long something takes. `seconds` None: nobody knows."""

    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    source: str = ""
    """`rehearsal`, `history`, `baseline`, or empty."""
    samples: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """Commands for one shell, in order, with what has to be known about them."""

    lines: tuple[str, ...]
    why: str = ""
    manual: tuple[str, ...] = ()
    """What no command does: to be done by a person, in words."""
    comes_first: bool = False
    """The words are to be done before the commands."""


@dataclass(frozen=True, slots=True)
class StagePage:
    """One stage of a hop, as somebody carries it out. What it is for, and how success shows, its fragments say."""

    name: str
    number: int
    when: Literal["before", "window"]
    changes_cloud: bool
    span: Span
    starts: str
    """Clock time in the window, where one was given; or empty."""
    tool: Typed
    """With upgrader."""
    hand: Typed
    """With kolla-ansible, for the day the tool cannot be used."""
    check: Typed
    """How to tell that it worked."""
    way: str
    """`nothing`, `redeploy`, `restore`, `forward-only`: the most it can take to return from here."""
    back_tool: Typed
    back_hand: Typed
    back_span: Span
    facts: tuple[tuple[str, str], ...] = ()
    """(name, value) of what this stage does on this hop: settings it makes, passwords it adds."""
    ponr: str = ""
    """The point of no return, where this is the stage that passes it."""


@dataclass(frozen=True, slots=True)
class ServiceBack:
    """The way back of one service or data store on one hop."""

    service: str
    database: str
    changes_schema: bool
    way: str
    why: str
    runs: str
    """`yes`, or `not known` on a paper plan."""


@dataclass(frozen=True, slots=True)
class Downtime:
    """How long one API is expected to be away in a hop."""

    api: str
    span: Span


@dataclass(frozen=True, slots=True)
class Task:
    """Something a person does. `applies`: yes or unknown."""

    id: str
    title: str
    severity: str
    when: Literal["before", "during", "after"]
    applies: str
    condition: str = ""
    detail: str = ""
    fix: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    hops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding of the plan."""

    id: str
    mark: Literal["blocks", "accepted", "warning", "unknown"]
    message: str
    host: str = ""
    hop: str = ""
    evidence: str = ""
    why: str = ""
    next: str = ""
    fix: tuple[str, ...] = ()
    accepted_by: str = ""
    accepted_why: str = ""


@dataclass(frozen=True, slots=True)
class Go:
    """One line of the go/no-go list. `command` shows the answer."""

    text: str
    command: str = ""
    values: tuple[tuple[str, str], ...] = ()
    """Values that the (translated) text names in braces."""


@dataclass(frozen=True, slots=True)
class HopPage:
    """One hop."""

    number: int
    source: str
    target: str
    name: str
    summary: str
    components: tuple[tuple[str, str, str], ...]
    toolchain: tuple[tuple[str, str], ...]
    before: Span
    window: Span
    back: tuple[tuple[str, Span], ...]
    """(`redeploy` | `restore`, how long it takes)."""
    opens: str
    """When its window opens, where one was given; or empty."""
    closes: str
    fits: str
    """`yes`, `no`, or empty: nobody knows, or there is no window."""
    frozen: str
    """Why nothing is put on the cloud when the window opens; empty: no freeze of the site forbids it."""
    stages: tuple[StagePage, ...]
    ponr: str
    crossed_by: tuple[tuple[str, tuple[str, ...]], ...]
    """(way, services) below the line."""
    services: tuple[ServiceBack, ...]
    downtimes: tuple[Downtime, ...]
    outage: str
    """A full API outage that the hop brings, in words; or empty."""
    outage_sure: bool
    broker_why: str
    by_hand: tuple[Task, ...]
    settings: tuple[tuple[str, str], ...]
    passwords: tuple[str, ...]
    groups: tuple[str, ...]
    picture: str = ""
    """One self-contained `<svg>`; empty where none is drawn."""

    @property
    def anchor(self) -> str:
        return f"hop-{self.number}"


@dataclass(frozen=True, slots=True)
class SitePage:
    """The cloud, as far as the site file says it."""

    name: str
    engine: str = "docker"
    file: str = ""
    config_dir: str = ""
    inventory: str = ""
    passwords: str = ""
    backup_dir: str = ""
    backup_method: str = ""
    toolchains_dir: str = ""
    staging: str = ""
    offbox: bool = False
    backup_hours: str = "24"
    soak_seconds: int = 0
    window: str = ""
    """The rule of the site's change windows, in words; empty: it has none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the document was made from."""

    plan_sha256: str
    made_at: str
    known_by: str
    tool_version: str
    graph_version: str
    graph_sha256: str
    lineage: str = ""
    serial: int = 0
    journal_head: str = ""
    """Hash of the journal's last event; empty: there is no journal."""
    journal_events: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """Everything the change document says. `site.name` empty: a paper plan, no cloud was looked at."""

    site: SitePage
    source: str
    target: str
    paper: bool
    blocked: bool
    groups: tuple[tuple[str, int], ...]
    """(group, hosts) of the groups that people count by."""
    hosts: tuple[tuple[str, tuple[str, ...]], ...]
    hops: tuple[HopPage, ...]
    findings: tuple[FindingRow, ...]
    gates: tuple[Go, ...]
    tasks: tuple[Task, ...]
    """Everything to be done by hand, once for all hops that ask for it."""
    contacts: tuple[Contact, ...]
    identity: Identity
    plan_file: str
    zone: str = "UTC"
    """Zone of the clock times that are shown."""
    change: str = ""
    """The operator's own number of the change."""
    picture: str = ""

    @property
    def blockers(self) -> tuple[FindingRow, ...]:
        return tuple(row for row in self.findings if row.mark == "blocks")
