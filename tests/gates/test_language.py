"""What may be written, what is refused and where, and that neither an expression nor a value can do anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gates.small import answer, judged, record, variable
from upgrader.errors import DataError
from upgrader.gates import Names, NotAConditionError, compile_condition

REFUSED = [
    # (text, where, part of the reason)
    ("custom playbooks", 8, "unexpected 'playbooks'"),
    ("enable_nova and", 16, "ends too early"),
    ("enable_nova and (a or b", 24, "ends too early"),
    ("count(rabbitmq hosts) == 1", 16, "got 'hosts'"),
    ("a ) b", 3, "unexpected ')'"),
    ("a and\nb c", 9, "unexpected 'c'"),
    ("a }} b", 3, "unexpected"),
    ("'never closed", 1, "unexpected char"),
    ("", 1, "empty"),
    ("   ", 1, "empty"),
    ("a | nosuchfilter", 5, "no filter nosuchfilter"),
    ("a is nosuchtest", 6, "no test nosuchtest"),
    ("a and observed.rabbitmq.versoin == '3'", 7, "observed.rabbitmq has no versoin; there is version"),
    ("observed.rabbit.version == '3'", 1, "observed has no rabbit; there is rabbitmq"),
    ("observed == 1", 1, "observed alone says nothing"),
    ("observed.rabbitmq is none", 1, "observed.rabbitmq alone says nothing"),
    ("host.colour == 'red'", 1, "host has no colour"),
    ("hop.removed | length > 0", 1, "there is removed_variables"),
    ("answers | length > 0", 1, "answers.NAME"),
    ("enable_zun == 'yes'", 12, "yes and true differ"),
    ("enable_zun == true", 12, "yes and true differ"),
    ("enable_zun is eq(true)", 15, "yes and true differ"),
    ("zun is configured", 8, "in quotes"),
    ("a | select | list", 5, "needs a known test"),
    ("a is match(b)", 6, "in quotes"),
    ("a is match('[')", 6, "not a regular expression"),
    ("a | select('match', '(x+)+y') | list", 5, "repeats a repetition"),
    ("a if b", 3, "if needs an else"),
    ("2 ** 8 > a", 1, "powers are not allowed"),
    ("range(3) | length > a", 1, "nothing can be called"),
    ("a.items() | length > 3", 1, "nothing can be called"),
]


@pytest.mark.parametrize(("text", "position", "why"), REFUSED)
def test_what_is_wrong_and_where(text: str, position: int, why: str) -> None:
    with pytest.raises(NotAConditionError) as caught:
        compile_condition(text)
    assert caught.value.position == position
    assert why in caught.value.message
    assert f"character {position}" in caught.value.details[0]
    assert isinstance(caught.value, DataError)


ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "x.__class__",
    "x['__class__'].__init__",
    "x | attr('__class__')",
    "x | map('attr', '__class__') | list",
    "x | map(attribute='__class__') | list | first | length > 0",
    "x | selectattr('__class__', 'defined') | list | length > 0",
    "(x | first)['__class__'] is defined",
    "cycler.__init__.__globals__",
    "lipsum.__globals__['os'].popen('id').read()",
    "self._TemplateReference__context",
    "namespace(a=1)",
    "range(1000000000) | list | length > 0",
    "'%s' % x",
    "'%1000000000d' % 1",
    "'x' * 1000000000",
    "[0] * 1000000000",
    "9 ** 9 ** 9",
    "'{0.__class__}'.format(x)",
    "'{0.__class__}' | format(x)",
    "x | center(1000000000)",
    "x | default(*x)",
    "x | random",
    "x | tojson",
    "{% for a in x %}{% endfor %}",
    "x.append(1)",
    "x.pop",
    "x.items() | list",
    "dict(a=1)",
    "_asked('configured', 'x')",
    "_asked is defined and _asked.__globals__ is defined",
    "r0.__class__",
    "caller()",
    "x | map('map', 'bool') | list | map('list') | list | first.__class__",
    "a" * 3000,
    "(" * 500 + "a" + ")" * 500,
    "not " * 300 + "a",
    "a" + " | bool" * 200,
]


@pytest.mark.parametrize("text", ESCAPES)
def test_nothing_gets_out_of_the_sandbox(text: str) -> None:
    """Refused when it is compiled, or without an answer when it is judged; never yes."""
    site = record(variable("x", ["a", {"b": 1}]), variable("r0", "text"))
    try:
        assert answer(text, site) in ("unknown", "no")
    except NotAConditionError as error:
        assert error.position >= 1


def test_an_escape_that_compiles_finds_nothing() -> None:
    """Parts of values are those of tables and lists: a Python attribute is not there."""
    site = record(variable("x", "text"), variable("table", {"items": 3, "__class__": 4}))
    assert answer("x['__class__'] is defined", site) == "no"
    assert answer("x.upper is defined", site) == "no"
    assert answer("table.items == 3", site) == "yes"
    assert answer("table['__class__'] == 4", site) == "yes"


HOSTILE = st.one_of(
    st.sampled_from([
        "{{ 7 * 7 }}", "{% for x in y %}", "'; import os; '", "__import__('os').system('id')", "\x1b[2J\x1b]0;x\x07",
        "${jndi:ldap://x}", "$(id)", "\u202e", "a\nb", "%n%n", "{0.__class__}", "r0", "\x00", "]]>", "[bold]",
    ]),
    st.text(),
)  # fmt: skip


@given(HOSTILE)
def test_a_hostile_value_is_a_text_and_nothing_more(value: str) -> None:
    site = record(variable("x", value), variable("y", [value]), answers=(("z", json.dumps(value)),))
    assert answer("x == y | first and x is string and y == [x]", site) == "yes"
    for text in (
        "x",
        "x == 'no such text'",
        "x is version('3', '<')",
        "x is match('q')",
        "y | length == 1",
        "answers.z",
    ):
        said = judged(text, site)
        for line in (*said.evidence, *said.missing):
            assert line.isprintable(), "what people are shown holds nothing a terminal obeys"
            assert len(line) < 400


TOKENS = st.sampled_from(
    """
    x y nowhere observed. rabbitmq .version host.os groups ['a'] answers.q hop. after.x and or not is in ( ) [ ] { } : ,
    | == != < + - * ** % // ~ 'a' ' 1 0 2.5 true none version('3','<') bool length list default select('match','a')
    map('int') if else configured defined {{ }} {% #} \\ =
    """.split()  # noqa: SIM905 - a list of it is longer
)


@given(st.one_of(st.text(), st.lists(TOKENS, max_size=12).map(" ".join)))
def test_any_text_is_a_condition_with_an_answer_or_is_refused_with_a_place(text: str) -> None:
    site = record(variable("x", "3.11"), variable("y", hosts={"cmp1": 1, "ctl1": ["a"]}))
    try:
        said = judged(text, site)
    except NotAConditionError as error:
        assert 1 <= error.position <= len(text) + 1
        assert error.why
    else:
        assert said.answer in ("yes", "no", "unknown")
        assert said.missing or said.answer != "unknown"


def test_a_value_without_end_is_not_searched() -> None:
    site = record(variable("x", "a" * 1_000_000))
    said = judged("x is search('b')", site)
    assert said.answer == "unknown"
    assert "too long" in said.missing[0]
    assert len(said.missing[0]) < 300


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "NaN", "Infinity", "9" * 5000, "", '"\\ud800"'])
def test_a_value_that_is_none_is_unknown(text: str) -> None:
    """A damaged record can be judged; what cannot be read in it is unknown or only text, never a yes."""
    assert answer("answers.x > 0 or answers.x < 1", record(answers=(("x", text),))) == "unknown"


# ---------------------------------------------------------------- what can be written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("always", "yes"),
        ("release == '2025.1' and source_release == '2024.2'", "yes"),
        ("release is version('2025.1', '>=')", "yes"),
        ("version is version('3.12', '<')", "yes"),
        ("version is version('3.9', '<')", "no"),
        ("maria is version('10.6', '>=')", "yes"),
        ("maria is version('10.11.7', '<')", "yes"),
        ("candidate is version('4.0', '<')", "yes"),
        ("words is version('3', '<')", "unknown"),
        ("driver == 'swift'", "no"),
        ("driver in ['ceph', 'nfs']", "yes"),
        ("'amphora' in providers", "yes"),
        ("providers is search('amphora')", "yes"),
        ("providers is match('amphora')", "no"),
        ("(providers | regex_search('am[a-z]+')) == 'amphora'", "yes"),
        ("listed | select('match', 'b') | list | length == 1", "yes"),
        ("listed | map('upper') | join(',') == 'A,B'", "yes"),
        ("listed | difference(['a']) == ['b']", "yes"),
        ("empty", "no"),
        ("empty | length > 0", "no"),
        ("not flag_text", "yes"),
        ("(not flag_text) | bool", "yes"),
        ("(driver if flag_text else 'other') == 'other'", "yes"),
        ("number", "unknown"),
        ("listed", "unknown"),
        ("driver", "unknown"),
        ("nowhere | default('x') == 'x'", "yes"),
        ("nowhere is defined", "no"),
        ("driver is defined", "yes"),
        ("nowhere == 'x'", "unknown"),
        ("number | int + 1 == 8", "yes"),
        ("number * 2 % 4 == 2", "yes"),
        ("driver | int > 3", "unknown"),
        ("listed[5] == 'a'", "unknown"),
        ("listed[0] == 'a'", "yes"),
        ("number / 0 > 1", "unknown"),
        ("driver > 3", "unknown"),
    ],
)
def test_expressions_of_operators(text: str, expected: str) -> None:
    site = record(
        variable("version", "3.11.28"), variable("maria", "10.11.6-MariaDB-1:10.11.6+maria~ubu2204"),
        variable("candidate", "4.0.0-rc.1"), variable("words", "newest"), variable("driver", "ceph"),
        variable("providers", "ovn,amphora"), variable("listed", ["a", "b"]), variable("empty", ""),
        variable("flag_text", "no"), variable("number", 7),
    )  # fmt: skip
    assert answer(text, site) == expected


@pytest.mark.parametrize("word", ["yes", "Yes", "true", "TRUE", "on", "1", " yes ", True, 1])
def test_yes_in_every_spelling(word: object) -> None:
    assert answer("enable_zun", record(variable("enable_zun", word))) == "yes"
    assert answer("enable_zun | bool and not (not enable_zun)", record(variable("enable_zun", word))) == "yes"


@pytest.mark.parametrize("word", ["no", "No", "false", "off", "0", "", False, 0])
def test_no_in_every_spelling(word: object) -> None:
    assert answer("enable_zun", record(variable("enable_zun", word))) == "no"


@pytest.mark.parametrize("word", ["maybe", "{{ enable_nova }}", 7, [True], {"a": 1}])
def test_neither_yes_nor_no(word: object) -> None:
    said = judged("enable_zun", record(variable("enable_zun", word)))
    assert said.answer == "unknown"
    assert "enable_zun" in said.missing[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("flag is match('a')", "yes or no is no text to search"),
        ("table is search('a')", "a table is no text to search"),
        ("word | difference(['a']) == []", "a text is not a list"),
        ("word is version('3', '<')", "'words' is not a version"),
        ("number is version('3', '~')", "'~' is not one of <, "),
        ("word | int > 3", "'words' is not a number"),
        ("word * 3 == word", "* is for numbers"),
    ],
)
def test_why_there_is_no_answer(text: str, why: str) -> None:
    site = record(variable("flag", True), variable("table", {"a": 1}), variable("word", "words"), variable("number", 3))
    said = judged(text, site)
    assert said.answer == "unknown"
    assert why in said.missing[0]


def test_names_by_kind() -> None:
    names = compile_condition(
        "enable_a and after.b == 'x' or not (answers.c and observed.rabbitmq.version is version('3', '<'))"
        " or 'd' is configured or groups['e'] | length > 1 or host.os == 'x' or hop.groups_added | length > 0"
    ).names
    assert names == Names(
        variables=frozenset({"enable_a"}), after=frozenset({"b"}), observed=frozenset({"rabbitmq.version"}),
        answers=frozenset({"c"}), host=frozenset({"os"}), configured=frozenset({"d"}), groups=frozenset({"e"}),
        hop=frozenset({"groups_added"}), depends_on_hop=True,
    )  # fmt: skip
    assert not compile_condition("enable_a and 'd' is configured").names.depends_on_hop


def test_a_text_is_compiled_once() -> None:
    assert compile_condition("enable_a and enable_b") is compile_condition("enable_a and enable_b")
