"""Reads what a report stands on, without any lock: the journal, its audit file, and the evidence beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from upgrader.config import Site
from upgrader.errors import AttentionError, UpgraderError
from upgrader.journal import open_journal
from upgrader.redact import Redactor
from upgrader.report import beside
from upgrader.report.downtime import apis_of
from upgrader.report.story import Beside, story
from upgrader.report.told import RunTold, choose, tell
from upgrader.report.values import Audit, Report
from upgrader.status_read import OBSERVED

if TYPE_CHECKING:
    from upgrader.estimates import Estimate
    from upgrader.journal.rows import EventRow


def gather(site: Site, run: str = "") -> Report:
    """The report of the run whose id begins with `run` (default: the newest), as far as it has come.

    Raises JournalError when there is no journal or it cannot be read, UsageError when there is no such run. A broken
    hash chain does not end it: the faults are in the report's `audit`.
    """
    with open_journal(site.state_dir, readonly=True) as journal:
        faults = journal.verify()
        snapshot = journal.snapshot(recent=0)
        try:
            begun = choose(journal.events(kinds=("run_begun",)), run)
            events = [event for event in journal.events() if event.seq <= snapshot.last_seq]
            told = tell(events, begun)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _beyond_reading(faults, error) from error
    audit = _audit(told, faults, snapshot.lineage, snapshot.last_seq, snapshot.head)
    redactor, not_cleared = _redactor(site, told)
    estimates, no_estimates = _estimates(site, told, events)
    apis, no_apis = apis_of(site.state_dir, told.id)
    found = Beside(estimates, no_estimates, apis, no_apis, beside.recorded_digests(events), redactor, not_cleared)
    return story(site, told, audit, found, _last_look(site))


def _beyond_reading(faults: Sequence[str], error: Exception) -> AttentionError:
    """Events that do not fit each other: whoever changed them left nothing that can be told."""
    return AttentionError(
        "The history of this site was changed or is damaged so much that there is nothing to report.",
        cloud="Not looked at.",
        details=faults[:20] or (f"events do not fit each other: {type(error).__name__}",),
        next_command="upgrader history --verify",
        reason="history-broken",
    )


def _audit(told: RunTold, faults: Iterable[str], lineage: str, events: int, head: str) -> Audit:
    from upgrader.journal.chain import digest

    recorded = str(told.begun.data["plan_sha256"])
    last = told.last.seq if told.last else told.begun.seq
    return Audit(lineage, events, told.begun.seq, last, head, tuple(faults), recorded, digest(told.plan) == recorded)


def _redactor(site: Site, told: RunTold) -> tuple[Redactor, str]:
    """(who knows the site's own secrets, why not all of them). What is written to the journal was cleared when it was
    written; but people type reasons, and those are written as they are."""
    from upgrader.kolla.passwords import secret_values
    from upgrader.kolla.toolchain import locate
    from upgrader.kolla.vault import Vault

    redactor, why = Redactor(), ""
    keys: list[Vault | None] = [None]
    if site.vault_password_file:
        for release in dict.fromkeys(name for hop in told.hops for name in (hop.source, hop.target)):
            with suppress(UpgraderError):
                keys.insert(0, Vault(locate(site, release), site.vault_password_file))
    for key in keys:
        try:
            redactor.add(secret_values(site.passwords, key))
        except (UpgraderError, OSError) as error:
            why = error.message if isinstance(error, UpgraderError) else str(error)
        else:
            return redactor, ""
    return redactor, why


def _estimates(site: Site, told: RunTold, events: Iterable[EventRow]) -> tuple[tuple[Estimate, ...], str]:
    """What could be expected when the run began: from what was measured before it, never from the run itself."""
    from upgrader.estimates.copies import measured
    from upgrader.estimates.find import Known, of_staging, with_known
    from upgrader.estimates.past import samples

    earlier = {event.attempt for event in events if event.attempt and event.seq < told.begun.seq}
    here = [one for one in samples(site.state_dir, forks=site.forks) if one.attempt in earlier]
    begun = "".join(char for char in told.begun.at[:19] if char not in "-:")
    copies = {
        hop: kept
        for hop, rows in measured(site.state_dir).items()
        if (kept := [one for one in rows if one.id < begun])  # the id of a rehearsal is when it began
    }
    try:
        known = Known(here, of_staging(site), copies)
        return with_known(told.plan, known, forks=site.forks, soak=site.soak_seconds), ""
    except (KeyError, TypeError, ValueError) as error:
        return (), f"the plan is of a form that this version has no estimates for ({type(error).__name__})"


def _last_look(site: Site) -> Path:
    return site.state_dir / OBSERVED
