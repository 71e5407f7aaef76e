"""`upgrader.toml` → Site: where one cloud's configuration, secrets, backups and journal are.

Owns the file's keys, their defaults and their checks; reads nothing but the file itself. Light on purpose
(no pydantic), because `status` has to answer at once. Paths in the file are relative to the file's folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upgrader.availability_rules import AvailabilityRules, availability_rules
from upgrader.config_table import Table
from upgrader.errors import ConfigError
from upgrader.hop_rules import HopRules, hop_rules
from upgrader.metric_rules import MetricRules, metric_rules
from upgrader.notice_rules import NoticeRules, notice_rules
from upgrader.rolling_rules import RollingRules, rolling_rules
from upgrader.runbook_rules import RunbookRules, runbook_rules
from upgrader.secret_rules import SecretRules, secret_rules
from upgrader.serve_rules import ServeRules, serve_rules
from upgrader.verify_rules import VerifyRules, verify_rules
from upgrader.window import WindowRules, read_window

SITE_FILE = "upgrader.toml"
DATABASES = ("logical", "mydumper", "mariadb-dump", "mariabackup")

_SIZE = re.compile(r"^(\d+)\s*([KMGT]?)i?B?$", re.IGNORECASE)
_DURATION = re.compile(r"^(\d+)\s*(s|min|h|d)$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")


@dataclass(frozen=True, slots=True)
class Offbox:
    """Where copies of backup sets go that must outlive this machine: a restic repository."""

    repository: str
    """As restic writes it: a path, `sftp:…`, `s3:…`, `swift:…`, `rest:…`. May hold a login: show it masked only."""
    password_file: Path
    environment_file: Path | None = None
    """KEY=VALUE lines for restic alone: the keys of an object store."""
    ca_file: Path | None = None
    options: tuple[str, ...] = ()
    """restic's extended options, `sftp.command=…`; they are on its command line, so never a secret."""
    reread: bool = True
    """Read every byte back and compare before a copy counts; False: copies never count."""
    required: bool = False
    """Without restic on this machine a backup fails, instead of saying what is missing."""
    keep_last: int = 0
    keep_within_seconds: int = 0
    """Copies are kept while one of the two rules keeps them; no rule: all are kept."""
    timeout_seconds: int = 120
    """For finding the repository and for waiting until somebody else's lock is gone; not for copying."""


@dataclass(frozen=True, slots=True)
class StagingRules:
    """What a staging cloud is made of, and which rehearsals on it count."""

    max_age_seconds: int = 7 * 86400
    """A rehearsal that came to its end longer ago than this counts no more."""
    database: str = "copy"
    """`copy`: production's databases are loaded there first; `own`: staging keeps its own."""
    inventory: Path | None = None
    """The staging hosts, for `upgrader staging prepare`."""
    overrides: tuple[tuple[str, str], ...] = ()
    """(setting, JSON text) that staging has in place of production's, sorted."""
    overrides_file: Path | None = None
    """A YAML file with more of them; these win."""
    config: Path | None = None
    """Folder whose files stand in for those of the same name in production's configuration folder."""
    passwords: Path | None = None
    """Staging's own passwords; without it they are those of the site that is there, or made anew."""


@dataclass(frozen=True, slots=True)
class RehearsalRules:
    """How migrations are tried on a copy on this machine."""

    by: str = "environment"
    """`environment`: the services' programs from PyPI; `images`: the target's own container images."""
    workers: int = 0
    """Services at once; 0: as many as there are processors."""
    limit_seconds: int = 3600
    """For one command; an online migration of a million rows needs about an hour."""
    engine: str = ""
    """docker or podman on this machine, for images; empty: the one that is installed."""
    images: str = ""
    """Reference with `{image}` and `{release}`; empty: as the release's playbooks name them for globals.yml."""


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
    """What opens encrypted files: the operator's file or program; this site file where `[secrets]` says more than that
    (see upgrader/secret_sources)."""
    engine: str
    """`docker` or `podman`: decides how the engine's output is read."""
    engine_command: str
    """What is typed on a host to reach the engine; may hold `{{ inventory_hostname }}`."""
    staging: Path | None
    """Site file of the staging cloud on which a hop is rehearsed first."""
    backup_dir: Path
    backup_database: str
    """`logical` (mydumper where it is installed here, else mariadb-dump), `mydumper`, `mariadb-dump`, `mariabackup`."""
    toolchains_dir: Path
    wheelhouse: Path | None
    sandbox: Path | None
    """Root folder of a sandbox cloud; None for real ones."""
    state_dir: Path
    soak_seconds: int
    min_free_bytes: int
    forks: int
    max_attempts: int
    """Attempts of one stage within a hop before a human is asked."""
    answers: tuple[tuple[str, str], ...] = ()
    """(name, JSON text) of what the operator says where nothing can be measured, sorted."""
    backup_address: str = ""
    """`HOST:PORT` by which mydumper reaches the database server from here; empty: where the server itself listens."""
    backup_max_age: int = 24 * 3600
    """Seconds after which a backup set no longer counts as a way back."""
    mariadb_programs: Path | None = None
    """Folder with the programs of the cloud's MariaDB series on this machine; None: where programs usually are."""
    backup_keep: int = 0
    """Sets to keep here, the newest; 0: all. A set that is needed is kept whatever this says."""
    offbox: Offbox | None = None
    staging_rules: StagingRules = StagingRules()
    rehearsal_rules: RehearsalRules = RehearsalRules()
    availability: AvailabilityRules = field(default_factory=AvailabilityRules)
    runbook: RunbookRules = field(default_factory=RunbookRules)
    serve: ServeRules = field(default_factory=ServeRules)
    secrets: SecretRules = field(default_factory=SecretRules)
    metrics: MetricRules = field(default_factory=MetricRules)
    notices: NoticeRules = field(default_factory=NoticeRules)
    rolling: RollingRules = field(default_factory=RollingRules)
    """In which waves hosts are upgraded."""
    hops: HopRules = field(default_factory=HopRules)
    verify: VerifyRules = field(default_factory=VerifyRules)
    window: WindowRules | None = None
    """When the cloud may be changed; None: whenever an operator says so."""

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
    return _build(path, Table(path, _read(path)))


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


def _build(path: Path, table: Table) -> Site:
    sandbox = table.path("site", "sandbox", None)
    engine = table.choice("site", "engine", ("docker", "podman"), "docker")
    config_dir = table.required_path("kolla", "config_dir")
    secrets = secret_rules(table)
    site = Site(
        name=table.text("site", "name", None, _NAME),
        file=path,
        config_dir=config_dir,
        inventory=table.required_path("kolla", "inventory"),
        passwords=table.path("kolla", "passwords", None) or config_dir / "passwords.yml",
        extra_vars=table.paths("kolla", "extra_vars"),
        vault_password_file=secrets.password_file if secrets.plain else path,
        secrets=secrets,
        engine=engine,
        engine_command=table.text("site", "engine_command", engine),
        staging=table.path("staging", "site", None),
        backup_dir=table.path("backup", "target", "backups") or path.parent / "backups",
        backup_database=table.choice("backup", "database", DATABASES, "logical"),
        backup_address=table.text("backup", "address", ""),
        backup_max_age=table.parsed("backup", "max_age", _seconds, 24 * 3600, 'a duration such as "24h"'),
        mariadb_programs=table.path("backup", "mariadb_programs", None),
        backup_keep=table.parsed("backup", "keep", int, 0, "a whole number"),
        offbox=_offbox(table),
        staging_rules=_staging(table),
        rehearsal_rules=RehearsalRules(
            by=table.choice("rehearsal", "by", ("environment", "images"), "environment"),
            workers=table.parsed("rehearsal", "workers", int, 0, "a whole number"),
            limit_seconds=table.parsed("rehearsal", "limit", _seconds, 3600, 'a duration such as "1h"'),
            engine=table.text("rehearsal", "engine", ""),
            images=table.text("rehearsal", "images", ""),
        ),
        toolchains_dir=table.path("toolchains", "dir", "toolchains") or path.parent / "toolchains",
        wheelhouse=table.path("toolchains", "wheelhouse", None),
        sandbox=sandbox,
        state_dir=table.path("state", "dir", "state") or path.parent / "state",
        soak_seconds=table.parsed("run", "soak", _seconds, 0, 'a duration such as "30min"'),
        min_free_bytes=table.parsed("run", "min_free", _bytes, 10 * 1024**3, 'a size such as "20G"'),
        window=read_window(table),
        forks=table.parsed("run", "forks", int, 10, "a whole number"),
        max_attempts=table.parsed("run", "max_attempts", int, 5, "a whole number"),
        answers=table.answers("answers"),
        availability=availability_rules(table),
        runbook=runbook_rules(table),
        serve=serve_rules(table),
        metrics=metric_rules(table),
        notices=notice_rules(table),
        verify=verify_rules(table),
        hops=hop_rules(table),
        rolling=rolling_rules(table),
    )
    table.finish()
    return site


def _offbox(table: Table) -> Offbox | None:
    section = "backup.offbox"
    if not table.section(section):
        table.seen.add((section, ""))
        return None
    wants = 'a duration such as "30d"'
    return Offbox(
        repository=_repository(table, table.text(section, "repository", None)),
        password_file=table.required_path(section, "password_file"),
        environment_file=table.path(section, "environment_file", None),
        ca_file=table.path(section, "ca_file", None),
        options=table.texts(section, "options"),
        reread=table.choice(section, "verify", ("reread", "none"), "reread") == "reread",
        required=table.flag(section, "required", False),
        keep_last=table.parsed(section, "keep_last", int, 0, "a whole number"),
        keep_within_seconds=table.parsed(section, "keep_within", _seconds, 0, wants),
        timeout_seconds=table.parsed(section, "timeout", _seconds, 120, 'a duration such as "2min"'),
    )


def _staging(table: Table) -> StagingRules:
    section = "staging"
    return StagingRules(
        max_age_seconds=table.parsed(section, "max_age", _seconds, 7 * 86400, 'a duration such as "7d"'),
        database=table.choice(section, "database", ("copy", "own"), "copy"),
        inventory=table.path(section, "inventory", None),
        overrides=table.answers("staging.overrides"),
        overrides_file=table.path(section, "overrides_file", None),
        config=table.path(section, "config", None),
        passwords=table.path(section, "passwords", None),
    )


def _repository(table: Table, text: str) -> str:
    """A local folder is relative to the site file, as every path in it is; restic would take the current folder."""
    scheme, colon, rest = text.partition(":")
    if not text or (colon and scheme != "local"):
        return text
    return str(table.absolute(rest if colon else text))


def _seconds(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = _DURATION.match(value.strip())
    if not match:
        raise ValueError(value)
    unit = {"s": 1, "min": 60, "h": 3600, "d": 86400}[match[2]]
    return int(match[1]) * unit


def _bytes(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = _SIZE.match(value.strip())
    if not match:
        raise ValueError(value)
    power = " KMGT".index(match[2].upper() or " ")
    return int(match[1]) * int(1024**power)
