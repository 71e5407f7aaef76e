"""Is a hop's backup set a restore point now: proved, unchanged since, young enough, and newer than the last write.

What is newer is told by the order of the journal's events, not by clocks; only the age is a matter of time. Decides
nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upgrader.config import Site
from upgrader.database.manifest import lost_files, manifest_sha256, read_manifest, sha256_of
from upgrader.errors import UpgraderError
from upgrader.journal import EventRow, HopRow, Journal
from upgrader.states import AttemptState, State

NOT_PROVED = "backup-not-proved"
"""Name under which an operator takes the risk of a set that could not be restored anywhere for want of a server."""
PROOF = "proof.json"
RENEW = "upgrader backup --for-run"
_WRITING = frozenset({State.UPGRADE, State.ROLLBACK_RESTORE, State.ROLLBACK_REDEPLOY})
_KINDS = ("attempt_intended", "attempt_launched", "attempt_finished", "backup_replaced")


def objection(site: Site, journal: Journal, hop: HopRow, *, now: datetime | None = None) -> str:
    """Why the upgrade of the hop must not begin for want of a restore point; empty when it may.

    Once the hop's upgrade has begun the set stays the way back whatever its age, and there is no objection to it.
    """
    begun = [row for row in journal.attempts(hop.run, hop.index, State.UPGRADE) if row.state is not AttemptState.VOID]
    if begun:
        return ""
    folder = Path(hop.facts.get("backup_set", ""))
    if not hop.facts.get("backup_set"):
        return "no backup set was taken on this hop"
    try:
        trouble = _unsound(folder, hop, {row.name for row in journal.acceptances(hop.run)})
        if trouble:
            return f"backup set {folder.name} {trouble}"
        manifest = read_manifest(folder)
    except UpgraderError as error:
        return error.message.rstrip(".")
    except OSError as error:
        return f"backup set {folder.name} cannot be read: {error.strerror}"
    if written_since(journal.events(kinds=_KINDS), hop, str(folder)):
        return f"backup set {folder.name} is older than the last stage that wrote to the databases"
    state = manifest.state_now(now or datetime.now(UTC), timedelta(seconds=site.backup_max_age))
    if state == "expired":
        hours = site.backup_max_age / 3600
        return f"backup set {folder.name} was made {manifest.made_at}, more than {hours:g} h ago ([backup] max_age)"
    return ""


def _unsound(folder: Path, hop: HopRow, accepted: set[str]) -> str:
    manifest = read_manifest(folder)
    recorded = hop.facts.get("backup_manifest_sha256", "")
    if recorded and manifest_sha256(folder) != recorded:
        return "was changed after the journal recorded it"
    if lost := lost_files(folder, manifest):
        return f"is damaged: {lost[0]} is gone or has another size"
    if manifest.state == "unverified" and NOT_PROVED in accepted:
        return ""
    if manifest.state != "proved" or manifest.proof is None:
        return f"is {manifest.state}: nobody restored it yet"
    try:
        whole = sha256_of(folder / PROOF) == manifest.proof.file_sha256
    except OSError:
        whole = False
    return "" if whole else f"has lost the proof it speaks of ({PROOF} is gone or was changed)"


def written_since(events: Iterable[EventRow], hop: HopRow, folder: str) -> bool:
    """Whether a stage of another hop was launched that writes to databases after the set was begun. Oldest first."""
    stages: dict[str, tuple[str, int]] = {}
    begun = wrote = 0
    for event in events:
        attempt = str(event.attempt or "")
        if event.kind == "attempt_intended":
            stages[attempt] = (str(event.data.get("stage", "")), event.seq)
        elif event.kind == "attempt_launched":
            own = event.run == hop.run and event.hop == hop.index
            wrote = event.seq if stages.get(attempt, ("", 0))[0] in _WRITING and not own else wrote
        elif event.data.get("facts", {}).get("backup_set") == folder:
            begun = stages[attempt][1] if event.kind == "attempt_finished" and attempt in stages else event.seq
    return wrote > begun
