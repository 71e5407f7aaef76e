"""Pictures: whole XML whatever the names, the same bytes, told in words too, nothing by colour alone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.compare import check
from tests.house.tree import imports, modules
from tests.pictures.samples import ALL, BEGAN, GOLDEN
from upgrader import pictures as pics
from upgrader.pictures import style, words

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("1")</script><!-- ]]> & \' \x00\x1b[31m \u202e \ud800'


def read(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    check(f"pictures/{name}.svg", ALL[name]() + "\n")


@pytest.mark.parametrize("width", [100, 320, 360, 760, 2000])
@pytest.mark.parametrize("name", sorted(ALL))
def test_whole_told_in_words_and_within_its_sheet(name: str, width: int) -> None:
    svg = ALL[name](width)
    root = read(svg)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    title, desc = root[0], root[1]
    assert (root.get("aria-labelledby"), root.get("aria-describedby")) == (title.get("id"), desc.get("id"))
    assert title.text and desc.text and len(desc.text) > 40
    _, _, wide, high = map(float, (root.get("viewBox") or "").split())
    assert (wide, high) == (float(root.get("width") or 0), float(root.get("height") or 0)) and wide >= 320
    for shape in root.iter():
        if shape.tag == f"{SVG}rect" and shape.get("x"):
            x, y, w, h = (float(shape.get(key) or 0) for key in ("x", "y", "width", "height"))
            assert x >= 0 and x + w <= wide + 0.1 and y >= 0 and y + h <= high + 0.1
        if shape.tag == f"{SVG}text":
            assert -0.1 <= float(shape.get("x") or -1) <= wide and 0 < float(shape.get("y") or -1) <= high


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_text_runs_out_of_the_sheet(name: str) -> None:
    """By the widths that are taken for any sans-serif font."""
    for width in (320, 760):
        root = read(ALL[name](width))
        for text in root.iter(f"{SVG}text"):
            x, size = float(text.get("x") or 0), words.room(text.text or "", 12)
            begins = {"middle": x - size / 2, "end": x - size}.get(text.get("text-anchor", ""), x)
            assert begins >= -14 and begins + size <= width + 14, text.text


@pytest.mark.parametrize("name", sorted(ALL))
def test_it_asks_for_nothing_and_runs_nothing(name: str) -> None:
    svg = ALL[name]()
    assert not re.search(r"<(script|image|use|foreignObject|a|iframe)\b|\bon\w+=|href|style=\"|@import|@font-face", svg)
    assert set(re.findall(r"url\(([^)]*)\)", svg)) == {f"#{one}" for one in re.findall(r'<pattern id="([^"]+)"', svg)}
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]


def test_the_same_values_give_the_same_bytes_and_names_differ_between_pictures() -> None:
    drawn = [draw() for draw in ALL.values()]
    assert drawn == [draw() for draw in ALL.values()]
    ids = [one for svg in drawn for one in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)), "all of them may stand in one page"


def test_a_page_may_bring_the_style_itself() -> None:
    assert pics.STYLE in pics.durations([]) and "<style" not in pics.durations([], styled=False)


@pytest.mark.parametrize(
    "svg",
    [
        pics.release_graph([], []),
        pics.release_graph([pics.Release(HOSTILE, HOSTILE, HOSTILE)], []),
        pics.release_graph([pics.Release("a"), pics.Release("b")], [pics.Edge("a", "b", "blocked", HOSTILE)]),
        pics.release_graph([pics.Release("a"), pics.Release("b")], [pics.Edge("b", "a", "path")]),
        pics.hop_timeline(HOSTILE, []),
        pics.hop_timeline("a", [pics.StageBar(HOSTILE, 1, note=HOSTILE)], no_return=pics.NoReturn(HOSTILE, 0, HOSTILE)),
        pics.hop_timeline("a", [], window=pics.Window(0, 0, HOSTILE), title=HOSTILE),
        pics.hop_timeline("a", [pics.StageBar("a", 1)], window=pics.Window(60, 600)),
        pics.durations([]),
        pics.durations([pics.Duration(HOSTILE, note=HOSTILE)]),
        pics.availability_strip([], begins=BEGAN, ends=BEGAN),
        pics.availability_strip(
            [pics.Api(HOSTILE, (pics.Outage(BEGAN - 9, BEGAN + 99, HOSTILE),))], begins=BEGAN, ends=BEGAN + 1,
            marks=[pics.Mark(BEGAN, HOSTILE, True)],
        ),
    ],
)  # fmt: skip
def test_nothing_and_hostile_names(svg: str) -> None:
    root = read(svg)
    assert not {child.tag for child in root.iter()} & {f"{SVG}script"}
    assert "\u202e" not in svg and "\x1b" not in svg


TEXT = st.text(max_size=60)
SECONDS = st.one_of(st.none(), st.floats(0, 4e5, allow_nan=False))


@given(st.lists(st.tuples(TEXT, SECONDS, SECONDS, TEXT), max_size=8), st.integers(0, 3000), TEXT)
def test_whatever_it_is_given_it_stays_whole(
    rows: list[tuple[str, float | None, float | None, str]], width: int, name: str
) -> None:
    bars = [pics.StageBar(one, long, 0 if high else None, high, note=note) for one, long, high, note in rows]
    line = pics.NoReturn(rows[0][0], 5, name) if rows else None
    read(pics.hop_timeline(name, bars, no_return=line, window=pics.Window(3600, 900), width=width))
    read(pics.durations([pics.Duration(one, long, 0, high, high, note) for one, long, high, note in rows], width=width))
    apis = [
        pics.Api(one, (pics.Outage(BEGAN + (long or 0), high and BEGAN + high, note),))
        for one, long, high, note in rows
    ]
    read(
        pics.availability_strip(apis, begins=BEGAN, ends=BEGAN + width, marks=[pics.Mark(BEGAN + 1, name)], width=width)
    )
    named = list(dict.fromkeys(one for one, *_ in rows))
    edges = [pics.Edge(named[0], one, "skip", name) for one in named]
    read(pics.release_graph([pics.Release(one, name) for one in named], edges, width=width))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1])
def test_text_can_be_read_in_light_and_dark(mode: int) -> None:
    colours = {role: both[mode] for role, both in style._ROLES.items()}
    for ground in ("paper", "panel"):
        for letters in ("ink", "muted", "bad"):
            assert contrast(colours[letters], colours[ground]) >= 4.5, (letters, ground)
    for shape in ("plan", "good", "bad"):
        assert contrast(colours[shape], colours["paper"]) >= 3


def test_states_differ_without_any_colour() -> None:
    """Grey paper: a state has its own sign before the name or its own pattern."""
    states = ("", "done", "running", "failed", "skipped", "waiting")
    seen = set()
    for state in states:
        svg = pics.hop_timeline("h", [pics.StageBar("stage", 60, state=state)], styled=False)
        sign = re.search(r">([^<]*)stage</text>", svg)
        seen.add((sign[1] if sign else "", "hatch" in svg, "mesh" in svg))
    assert len(seen) == len(states)
    kinds = ("open", "path", "back", "blocked")
    told = {
        re.sub(r'id="[^"]*"|class="[^"]*"|up[0-9a-f]{10}', "", pics.release_graph(
            [pics.Release("a"), pics.Release("b")], [pics.Edge("a", "b", kind)], styled=False))
        for kind in kinds
    }  # fmt: skip
    assert len(told) == len(kinds)


def test_the_window_says_whether_the_stages_fit() -> None:
    def told(seconds: float) -> str:
        bars = [pics.StageBar("early", 9999, when="before"), pics.StageBar("upgrade", seconds)]
        return read(pics.hop_timeline("h", bars, window=pics.Window(3600, 600)))[1].text or ""

    assert told(3000).endswith("The stages fit.")
    assert told(3100).endswith("The stages do not fit: 1 min 40 s too long.")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (0.2, "under 1 s"), (99, "99 s"), (100, "1 min 40 s"), (120, "2 min"), (599.4, "9 min 59 s"),
     (600, "10 min"), (3569, "59 min"), (3599, "1 h"), (5700, "1 h 35 min"), (172800, "2 d"), (183600, "2 d 3 h")],
)  # fmt: skip
def test_lengths_of_time(seconds: float, told: str) -> None:
    assert words.spoken(seconds) == told


def test_an_axis_never_has_too_many_marks() -> None:
    for length in (0.5, 7, 90, 4000, 50_000, 3e6, 4e8):
        marks = list(words.ticks(0, length, 6))
        assert 1 <= len(marks) <= 7 and marks == sorted(set(marks))


def test_it_imports_nothing_but_the_standard_library() -> None:
    mine = [module for module in modules() if module.startswith("upgrader.pictures")]
    outside = {target for module in mine for target, _ in imports(module) if not target.startswith("upgrader.pictures")}
    assert {name.split(".")[0] for name in outside} <= {
        "__future__", "collections", "dataclasses", "datetime", "hashlib", "html", "typing", "unicodedata"
    }  # fmt: skip
