"""The backup sets of a site as they are now: state, age, size, what is missing. Reads folders, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upgrader.config import Site
from upgrader.database.manifest import MANIFEST, Manifest, lost_files, manifest_sha256, missing_parts, read_manifest
from upgrader.errors import ConfigError, UsageError
from upgrader.states import State

if TYPE_CHECKING:
    from upgrader.journal import EventRow

NOTE = "backup"
"""Kind of the journal's notes about sets, with `set`, `state` and `manifest_sha256`."""
_WRITING = frozenset({State.UPGRADE, State.ROLLBACK_RESTORE, State.ROLLBACK_REDEPLOY})


@dataclass(frozen=True, slots=True)
class SetNow:
    """One set. `state` is `unreadable` where there is no manifest to be read; `trouble` says why."""

    folder: Path
    state: str
    manifest: Manifest | None = None
    age_seconds: int = 0
    missing: tuple[str, ...] = ()
    """Parts it ought to have and has not."""
    lost: tuple[str, ...] = ()
    """Files that are gone or have another size; nothing was read."""
    trouble: str = ""

    @property
    def usable(self) -> bool:
        """Whether a way back may rest on it, as far as a look at names and sizes tells."""
        return self.state in ("unverified", "proved", "expired") and not (self.missing or self.lost)

    def document(self) -> dict[str, Any]:
        manifest = self.manifest
        found: dict[str, Any] = {
            "set": self.folder.name,
            "folder": str(self.folder),
            "state": self.state,
            "usable": self.usable,
            "missing": list(self.missing),
            "lost": list(self.lost),
            "trouble": self.trouble,
        }
        if manifest is None:
            return found
        return found | {
            "release": manifest.release,
            "hop": manifest.hop,
            "made_at": manifest.made_at,
            "finished_at": manifest.finished_at,
            "age_seconds": self.age_seconds,
            "bytes": manifest.bytes,
            "format": manifest.dump_format,
            "tables": len(manifest.tables),
            "rows": sum(table.rows for table in manifest.tables),
            "server_version": manifest.server_version,
            "journal_head": manifest.journal_head,
            "proved_at": manifest.proof.proved_at if manifest.proof else "",
            "parts": {part.name: sum(entry.bytes for entry in part.files) for part in manifest.parts},
        }


def sets_of(site: Site, at: datetime, last_write: str = "", in_use: str = "") -> tuple[SetNow, ...]:
    """Every set of this site, the newest first; folders of other sites are passed over. Raises OSError.

    The set `in_use` is the way back of a hop under way: what that hop itself writes does not make it expire.
    """
    folders = sorted(site.backup_dir.iterdir()) if site.backup_dir.is_dir() else []
    found = [
        set_now(folder, site, at, "" if str(folder) == in_use else last_write) for folder in folders if _is_set(folder)
    ]
    mine = [one for one in found if one.manifest is None or one.manifest.site == site.name]
    return tuple(sorted(mine, key=lambda one: (one.manifest.made_at if one.manifest else "", one.folder.name))[::-1])


def _is_set(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".") and (folder / MANIFEST).exists()


def set_now(folder: Path, site: Site, at: datetime, last_write: str = "") -> SetNow:
    try:
        manifest = read_manifest(folder)
    except (ConfigError, OSError) as error:
        return SetNow(folder, "unreadable", trouble=error.message if isinstance(error, ConfigError) else str(error))
    state = manifest.state_now(at, timedelta(seconds=site.backup_max_age), last_write)
    return SetNow(
        folder,
        state,
        manifest,
        _age(manifest.made_at, at),
        missing_parts(manifest),
        lost_files(folder, manifest),
        "nobody finished it: it is never used" if state == "in-progress" else "",
    )


def _age(made_at: str, at: datetime) -> int:
    try:
        return max(0, round((at - datetime.fromisoformat(made_at)).total_seconds()))
    except (ValueError, TypeError):
        return 0


def find_set(site: Site, name: str) -> Path:
    """The folder of a set, named by its name, its path, or `newest`. Raises UsageError where there is none."""
    if name == "newest":
        every = [one for one in sets_of(site, datetime.now(UTC)) if one.usable]
        if every:
            return every[0].folder
    for folder in (site.backup_dir / name, Path(name).expanduser().absolute()):
        if name not in ("", ".", "..") and (folder / MANIFEST).exists():
            return folder
    raise UsageError(
        f"There is no backup set {name!r} in {site.backup_dir}.",
        cloud="Nothing was looked at or changed.",
        next_command="upgrader backup --list",
        reason="no-such-set",
    )


def last_write(events: Iterable[EventRow]) -> str:
    """When this tool last launched a stage that writes to the cloud's databases; empty: never.

    `events` are the journal's intents and launches, oldest first.
    """
    stages: dict[str, str] = {}
    found = ""
    for event in events:
        attempt = str(event.attempt or "")
        if event.kind == "attempt_intended":
            stages[attempt] = str(event.data.get("stage", ""))
        elif stages.get(attempt) in _WRITING:
            found = str(event.at)
    return found


def recorded_digest(events: Iterable[EventRow], folder: Path) -> str:
    """Digest of the set's manifest as the journal last recorded it; empty: it never did.

    `events` are the journal's results and notes, oldest first.
    """
    found = ""
    for event in events:
        told = event.data.get("facts", event.data)
        if told.get("backup_set") == str(folder) and told.get("backup_manifest_sha256"):
            found = str(told["backup_manifest_sha256"])
    return found


def manifest_is_recorded(events: Iterable[EventRow], folder: Path) -> bool | None:
    """Whether the manifest is the one the journal knows; None: the journal does not know the set."""
    recorded = recorded_digest(events, folder)
    return manifest_sha256(folder) == recorded if recorded else None
