"""Planned beside actual, row by row on one axis: the plan hatched with its spread, what happened solid."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.pictures.canvas import Sheet
from upgrader.pictures.values import Duration
from upgrader.pictures.words import room, shown, spoken, spread, ticks

_MARGIN, _ROW, _BAR = 12.0, 36.0, 10.0
_SHORTEST = 3.0
_HEAD = 62.0


def durations(
    rows: Sequence[Duration],
    *,
    title: str = "Durations, planned and actual",
    width: int = 760,
    styled: bool = True,
) -> str:
    """One row per stage: above what was planned, below what it took."""
    sheet = Sheet(width)
    sheet.text(_MARGIN, 22, title, "head", width=sheet.width - 2 * _MARGIN)
    label = min(max((room(shown(row.label), 13) for row in rows), default=0.0) + 14, sheet.width * 0.36)
    left = _MARGIN + label
    wide = max(60.0, sheet.width - left - _MARGIN - min(240.0, sheet.width * 0.32))
    longest = max([1.0, *(value for row in rows for value in (row.planned, row.high, row.actual) if value)])
    scale = wide / longest
    foot = _HEAD + max(1, len(rows)) * _ROW
    _legend(sheet)
    for at in ticks(0, longest, max(2, int(wide / 86))):
        x = left + at * scale
        sheet.line(x, _HEAD, x, foot + 4, "grid")
        sheet.text(x, foot + 17, spoken(at) if at else "0", "small", anchor="middle" if at else "start")
    for at, row in enumerate(rows):
        _pair(sheet, row, left, _HEAD + at * _ROW, scale, label)
    if not rows:
        sheet.text(_MARGIN, _HEAD + 20, "Nothing was measured.", "small")
    sheet.height = foot + 26
    return sheet.svg(title, _told(rows), styled=styled)


def _legend(sheet: Sheet) -> None:
    y = 36.0
    sheet.box(_MARGIN, y, 26, _BAR, "bar-planned", fill="hatch")
    sheet.text(_MARGIN + 32, y + 9.5, "planned, with its spread", "small")
    sheet.box(_MARGIN + 192, y, 26, _BAR, "bar-done")
    sheet.text(_MARGIN + 224, y + 9.5, "actual", "small")


def _pair(sheet: Sheet, row: Duration, left: float, top: float, scale: float, label: float) -> None:
    y, end = top + 7, left
    sheet.text(_MARGIN, y + 14, row.label, width=label - 8)
    if row.planned is not None:
        told = f"planned {spoken(row.planned)}{spread(row.low, row.high)}"
        sheet.box(left, y, max(_SHORTEST, row.planned * scale), _BAR, "bar-planned", fill="hatch", tip=told)
        end = max(end, left + row.planned * scale)
    if row.low is not None and row.high is not None and row.high > row.low:
        middle, low, high = y + _BAR / 2, left + row.low * scale, left + row.high * scale
        sheet.path(
            "spread", "M", low, middle - 4, "v", 8.0, "m", 0.0, -4.0, "L", high, middle, "m", 0.0, -4.0, "v", 8.0
        )
        end = max(end, high)
    if row.actual is not None:
        sheet.box(left, y + _BAR + 2, max(_SHORTEST, row.actual * scale), _BAR, "bar-done",
                  tip=f"actual {spoken(row.actual)}")  # fmt: skip
        end = max(end, left + row.actual * scale)
    space = sheet.width - _MARGIN - end - 8
    sheet.text(end + 8, y + 9.5, spoken(row.planned) if row.planned is not None else "not planned", "small",
               width=space)  # fmt: skip
    sheet.text(end + 8, y + 21.5, _actual(row), "small", width=space)


def _actual(row: Duration) -> str:
    told = "not measured" if row.actual is None else spoken(row.actual)
    if row.actual is not None and row.planned:
        times = row.actual / row.planned
        told += " (over 100 times)" if times > 99.95 else f" ({times:.1f} times)" if times >= 0.05 else ""
    return f"{told} · {row.note}" if row.note else told


def _told(rows: Sequence[Duration]) -> str:
    if not rows:
        return "Nothing was measured."
    told = []
    for row in rows:
        planned = (
            f"planned {spoken(row.planned)}{spread(row.low, row.high)}" if row.planned is not None else "not planned"
        )
        actual = "not measured" if row.actual is None else f"took {spoken(row.actual)}"
        told.append(f"{row.label}: {planned}, {actual}{f' ({row.note})' if row.note else ''}")
    return "; ".join(told) + "."
