"""Whatever a value holds, Markdown and HTML show it as text, and commands stay one line each."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from upgrader.runbook.escape import code_block, code_span, deeper, duration, markdown_text, visible

# what GitHub reads, addresses that are no links among it
READER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
NASTY = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/p.png)",
    "**bold** _it_ ~~gone~~ `code` | cell",
    "# head",
    "- item",
    "1. one",
    "> quote",
    "=====",
    "&lt;b&gt;",
    "http://evil.example/ www.evil.example",
    "a\nb\r\n# c",
    "\u202etxt.exe \x1b[2J \x00",
    "\\`*",
    "<!-- ",
    "<http://evil.example>",
    "```",
)


class Text(HTMLParser):
    """The text of a piece of HTML, and every element and attribute it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.elements, self.attributes = "", [], []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs


def read(markdown: str) -> Text:
    return Text(READER.render(markdown))


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("nasty", NASTY)
def test_text_is_shown_as_it_is(nasty: str) -> None:
    found = read(f"Before {markdown_text(nasty)} after")
    assert found.elements == ["p"]
    assert flat(found.text) == flat(f"Before {visible(nasty)} after")


@pytest.mark.parametrize("nasty", NASTY)
def test_text_at_the_beginning_of_a_line_begins_nothing(nasty: str) -> None:
    found = read(markdown_text(nasty))
    assert found.elements == ["p"]
    assert flat(found.text) == flat(visible(nasty))


@pytest.mark.parametrize("nasty", NASTY)
def test_a_cell_stays_one_cell(nasty: str) -> None:
    found = read(
        f"| a | b |\n| --- | --- |\n| {markdown_text(nasty)} | {code_span(nasty).replace('|', chr(92) + '|')} |\n"
    )
    assert found.elements.count("td") == 2
    assert set(found.elements) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


@given(st.text(max_size=40))
@example("a&b;c")
@settings(max_examples=150)
def test_no_text_makes_an_element(text: str) -> None:
    found = read(f"x {markdown_text(text)}")
    assert found.elements == ["p"]
    assert found.attributes == []


@given(st.text(max_size=40))
@settings(max_examples=100)
def test_a_code_span_holds_all_of_it(text: str) -> None:
    found = read(f"x {code_span(text)} y")
    assert set(found.elements) <= {"p", "code"}
    assert visible(text).split() == found.text.strip().removeprefix("x").removesuffix("y").split()


@given(st.lists(st.text(max_size=30), max_size=4))
@settings(max_examples=100)
def test_a_block_has_as_many_lines_as_commands(lines: list[str]) -> None:
    tokens = [token for token in READER.parse(code_block(lines)) if token.type == "fence"]
    assert len(tokens) == 1
    assert tokens[0].content.rstrip("\n").split("\n") == "\n".join(visible(line) for line in lines).rstrip("\n").split(
        "\n"
    )


def test_what_looks_like_a_secret_is_masked() -> None:
    assert visible("amqp://nova:hunter2hunter2@ctl1:5672") == "amqp://nova:********@ctl1:5672"
    assert "s3cr3tvalue" not in visible('database_password: "s3cr3tvalue"')


def test_headings_go_deeper_but_not_in_code() -> None:
    text = "# a\n\n```sh\n# no heading\n```\n## b"
    assert deeper(text, 2) == "### a\n\n```sh\n# no heading\n```\n#### b"
    assert deeper("##### x", 3) == "###### x"


def test_durations_are_read_by_people() -> None:
    assert [duration(value) for value in (None, 0, 89, 90, 3600, 5400, 7260)] == [
        "–", "0 s", "89 s", "2 min", "60 min", "1 h 30", "2 h 01",  # noqa: RUF001
    ]  # fmt: skip
