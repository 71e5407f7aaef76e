"""The releases one below the other, with the hops between them: a column fits any number of them and any screen."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.pictures.canvas import Sheet
from upgrader.pictures.values import Edge, Release
from upgrader.pictures.words import ELLIPSIS

_BOX_W, _BOX_H, _GAP, _MARGIN, _TOP = 150.0, 30.0, 34.0, 12.0, 40.0
_LANE = 13.0
_MOST_LANES = 6
_SAID = {
    "open": "known",
    "path": "on the path",
    "done": "done",
    "back": "taken back",
    "blocked": "BLOCKED",
    "skip": "skip, never taken",
}
_LOOKS = {
    "open": ("edge", "tip"),
    "path": ("walked", "tip-walked"),
    "done": ("walked", "tip-walked"),
    "back": ("returned", "tip-shut"),
    "blocked": ("shut", "tip-shut"),
}


def release_graph(
    releases: Sequence[Release],
    edges: Sequence[Edge],
    *,
    title: str = "Releases and the path between them",
    width: int = 760,
    styled: bool = True,
) -> str:
    """The releases in the order given and the hops between them. Edges of unknown releases are left out."""
    places = {release.id: at for at, release in enumerate(releases)}
    known = [edge for edge in edges if edge.source in places and edge.target in places]
    skips = _lanes([edge for edge in known if edge.kind == "skip"], places)
    left = _MARGIN + _LANE * max((lane + 1 for _, lane in skips), default=0)
    sheet = Sheet(width)
    sheet.height = _TOP + len(releases) * (_BOX_H + _GAP) - (_GAP if releases else 0) + 14
    sheet.text(_MARGIN, 22, title, "head", width=sheet.width - 2 * _MARGIN)
    walked = {name for edge in known if edge.kind in ("path", "done", "back") for name in (edge.source, edge.target)}
    for edge, lane in skips:
        _skip(sheet, edge, places, left, lane)
    for edge in known:
        if edge.kind != "skip":
            _hop(sheet, edge, places, left)
    for release in releases:
        _release(sheet, release, _row(places[release.id]), left, walked=release.id in walked)
    if skips:
        sheet.height += 22
        sheet.line(_MARGIN, sheet.height - 14, _MARGIN + 28, sheet.height - 14, "dotted")
        sheet.text(_MARGIN + 36, sheet.height - 10, "upstream would skip here; this tool takes every hop", "small",
                   width=sheet.width - 2 * _MARGIN - 36)  # fmt: skip
    return sheet.svg(title, _told(releases, known), styled=styled)


def _row(at: int) -> float:
    return _TOP + at * (_BOX_H + _GAP)


def _release(sheet: Sheet, release: Release, y: float, left: float, *, walked: bool) -> None:
    look = "box-provisional" if release.provisional else "box-walked" if walked else "box"
    sheet.box(left, y, _BOX_W, _BOX_H, look, round_=5)
    sheet.text(left + 10, y + 20, release.id, "strong", width=60)
    sheet.text(left + 66, y + 20, release.codename, "inside", width=_BOX_W - 72)
    note = release.note or ("not published yet" if release.provisional else "")
    if note:
        x = left + _BOX_W + 12
        sheet.text(x, y + 20, note, width=sheet.width - x - _MARGIN)


def _hop(sheet: Sheet, edge: Edge, places: dict[str, int], left: float) -> None:
    look, tip = _LOOKS[edge.kind]
    start, end = places[edge.source], places[edge.target]
    x, top, bottom = left + 30, _row(start) + _BOX_H, _row(end)
    if end <= start:
        return
    if edge.kind == "back":
        sheet.line(x, top + 9, x, bottom, look, tip=f"{edge.source} → {edge.target}: {_said(edge)}")
        sheet.path(tip, "M", x - 6, top + 10, "L", x + 6, top + 10, "L", x, top + 1, "Z")
    else:
        sheet.line(x, top, x, bottom - 9, look, tip=f"{edge.source} → {edge.target}: {_said(edge)}")
        sheet.path(tip, "M", x - 6, bottom - 10, "L", x + 6, bottom - 10, "L", x, bottom - 1, "Z")
    middle = (top + bottom) / 2
    if edge.kind == "blocked":
        sheet.path("cross", "M", x - 7, middle - 9, "l", 14.0, 14.0, "m", -14.0, 0.0, "l", 14.0, -14.0)
    sheet.text(x + 18, middle + 3, _said(edge), "alarm" if edge.kind in ("back", "blocked") else "small",
               width=sheet.width - x - 18 - _MARGIN)  # fmt: skip


def _said(edge: Edge) -> str:
    if edge.kind == "open" and not edge.note:
        return ""
    return f"{_SAID[edge.kind]}: {edge.note}" if edge.note and edge.kind != "open" else edge.note or _SAID[edge.kind]


def _lanes(skips: Sequence[Edge], places: dict[str, int]) -> list[tuple[Edge, int]]:
    """Skips beside each other where they overlap; those for which there is no lane are left to the words."""
    taken: list[int] = []
    found = []
    for edge in sorted(skips, key=lambda edge: (places[edge.source], places[edge.target])):
        free = next((lane for lane, end in enumerate(taken) if end <= places[edge.source]), len(taken))
        if free >= _MOST_LANES or places[edge.target] <= places[edge.source]:
            continue
        taken[free:] = [places[edge.target], *taken[free + 1 :]]
        found.append((edge, free))
    return found


def _skip(sheet: Sheet, edge: Edge, places: dict[str, int], left: float, lane: int) -> None:
    x = left - _LANE * (lane + 1) + 3
    top, bottom = _row(places[edge.source]) + _BOX_H / 2 + 5, _row(places[edge.target]) + _BOX_H / 2 - 5
    tip = f"{edge.source} → {edge.target}: {_SAID['skip']}"
    sheet.path("dotted", "M", left, top, "L", x, top, "L", x, bottom, "L", left - 4, bottom, tip=tip)
    sheet.path("tip", "M", left - 6, bottom - 4, "L", left - 6, bottom + 4, "L", left, bottom, "Z")


def _told(releases: Sequence[Release], edges: Sequence[Edge]) -> str:
    if not releases:
        return "No release is known."
    named = ", ".join(f"{one.id}{f' ({one.note})' if one.note else ''}" for one in releases[:12])
    more = f" {ELLIPSIS} and {len(releases) - 12} more" if len(releases) > 12 else ""
    hops = "; ".join(
        f"{edge.source} → {edge.target} {_SAID[edge.kind]}{f': {edge.note}' if edge.note else ''}"
        for edge in edges
        if edge.kind != "open"
    )
    return f"Releases in order: {named}{more}. {hops + '.' if hops else 'No path is marked.'}"
