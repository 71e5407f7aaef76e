"""Which sets and copies may go. What is needed stays, whatever the numbers say.

Owns the decision (a pure function) and the removal. Needed are: the set of a run that has not ended, the newest set
that was proved, the newest copy that was read back. No rule given: nothing is ever removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from upgrader.config import Site
from upgrader.database.manifest import MANIFEST, Manifest, read_manifest
from upgrader.database.offbox import Say
from upgrader.database.offbox_copies import Copy, copies, repository
from upgrader.durable import failpoint, sync_dir
from upgrader.errors import ConfigError, UpgraderError
from upgrader.model import Code, Finding
from upgrader.states import RunState

_GOING = ".removing-"
_BEING_MADE = timedelta(days=2)
"""A set in progress that is younger may be somebody's who is taking it at this moment."""


class Kept(NamedTuple):
    """One set or one copy of it, as far as keeping it goes."""

    id: str
    set_name: str
    made_at: datetime
    proved: bool
    counts: bool
    """Finished here, read back there: what the rules count. What does not count goes when it is older than all."""


def removable(
    every: Iterable[Kept], *, last: int = 0, within: timedelta = timedelta(0), needed: Collection[str], now: datetime
) -> tuple[Kept, ...]:
    """What no rule and no need keeps, oldest first. `last` counts sets that count, `within` their age; none: nothing.

    Never removed: sets in `needed`, the newest proved one that counts and the newest proved one at all, the newest
    that counts, and whatever is not older than the oldest that is kept by `last`.
    """
    ordered = sorted(every, key=lambda one: (one.made_at, one.id))
    if not last and not within:
        return ()
    counting = list(dict.fromkeys(one.set_name for one in reversed(ordered) if one.counts))
    keep = {*needed, *counting[:1], *counting[:last]}
    proved = [one for one in ordered if one.proved]
    keep |= {one.set_name for one in (*proved[-1:], *[one for one in proved if one.counts][-1:])}
    oldest = min((one.made_at for one in ordered if one.set_name in set(counting[: max(last, 1)])), default=None)
    gone = []
    for one in ordered:
        young = bool(within) and now - one.made_at <= within
        unfinished = not one.counts and (oldest is None or one.made_at >= oldest)
        if one.set_name not in keep and not young and not unfinished:
            gone.append(one)
    return tuple(gone)


# ---------------------------------------------------------------- here


def local_sets(site: Site) -> tuple[tuple[Path, Manifest], ...]:
    """The site's sets in its backup folder, oldest first. What has no whole manifest of this site is none of ours."""
    found = []
    for folder in sorted(site.backup_dir.iterdir()) if site.backup_dir.is_dir() else ():
        if folder.name.startswith(".") or folder.is_symlink() or not (folder / MANIFEST).is_file():
            continue
        try:
            manifest = read_manifest(folder)
        except ConfigError:
            continue
        if manifest.site == site.name:
            found.append((folder, manifest))
    return tuple(sorted(found, key=lambda one: (one[1].made_at, one[0].name)))


def remove_local(site: Site, needed: Collection[str], say: Say, now: datetime | None = None) -> tuple[Finding, ...]:
    """Remove sets that `[backup] keep` does not keep. `needed`: names of sets that stay in any case."""
    moment = now or datetime.now(UTC)
    if not site.backup_keep:
        return ()
    for half in site.backup_dir.glob(f"{_GOING}*"):  # begun before, and interrupted
        shutil.rmtree(half, ignore_errors=True)
    known = {}
    for folder, manifest in local_sets(site):
        made = _moment(manifest.made_at)
        if made is None or (manifest.state == "in-progress" and moment - made < _BEING_MADE):
            continue
        whole = manifest.state in ("unverified", "proved")
        known[folder.name] = Kept(folder.name, folder.name, made, manifest.state == "proved", whole)
    gone = removable(known.values(), last=site.backup_keep, needed=needed, now=moment)
    for one in gone:
        say(f"removing backup set {one.set_name}: [backup] keep is {site.backup_keep}")
        _remove(site.backup_dir / one.set_name)
    return _told("backup-sets-removed", [one.set_name for one in gone], str(site.backup_dir))


def _remove(folder: Path) -> None:
    """The name goes first, so that no half of a set is ever taken for a set."""
    going = folder.with_name(f"{_GOING}{folder.name}")
    folder.rename(going)
    failpoint("retention:renamed")
    sync_dir(folder.parent)
    shutil.rmtree(going)


# ---------------------------------------------------------------- elsewhere


def remove_copies(site: Site, needed: Collection[str], say: Say, now: datetime | None = None) -> tuple[Finding, ...]:
    """Remove copies that [backup.offbox] keep_last and keep_within do not keep, and give back their space.

    Only this site's copies, each by its name: what else lies in the repository is never touched. Afterwards the
    repository is checked. Trouble is a warning: a copy too many harms nobody.
    """
    if site.offbox is None or not (site.offbox.keep_last or site.offbox.keep_within_seconds):
        return ()
    try:
        there = repository(site)
        before = copies(there, site.name)
        gone = removable_copies(site, before, needed, now or datetime.now(UTC))
        if not gone:
            return ()
        say(f"removing {len(gone)} copies from {there.shown}")
        there.run("forget", "--prune", *(one.id for one in gone))
        there.run("check")
    except UpgraderError as error:
        return (
            Finding(
                id="offbox-not-pruned",
                code=Code.WARNING,
                message=f"old copies were not removed: {error.message.rstrip('.')}",
                evidence="; ".join(error.details),
                next=error.next_command,
            ),
        )
    return _told("offbox-copies-removed", [f"{one.set_name} ({one.id[:8]})" for one in gone], there.shown)


def removable_copies(site: Site, every: Sequence[Copy], needed: Collection[str], now: datetime) -> tuple[Kept, ...]:
    """Copies that no rule and no need keeps. A set proved after it was copied counts as proved."""
    if site.offbox is None:
        return ()
    proved = {folder.name for folder, manifest in local_sets(site) if manifest.state == "proved"}
    known = [
        Kept(
            copy.id,
            copy.set_name,
            _moment(copy.made_at) or copy.copied_at,
            copy.state == "proved" or copy.set_name in proved,
            copy.verified,
        )
        for copy in every
    ]
    return removable(
        known,
        last=site.offbox.keep_last,
        within=timedelta(seconds=site.offbox.keep_within_seconds),
        needed=needed,
        now=now,
    )


def rules(site: Site) -> bool:
    """Whether the site wants anything removed at all."""
    there = site.offbox
    return bool(site.backup_keep or (there is not None and (there.keep_last or there.keep_within_seconds)))


def remove_old(site: Site, needed: Collection[str], say: Say) -> tuple[Finding, ...]:
    """Sets here and copies elsewhere that may go; `needed`, and what an open run needs, stay. Never raises for trouble.

    Nothing is removed while it cannot be told what a run needs.
    """
    if not rules(site):
        return ()
    try:
        needed = {*needed, *needed_sets(site.state_dir)}
        return (*remove_local(site, needed, say), *remove_copies(site, needed, say))
    except (UpgraderError, OSError) as error:
        words = error.message.rstrip(".") if isinstance(error, UpgraderError) else str(error)
        return (Finding(id="backup-not-removed", code=Code.WARNING, message=f"old sets were not removed: {words}"),)


def needed_sets(state_dir: Path) -> frozenset[str]:
    """Names of the sets of a run that has not come to a good end; of all its hops, for the way back may need each."""
    from upgrader.journal import open_journal
    from upgrader.journal.place import exists

    if not exists(state_dir):
        return frozenset()
    with open_journal(state_dir, readonly=True) as journal:
        snapshot = journal.snapshot(0)
    if snapshot.run is None or snapshot.run.state in (RunState.DONE, RunState.ROLLED_BACK, RunState.ABORTED):
        return frozenset()
    return frozenset(Path(found).name for hop in snapshot.hops if (found := hop.facts.get("backup_set")))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _told(identifier: str, names: Sequence[str], where: str) -> tuple[Finding, ...]:
    if not names:
        return ()
    return (
        Finding(id=identifier, code=Code.SUCCESS, message=f"removed from {where}, as configured: {', '.join(names)}"),
    )
