"""When which API was away: one thin row per API, a solid block where it did not answer."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.pictures.canvas import Sheet
from upgrader.pictures.values import Api, Mark, Outage
from upgrader.pictures.words import clock, day, room, shown, spoken, ticks

_MARGIN, _ROW, _BLOCK = 12.0, 20.0, 12.0
_SHORTEST = 2.5
_MARK_ROWS = 6
_MOST_TIPS = 400
"""More outages than this have no words of their own: they would be most of the file."""


def availability_strip(
    apis: Sequence[Api],
    *,
    begins: float,
    ends: float,
    marks: Sequence[Mark] = (),
    title: str = "API availability",
    width: int = 760,
    styled: bool = True,
) -> str:
    """The time from `begins` to `ends` (moments), one row per API. Marks are named above, e.g. beginnings of stages."""
    ends = max(ends, begins + 1)
    sheet = Sheet(width)
    sheet.text(_MARGIN, 22, title, "head", width=sheet.width - 2 * _MARGIN)
    top = _legend(sheet, f"{day(begins)} UTC")
    label = min(max((room(shown(api.name), 13) for api in apis), default=0.0) + 14, sheet.width * 0.34)
    left = _MARGIN + label
    wide = max(60.0, sheet.width - left - _MARGIN - min(112.0, sheet.width * 0.27))
    scale = wide / (ends - begins)
    inside = [mark for mark in marks if begins <= mark.at <= ends]
    head = top + 16 * _place_marks(sheet, inside, left, top + 10, begins, scale)
    foot = head + max(1, len(apis)) * _ROW
    for mark in inside:
        x = left + (mark.at - begins) * scale
        sheet.line(x, head - 2, x, foot, "nogo" if mark.strong else "dotted", tip=f"{mark.text} {clock(mark.at)} UTC")
    short = ends - begins < 600
    for at in ticks(begins, ends, max(2, int(wide / 86))):
        x = left + (at - begins) * scale
        sheet.line(x, foot, x, foot + 4, "grid")
        sheet.text(x, foot + 17, clock(at, seconds=short), "small", anchor="middle")
    tips = sum(len(api.outages) for api in apis) <= _MOST_TIPS
    for at, api in enumerate(apis):
        _row(sheet, api, head + at * _ROW, left, label, wide, begins, ends, tips=tips)
    if not apis:
        sheet.text(_MARGIN, head + 14, "No API was asked.", "small")
    sheet.height = foot + 26
    return sheet.svg(title, _told(apis, begins, ends), styled=styled)


def _legend(sheet: Sheet, date: str) -> float:
    """In one line, or in as many as it needs. Returns where the picture may go on."""
    size = sheet.width - 2 * _MARGIN
    parts = [date, "solid block: no answer", "line: answered", "nothing: not asked"]
    told = (
        [" · ".join(parts)] if room(" · ".join(parts), 12) <= size else [" · ".join(parts[:2]), " · ".join(parts[2:])]
    )
    for at, line in enumerate(told):
        sheet.text(_MARGIN, 40 + 16 * at, line, "small", width=size)
    return 34 + 16.0 * len(told)


def _place_marks(sheet: Sheet, marks: Sequence[Mark], left: float, top: float, begins: float, scale: float) -> int:
    """Names of the marks in as many lines as they need; what finds no place is only a tip. Returns the lines used."""
    taken: list[float] = []
    for mark in marks:
        x = left + (mark.at - begins) * scale
        size = room(shown(mark.text), 12.5) + 8
        start = x if x + size <= sheet.width - _MARGIN else max(left, x - size)
        row = next((at for at, end in enumerate(taken) if end <= start), len(taken))
        if row >= _MARK_ROWS:
            continue
        taken[row:] = [start + size, *taken[row + 1 :]]
        sheet.text(
            start, top + 16 * row, mark.text, "alarm" if mark.strong else "small", width=sheet.width - _MARGIN - start
        )
    return len(taken)


def _row(
    sheet: Sheet, api: Api, top: float, left: float, label: float, wide: float, begins: float, ends: float, *,
    tips: bool,
) -> None:  # fmt: skip
    scale, middle = wide / (ends - begins), top + _ROW / 2
    sheet.text(_MARGIN, top + 14.5, api.name, width=label - 8)
    asked = max(begins, begins if api.asked_from is None else api.asked_from)
    until = min(ends, ends if api.asked_to is None else api.asked_to)
    if until > asked:
        sheet.line(left + (asked - begins) * scale, middle, left + (until - begins) * scale, middle, "up")
    for outage in api.outages:
        end = until if outage.ended is None else min(outage.ended, ends)
        start = min(max(outage.began, begins), ends)
        tip = _tip(api, outage, end) if tips else ""
        x = left + (start - begins) * scale
        sheet.box(x, top + (_ROW - _BLOCK) / 2, max(_SHORTEST, (end - start) * scale), _BLOCK, "away", tip=tip)
    sheet.text(left + wide + 8, top + 14.5, _sum(api, until), "small", width=sheet.width - left - wide - 8 - 2)


def _tip(api: Api, outage: Outage, end: float) -> str:
    note = f": {outage.note}" if outage.note else ""
    still = ", still away" if outage.ended is None else ""
    return f"{api.name} away from {clock(outage.began)} UTC, {spoken(max(0.0, end - outage.began))}{still}{note}"


def _sum(api: Api, until: float) -> str:
    if api.text:
        return api.text
    if not api.outages:
        return "always there"
    away = sum(max(0.0, (until if one.ended is None else one.ended) - one.began) for one in api.outages)
    return f"{spoken(away)} away"


def _told(apis: Sequence[Api], begins: float, ends: float) -> str:
    span = f"From {day(begins)} {clock(begins)} to {day(ends)} {clock(ends)} UTC."
    if not apis:
        return f"{span} No API was asked."
    away = [api for api in apis if api.outages]
    quiet = len(apis) - len(away)
    told = "; ".join(
        f"{api.name} {_sum(api, min(ends, ends if api.asked_to is None else api.asked_to))} in "
        f"{len(api.outages)} {'outage' if len(api.outages) == 1 else 'outages'}"
        for api in away
    )
    rest = f"{quiet} of {len(apis)} APIs always answered." if quiet else ""
    return " ".join(part for part in (span, f"{told}." if told else "", rest) if part)
