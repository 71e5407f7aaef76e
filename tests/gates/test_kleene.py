"""and, or and not with three answers, against a model of their own that knows nothing of Jinja."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.gates.small import answer, judged, record, variable
from upgrader.record import SiteRecord

TABLE = {"yes": 1.0, "unknown": 0.5, "no": 0.0}
WORDS = {value: word for word, value in TABLE.items()}


@dataclass(frozen=True)
class Expression:
    """Text, and its truth by Kleene's own rule: and is the smaller, or is the greater, not is one minus."""

    text: str
    truth: float


def names() -> st.SearchStrategy[Expression]:
    return st.sampled_from([
        Expression("yes1", 1.0), Expression("yes2", 1.0), Expression("yes2 | bool", 1.0), Expression("2 > 1", 1.0),
        Expression("no1", 0.0), Expression("no2 == 'b'", 0.0), Expression("no3", 0.0),
        Expression("lost", 0.5), Expression("lost == 3", 0.5), Expression("answers.nobody", 0.5),
        Expression("nowhere", 0.5),
        Expression("observed.nova.soft_deleted > 0", 0.5), Expression("no2 | int > 3", 0.5),
    ])  # fmt: skip


def larger(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(lambda a: Expression(f"not ({a.text})", 1 - a.truth), parts),
        st.builds(lambda a, b: Expression(f"({a.text}) and ({b.text})", min(a.truth, b.truth)), parts, parts),
        st.builds(lambda a, b: Expression(f"({a.text}) or ({b.text})", max(a.truth, b.truth)), parts, parts),
        st.builds(
            lambda a, b, c: Expression(
                f"({a.text}) or ({b.text}) and not ({c.text})", max(a.truth, min(b.truth, 1 - c.truth))
            ), parts, parts, parts,
        ),
    )  # fmt: skip


EXPRESSIONS = st.recursive(names(), larger, max_leaves=8)


def site(lost: object = None) -> SiteRecord:
    """Truth in the words operators use; `lost` could not be computed, unless a value is given."""
    known = variable("lost", lost) if lost is not None else variable("lost", error="undefined filter")
    return record(
        variable("yes1", True), variable("yes2", "yes"), variable("no1", False), variable("no2", "a"),
        variable("no3", "no"), known,
    )  # fmt: skip


SITE = site()


@given(EXPRESSIONS)
def test_answers_are_those_of_kleene(expression: Expression) -> None:
    assert answer(expression.text, SITE) == WORDS[expression.truth]


@given(EXPRESSIONS)
def test_an_answer_comes_with_its_reasons(expression: Expression) -> None:
    said = judged(expression.text, SITE)
    assert bool(said.missing) == (said.answer == "unknown")


@given(EXPRESSIONS, EXPRESSIONS)
def test_de_morgan(a: Expression, b: Expression) -> None:
    assert answer(f"not (({a.text}) and ({b.text}))", SITE) == answer(f"not ({a.text}) or not ({b.text})", SITE)


@given(EXPRESSIONS, st.sampled_from([3, True, "no", "x"]))
def test_what_becomes_known_turns_no_answer_round(expression: Expression, value: object) -> None:
    """Knowledge only grows: a yes or no that was given without it stands."""
    before, after = answer(expression.text, SITE), answer(expression.text, site(value))
    assert before in ("unknown", after)
