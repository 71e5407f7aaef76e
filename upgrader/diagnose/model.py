"""What a diagnosis is made of: frozen values, nothing read and nothing decided here.

Texts in them come from hosts and logs and are not to be trusted; `scrub.py` takes secrets out, `markdown.py` fences.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """One host that did not get through, in Ansible's words."""

    host: str
    task: str
    role: str = ""
    play: str = ""
    module: str = ""
    path: str = ""
    """`file:line` of the task."""
    message: str = ""
    words: str = ""
    """All that the task said, as far as the play's log has it: exit code, standard error and output."""
    at: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A task that ran before the failure: how many hosts it was ok, changed, failed on."""

    at: str
    role: str
    task: str
    result: str


@dataclass(frozen=True, slots=True)
class Story:
    """What is known on this machine of the attempt that is diagnosed. All empty: there is none."""

    attempt: str = ""
    run: str = ""
    hop: str = ""
    """`2024.1→2024.2`."""
    source: str = ""
    target: str = ""
    hop_number: int = 0
    hops: int = 0
    stage: str = ""
    number: int = 0
    verdict: str = ""
    """The attempt's state in the journal; `running`, `interrupted` for one without a result."""
    message: str = ""
    step: str = ""
    """The step of the stage that did not come right."""
    play: str = ""
    """The play that did not come right."""
    moment: str = ""
    """When it happened, as well as can be told: UTC, ISO 8601."""
    moment_how: str = ""
    began: str = ""
    ended: str = ""
    failures: tuple[TaskFailure, ...] = ()
    more_failures: int = 0
    before: tuple[TaskDone, ...] = ()
    findings: tuple[tuple[str, str, str], ...] = ()
    """(id, message, what to do) of findings that failed the stage."""
    watched: tuple[str, ...] = ()
    """Tasks behind which only a restore leads back, that began."""

    @property
    def text(self) -> str:
        """Everything it says of the failure."""
        parts = [self.message, *(f"{one.message}\n{one.words}" for one in self.failures)]
        return "\n".join((*parts, *(message for _, message, _ in self.findings)))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of one log around the moment, with their times (seconds since the epoch)."""

    host: str
    container: str
    """Set for what a container printed, and then `path` is empty."""
    path: str
    folder: str
    lines: tuple[tuple[float, str], ...]
    left_out: int = 0
    zone: str = ""
    """`+0100`: zone of times in the lines."""

    @property
    def place(self) -> str:
        return self.path or f"output of {self.container}"


@dataclass(frozen=True, slots=True)
class Trail:
    """One request followed: (seconds since the epoch, host, place, line), in order."""

    request: str
    lines: tuple[tuple[float, str, str, str], ...]
    left_out: int = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(host for _, host, _, _ in self.lines))


@dataclass(frozen=True, slots=True)
class HostState:
    name: str
    reachable: bool
    error: str = ""
    releases: tuple[str, ...] = ()
    """Releases that its containers name."""
    clock_offset: float | None = None
    disks: tuple[tuple[str, int, int, int], ...] = ()
    """(path, bytes in all, bytes free, inodes free in percent)."""
    memory: tuple[int, int] | None = None
    """(bytes in all, bytes available)."""
    booted: str = ""
    kernel: tuple[str, ...] = ()
    """What the kernel said of memory and disks around the moment."""
    states: tuple[tuple[str, str], ...] = ()
    """(container, state as the engine says it) of those that were asked for."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a probe or a host's own figures say is not as it should be."""

    id: str
    message: str
    host: str = ""
    evidence: str = ""
    why: str = ""
    bad: bool = True
    """False: a warning."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """The cloud as it was looked at for this diagnosis; `at` is empty when it was not."""

    at: str = ""
    kind: str = ""
    release: str = ""
    evidence: tuple[str, ...] = ()
    hosts: tuple[HostState, ...] = ()
    galera: tuple[tuple[str, str, str, str, str], ...] = ()
    """(host, size, component, state, version)."""
    broker: tuple[tuple[str, str], ...] = ()
    vip: str = ""
    api: str = ""
    heads: tuple[str, ...] = ()
    """Databases that are half-migrated, and what that means."""
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Something known that fits: by a line that says so (`line`), or because it concerns this service on this hop."""

    id: str
    kind: str
    """`risk`, `fault` (of a migration), `interrupted` (migration), `sign`, `accepted`."""
    title: str
    line: str = ""
    fix: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at next, with the command to type."""

    title: str
    command: str
    expect: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be read, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    site: str
    made_at: str
    summary: tuple[str, str, str]
    """What stopped; condition of the cloud; way back and next command."""
    story: Story = Story()
    window: tuple[str, str] = ("", "")
    checks: tuple[Check, ...] = ()
    matches: tuple[Match, ...] = ()
    cloud: Cloud = Cloud()
    excerpts: tuple[Excerpt, ...] = ()
    trails: tuple[Trail, ...] = ()
    gaps: tuple[Gap, ...] = ()
    next: tuple[tuple[str, str], ...] = ()
    """(command, what it does) of what is open now."""
    site_file: str = ""
    version: str = ""
    offline: bool = False

    def document(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"schema_version": 1, "kind": "diagnosis", **asdict(self)}
