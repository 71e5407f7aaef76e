"""The three forms: HTML that is whole and fetches nothing, Markdown that stays text, JSON with everything."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.test_story import a_whole_run
from tests.report_kit import Run
from upgrader.report import as_json, html, markdown
from upgrader.report.as_html import html_text
from upgrader.report.as_markdown import escaped, markdown_text, visible
from upgrader.report.blocks import Code, Document, Word
from upgrader.states import AttemptState, State

Begin = Callable[..., Run]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Balanced(HTMLParser):
    """Every element is closed where it was opened; what it is told of attributes is kept."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Balanced:
    found = Balanced()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def test_html_is_whole_and_alone(begin: Begin) -> None:
    run = begin("2024.1", "2024.2", "2025.1")
    page = html(run.report(a_whole_run(run)))
    found = parsed(page)
    tags = [tag for tag, _ in found.seen]
    assert page.startswith("<!DOCTYPE html>") and ("html", {"lang": "en"}) in found.seen
    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    assert not [attrs for _, attrs in found.seen if {"src", "href", "style"} & set(attrs)]
    assert not [name for _, attrs in found.seen for name in attrs if name.startswith("on")]
    ids = [attrs["id"] for _, attrs in found.seen if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    assert tags.count("svg") == 6, "the way, two hops with timeline and durations, the APIs"
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(svg)  # noqa: S314 - our own
    assert "default-src 'none'" in page


def test_json_has_what_the_others_cut(begin: Begin) -> None:
    run = begin()
    run.attempt(State.PREFLIGHT, 1, AttemptState.FAILED, message="m" * 2000)
    report = run.report()
    document = json.loads(as_json(report))
    assert document["kind"] == "report" and document["schema_version"] == 1
    assert document["hops"][0]["attempts"][0]["message"] == "m" * 2000
    assert "m" * 400 not in markdown(report) and "(whole in the JSON form)" in html(report)


def shape(pieces: list[str]) -> Document:
    document = Document(pieces[0])
    document.heading(pieces[0])
    document.text(pieces[0], Code(pieces[1]), Word(pieces[2], "bad"))
    document.callout(pieces[1], tone="bad")
    document.table(("A", pieces[1]), [(pieces[2], (Code(pieces[0]), pieces[1]))], caption=pieces[2])
    document.listing([((pieces[0],), (pieces[1],))], ticks=True)
    return document


CHARS = "<>&\"'`|\\\n\r*_[]()#-+=!~$@:/.1w \x1b\u202e\u2028\x00"
NASTY = st.one_of(st.text(alphabet=CHARS, max_size=40), st.text(max_size=40)).map(lambda text: f"{text}x")


@given(st.lists(NASTY, min_size=3, max_size=3))
def test_whatever_the_text_the_form_stays(pieces: list[str]) -> None:
    plain = parsed(html_text(shape(["a", "b", "c"]))).seen
    found = parsed(html_text(shape(pieces))).seen
    names = [tag for tag, _ in plain if tag not in ("code", "span")]
    assert [tag for tag, _ in found if tag not in ("code", "span")] == names
    table = [line for line in markdown_text(shape(pieces)).split("\n") if line.startswith("| ")]
    assert len(table) == 3, "no text adds a row"
    assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table}) == 1, "or a column"


@given(NASTY)
def test_escaped_markdown_reads_back(text: str) -> None:
    back = escaped(text)
    back = back.replace("&#58;", ":").replace("&#64;", "@").replace("&#46;", ".").replace("&lt;", "<")
    back = re.sub(r"\\([\\`*_{}\[\]#|~$])", r"\1", back.replace("&gt;", ">")).replace("&amp;", "&")
    assert back == visible(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [("1. x", "1\\. x"), ("- x", "\\- x"), ("+ x", "\\+ x"), ("# x", "\\# x"), ("> x", "&gt; x"), ("---", "\\---")],
)
def test_a_paragraph_does_not_become_something_else(text: str, told: str) -> None:
    document = Document("t")
    document.text(text)
    assert markdown_text(document) == f"# t\n\n{told}\n"
