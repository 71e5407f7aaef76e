"""What stands on a terminal after a draw is what was drawn, and only what changed was sent."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.views.page import Span, cells
from upgrader.views.screen import Screen

WIDTH, HEIGHT = 30, 6
_TOKEN = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|([^\x1b])", re.S)


class Stream(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]


class Terminal:
    """As much of a terminal as is used: positions, erasing, colours that are on."""

    def __init__(self) -> None:
        self.rows = [[(" ", "")] * WIDTH for _ in range(HEIGHT)]
        self.row = self.column = 0
        self.colour = ""

    def feed(self, text: str) -> None:
        for numbers, command, char in _TOKEN.findall(text):
            if char:
                self._put(char)
            elif command == "H":
                row, _, column = numbers.partition(";")
                self.row, self.column = int(row) - 1, int(column) - 1
            elif command == "K":
                for column in range(self.column, WIDTH):
                    self.rows[self.row][column] = (" ", "")
            elif command == "J":
                self.rows = [[(" ", "")] * WIDTH for _ in range(HEIGHT)]
            elif command == "m":
                self.colour = numbers
            else:
                assert command in "hl", command

    def _put(self, char: str) -> None:
        assert self.column + cells(char) <= WIDTH, "it would wrap"
        self.rows[self.row][self.column] = (char, self.colour)
        if cells(char) == 2:
            self.rows[self.row][self.column + 1] = ("", self.colour)
        self.column += cells(char)

    def text(self) -> list[str]:
        return ["".join(char for char, _ in row).rstrip() for row in self.rows]


LINES = st.lists(
    st.lists(st.builds(Span, st.text("ab ─宽é", max_size=6), st.sampled_from(["", "good", "bad", "dim"])), max_size=2),
    max_size=HEIGHT,
)


@given(st.lists(LINES, min_size=1, max_size=5), st.booleans())
def test_what_was_drawn_stands_there(screens: list[list[list[Span]]], color: bool):
    stream = Stream()
    screen, terminal = Screen(stream, color=color), Terminal()
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
    screen, terminal = Screen(stream, color=False), Terminal()
    screen.draw(before)
    screen.draw([[Span("y" * WIDTH)]])
    screen.draw([[Span("y" * (WIDTH - 1))]])
    screen.draw([[Span("z" * WIDTH)]])
    terminal.feed(stream.getvalue())
    assert terminal.text()[0] == "z" * WIDTH
