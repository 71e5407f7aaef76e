"""A watched run on screens of any size, and as lines in a pipe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from upgrader.status import Choice, InFlight, Report, Verdict
from upgrader.views.page import cells
from upgrader.views.watch import changes, clock, fitted, short
from upgrader.watch.model import (
    Api,
    Happening,
    Hosts,
    Insight,
    Pace,
    StageLine,
    TaskLine,
    Tasks,
    Trouble,
    Watched,
)

AT = "2026-11-22T14:41:31+00:00"
REPORT = Report(
    site="prod-fra", verdict=Verdict.RUNNING, run="r", hop=1, hops=(("2024.1", "2024.2", "upgrade"),) * 3,
    source="2024.1", target="2024.2", state="upgrade", ponr="possible", way_back="restore",
    restore_services=("neutron",),
    attempt=InFlight("a", "upgrade", 2, "running"), choices=(Choice("upgrader status", "look again"),),
    ponr_words="the first schema change of neutron",
)  # fmt: skip
SEEN = Watched(
    AT,
    REPORT,
    stages=(
        StageLine("preflight", "done", 1, 41.0, 60.0),
        StageLine("upgrade", "now", 2, None, 1680.0),
        StageLine("verify", "next", 0, None, 240.0),
    ),
    hosts=Hosts(
        27, 25, 1, 1, 3,
        (Trouble("cmp07", "failed", "pull", "no space"), Trouble("cmp\x1b[2J", "unreachable", "p")),
    ),
    tasks=Tasks(
        "kolla-ansible upgrade", "Apply role neutron", TaskLine("Running expand", "neutron", AT, None, 38.0), "ctl1",
        120, 163, (TaskLine("Copying over config", "neutron", AT, 12.0),),
    ),
    pace=Pace("slow", "neutron : Running expand has run for 95 s, usually 38 s", 1040, 660, 480, 900, 900, 0.61,
              "rehearsal", 1, 95, 95),
    apis=(Api("keystone", "up"), Api("neutron", "away", 41)),
    ponr_at="2026-11-22T14:41:07+00:00",
    ponr_task="Running expand",
    insights=(Insight("warn", "old-computes: cmp07 is old"), Insight("info", "accepted by anna")),
    events=(Happening(7, "2026-11-22T14:40:12+00:00", "upgrade begins"),),
)  # fmt: skip
FOOT = "Ctrl-C: stop watching"


def drawn(seen: Watched, width: int, height: int, encoding: str = "utf-8") -> list[str]:
    return ["".join(span.text for span in line).rstrip() for line in fitted(seen, width, height, FOOT, encoding)]


def test_all_of_it():
    page = "\n".join(drawn(SEEN, 100, 60))
    for words in (
        "prod-fra · RUNNING · hop 1 of 3 · 2024.1 → 2024.2 · upgrade, attempt 2", "✓ preflight 41 s  → upgrade ×2",  # noqa: RUF001
        "· verify ~4 min", "61 %  17:20 gone, about 11 min left (8 min to 15 min, rehearsal)", "SLOW", "usually 38 s",
        "25 ok · 1 failed · 1 unreachable · 3 of 27 through this task", "neutron AWAY 41 s · keystone 0 s",
        "point of no return crossed 14:41:07 UTC", "way back: restore of neutron", "old-computes",
        "14:40:12 upgrade begins", FOOT,
    ):  # fmt: skip
        assert words in page, f"{words!r} is not in\n{page}"
    assert "\x1b" not in page


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [4, 10, 24, 60])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_size(width: int, height: int, encoding: str):
    long = replace(SEEN, insights=SEEN.insights * 6, events=SEEN.events * 12)
    lines = drawn(long, width, height, encoding)
    assert "".join(lines).encode(encoding)
    assert len(lines) <= height
    assert all(cells(line) <= width for line in lines), "a terminal would put the rest on the next line"
    assert lines[0].startswith("prod-fra")


def test_what_is_cut_is_said():
    assert "more lines: upgrader status" in drawn(SEEN, 40, 6)[-1]
    assert FOOT in drawn(SEEN, 40, 24)[-1]


def test_lists_shrink_before_anything_is_cut():
    long = replace(SEEN, events=tuple(replace(SEEN.events[0], seq=n, text=f"event {n}") for n in range(12)))
    lines = drawn(long, 80, 18)
    assert "event 11" in "\n".join(lines) and "event 0" not in "\n".join(lines)
    assert "more lines" not in "\n".join(lines)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict(verdict: Verdict):
    run = "" if verdict is Verdict.NO_RUN else "r"
    seen = Watched(AT, replace(REPORT, verdict=verdict, run=run, attempt=None))
    assert drawn(seen, 80, 24)[0].startswith("prod-fra · ")
    wanted = verdict in (Verdict.WAITING, Verdict.DECISION, Verdict.ATTENTION, Verdict.FAILED_CLEAN, Verdict.NO_RUN)
    assert ("You can:" in "\n".join(drawn(seen, 80, 24))) is wanted


def test_a_failed_look_is_said_on_top():
    assert "cannot be read now, this is from before: disk" in drawn(replace(SEEN, trouble="disk"), 100, 24)[1]


def test_lines_of_a_pipe():
    first = changes(None, SEEN)
    assert first[0] == "2026-11-22T14:41:31Z prod-fra: RUNNING hop 1 of 3 2024.1 → 2024.2"
    assert changes(SEEN, SEEN) == []
    assert changes(SEEN, replace(SEEN, pace=replace(SEEN.pace, elapsed=1041.0), at="2026-11-22T14:41:32+00:00")) == []
    news = Happening(8, "2026-11-22T14:42:00+00:00", "upgrade succeeded")
    later = replace(
        SEEN, events=(*SEEN.events, news), apis=(Api("keystone", "up"), Api("neutron", "up", 44)),
        pace=replace(SEEN.pace, tempo="stalled", why="nothing heard"), report=replace(REPORT, verdict=Verdict.WAITING),
        hosts=replace(SEEN.hosts, troubled=(*SEEN.hosts.troubled, Trouble("ctl1", "failed", "t", "a\nb"))),
        trouble="disk",
    )  # fmt: skip
    told = "\n".join(changes(SEEN, later))
    for words in ("WAITING", "14:42:00Z · upgrade succeeded", "API neutron up, 44 s away", "STALLED?: nothing heard",
                  "ctl1 failed at t: a b", "cannot be read now: disk"):  # fmt: skip
        assert words in told
    assert "upgrade begins" not in told


@pytest.mark.parametrize(
    ("seconds", "told"), [(None, "?"), (0, "0 s"), (0.34, "0.3 s"), (41, "41 s"), (720, "12 min 00 s")]
)
def test_short(seconds: float | None, told: str):
    assert short(seconds) == told


@pytest.mark.parametrize(("seconds", "told"), [(None, "0:00"), (41, "0:41"), (1040, "17:20"), (3723, "1:02:03")])
def test_clock(seconds: float | None, told: str):
    assert clock(seconds) == told
