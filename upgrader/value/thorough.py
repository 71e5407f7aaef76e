"""What pydantic says of a value: a model with the same fields, built when it is asked for the first time."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic_core import CoreSchema, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

    from upgrader.value.base import Value

CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


_ADAPTERS: dict[type[Value], TypeAdapter[Any]] = {}
_SHAPES: dict[type[Value], type[BaseModel]] = {}


def adapter(kind: type[Value]) -> TypeAdapter[Any]:
    """Reads values of one class from Python or JSON."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind, config=ConfigDict(title=kind.__name__))
    return _ADAPTERS[kind]


def shape_of(kind: type[Value]) -> type[BaseModel]:
    """The class as a pydantic model; values inside it are of their own classes."""
    if kind not in _SHAPES:
        _SHAPES[kind] = _shape(kind)
    return _SHAPES[kind]


def _shape(kind: type[Value]) -> type[BaseModel]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], _field(alias, kind._defaults[name]) if name in kind._defaults else Field(alias=alias))
        for name, alias in kind._names.items()
    }
    made: type[BaseModel] = create_model(kind.__name__, __config__=CONFIG, __module__=kind.__module__, **fields)
    return made


def _field(alias: str, default: Any) -> Any:
    return Field(default_factory=lambda: default, alias=alias)  # as it is: pydantic would copy a default


def schema_of(kind: type[Value], handler: GetCoreSchemaHandler) -> CoreSchema:
    """How pydantic reads a value of this class: a value that is there already, or the parts of one."""

    def made(model: Any) -> Value:
        value = kind.trusted(model.__dict__)
        value.consistent()
        return value

    def read(given: Any, parts: core_schema.ValidatorFunctionWrapHandler) -> Any:
        return given if isinstance(given, kind) else parts(given)

    parts = core_schema.no_info_after_validator_function(made, handler.generate_schema(shape_of(kind)))
    return core_schema.json_or_python_schema(
        json_schema=parts, python_schema=core_schema.no_info_wrap_validator_function(read, parts)
    )
