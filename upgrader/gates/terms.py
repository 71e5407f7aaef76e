"""The tests and filters of conditions that are Ansible's rather than Jinja's. Plain functions of plain values.

They are stricter than Ansible's where Ansible guesses: what cannot be answered raises, and the condition is unknown.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

LONGEST_VALUE = 20_000
"""Characters of a value that a regular expression is tried on."""

_TRUE, _FALSE = ("yes", "true", "on", "1", "y", "t"), ("no", "false", "off", "0", "n", "f", "")
_RUNAWAY = re.compile(r"[+*}]\)?[+*{]|\([^()]*[+*{][^()]*\)[+*{]")
"""A repetition of a repetition, which can take for ever on a hostile value."""
_PARTS = re.compile(r"\d+|[a-z]+", re.IGNORECASE)
_MISSING: Any = object()


def boolean(value: Any) -> bool:
    """As Ansible reads `when:` and `| bool`. Raises ValueError for what is neither true nor false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if value in (0, 1):
            return bool(value)
        raise ValueError(f"{value} is neither true nor false")
    if value is None:
        return False
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValueError(f"{value[:40]!r} is neither true nor false")
    raise ValueError("a list or table is neither true nor false; ask for its length")


def version(value: Any, other: Any, operator: str = "==") -> bool:
    """Compares versions as numbers: `3.9` < `3.12`, `10.11.6-MariaDB` > `10.6`; `1.0` equals `1`."""
    if operator not in _OPERATORS:
        raise ValueError(f"{operator!r} is not one of {', '.join(_OPERATORS)}")
    return _OPERATORS[operator](_order(_numbers(value), _numbers(other)))


_OPERATORS: Mapping[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0, "lt": lambda order: order < 0,
    "<=": lambda order: order <= 0, "le": lambda order: order <= 0,
    ">": lambda order: order > 0, "gt": lambda order: order > 0,
    ">=": lambda order: order >= 0, "ge": lambda order: order >= 0,
    "==": lambda order: order == 0, "=": lambda order: order == 0, "eq": lambda order: order == 0,
    "!=": lambda order: order != 0, "<>": lambda order: order != 0, "ne": lambda order: order != 0,
}  # fmt: skip


def _numbers(value: Any) -> list[int | str]:
    """`v3.12.14-rc1` → [3, 12, 14, "rc", 1]; a leading v does not count. Raises ValueError without a leading number."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{str(value)[:40]!r} is not a version")
    text = str(value).strip().lower().removeprefix("v")
    if not text[:1].isdigit() or len(text) > 200:
        raise ValueError(f"{text[:40]!r} is not a version")
    return [int(part) if part.isdigit() else part for part in _PARTS.findall(text)]


_BEFORE_RELEASE = ("a", "alpha", "b", "beta", "c", "rc", "dev", "pre", "preview")


def _order(one: list[int | str], two: list[int | str]) -> int:
    for left, right in itertools.zip_longest(one, two, fillvalue=0):
        weight = _weight(left), _weight(right)
        if weight[0] != weight[1]:
            return -1 if weight[0] < weight[1] else 1
    return 0


def _weight(part: int | str) -> tuple[int, int, str]:
    """A pre-release sorts before the number 0, other words (`MariaDB`, `ubuntu`) count for nothing."""
    if isinstance(part, int):
        return (1, part, "")
    return (0, 0, part) if part in _BEFORE_RELEASE else (1, 0, "")


def _kind(value: Any) -> str:
    """What a value is, in an operator's words."""
    kinds = (
        (bool, "yes or no"),
        ((int, float), "a number"),
        (str, "a text"),
        (Mapping, "a table"),
        ((list, tuple), "a list"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "nothing")


# ---------------------------------------------------------------- text


def pattern_fault(pattern: object) -> str:
    """Why a text is no regular expression that may be used; empty when it is."""
    if not isinstance(pattern, str):
        return "a pattern is written out, in quotes"
    if _RUNAWAY.search(pattern.replace("\\+", "").replace("\\*", "")):
        return f"{pattern!r} repeats a repetition"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is not a regular expression: {error}"
    return ""


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{_kind(value)} is no text to search")
    text = str(value)
    if len(text) > LONGEST_VALUE:
        raise ValueError(f"a value of {len(text)} characters is too long to search")
    return text


def match(value: Any, pattern: str) -> bool:
    """At the beginning of the value, as Ansible's test."""
    return re.match(pattern, _text(value)) is not None


def search(value: Any, pattern: str) -> bool:
    return re.search(pattern, _text(value)) is not None


def regex_search(value: Any, pattern: str) -> str:
    """What was found, empty when nothing was (Ansible says none)."""
    found = re.search(pattern, _text(value))
    return found[0] if found else ""


def split(value: Any, by: str | None = None) -> list[str]:
    return _text(value).split(by)


# ---------------------------------------------------------------- numbers


def integer(value: Any, default: Any = _MISSING, base: int = 10) -> int:
    """Like Jinja's, but what is no number raises ValueError instead of counting as 0."""
    try:
        return int(str(value).strip(), base) if isinstance(value, str) else int(value)
    except (TypeError, ValueError):
        if default is _MISSING:
            raise ValueError(f"{str(value)[:40]!r} is not a number") from None
        return int(default)


def floating(value: Any, default: Any = _MISSING) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        if default is _MISSING:
            raise ValueError(f"{str(value)[:40]!r} is not a number") from None
        return float(default)


# ---------------------------------------------------------------- lists


def _list(value: Any) -> list[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise ValueError(f"{_kind(value)} is not a list")
    return list(value)


def union(one: Any, two: Any) -> list[Any]:
    first = _list(one)
    return first + [item for item in _list(two) if item not in first]


def intersect(one: Any, two: Any) -> list[Any]:
    second = _list(two)
    return [item for item in _list(one) if item in second]


def difference(one: Any, two: Any) -> list[Any]:
    second = _list(two)
    return [item for item in _list(one) if item not in second]


def contains(value: Any, item: Any) -> bool:
    """`value is contains(item)`: the turned-round `in`."""
    return item in value


def subset(one: Any, two: Any) -> bool:
    second = _list(two)
    return all(item in second for item in _list(one))


def any_true(value: Any) -> bool:
    return any(boolean(item) for item in _list(value))


def all_true(value: Any) -> bool:
    return all(boolean(item) for item in _list(value))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bool": boolean, "int": integer, "float": floating, "regex_search": regex_search, "split": split,
    "union": union, "intersect": intersect, "difference": difference,
}  # fmt: skip
TESTS: Mapping[str, Callable[..., Any]] = {
    "version": version, "version_compare": version, "match": match, "search": search, "regex": search,
    "contains": contains, "subset": subset, "any": any_true, "all": all_true,
}  # fmt: skip
PATTERNS = ("match", "search", "regex", "regex_search")
"""Tests and filters whose argument is a regular expression."""
