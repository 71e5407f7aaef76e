"""The text format, read back by Prometheus' own parser."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from upgrader.metrics.exposition import Family, exposition

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.floats(allow_nan=False) | st.integers(-(10**12), 10**12)


def read(text: str) -> dict[str, tuple[str, str, list[tuple[dict[str, str], float]]]]:
    return {
        family.name: (family.type, family.documentation, [(one.labels, one.value) for one in family.samples])
        for family in text_string_to_metric_families(text)
    }


@given(st.lists(st.tuples(TEXT, VALUES), max_size=5, unique_by=lambda pair: pair[0]), TEXT)
def test_whatever_a_label_holds_is_read_back(rows: list[tuple[str, float]], other: str) -> None:
    samples = tuple(((("host", text), ("other", other)), value) for text, value in rows)
    found = read(exposition([Family("upgrader_x", "gauge", "What it is.", samples)]))
    if not rows:
        assert found == {}
        return
    kind, words, got = found["upgrader_x"]
    assert (kind, words) == ("gauge", "What it is.")
    assert got == [({"host": text, "other": other}, float(value)) for text, value in rows]


@given(TEXT)
def test_no_value_can_make_a_line_of_its_own(text: str) -> None:
    written = exposition([Family("upgrader_x", "gauge", text, (((("a", text),), 1),))])
    assert written.endswith("\n")
    # the format knows one line end only
    assert [line.partition(" ")[0].partition("{")[0] for line in written.split("\n")] == ["#", "#", "upgrader_x", ""]


@pytest.mark.parametrize(
    ("value", "said"),
    [(3.0, "3"), (1795403653.706, "1795403653.706"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"),
     (0.1, "0.1"), (1e300, "1e+300")],
)  # fmt: skip
def test_numbers(value: float, said: str) -> None:
    assert exposition([Family("upgrader_x", "gauge", "h", (((), value),))]).splitlines()[-1] == f"upgrader_x {said}"


def test_no_text_at_all_is_made_text() -> None:
    text = exposition([Family("upgrader_x", "gauge", "h", (((("path", "a\udcffb"),), 1),))])
    assert text.encode() and read(text)["upgrader_x"][2][0][0] == {"path": "a?b"}


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [("upgrader x", "gauge", ()), ("upgrader_x", "counter", ()), ("upgrader_x_total", "gauge", ()),
     ("upgrader_x", "gauge", (("a-b", "1"),)), ("upgrader_x", "gauge", (("a", "1"), ("a", "2")))],
)  # fmt: skip
def test_what_the_format_does_not_allow(name: str, kind: str, labels: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match="upgrader"):
        Family(name, kind, "h", ((labels, 1),))  # type: ignore[arg-type]


def test_the_same_sample_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        Family("upgrader_x", "gauge", "h", (((("a", "1"),), 1), ((("a", "1"),), 2)))
