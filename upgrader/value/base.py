"""`Value`: frozen, strict, refusing unknown fields; the methods of a pydantic model that this tool uses."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

from upgrader.value import quick
from upgrader.value.marks import Doubt

if TYPE_CHECKING:
    from pydantic import BaseModel, GetCoreSchemaHandler
    from pydantic_core import CoreSchema

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""An empty sealed table, as default."""


class _Named:
    def __init__(self, alias: str) -> None:
        self.alias = alias


def named(*, alias: str) -> Any:
    """A field without default that has another name in documents (`from` is no name in Python)."""
    return _Named(alias)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(named,))
class Value:
    """Immutable, strict, and refusing fields it does not know; sequences are tuples so that frozen means frozen.

    Building one raises pydantic's ValidationError, which holds every fault. Field names and the names used in
    documents both count. A subclass with a rule over several fields overrides `consistent`.
    """

    _names: ClassVar[dict[str, str]] = {}
    """Field → its name in documents, in the order of the fields."""
    _defaults: ClassVar[dict[str, Any]] = {}
    _fields: ClassVar[tuple[quick.Field, ...] | None] = None
    """Made when the first value is built."""

    def __init_subclass__(cls) -> None:
        names, defaults = dict(cls._names), dict(cls._defaults)
        for name, kind in inspect.get_annotations(cls).items():
            if "ClassVar[" in str(kind):
                continue
            given = cls.__dict__.get(name, quick.MISSING)
            names[name] = given.alias if isinstance(given, _Named) else name
            if given is quick.MISSING or isinstance(given, _Named):
                defaults.pop(name, None)
            else:
                defaults[name] = given
        cls._names, cls._defaults, cls._fields = names, defaults, None

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(type(self)._checked(given))

    def consistent(self) -> None:
        """Raises ValueError when fields that are sound each do not fit together."""

    @classmethod
    def shape(cls) -> type[BaseModel]:
        """The pydantic model with the same fields: the authority for what is accepted."""
        from upgrader.value.thorough import shape_of

        return shape_of(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from upgrader.value.thorough import schema_of

        return schema_of(cls, handler)

    # ------------------------------------------------------------ building

    @classmethod
    def model_validate(cls, document: Any, *, strict: bool | None = None) -> Self:
        """From a mapping of parts that have their Python types; `strict=False` converts as pydantic does."""
        if type(document) is dict:
            try:
                return cls.trusted(cls.quickly(document))
            except Doubt:
                pass
        from upgrader.value.thorough import adapter

        made: Self = adapter(cls).validate_python(document, strict=strict)
        return made

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        from upgrader.value.thorough import adapter

        made: Self = adapter(cls).validate_json(text)
        return made

    @classmethod
    def trusted(cls, parts: Mapping[str, Any]) -> Self:
        """From parts that were checked, by the names of all fields."""
        made = cls.__new__(cls)
        made.__dict__.update(parts)
        return made

    @classmethod
    def quickly(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The checked parts, without pydantic. Raises Doubt when they are not plainly sound."""
        fields = cls._fields
        if fields is None:
            hints = typing.get_type_hints(cls, include_extras=True)
            fields = cls._fields = tuple(
                (name, alias, quick.check_of(hints[name], _nested), cls._defaults.get(name, quick.MISSING))
                for name, alias in cls._names.items()
            )
        parts = quick.read(fields, given)
        if cls.consistent is not Value.consistent:
            try:
                cls.trusted(parts).consistent()
            except ValueError as error:
                raise Doubt from error
        return parts

    @classmethod
    def _checked(cls, given: dict[str, Any]) -> dict[str, Any]:
        try:
            return cls.quickly(given)
        except Doubt:
            from upgrader.value.thorough import adapter

            parts: dict[str, Any] = adapter(cls).validate_python(given).__dict__
            return parts

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """The same with other parts, which are not checked again."""
        return self.trusted({**self.__dict__, **(update or {})})

    # ------------------------------------------------------------ as data

    def document(self) -> dict[str, Any]:
        """Plain JSON-ready form, with the names used in files (`from`, `to`)."""
        return {alias: _plain(self.__dict__[name]) for name, alias in self._names.items()}

    def model_dump(self) -> dict[str, Any]:
        """The parts by the names of the fields, values inside them as dictionaries too; sequences stay tuples."""
        return {name: _parts(self.__dict__[name]) for name in self._names}

    # ------------------------------------------------------------ as a value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name} cannot be removed")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


def _nested(kind: Any) -> quick.Check | None:
    if not (isinstance(kind, type) and issubclass(kind, Value)):
        return None

    def check(value: Any) -> Any:
        if type(value) is kind:
            return value
        if type(value) is not dict:
            raise Doubt
        return kind.trusted(kind.quickly(value))

    return check


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.document()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _parts(value: Any) -> Any:
    if isinstance(value, Value):
        return value.model_dump()
    if isinstance(value, tuple):
        return tuple(_parts(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _parts(item) for key, item in value.items()}
    return value
