"""Marks for `Annotated`: what a field asks of its value beyond its type, in a form that pydantic understands too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class Doubt(Exception):  # noqa: N818 - no error: a question that pydantic answers
    """The quick check does not accept a value; whether it is wrong is for pydantic to say."""


class AtLeast:
    """At least so many characters or items, or at least this number."""

    def __init__(self, least: int) -> None:
        self.least = least

    def quick(self, value: Any) -> Any:
        if (value if isinstance(value, int) else len(value)) < self.least:
            raise Doubt
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        schema = handler(source)
        schema["ge" if schema["type"] == "int" else "min_length"] = self.least
        return schema


class Pattern:
    """Text that fits a regular expression, which has its own `^` and `$`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._compiled = re.compile(pattern)

    def quick(self, value: Any) -> Any:
        # here `$` also fits before a last line break, for pydantic it does not
        if not self._compiled.search(value) or "\n" in value:
            raise Doubt
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        schema = handler(source)
        schema["pattern"] = self.pattern
        return schema


class Sealed:
    """A table that nobody can change afterwards."""

    def quick(self, value: Any) -> Any:
        return sealed(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(sealed, handler(source))


class Lenient:
    """A member of an enumeration that may also be given by its value, as in files."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic import Strict

        return handler.generate_schema(Annotated[source, Strict(False)])


def sealed(table: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(table))
