"""What dumps say of the release of their databases, as a page."""

from __future__ import annotations

from upgrader.database.inspect_dump import Inspection
from upgrader.graph.heads import DatabaseReading, span
from upgrader.views.page import Page, Span, Tone

_TONES: dict[str, Tone] = {"complete": "good", "half-migrated": "bad", "foreign": "bad", "empty": "warn"}


def inspect_page(found: Inspection) -> Page:
    """What is wrong first, then the verdict, then every database."""
    page = Page()
    for trouble in found.troubles:
        page.line(Span("✗ ", "bad"), Span(f"{trouble.source}: {trouble.kind}", "bad"), f"  {trouble.message}")
    if found.troubles:
        page.blank()
    page.line(*verdict(found))
    if found.databases:
        page.blank()
        page.columns([_row(reading) for reading in found.databases], indent=1)
    ways = dict.fromkeys(reading.way_out for reading in found.databases if reading.way_out)
    for way in ways:
        page.blank()
        page.line(Span("Way out: ", "strong"), way, hang=9)
    if found.ignored:
        page.blank()
        page.line(Span(f"not known to the release graph: {', '.join(found.ignored)}", "dim"), hang=2)
    page.blank()
    for source in found.sources:
        size = f"{source.bytes / 1e6:.1f} MB of SQL read" if source.bytes else "nothing read"
        how = f" ({source.compression})" if source.compression else ""
        server = f", taken from {source.server_version}" if source.server_version else ""
        page.line(Span(f"{source.name}{how}: {source.format}, {size}{server}", "dim"), hang=2)
    return page


def verdict(found: Inspection) -> tuple[Span | str, ...]:
    """The one line that answers the question."""
    if found.verdict == "release":
        known = len([reading for reading in found.databases if reading.kind == "complete"])
        several = len(found.releases) > 1
        told = f"  {known} database{'' if known == 1 else 's'} agree{'s' if known == 1 else ''}"
        more = "; the schemas of these releases are the same, ask the images or packages" if several else ""
        return Span(f"Release {span(found.releases)}", "strong"), told + more
    if found.verdict == "mixed":
        return Span("mixed", "bad"), "  every database is complete, but no release has all of these schemas"
    if found.verdict == "half-migrated":
        names = [reading.database for reading in found.databases if reading.kind == "half-migrated"]
        return Span("half-migrated", "bad"), f"  {', '.join(names)}: a migration was interrupted or is under way"
    if found.verdict == "unknown head":
        names = [reading.database for reading in found.databases if reading.kind == "foreign"]
        return Span("unknown head", "bad"), f"  {', '.join(names)}: newer than every known release, or not upstream's"
    return Span("no release", "bad"), "  no version rows of a known service were found"


def _row(reading: DatabaseReading) -> list[Span]:
    known = "" if reading.schema_name in ("", reading.database) else f" ({reading.schema_name})"
    return [Span(f"{reading.database}{known}", "strong"), Span(reading.note, _TONES[reading.kind])]
