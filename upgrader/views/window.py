"""How long a plan's hops take, and how they fit into the change windows, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from upgrader.estimates import Estimate, HopFit, before_window, in_window
from upgrader.status import Standing
from upgrader.views.page import Page, Piece, Span
from upgrader.window import moment, span

_SOURCES = {
    "history": "earlier attempts of this site",
    "rehearsal": "rehearsals of this site",
    "baseline": "the shipped baseline (assumed, not measured)",
}


def times(found: Sequence[Estimate], hop: str) -> tuple[Piece, Piece]:
    """The columns `in the window` and `before it` of one hop."""
    return span(in_window(found, hop).seconds), span(before_window(found, hop).seconds)


def times_from(page: Page, found: Sequence[Estimate], hops: Sequence[str]) -> None:
    """Where the times come from, and how far they may be off."""
    sums = [in_window(found, hop) for hop in hops]
    ranges = ", ".join(f"{span(one.low)} to {span(one.high)}" for one in sums)
    page.line(Span("times".ljust(8), "dim"), f"in the window {ranges} (eight of ten)", indent=1, hang=9)
    counts = {source: sum(one.source == source for one in found) for source in _SOURCES}
    parts = [f"{_SOURCES[source]}: {number}" for source, number in counts.items() if number]
    said = f"of {len(found)} stages {', '.join(parts)}" if len(parts) > 1 else f"all from {parts[0].partition(':')[0]}"
    page.line(" " * 8, said, indent=1, hang=9)


def window_part(page: Page, window: Standing | None, fits: Sequence[HopFit]) -> None:
    """The site's change windows, and each hop against them; nothing for a site without."""
    if window is None:
        return
    page.blank()
    page.line(Span("Change window", "strong"), f"  {window.schedule}")
    page.line(window.told or "none comes any more", indent=2)
    for fit in fits:
        need = f"about {span(fit.need.seconds)} and {span(fit.back.seconds)} kept free for the way back"
        if fit.window is None:
            page.line(Span("! ", "warn"), f"{fit.hop} fits into no window to come: {need}", indent=2, hang=4)
            continue
        when = f"from {moment(fit.window.begins, window.zone)}"
        if window.open and fit.window.begins.isoformat() == window.opens:
            when = "now"
        sure = "" if fit.worst else "; not if both take long"
        page.line(Span("✓ ", "good"), f"{fit.hop} fits, {when}: {need}{sure}", indent=2, hang=4)


def fit_document(window: Standing, fits: Sequence[HopFit]) -> dict[str, Any]:
    """The same for JSON; times are UTC, ISO 8601."""
    hops = [
        {
            "hop": fit.hop,
            "seconds": fit.need.seconds,
            "way_back_seconds": fit.back.seconds,
            "fits": fit.window is not None,
            "fits_at_worst": fit.worst,
            "opens": fit.window.begins.isoformat() if fit.window else "",
            "ends": fit.window.ends.isoformat() if fit.window and not fit.window.endless else "",
        }
        for fit in fits
    ]
    return {**asdict(window), "hops": hops}
