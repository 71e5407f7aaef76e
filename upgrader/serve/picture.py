"""The current hop as a timeline: what its stages took, and what the others are expected to take."""

from __future__ import annotations

from urllib.parse import parse_qs

from upgrader.pictures import StageBar, hop_timeline
from upgrader.pictures.values import StageState as Drawn
from upgrader.states import INFO, State
from upgrader.watch.model import StageLine, StageState, Watched

NARROWEST, WIDEST, USUAL = 320, 1000, 440
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of the picture alone: its style is in it."""
_STATES: dict[StageState, Drawn] = {
    "done": "done", "failed": "failed", "interrupted": "failed", "now": "running", "waits": "waiting",
    "passed": "skipped", "next": "",
}  # fmt: skip


def hop_picture(seen: Watched, query: str) -> str:
    """SVG; `width` of the query in pixels, bounded. Anything else in it counts for nothing."""
    report = seen.report
    name = f"{report.source} → {report.target}" if report.run else "none"
    words = ("Before the window", "In the window")
    return hop_timeline(name, [_bar(line) for line in seen.stages], words=words, width=_width(query))


def _bar(line: StageLine) -> StageBar:
    known = line.seconds if line.seconds is not None else line.estimate
    took = {"passed": 0.0, "interrupted": None}.get(line.state, known)  # how far it came, nobody knows
    before = INFO[State(line.name)].when == "before"
    return StageBar(line.name, took, when="before" if before else "window", state=_STATES[line.state])


def _width(query: str) -> int:
    try:
        wanted = int(parse_qs(query, max_num_fields=10).get("width", [""])[0])
    except ValueError:
        return USUAL
    return min(max(wanted, NARROWEST), WIDEST)
