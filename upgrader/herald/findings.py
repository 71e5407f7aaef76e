"""What would keep metrics or notices of a run from being told, as findings of a check, days before the window."""

from __future__ import annotations

from upgrader.config import Site
from upgrader.model import Code, Finding


def telling(site: Site) -> tuple[Finding, ...]:
    """Warnings: a run goes on without. Nothing is loaded where nothing is wanted."""
    if site.metrics.textfile is None and not site.notices.wanted:
        return ()
    from upgrader.herald.start import beforehand

    why = "The run goes on all the same, and nobody hears of it."
    return tuple(
        Finding(id=lack.id, code=Code.WARNING, severity="advised", message=lack.words, why=why, next=lack.command)
        for lack in beforehand(site)
    )
