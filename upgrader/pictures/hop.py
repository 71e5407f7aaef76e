"""A hop as a timeline: one row per stage, so that stages of no time and of nine hours are both readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upgrader.pictures.canvas import Sheet
from upgrader.pictures.values import NoReturn, StageBar, Window
from upgrader.pictures.words import room, shown, spoken, spread, ticks

_MARGIN, _ROW, _BAR = 12.0, 26.0, 14.0
_SHORTEST = 3.0
_UNKNOWN = 40.0
_STATES = {"": "", "done": "✓ ", "running": "▶ ", "failed": "✗ ", "skipped": "- ", "waiting": "… "}
_LOOKS = {"done": "bar-done", "running": "bar", "": "bar"}


@dataclass(frozen=True, slots=True)
class _Placed:
    bar: StageBar
    begins: float

    @property
    def ends(self) -> float:
        return self.begins + max(0.0, self.bar.seconds or 0)


def hop_timeline(
    hop: str,
    stages: Sequence[StageBar],
    *,
    no_return: NoReturn | None = None,
    window: Window | None = None,
    title: str = "",
    words: tuple[str, str] | None = None,
    width: int = 760,
    styled: bool = True,
) -> str:
    """The stages of a hop: above those that may run days before, below those of the window, each on its own axis.

    Bars follow each other unless they say where they begin. Window and point of no return are drawn into the lower
    axis; a point of no return on a stage that is not drawn there is only told. `words` are the headings of the two.
    """
    title = title or f"Hop {hop}"
    sheet = Sheet(width)
    sheet.text(_MARGIN, 22, title, "head", width=sheet.width - 2 * _MARGIN)
    sheet.height = 34.0
    label = _label_width(stages, sheet.width)
    groups = [(when, _placed([bar for bar in stages if bar.when == when])) for when in ("before", "window")]
    heads = words or ("Before the window (may be days before)", _window_words(window))
    for (when, placed), head in zip(groups, heads, strict=True):
        if placed or (when == "window" and window):
            inside = (window, no_return) if when == "window" else (None, None)
            _panel(sheet, head, placed, label, *inside)
    if not stages:
        sheet.text(_MARGIN, sheet.height + 16, "No stage.", "small")
        sheet.height += 28
    return sheet.svg(title, _told(hop, groups, heads, no_return, window), styled=styled)


def _label_width(stages: Sequence[StageBar], width: float) -> float:
    widest = max((room(_STATES[bar.state] + shown(bar.name), 13) for bar in stages), default=0.0)
    return min(widest + 14, width * 0.32)


def _placed(stages: Sequence[StageBar]) -> list[_Placed]:
    at, found = 0.0, []
    for bar in stages:
        placed = _Placed(bar, at if bar.begins is None else max(0.0, bar.begins))
        found.append(placed)
        at = placed.ends
    return found


def _window_words(window: Window | None) -> str:
    if window is None:
        return "In the window"
    begins = f", from {window.begins}" if window.begins else ""
    return f"In the window ({spoken(window.seconds)}{begins})"


def _panel(
    sheet: Sheet, words: str, placed: Sequence[_Placed], label: float, window: Window | None, line: NoReturn | None
) -> None:
    top = sheet.height
    sheet.text(_MARGIN, top + 14, words, "strong", width=sheet.width - 2 * _MARGIN)
    left = _MARGIN + label
    wide = max(60.0, sheet.width - left - _MARGIN - _after(sheet.width))
    ends = max([1.0, *(one.ends for one in placed), window.opens + window.seconds if window else 0.0])
    scale = wide / ends
    crossing = _crossing(placed, line)
    head = top + 24 + (18 if window else 0) + (18 if crossing is not None else 0)
    foot = head + max(1, len(placed)) * _ROW
    _axis(sheet, left, head, foot, ends, scale)
    if window:
        _frame(sheet, window, left, top + 24, foot, scale)
    for at, one in enumerate(placed):
        _shape(sheet, one, left, head + at * _ROW, scale)
    if crossing is not None and line is not None:
        _no_return(sheet, left + crossing * scale, head - 6, foot, line.text)
    for at, one in enumerate(placed):
        _words(sheet, one, left, head + at * _ROW, scale, label)
    sheet.height = foot + 26


def _after(width: float) -> float:
    """Room for words behind the longest bar."""
    return min(170.0, width * 0.24)


def _axis(sheet: Sheet, left: float, head: float, foot: float, ends: float, scale: float) -> None:
    for at in ticks(0, ends, max(2, int(ends * scale / 86))):
        x = left + at * scale
        sheet.line(x, head, x, foot + 4, "grid")
        sheet.text(x, foot + 17, spoken(at) if at else "0", "small", anchor="middle" if at else "start")


def _frame(sheet: Sheet, window: Window, left: float, top: float, foot: float, scale: float) -> None:
    x, wide = left + window.opens * scale, window.seconds * scale
    kept = min(window.way_back_seconds, window.seconds) * scale
    words = f"kept for the way back: {spoken(window.way_back_seconds)}"
    if kept > 0:
        sheet.box(x + wide - kept, top, kept, foot - top, "kept", fill="rain", tip=words)
    sheet.box(x, top, wide, foot - top, "frame", tip=f"the change window: {spoken(window.seconds)}")
    if kept <= 0:
        return
    size, before, after = room(words, 12), x + wide - kept - 5 - _MARGIN, sheet.width - _MARGIN - x - wide - 5
    if size + 8 <= kept:
        sheet.text(x + wide - kept / 2, top + 13, words, "small", anchor="middle")
    elif size <= before or before >= after:
        sheet.text(x + wide - kept - 5, top + 13, words, "small", anchor="end", width=before)
    else:
        sheet.text(x + wide + 5, top + 13, words, "small", width=after)


def _shape(sheet: Sheet, one: _Placed, left: float, top: float, scale: float) -> None:
    bar, y = one.bar, top + (_ROW - _BAR) / 2
    x, tip = left + one.begins * scale, f"{bar.name}: {_length(bar)}"
    wide = _wide(bar, scale)
    if bar.seconds is None:
        sheet.box(x, y, wide, _BAR, "bar-unknown", tip=tip)
    elif bar.state == "failed":
        sheet.box(x, y, wide, _BAR, "bar-failed", fill="mesh", tip=tip)
    elif bar.state in ("waiting", "skipped"):
        sheet.box(x, y, wide, _BAR, "bar-planned", fill="hatch", tip=tip)
    else:
        sheet.box(x, y, wide, _BAR, _LOOKS[bar.state], tip=tip)


def _wide(bar: StageBar, scale: float) -> float:
    return _UNKNOWN if bar.seconds is None else max(_SHORTEST, bar.seconds * scale)


def _words(sheet: Sheet, one: _Placed, left: float, top: float, scale: float, label: float) -> None:
    bar, base = one.bar, top + (_ROW - _BAR) / 2 + 11.5
    x, said = left + one.begins * scale, _length(one.bar)
    sheet.text(_MARGIN, base, _STATES[bar.state] + bar.name, width=label - 8)
    end = x + _wide(bar, scale) + 6
    space = sheet.width - _MARGIN - end
    if room(said, 12) <= space or space >= x - left:
        sheet.text(end, base, said, "small", width=space)
    else:
        sheet.text(x - 6, base, said, "small", anchor="end", width=x - left)


def _length(bar: StageBar) -> str:
    told = "no estimate" if bar.seconds is None else spoken(bar.seconds) + spread(bar.low, bar.high)
    if bar.state == "skipped":
        told = "not needed"
    return f"{told} · {bar.note}" if bar.note else told


def _crossing(placed: Sequence[_Placed], line: NoReturn | None) -> float | None:
    if line is None:
        return None
    found = [one for one in placed if one.bar.name == line.stage]
    return found[-1].begins + max(0.0, line.seconds) if found else None


def _no_return(sheet: Sheet, x: float, top: float, foot: float, text: str) -> None:
    after, before = sheet.width - _MARGIN - x - 6, x - 6 - _MARGIN
    sheet.line(x, top, x, foot + 4, "nogo", tip=text)
    if after >= min(before, room(shown(text), 13.5)):
        sheet.text(x + 6, top + 4, text, "alarm", width=after)
    else:
        sheet.text(x - 6, top + 4, text, "alarm", anchor="end", width=before)


def _told(
    hop: str,
    groups: Sequence[tuple[str, Sequence[_Placed]]],
    heads: Sequence[str],
    line: NoReturn | None,
    window: Window | None,
) -> str:
    inside = groups[-1][1]
    parts = [f"Stages of the hop {hop}."]
    for (_, group), words in zip(groups, heads, strict=True):
        if group:
            parts.append(f"{words}: " + "; ".join(_row_told(one.bar) for one in group) + ".")
    if line:
        crossing = _crossing(inside, line)
        where = f"{spoken(crossing)} after the beginning, " if crossing is not None else ""
        parts.append(f"Line: {line.text}, {where}in stage {line.stage}.")
    if window:
        kept = (
            f", of which {spoken(window.way_back_seconds)} are kept for the way back" if window.way_back_seconds else ""
        )
        needed = max((one.ends for one in inside), default=0.0) - window.opens
        over = needed + window.way_back_seconds - window.seconds
        fits = "The stages fit." if over <= 0 else f"The stages do not fit: {spoken(over)} too long."
        parts.append(f"The window has {spoken(window.seconds)}{kept}. {fits}")
    return " ".join(parts)


def _row_told(bar: StageBar) -> str:
    state = f" {bar.state}" if bar.state else ""
    return f"{bar.name}{state} {_length(bar)}"
