"""`upgrader.toml` → Site: where one cloud's configuration, secrets, backups and journal are.

Owns the file's keys, their defaults and their checks; reads nothing but the file itself. Light on purpose
(no pydantic), because `status` has to answer at once. Paths in the file are relative to the file's folder.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from upgrader.errors import ConfigError

SITE_FILE = "upgrader.toml"

_SIZE = re.compile(r"^(\d+)\s*([KMGT]?)i?B?$", re.IGNORECASE)
_DURATION = re.compile(r"^(\d+)\s*(s|min|h)$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")


@dataclass(frozen=True, slots=True)
class Site:
    """One cloud, as its operator describes it. Immutable; every path is absolute."""

    name: str
    file: Path
    config_dir: Path
    """Kolla's configuration folder, the one with globals.yml."""
    inventory: Path
    passwords: Path
    extra_vars: tuple[Path, ...]
    vault_password_file: Path | None
    engine: str
    """`docker` or `podman`: decides how the engine's output is read."""
    engine_command: str
    """What is typed on a host to reach the engine; may hold `{{ inventory_hostname }}`."""
    staging: Path | None
    """Site file of the staging cloud on which a hop is rehearsed first."""
    backup_dir: Path
    backup_database: str
    """`logical` or `mariabackup`."""
    toolchains_dir: Path
    wheelhouse: Path | None
    sandbox: Path | None
    """Root folder of a sandbox cloud; None for real ones."""
    state_dir: Path
    soak_seconds: int
    min_free_bytes: int
    window_start: str
    window_length: str
    forks: int
    max_attempts: int
    """Attempts of one stage within a hop before a human is asked."""
    answers: tuple[tuple[str, str], ...] = ()
    """(name, JSON text) of what the operator says where nothing can be measured, sorted."""

    @property
    def globals_file(self) -> Path:
        return self.config_dir / "globals.yml"


def find_site(option: str | None, start: Path | None = None) -> Path:
    """The site file meant: the option, `UPGRADER_SITE`, or `upgrader.toml` in the folder or one above it.

    `sandbox` names the embedded sandbox of this user. Raises ConfigError when there is none.
    """
    chosen = option or os.environ.get("UPGRADER_SITE")
    if chosen == "sandbox":
        return sandbox_home() / "site" / SITE_FILE
    if chosen:
        path = Path(chosen).expanduser().absolute()
        return path / SITE_FILE if path.is_dir() else path
    folder = (start or Path.cwd()).absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / SITE_FILE).is_file():
            return candidate / SITE_FILE
    raise ConfigError(
        f"No site: neither {folder} nor a folder above it holds {SITE_FILE}.",
        cloud="Nothing was looked at or changed.",
        next_command="upgrader init",
        reason="no-site",
    )


def sandbox_home() -> Path:
    """Folder of the embedded sandbox: `UPGRADER_SANDBOX`, else below the user's data folder (XDG)."""
    chosen = os.environ.get("UPGRADER_SANDBOX")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "upgrader" / "sandbox"


def load_site(path: Path) -> Site:
    """Read and check a site file. Raises ConfigError naming file and key; changes nothing."""
    path = path.absolute()
    return _build(path, _Table(path, _read(path)))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text)
    except FileNotFoundError:
        hint = "upgrader demo" if path.parent.parent == sandbox_home() else "upgrader init"
        raise ConfigError(f"There is no site file {path}.", next_command=hint, reason="no-site") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", reason="broken-site") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", reason="unreadable-site") from None


def _build(path: Path, table: _Table) -> Site:
    sandbox = table.path("site", "sandbox", None)
    engine = table.choice("site", "engine", ("docker", "podman"), "docker")
    config_dir = table.required_path("kolla", "config_dir")
    site = Site(
        name=table.text("site", "name", None, _NAME),
        file=path,
        config_dir=config_dir,
        inventory=table.required_path("kolla", "inventory"),
        passwords=table.path("kolla", "passwords", None) or config_dir / "passwords.yml",
        extra_vars=table.paths("kolla", "extra_vars"),
        vault_password_file=table.path("secrets", "vault_password_file", None),
        engine=engine,
        engine_command=table.text("site", "engine_command", engine),
        staging=table.path("staging", "site", None),
        backup_dir=table.path("backup", "target", "backups") or path.parent / "backups",
        backup_database=table.choice("backup", "database", ("logical", "mariabackup"), "logical"),
        toolchains_dir=table.path("toolchains", "dir", "toolchains") or path.parent / "toolchains",
        wheelhouse=table.path("toolchains", "wheelhouse", None),
        sandbox=sandbox,
        state_dir=table.path("state", "dir", "state") or path.parent / "state",
        soak_seconds=table.parsed("run", "soak", _seconds, 0, 'a duration such as "30min"'),
        min_free_bytes=table.parsed("run", "min_free", _bytes, 10 * 1024**3, 'a size such as "20G"'),
        window_start=table.text("window", "start", ""),
        window_length=table.text("window", "length", ""),
        forks=table.parsed("run", "forks", int, 10, "a whole number"),
        max_attempts=table.parsed("run", "max_attempts", int, 5, "a whole number"),
        answers=table.answers("answers"),
    )
    table.finish()
    return site


def _seconds(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = _DURATION.match(value.strip())
    if not match:
        raise ValueError(value)
    unit = {"s": 1, "min": 60, "h": 3600}[match[2]]
    return int(match[1]) * unit


def _bytes(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = _SIZE.match(value.strip())
    if not match:
        raise ValueError(value)
    power = " KMGT".index(match[2].upper() or " ")
    return int(match[1]) * int(1024**power)


def _endless(value: object) -> bool:
    """TOML knows inf and nan, JSON does not."""
    return isinstance(value, float) and not math.isfinite(value)


_MISSING: Final = object()


class _Table:
    """The parsed file with every fault collected, so that an operator mends them in one go."""

    def __init__(self, file: Path, data: dict[str, Any]) -> None:
        self.file, self.data = file, data
        self.faults: list[str] = []
        self.seen: set[tuple[str, str]] = set()

    def value(self, section: str, key: str, default: Any) -> Any:
        self.seen.add((section, key))
        part = self.data.get(section, {})
        found = part.get(key, _MISSING) if isinstance(part, dict) else _MISSING
        if found is _MISSING:
            return default
        if isinstance(found, bool | date | datetime | time | dict):
            self.faults.append(f"[{section}] {key}: wants text, has {type(found).__name__}")
            return default
        return found

    def text(self, section: str, key: str, default: str | None, shape: re.Pattern[str] | None = None) -> str:
        found = self.value(section, key, default)
        if found is None:
            self.faults.append(f"[{section}] {key}: missing")
        elif not isinstance(found, str) or (not found and default != ""):
            self.faults.append(f"[{section}] {key}: wants text, has {found!r}")
        elif shape and not shape.match(found):
            self.faults.append(f"[{section}] {key}: {found!r} has characters other than letters, digits, . _ -")
        else:
            return found
        return ""

    def choice(self, section: str, key: str, choices: tuple[str, ...], default: str) -> str:
        found = self.value(section, key, default)
        if found not in choices:
            self.faults.append(f"[{section}] {key}: {found!r} is none of {', '.join(choices)}")
            return default
        return str(found)

    def path(self, section: str, key: str, default: str | None) -> Path | None:
        found = self.value(section, key, default)
        if found is None:
            return None
        if not isinstance(found, str) or not found:
            self.faults.append(f"[{section}] {key}: wants a path, has {found!r}")
            return None
        return self._absolute(found)

    def required_path(self, section: str, key: str) -> Path:
        found = self.path(section, key, None)
        if found is None and not any(fault.startswith(f"[{section}] {key}:") for fault in self.faults):
            self.faults.append(f"[{section}] {key}: missing")
        return found or self.file.parent

    def paths(self, section: str, key: str) -> tuple[Path, ...]:
        found = self.value(section, key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            self.faults.append(f"[{section}] {key}: wants a list of paths")
            return ()
        return tuple(self._absolute(item) for item in found)

    def parsed(self, section: str, key: str, parse: Callable[[Any], int], default: int, wants: str) -> int:
        found = self.value(section, key, _MISSING)
        if found is _MISSING:
            return default
        try:
            number = parse(found)
        except (ValueError, TypeError, AttributeError):
            number = -1
        if number < 0 or isinstance(found, float):
            self.faults.append(f"[{section}] {key}: {found!r} is not {wants}")
            return default
        return number

    def answers(self, section: str) -> tuple[tuple[str, str], ...]:
        """A section whose keys are the operator's to choose: names with a truth value, a text or a number each."""
        part = self.data.get(section, {})
        self.seen.add((section, ""))
        if not isinstance(part, dict):
            return ()
        for key, value in part.items():
            self.seen.add((section, key))
            if not _VARIABLE.match(key):
                self.faults.append(f"[{section}] {key}: {key!r} has characters other than letters, digits and _")
            elif not isinstance(value, bool | str | int | float) or _endless(value):
                self.faults.append(f"[{section}] {key}: wants true, false, text or a number, has {value!r}")
        return tuple(sorted((key, json.dumps(value)) for key, value in part.items() if not self.faults))

    def finish(self) -> None:
        known = {section for section, _ in self.seen}
        for section, part in self.data.items():
            if section not in known:
                self.faults.append(f"[{section}]: no such section (known: {', '.join(sorted(known))})")
                continue
            if not isinstance(part, dict):
                self.faults.append(f"{section}: wants a section [{section}], has a value")
                continue
            self.faults.extend(f"[{section}] {key}: no such key" for key in part if (section, key) not in self.seen)
        if self.faults:
            raise ConfigError(
                f"{self.file} has {len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}.",
                cloud="Nothing was looked at or changed.",
                details=self.faults,
                reason="broken-site",
            )

    def _absolute(self, text: str) -> Path:
        return Path(os.path.normpath(self.file.parent / Path(text).expanduser()))
