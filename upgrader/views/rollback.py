"""The way back in words: what each service needs, and what a restore would lose, by table and by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from upgrader.back_map import BackMap, ServiceWay
from upgrader.database.losses import Fate, Losses, RowChange, Since
from upgrader.model import Way
from upgrader.views.page import Page, Span, Tone

_TONES: dict[Way, Tone] = {Way.REDEPLOY: "good", Way.RESTORE: "warn", Way.FORWARD_ONLY: "bad", Way.NOTHING: "dim"}
_FATES: dict[Fate, str] = {
    "orphan": "Made since: they go on existing, and nothing would know them (orphans)",
    "ghost": "Deleted since: they would be listed again, and are gone (ghosts)",
    "lost": "Made since, and kept nowhere but in the databases: lost",
    "undone": "Changed since: would be again as it was at the backup",
}
_KINDS = {
    "passwords": "passwords set (the ones before would be valid again)",
    "revocations": "token revocations (those tokens would be valid again until they expire)",
    "instances-deleted": "instances",
    "volumes-deleted": "volumes",
    "images-deleted": "images",
    "stacks-deleted": "stacks",
    "instances-changed": "instances",
    "volumes-changed": "volumes",
    "images-changed": "images",
    "networking-changed": "Neutron resources (ports, networks, routers …)",
    "allocations-changed": "allocations",
}
_MOST_TABLES = 15


def back_page(found: BackMap, *, site: str, age: str, next_commands: Sequence[str] = ()) -> Page:
    """The whole map. `age` is how long ago the set was taken, in words."""
    page = Page()
    way = {Way.REDEPLOY: "deploy the old release", Way.RESTORE: "restore the databases"}.get(found.best, "none")
    page.line(Span(site, "strong"), f" · way back {found.target} → {found.source}: ", Span(way, _TONES[found.best]))
    for reason in found.reasons:
        page.line(reason, indent=2)
    page.blank()
    page.columns([_service(row) for row in found.services], indent=2)
    if found.losses is not None:
        page.blank()
        _lost(page, found.losses, age, found)
        _partial(page, found)
    if next_commands:
        page.next(*next_commands)
    return page


def _service(row: ServiceWay) -> tuple[Span | str, ...]:
    return (Span(row.service, "strong"), Span(row.way.value, _TONES[row.way]), row.why)


def _lost(page: Page, lost: Losses, age: str, found: BackMap) -> None:
    state = f", {found.backup_state}" if found.backup_state else ""
    page.ruled(f"what a restore would lose: everything written since {lost.since} ({age} ago)")
    page.line(f"Backup {found.backup_set}{state}")
    if lost.error:
        page.line(Span("Unknown: ", "bad"), f"the databases could not be asked: {lost.error}")
        return
    rows(page, lost.rows)
    for fate, title in _FATES.items():
        _fate(page, title, [row for row in lost.created if row.fate == fate])
    if lost.schemas_since:
        page.line("Schemas that are not in the backup: ", ", ".join(lost.schemas_since), " (they are left as they are)")
    if not lost.rows and not lost.created:
        page.line("Nothing that is counted or bears a time was written since.")
    page.line(Span("Rows changed in place without a time of it are not seen by any of this.", "dim"))


def rows(page: Page, changes: Iterable[RowChange]) -> None:
    """The tables whose number of rows differs, the biggest difference first, by service's schema."""
    changes = sorted(changes, key=lambda row: (row.now is not None, -abs((row.now or 0) - row.then), row.table))
    if not changes:
        return
    page.line("Rows, at the backup and now:")
    shown = [(row.table, str(row.then), "→", *_now(row)) for row in changes[:_MOST_TABLES]]
    page.columns(shown, indent=2)
    if len(changes) > _MOST_TABLES:
        page.line(f"and {len(changes) - _MOST_TABLES} tables more (--json has all)", indent=2)


def _now(row: RowChange) -> tuple[Span | str, ...]:
    if row.now is None:
        return (Span("unknown", "bad"), "it could not be read")
    words = f"{row.now - row.then} written since" if row.now > row.then else f"{row.then - row.now} fewer"
    return (str(row.now), words)


def _fate(page: Page, title: str, since: Sequence[Since]) -> None:
    if not since:
        return
    page.line(title + ":")
    for row in since:
        name = _KINDS.get(row.kind, row.kind.replace("-", " "))
        if row.count is None:
            page.line(f"{name}: ", Span("unknown", "bad"), f" ({row.why})", indent=2)
            continue
        page.line(f"{row.count} {name}{':' if row.first else ''}", indent=2)
        for one in row.first:
            page.line(" ".join(filter(None, (one.id, one.name, one.at))), indent=4)
        if row.first and row.count > len(row.first):
            page.line(f"and {row.count - len(row.first)} more", indent=4)


def _partial(page: Page, found: BackMap) -> None:
    judged = [row for row in found.services if row.alone is not None]
    if not judged:
        return
    page.line("Restoring only what the hop changed:")
    page.columns(
        [(Span(row.service, "strong"), "sound" if row.alone else "refused", row.alone_why) for row in judged], indent=2
    )
