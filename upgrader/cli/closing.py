"""What finalize closes for good, in words: told before it is approved, and to whoever asks for a way back after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.journal import HopRow, Journal


def what_is_lost(hop: HopRow, site: Site) -> tuple[str, ...]:
    """What nobody gets back once finalize of the hop has begun, a line each."""
    lines = [f"No way back to {hop.source} any more: neither a redeploy nor a restore, whatever shows up later."]
    folder = hop.facts.get("backup_set", "")
    if folder:
        lines.append(f"Backup set {folder} is kept, but nothing restores it for this hop.")
    if site.hops.prune_images:
        lines.append(f"Images of {hop.source} that the hop replaced are removed from the hosts ([run] prune_images).")
    return tuple(lines)


def who_closed(journal: Journal, hop: HopRow) -> str:
    """Who approved finalize of the hop, when, and why; empty where the journal does not say it."""
    from upgrader.states import Event, State

    for event in reversed(list(journal.events(kinds=("hop_moved",)))):
        data = event.data
        if (event.run, event.hop, data["from"], data["event"]) == (
            hop.run, hop.index, State.HOLD_FINALIZE, Event.APPROVE,
        ):  # fmt: skip
            return f"finalize was approved by {data['actor']} at {event.at[:19]}Z: {data['reason']}"
    return ""
