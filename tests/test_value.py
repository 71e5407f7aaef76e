"""Values: the quick check against pydantic, which is its model, and everything else that a value promises."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from upgrader.model import HopPlan, Plan
from upgrader.value import NOTHING, AtLeast, Lenient, Pattern, Sealed, Value, named
from upgrader.value.marks import Doubt
from upgrader.value.thorough import adapter


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Value):
    origin: Annotated[str, Pattern(r"^20[0-9]{2}\.[12]$")] = named(alias="from")
    low: int = 0
    high: int = 9

    def consistent(self) -> None:
        if self.low > self.high:
            raise ValueError(f"{self.low} is above {self.high}")


class Special(Inner):
    extra: str = ""


class Everything(Value):
    text: str
    flag: bool
    number: Annotated[int, AtLeast(1)]
    short: Annotated[str, AtLeast(2)] = "ab"
    maybe: bool | None = None
    one_of: Literal["a", "b", 1] = "a"
    colour: Colour = Colour.RED
    told: Annotated[Colour, Lenient()] = Colour.BLUE
    texts: Annotated[tuple[Annotated[str, AtLeast(1)], ...], AtLeast(1)] = ("x",)
    pairs: tuple[tuple[str, int], ...] = ()
    table: Annotated[Mapping[str, tuple[str, ...]], Sealed()] = NOTHING
    inner: Inner | None = None
    more: tuple[Inner, ...] = ()


WORDS = ["", "a", "b", "ab", "red", "blue", "2025.1", "2025.1\n", "2025.3", "ü", "\udcff"]
OTHERS = [True, False, None, 0, 1, 2, 1.0, 10**30, Colour.RED, Colour.BLUE, b"a"]
ATOMS = st.sampled_from([*WORDS, *OTHERS]) | st.text(max_size=2)
INNER = st.fixed_dictionaries(
    {}, optional={"from": ATOMS, "origin": ATOMS, "low": st.integers(0, 12) | ATOMS, "high": st.integers(0, 12) | ATOMS}
)
SOUND_INNER = st.builds(
    lambda low, high: {"from": "2025.1", "low": low, "high": high}, st.integers(0, 5), st.integers(3, 9)
)
INNERS = INNER | SOUND_INNER | st.just(Inner.trusted({"origin": "2025.1", "low": 1, "high": 2}))
SEQUENCES = st.lists(ATOMS | st.tuples(ATOMS, ATOMS) | INNERS, max_size=2)
ANY = ATOMS | SEQUENCES | SEQUENCES.map(tuple) | INNERS | st.dictionaries(ATOMS, SEQUENCES.map(tuple), max_size=2)
SOUND: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=2),
    "flag": st.booleans(),
    "number": st.integers(0, 3),
    "short": st.text(max_size=3),
    "maybe": st.booleans() | st.none(),
    "one_of": st.sampled_from(["a", "b", 1]),
    "colour": st.sampled_from(Colour),
    "told": st.sampled_from([*Colour, "red", "green"]),
    "texts": st.lists(st.text(max_size=1), max_size=2).map(tuple),
    "pairs": st.lists(st.tuples(st.text(max_size=1), st.integers()), max_size=2).map(tuple),
    "table": st.dictionaries(st.text(max_size=1), st.lists(st.text(max_size=1), max_size=2).map(tuple), max_size=2),
    "inner": INNERS | st.none(),
    "more": st.lists(INNERS, max_size=2).map(tuple),
}
DOCUMENTS = st.builds(
    lambda sound, odd, gone: {key: value for key, value in {**sound, **odd}.items() if key not in gone},
    st.fixed_dictionaries(SOUND),
    st.dictionaries(st.sampled_from([*SOUND, "unknown"]), ANY, max_size=1),
    st.sets(st.sampled_from(list(SOUND)), max_size=4),
)


def judged(document: Mapping[str, Any]) -> Everything | None:
    try:
        made: Everything = adapter(Everything).validate_python(document)
    except ValidationError:
        return None
    return made


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down (True is not 1, "red" is not Colour.RED)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Value):
        return list(one.__dict__) == list(other.__dict__) and all(
            same(one.__dict__[k], other.__dict__[k]) for k in one.__dict__
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return dict(one) == dict(other)
    return bool(one == other)


@given(DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_the_quick_check_accepts_only_what_pydantic_accepts_and_gives_the_same(document: dict[str, Any]) -> None:
    wanted = judged(document)
    try:
        quick = Everything.trusted(Everything.quickly(document))
    except Doubt:
        quick = None
    if quick is not None:
        assert wanted is not None, "the quick check is more lenient than pydantic"
        assert same(quick, wanted)
    try:
        made = Everything(**document)
    except ValidationError:
        assert wanted is None
    else:
        assert wanted is not None and same(made, wanted)


LEAST = {"text": "x", "flag": True, "number": 1}


@pytest.mark.parametrize(
    "document", [LEAST, {**LEAST, "told": "red", "inner": {"from": "2025.1"}, "table": {"a": ("b",)}}]
)
def test_plainly_sound_documents_need_no_pydantic(document: dict[str, Any]) -> None:
    assert same(Everything.trusted(Everything.quickly(document)), judged(document))


SINGLES = [*WORDS, *OTHERS, {}, [], (), None]
ODD = [
    *SINGLES,
    *([one] for one in SINGLES),
    *((one,) for one in SINGLES),
    *((one, other) for one in ("a", 1, True) for other in SINGLES),
    *(((one, other),) for one in ("a", 1) for other in (1, True, "a", None)),
    *((["a", 1],), {"a": ["b"]}, {"a": ("b",)}, {1: ("b",)}, {"a": (1,)}),
    *({"from": one} for one in SINGLES),
    *(({"from": one},) for one in SINGLES),
    *({"from": "2025.1", "origin": "2025.1"}, {"from": "2025.1", "low": 9, "high": 8}, {"from": "2025.1", "x": 1}),
]


@pytest.mark.parametrize("field", list(SOUND))
def test_any_one_odd_value_is_judged_as_pydantic_judges_it(field: str) -> None:
    accepted = 0
    for odd in ODD:
        wanted = judged({**LEAST, field: odd})
        try:
            quick = Everything.trusted(Everything.quickly({**LEAST, field: odd}))
        except Doubt:
            continue
        assert wanted is not None and same(quick, wanted), (field, odd)
        accepted += 1
    assert accepted


def test_building_values_of_the_tool_imports_no_pydantic() -> None:
    code = (
        "import sys; from upgrader.model import Code, Finding, CloudFacts, ReleaseReading;"
        "Finding(id='a', code=Code.SUCCESS, message='ü'); reading = ReleaseReading(kind='exact', release='2025.1');"
        "CloudFacts(site='s', observed_at='', hosts=(), reading=reading).document();"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_every_fault_is_told_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate({"text": 1, "flag": True, "more": ({"from": "x"}, {}), "surprise": 1})
    assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [
        (("text",), "string_type"),
        (("number",), "missing"),
        (("more", 0, "from"), "string_pattern_mismatch"),
        (("more", 1, "from"), "missing"),
        (("surprise",), "extra_forbidden"),
    ]


def test_a_rule_over_several_fields_holds_however_a_value_is_made() -> None:
    for make in (
        lambda: Inner.model_validate({"from": "2025.1", "low": 3, "high": 2}),
        lambda: Inner.model_validate_json('{"from": "2025.1", "low": 3, "high": 2}'),
        lambda: Everything.model_validate({**LEAST, "inner": {"from": "2025.1", "low": 3, "high": 2}}),
    ):
        with pytest.raises(ValidationError, match="3 is above 2"):
            make()


def test_json_gives_back_what_a_document_was_made_of() -> None:
    made = Everything.model_validate(
        {**LEAST, "pairs": (("a", 1),), "table": {"k": ("v",)}, "more": ({"from": "2025.1"},), "colour": Colour.BLUE}
    )
    document = made.document()
    assert document["more"] == [{"from": "2025.1", "low": 0, "high": 9}]
    assert document["pairs"] == [["a", 1]] and document["colour"] == "blue" and type(document["colour"]) is str
    assert same(Everything.model_validate_json(json.dumps(document)), made)
    assert made.model_dump()["more"] == ({"origin": "2025.1", "low": 0, "high": 9},)
    assert same(Everything.model_validate(made.model_dump()), made)
    with pytest.raises(ValidationError):
        Everything.model_validate(document)  # lists are no tuples
    assert same(Everything.model_validate(document, strict=False), made)


def test_a_value_is_frozen_and_equal_by_its_parts() -> None:
    one, other = Inner.model_validate({"from": "2025.1"}), Inner.model_validate({"origin": "2025.1"})
    assert one == other and hash(one) == hash(other) and {one: 1}[other] == 1
    assert one != Inner.model_validate({"from": "2025.2"}) and one != Special.model_validate({"from": "2025.1"})
    assert repr(one) == "Inner(origin='2025.1', low=0, high=9)"
    assert same(pickle.loads(pickle.dumps(one)), one) and same(copy.deepcopy(one), one)  # noqa: S301
    with pytest.raises(AttributeError, match="frozen"):
        one.low = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del one.low
    assert one.model_copy(update={"low": 2}) == Inner.model_validate({"from": "2025.1", "low": 2})
    assert one.low == 0


def test_a_sealed_table_cannot_be_changed() -> None:
    source = {"k": ("v",)}
    made = Everything(text="x", flag=True, number=1, table=source)
    source["k"] = ()
    assert made.table == {"k": ("v",)}
    with pytest.raises(TypeError):
        made.table["k"] = ()  # type: ignore[index]


def test_a_value_of_a_subclass_may_stand_for_its_base() -> None:
    special = Special.model_validate({"from": "2025.1", "extra": "x"})
    assert Everything(text="x", flag=True, number=1, inner=special).inner is special


def test_fields_keep_their_order_in_documents() -> None:
    assert list(Plan.shape().model_fields) == list(Plan._names)
    assert HopPlan._names["source"] == "from" and HopPlan._names["target"] == "to"
