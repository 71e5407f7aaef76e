"""The HTML page: valid, self-contained, with landmarks and headings in order, links that lead somewhere."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from tests.runbook.made import SAMPLES, kind_of, two_hops

PAGES = sorted(name for name in SAMPLES if kind_of(name) == "html")
NS = "{http://www.w3.org/1999/xhtml}"


@cache
def page(name: str) -> str:
    return SAMPLES[name]().render("html")


@cache
def tree(name: str) -> Element:
    """Parsed strictly: the first thing that is not valid raises."""
    parser: Any = html5lib.HTMLParser(strict=True)
    found: Element = parser.parse(page(name))
    return found


def all_of(name: str, element: str) -> list[Element]:
    return list(tree(name).iter(f"{NS}{element}"))


def words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.mark.parametrize("name", PAGES)
def test_it_is_valid_html(name: str) -> None:
    assert tree(name).get("lang") == "en"
    with pytest.raises(html5lib.html5parser.ParseError):
        html5lib.HTMLParser(strict=True).parse(page(name).replace("</section>", "", 1))


@pytest.mark.parametrize("name", PAGES)
def test_it_needs_nothing_else(name: str) -> None:
    text = page(name)
    assert "<script" not in text
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    for element in tree(name).iter():
        for attribute in ("src", "href", "action", "data", "poster", "srcset"):
            value = element.get(attribute)
            assert value is None or value.startswith(("#", "data:image/")), f"{element.tag} {attribute}={value}"
    policy = [meta.get("content") for meta in all_of(name, "meta") if meta.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


@pytest.mark.parametrize("name", PAGES)
def test_names_are_unique_and_links_lead_somewhere(name: str) -> None:
    ids = [found for element in tree(name).iter() if (found := element.get("id"))]
    assert len(ids) == len(set(ids))
    for link in all_of(name, "a"):
        assert str(link.get("href")).removeprefix("#") in ids, words(link)
    for element in tree(name).iter():
        for one in str(element.get("aria-labelledby") or "").split():
            assert one in ids


@pytest.mark.parametrize("name", PAGES)
def test_it_has_landmarks_and_headings_in_order(name: str) -> None:
    for landmark in ("header", "nav", "main"):
        assert len(all_of(name, landmark)) == 1, landmark
    levels = [int(element.tag[-1]) for element in tree(name).iter() if re.fullmatch(rf"{NS}h[1-6]", str(element.tag))]
    assert levels.count(1) == 1
    assert levels[0] == 1
    steps = [(before, after) for before, after in pairwise(levels) if after > before + 1]
    assert steps == []


@pytest.mark.parametrize("name", PAGES)
def test_tables_fields_and_pictures_are_named(name: str) -> None:
    for table in all_of(name, "table"):
        heads = list(table.iter(f"{NS}th"))
        assert heads
        assert all(head.get("scope") in ("col", "row") for head in heads)
    for label in all_of(name, "label"):
        assert words(label)
    labelled = {id(field) for label in all_of(name, "label") for field in label.iter(f"{NS}input")}
    assert all(id(field) in labelled for field in all_of(name, "input"))
    pictures = [element for element in tree(name).iter() if str(element.tag).endswith("}svg")]
    assert pictures
    for picture in pictures:
        assert picture.get("role") == "img"
        assert picture.get("aria-labelledby") or picture.get("aria-label")
    for image in all_of(name, "img"):
        assert image.get("alt")


def test_html_and_markdown_say_the_same() -> None:
    """Every command of one is in the other."""
    from tests.runbook.typed_lines import blocks

    html = {
        line for block in all_of("site-2024.1-2025.1.html", "pre") for line in "".join(block.itertext()).splitlines()
    }
    text = {line for block in blocks(two_hops().render("md")) for line in block}
    assert html == text


def test_print_and_dark_are_thought_of() -> None:
    text = page(PAGES[0])
    assert "@media print" in text
    assert "break-before:page" in text
    assert "prefers-color-scheme:dark" in text
    assert "@page{size:A4" in text
