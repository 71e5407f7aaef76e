"""The quick check: annotations turned into small functions, once per class and only for classes that are used.

Accepts nothing that pydantic's strict mode would refuse, and gives the same value (a property test); it may well
doubt what pydantic accepts.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union

from upgrader.value.marks import Doubt, Lenient

Check = Callable[[Any], Any]
"""The value as it is kept; raises Doubt."""
MISSING = object()
Field = tuple[str, str, Check, Any]
"""Name, name in documents, check, default (or MISSING)."""


def read(fields: tuple[Field, ...], given: Mapping[Any, Any]) -> dict[str, Any]:
    """The values by name, in the order of the fields. Raises Doubt."""
    found: dict[str, Any] = {}
    used = 0
    for name, alias, check, default in fields:
        if alias in given:
            value = given[alias]
        elif name in given:
            value = given[name]
        elif default is MISSING:
            raise Doubt
        else:
            found[name] = default
            continue
        found[name] = check(value)
        used += 1
    if used != len(given):
        raise Doubt
    return found


def check_of(kind: Any, nested: Callable[[Any], Check | None]) -> Check:
    """The check for an annotation; `nested` knows the classes of values."""
    if kind in _EXACT:
        return _EXACT[kind]
    found = nested(kind)
    if found:
        return found
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind)
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _marked(kind, nested)
    if origin is Literal:
        return _literal(inside)
    if origin is tuple:
        return _tuple(inside, nested)
    if origin in (Union, UnionType):
        return _either([check_of(part, nested) for part in inside])
    if origin is typing.get_origin(Mapping[str, str]):
        return _table(check_of(inside[0], nested), check_of(inside[1], nested))
    return _doubt


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise Doubt
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a character: bytes of a host that are no UTF-8
            raise Doubt from error
    return value


def _exactly(kind: type) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise Doubt
        return value

    return check


_EXACT: dict[Any, Check] = {str: _text, int: _exactly(int), bool: _exactly(bool), NoneType: _exactly(NoneType)}


def _doubt(value: Any) -> Any:
    raise Doubt


def _member(kind: type[Enum], by_value: bool = False) -> Check:
    members = {member.value: member for member in kind}

    def check(value: Any) -> Any:
        if type(value) is kind:
            return value
        if by_value and type(value) is str and value in members:
            return members[value]
        raise Doubt

    return check


def _literal(allowed: tuple[Any, ...]) -> Check:
    kinds = {(type(one), one) for one in allowed}

    def check(value: Any) -> Any:
        if type(value) not in (str, int) or (type(value), value) not in kinds:
            raise Doubt
        return value

    return check


def _marked(kind: Any, nested: Callable[[Any], Check | None]) -> Check:
    inner, *marks = typing.get_args(kind)
    if any(isinstance(mark, Lenient) for mark in marks):
        return _member(inner, by_value=True)
    checks = [check_of(inner, nested), *(getattr(mark, "quick", _doubt) for mark in marks)]

    def check(value: Any) -> Any:
        for one in checks:
            value = one(value)
        return value

    return check


def _tuple(inside: tuple[Any, ...], nested: Callable[[Any], Check | None]) -> Check:
    if inside[-1] is Ellipsis:
        each = check_of(inside[0], nested)

        def check(value: Any) -> Any:
            if type(value) is not tuple:
                raise Doubt
            return tuple([each(item) for item in value])

        return check
    checks = [check_of(part, nested) for part in inside]

    def check_each(value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(checks):
            raise Doubt
        return tuple([one(item) for one, item in zip(checks, value, strict=True)])

    return check_each


def _either(checks: list[Check]) -> Check:
    def check(value: Any) -> Any:
        for one in checks:
            try:
                return one(value)
            except Doubt:
                continue
        raise Doubt

    return check


def _table(key: Check, item: Check) -> Check:
    def check(value: Any) -> Any:
        if type(value) not in (dict, MappingProxyType):
            raise Doubt
        return {key(name): item(inner) for name, inner in value.items()}

    return check
