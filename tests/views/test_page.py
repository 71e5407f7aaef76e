"""Pages: same words in every form, nothing cut, nothing interpreted."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from upgrader.errors import FailedCleanError, RefusedError, UpgraderError
from upgrader.views.error import error_text
from upgrader.views.page import Page, Span, cells, plain_text
from upgrader.views.plain import fit, safe
from upgrader.views.terminal import coloured, show

CODES = re.compile(r"\x1b\[[0-9;]*m")


def page_of(text: str) -> Page:
    page = Page()
    page.line(text, indent=2)
    page.columns([("name", Span(text, "bad")), ("longer name", "x")])
    page.ruled(text)
    page.next("upgrader status")
    return page


@given(st.text())
def test_nothing_a_host_says_reaches_the_terminal_as_a_control_character(text: str) -> None:
    for drawn in (
        plain_text(page_of(text)),
        plain_text(page_of(text), width=40),
        CODES.sub("", coloured(page_of(text), 80)),
    ):
        assert not [char for char in drawn if char != "\n" and not char.isprintable() and char.isascii()]
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn


@given(st.text())
def test_any_text_can_be_said_on_an_ascii_stream(text: str) -> None:
    plain_text(page_of(text), encoding="ascii").encode("ascii")
    CODES.sub("", coloured(page_of(text), 80, "ascii")).encode("ascii")


@example(words=["abcdefg"] * 30, width=40)
@given(st.lists(st.text(alphabet="abcäあ→", min_size=1, max_size=7), max_size=60), st.integers(20, 100))
def test_wrapping_keeps_every_word_and_the_width(words: list[str], width: int) -> None:
    text = " ".join(words)
    page = Page()
    page.line(text, indent=2, hang=4)
    drawn = plain_text(page, width=width)
    assert drawn.split() == text.split()
    assert max(cells(line) for line in drawn.splitlines()) <= width


def test_a_word_longer_than_the_page_stays_whole() -> None:
    page = Page()
    page.line("a " + "x" * 90 + " b")
    assert "x" * 90 in plain_text(page, width=40).split()


def test_markup_and_escape_codes_are_shown_as_they_are() -> None:
    page = Page()
    page.line("[bold]ctl1[/x] \x1b[31mred\x07")
    for drawn in (plain_text(page), CODES.sub("", coloured(page, 80))):
        assert drawn == "[bold]ctl1[/x] \\x1b[31mred\\x07\n"


def test_colour_and_plain_say_the_same() -> None:
    page = page_of("one two three four")
    plain = plain_text(page, width=60)
    assert CODES.sub("", coloured(page, 60)) == plain
    assert CODES.search(coloured(page, 60))


def test_a_pipe_gets_whole_lines_without_colour() -> None:
    page = Page()
    page.line("word " * 60)
    out = io.StringIO()
    show(page, out)
    assert out.getvalue() == ("word " * 60).rstrip() + "\n"


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_a_terminal_can_ask_for_no_colour(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured_out, plain_out, option_out = Terminal(), Terminal(), Terminal()
    page = page_of("x")
    show(page, coloured_out)
    show(page, option_out, color=False)
    monkeypatch.setenv(variable, "dumb")
    show(page, plain_out)
    assert "\x1b" in coloured_out.getvalue()
    assert "\x1b" not in plain_out.getvalue() + option_out.getvalue()


def test_lines_have_ascii_stand_ins() -> None:
    assert fit("2024.1 → 2024.2 ── done …", "ascii") == "2024.1 -> 2024.2 -- done ..."
    assert fit("→", "utf-8") == "→"
    assert safe("a\nb\u202ec") == "a\\nb\\u202ec"


def test_an_error_says_what_happened_the_cloud_and_the_next_command_in_this_order() -> None:
    error = UpgraderError(
        "ctl1\x1b[2J did not answer", cloud="unchanged", details=["ctl1: timeout"], next_command="upgrader status"
    )
    assert error_text(error).splitlines() == [
        "Error: ctl1\\x1b[2J did not answer",
        "  ctl1: timeout",
        "The cloud: unchanged",
        "Next:  upgrader status",
    ]
    assert error_text(RefusedError("no")).startswith("Refused: no")
    assert error_text(FailedCleanError("no")).startswith("Failed, nothing changed: no")
