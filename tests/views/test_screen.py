"""What stands on a terminal after a draw is what was drawn, and only what changed was sent."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.screen_kit import Terminal
from upgrader.views.page import Span
from upgrader.views.screen import Screen

WIDTH, HEIGHT = 30, 6


class Stream(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]


LINES = st.lists(
    st.lists(st.builds(Span, st.text("ab ─宽é", max_size=6), st.sampled_from(["", "good", "bad", "dim"])), max_size=2),
    max_size=HEIGHT,
)


@given(st.lists(LINES, min_size=1, max_size=5), st.booleans())
def test_what_was_drawn_stands_there(screens: list[list[list[Span]]], color: bool):
    stream = Stream()
    screen, terminal = Screen(stream, color=color), Terminal(WIDTH, HEIGHT)
    screen.open()
    for lines in screens:
        screen.draw(lines)
    terminal.feed(stream.getvalue())
    drawn = ["".join(span.text for span in line).rstrip() for line in screens[-1]]
    assert terminal.text() == drawn + [""] * (HEIGHT - len(drawn))
    assert terminal.colour == "", "no colour is left on"
    assert color or "m" not in re.findall(r"\x1b\[[0-9;]*([A-Za-z])", stream.getvalue())


def test_nothing_changed_nothing_sent():
    stream = Stream()
    screen = Screen(stream, color=True)
    screen.draw([[Span("steady")]])
    before = screen.sent
    screen.draw([[Span("steady")]])
    assert screen.sent == before


def test_a_clock_costs_a_few_bytes():
    stream = Stream()
    screen = Screen(stream, color=True)
    screen.draw([[Span("upgrade", "strong"), Span(" 17:20 gone, about 11 min left")]] * 3)
    before = screen.sent
    screen.draw([[Span("upgrade", "strong"), Span(" 17:21 gone, about 11 min left")]] * 3)
    assert screen.sent - before <= 3 * 8


def test_what_a_stream_cannot_say():
    stream = Stream()
    stream.encoding = "ascii"  # type: ignore[assignment]
    screen = Screen(stream, color=False)
    screen.draw([[Span("═══ ✗ é")]])
    assert stream.getvalue().endswith(r"=== x \xe9")


def test_the_screen_comes_back_once():
    stream = Stream()
    screen = Screen(stream, color=False)
    screen.open()
    screen.close()
    screen.close()
    assert stream.getvalue().count("\x1b[?1049h") == stream.getvalue().count("\x1b[?1049l") == 1


@pytest.mark.parametrize("before", [[], [[Span("x" * WIDTH)]]])
def test_a_line_as_wide_as_the_screen_keeps_its_last_character(before: list[list[Span]]):
    stream = Stream()
    screen, terminal = Screen(stream, color=False), Terminal(WIDTH, HEIGHT)
    screen.draw(before)
    screen.draw([[Span("y" * WIDTH)]])
    screen.draw([[Span("y" * (WIDTH - 1))]])
    screen.draw([[Span("z" * WIDTH)]])
    terminal.feed(stream.getvalue())
    assert terminal.text()[0] == "z" * WIDTH


def test_what_stands_behind_a_wide_character_is_found_again():
    stream = Stream()
    screen, terminal = Screen(stream, color=False), Terminal(WIDTH, HEIGHT)
    screen.draw([[Span("宽 ctl1 ok")]])
    screen.draw([[Span("宽 ctl2 ok")]])
    terminal.feed(stream.getvalue())
    assert terminal.text()[0] == "宽 ctl2 ok"
