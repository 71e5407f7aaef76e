"""The off-box repository of a site, and which copies of backup sets it holds.

A copy is one restic snapshot of a set's folder. Its marks say site, set, manifest and state, so that a machine that
has nothing but the repository can tell them apart; `verified` is put on it once it was read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from upgrader.config import Site
from upgrader.database.restic import Restic, moment
from upgrader.errors import ConfigError

OURS, VERIFIED = "upgrader", "verified"


class Copy(NamedTuple):
    """One snapshot as the repository lists it."""

    id: str
    set_name: str
    site: str
    made_at: str
    """When the set was begun, by its manifest."""
    state: str
    """The set's state when it was copied."""
    manifest_sha256: str
    verified: bool
    copied_at: datetime
    original: str

    @property
    def short(self) -> str:
        return self.id[:8]

    @property
    def marks(self) -> tuple[str, ...]:
        """Tags that a new copy gets; restic takes them separated by commas."""
        return (
            OURS, f"site:{self.site}", f"set:{self.set_name}", f"made:{self.made_at}", f"state:{self.state}",
            f"manifest:{self.manifest_sha256}",
        )  # fmt: skip


def repository(site: Site) -> Restic:
    """The site's repository. Raises ConfigError without [backup.offbox], and what `Restic` raises."""
    if site.offbox is None:
        raise ConfigError(
            f"{site.file} names no place for copies off this machine.",
            cloud="Nothing was copied.",
            next_command="add [backup.offbox] with repository and password_file",
            reason="no-offbox",
        )
    return Restic(site.offbox, site.state_dir / "offbox-cache")


def start_repository(site: Site) -> str:
    """Make the repository where there is none, and say its name. Raises RefusedError when there is one already."""
    there = repository(site)
    there.run("init", seconds=there.offbox.timeout_seconds)
    return there.shown


def copies(there: Restic, site: str = "") -> tuple[Copy, ...]:
    """Copies that this tool made, oldest set first; of one site where given."""
    # the first look may find nobody there, and says so within the time that is for that
    found = there.documents("snapshots", "--no-lock", "--tag", OURS) or []
    mine = [copy for document in found if (copy := _copy(document)) is not None and site in ("", copy.site)]
    return tuple(sorted(mine, key=lambda copy: (copy.made_at, copy.copied_at, copy.id)))


def _copy(document: Mapping[str, Any]) -> Copy | None:
    tags = document.get("tags") or []
    marks = {key: value for key, _, value in (str(tag).partition(":") for tag in tags)}
    at = moment(str(document.get("time", "")))
    if OURS not in marks or not marks.get("set") or at is None:
        return None
    return Copy(
        id=str(document["id"]), set_name=marks["set"], site=marks.get("site", ""), made_at=marks.get("made", ""),
        state=marks.get("state", ""), manifest_sha256=marks.get("manifest", ""), verified=VERIFIED in marks,
        copied_at=at.astimezone(UTC), original=str(document.get("original", "")),
    )  # fmt: skip
