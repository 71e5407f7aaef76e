"""What a play is, what it reports, and when it counts as done: the port between stages and Ansible.

Owns the values and the verdict; runs nothing and imports nothing heavy. `AnsibleRunner` (ansible.py) is the
real one, `RecordingRunner` (recording.py) the one for tests of everything above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol

EventKind = Literal[
    "play_start",
    "task_start",
    "host_ok",
    "host_changed",
    "host_failed",
    "host_ignored",
    "host_unreachable",
    "host_skipped",
    "no_hosts",
    "stats",
]
PlayStatus = Literal["successful", "failed", "canceled", "error", "lost"]
"""`error`: the play could not be started or reported. `lost`: its process ended without leaving a result."""


@dataclass(frozen=True, slots=True)
class Play:
    """One call of `ansible-playbook` from one toolchain.

    Holds no secret: those are in `extra_vars_files` (read by Ansible itself, may be Vault-encrypted) and
    `vault_password_file`, given as paths. `expected_hosts` are the hosts that must have been worked on for the
    play to count as done; name them whenever they are known. The full results of the tasks named in `collect`
    are returned, without known secrets. Tasks whose name matches a regular expression in `watch` are written down
    durably as soon as Ansible announces them.
    """

    name: str
    toolchain: Path
    playbook: Path
    inventory: tuple[Path, ...]
    extra_vars: tuple[tuple[str, Any], ...] = ()
    extra_vars_files: tuple[Path, ...] = ()
    vault_password_file: Path | None = None
    limit: str = ""
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    forks: int = 5
    expected_hosts: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    watch: tuple[str, ...] = ()
    check: bool = False
    cwd: Path | None = None
    """Where `ansible-playbook` runs; None: the play's own folder."""
    closing: bool = False
    """The play is the last effect of its stage: its result may stand for the stage if the supervisor dies after it."""

    def document(self) -> dict[str, Any]:
        """JSON-ready form; `from_document` is its inverse."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Play:
        """Raises KeyError or TypeError when the document is not one that `document` made."""
        values = dict(document)
        for name in ("toolchain", "playbook"):
            values[name] = Path(values[name])
        for name in ("vault_password_file", "cwd"):
            values[name] = None if values[name] is None else Path(values[name])
        for name in ("inventory", "extra_vars_files"):
            values[name] = tuple(Path(item) for item in values[name])
        for name in ("extra_vars", "env"):
            values[name] = tuple((item[0], item[1]) for item in values[name])
        for name in ("tags", "skip_tags", "expected_hosts", "collect", "watch"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One thing that happened in a play, with every known secret already taken out."""

    counter: int
    kind: EventKind
    play: str = ""
    role: str = ""
    task: str = ""
    host: str = ""
    message: str = ""
    at: str = ""
    """UTC, ISO 8601."""
    watched: bool = False
    """The task matched `Play.watch`."""
    module: str = ""
    """The task's module, where it failed."""
    path: str = ""
    """`file:line` of the task, where it failed."""

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HostTrouble:
    """Why one host did not get through: the task it stopped at and Ansible's own words."""

    host: str
    task: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PlayResult:
    """What became of a play. `stats` is Ansible's own closing account, None when it never came to it."""

    name: str
    status: PlayStatus
    rc: int | None
    stats: Mapping[str, Mapping[str, int]] | None = None
    hosts_seen: tuple[str, ...] = ()
    failed: tuple[HostTrouble, ...] = ()
    unreachable: tuple[HostTrouble, ...] = ()
    missing: tuple[str, ...] = ()
    """Expected hosts that Ansible never worked on."""
    watched: tuple[str, ...] = ()
    """Tasks matching `Play.watch` that began, in order."""
    collected: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Task name → host → full result."""
    seconds: float = 0.0
    error: str = ""
    """What kept the play from starting or reporting, e.g. Ansible's words about a syntax error."""
    survivors: int = 0
    """Processes of the play that outlived it and were waited for or ended."""

    @property
    def verdict(self) -> bool:
        """True only when the play is known to have done its work on every expected host.

        Ansible's exit code alone is not enough: it is 0 when no host matched, and an unreachable host does not
        always stop a play.
        """
        return (
            self.status == "successful"
            and self.rc == 0
            and self.stats is not None
            and bool(self.hosts_seen)
            and not (self.failed or self.unreachable or self.missing)
        )

    @property
    def message(self) -> str:
        """One line naming host and task of the first trouble, or that there was none."""
        if self.verdict:
            return f"{self.name}: done on {len(self.hosts_seen)} host{'' if len(self.hosts_seen) == 1 else 's'}"
        parts = [*self._troubles()]
        if self.status == "canceled":
            parts.insert(0, "canceled before its end")
        elif self.status == "lost":
            parts.insert(0, "its process ended without a result")
        elif self.stats is None and self.status != "error":
            code = "" if self.rc is None else f" with code {self.rc}"
            parts.append(f"Ansible ended{code} before its closing account")
        if self.error:
            parts.append(self.error)
        if not parts:
            parts.append(f"Ansible ended with code {self.rc}" if self.rc else "no host was worked on")
        return f"{self.name}: " + "; ".join(parts)

    def _troubles(self) -> list[str]:
        parts = []
        for trouble in self.failed[:3]:
            where = f" in task {trouble.task!r}" if trouble.task else ""
            parts.append(f"{trouble.host} failed{where}" + (f": {trouble.message}" if trouble.message else ""))
        for trouble in self.unreachable[:3]:
            parts.append(f"{trouble.host} is unreachable" + (f": {trouble.message}" if trouble.message else ""))
        more = max(0, len(self.failed) - 3) + max(0, len(self.unreachable) - 3)
        if more:
            parts.append(f"{more} more host{'' if more == 1 else 's'} in trouble")
        if self.missing:
            parts.append("never worked on: " + ", ".join(self.missing))
        return parts

    def document(self) -> dict[str, Any]:
        """JSON-ready form; `from_document` is its inverse."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlayResult:
        """Raises KeyError or TypeError when the document is not one that `document` made."""
        values = dict(document)
        for name in ("failed", "unreachable"):
            values[name] = tuple(HostTrouble(**item) for item in values[name])
        for name in ("hosts_seen", "missing", "watched"):
            values[name] = tuple(values[name])
        return cls(**values)


EventSink = Callable[[TaskEvent], None]
Cancelled = Callable[[], bool]


class Runner(Protocol):
    """Runs one play in a folder of its own and says what became of it."""

    def run(
        self, play: Play, folder: Path, *, on_event: EventSink | None = None, cancelled: Cancelled | None = None
    ) -> PlayResult:
        """Run `play` once. `folder` must not exist yet: one folder, one play.

        Returns only when no process of the play is left. Troubles of the play are in the result; raises
        EnvironmentMissingError when the toolchain has no `ansible-playbook`, FileExistsError for a used folder.
        """
        ...
