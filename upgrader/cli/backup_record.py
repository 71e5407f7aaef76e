"""What the journal knows of backup sets, and which set is whose way back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from upgrader.config import Site
from upgrader.database.manifest import Manifest, manifest_sha256, read_manifest
from upgrader.database.sets import NOTE, last_write, manifest_is_recorded
from upgrader.errors import RefusedError
from upgrader.journal import EventRow, HopRow, Journal, open_journal
from upgrader.journal.place import exists
from upgrader.model import Code, Finding
from upgrader.session import Session
from upgrader.states import RUN_ENDED, State

_KINDS = ("attempt_intended", "attempt_launched", "attempt_finished", "backup_replaced", f"note.{NOTE}")


@dataclass(frozen=True, slots=True)
class JournalWords:
    """`last_write`: when this tool last began to write to databases; `in_use`: the set that is a way back now."""

    events: tuple[EventRow, ...] = ()
    last_write: str = ""
    in_use: str = ""

    def recorded(self, folder: Path) -> tuple[Finding, ...]:
        """A finding when the set's manifest is not the one the journal knows."""
        if manifest_is_recorded(self.events, folder) is not False:
            return ()
        words = f"the manifest of {folder.name} is not the one that the journal recorded: it was changed since"
        return (Finding(id="backup-manifest-changed", code=Code.FAILURE, message=words),)


def journal_words(site: Site) -> JournalWords:
    """Nothing where there is no journal yet."""
    if not exists(site.state_dir):
        return JournalWords()
    with open_journal(site.state_dir, readonly=True) as journal:
        return words_of(journal)


def words_of(journal: Journal) -> JournalWords:
    events = tuple(journal.events(kinds=_KINDS))
    snapshot = journal.snapshot(recent=0)
    open_run = snapshot.run is not None and snapshot.run.state not in RUN_ENDED
    hop = snapshot.hop if open_run else None
    return JournalWords(events, last_write(events), hop.facts.get("backup_set", "") if hop else "")


def head_findings(site: Site, manifest: Manifest) -> tuple[Finding, ...]:
    """A warning when the set was begun under a journal that is not this one, or not as it was."""
    if not manifest.journal_head or not exists(site.state_dir):
        return ()
    with open_journal(site.state_dir, readonly=True) as journal:
        known = any(event.h == manifest.journal_head for event in journal.events())
    words = "this journal does not hold the event that the set was begun after: it is of another journal"
    return () if known else (Finding(id="backup-other-journal", code=Code.WARNING, message=words),)


def waiting_hop(opened: Session) -> HopRow:
    """The hop whose upgrade has not begun and that has a set already. Raises RefusedError where there is none."""
    snapshot = opened.journal.snapshot(recent=0)
    hop = snapshot.hop
    if snapshot.run is None or snapshot.run.state in RUN_ENDED or hop is None or "backup_set" not in hop.facts:
        raise RefusedError(
            "No hop waits with a backup set that could be replaced.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader status",
            reason="no-waiting-hop",
        )
    begun = [row for row in opened.journal.attempts(hop.run, hop.index, State.UPGRADE) if row.launched_at]
    if begun:
        raise RefusedError(
            f"The upgrade of {hop.name} has begun: a set made now would not lead back.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader status",
            reason="upgrade-begun",
        )
    return hop


def replace_set_of_hop(opened: Session, hop: HopRow, folder: Path) -> None:
    """Make the set the hop's way back; the journal keeps what its stage would have left."""
    manifest = read_manifest(folder)
    facts = {
        "backup_set": str(folder),
        "backup_made_at": manifest.finished_at,
        "backup_manifest_sha256": manifest_sha256(folder),
        "server_before": manifest.server_version,
    }
    if manifest.proof is not None:
        facts["restore_point"] = manifest.proof.proved_at
    opened.journal.replace_backup(hop.index, facts, opened.actor)


def keep_digest(opened: Session, folder: Path) -> None:
    """A proof changed the manifest of the set a hop waits with: the journal keeps its new digest."""
    if words_of(opened.journal).in_use != str(folder):
        return
    with suppress(RefusedError):  # once the upgrade has begun nothing of its way back is written anew
        replace_set_of_hop(opened, waiting_hop(opened), folder)
