"""Every field of every data file: taken out, made of the wrong type, or joined by an unknown one, it is named."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from upgrader.graph.check import PER_HOP, PER_RELEASE, SINGLE
from upgrader.graph.load import _tuples as tuples
from upgrader.graph.load import parse
from upgrader.value import Value
from upgrader.value.marks import Doubt
from upgrader.value.thorough import adapter

Path = tuple[str | int, ...]
ONE_OF_EACH = (
    SINGLE
    | {f"{folder}/2025.1.toml": shape for folder, shape in PER_RELEASE.items()}
    | {f"{folder}/2025.1-2025.2.toml": shape for folder, shape in PER_HOP.items()}
)


def toml(value: Any) -> str:
    """TOML with everything inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return "{" + ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items()) + "}"


def document(value: Mapping[str, Any]) -> bytes:
    return "".join(f"{toml(key)} = {toml(item)}\n" for key, item in value.items()).encode()


def models_in(annotation: Any) -> Iterator[type[Value]]:
    if isinstance(annotation, type) and issubclass(annotation, Value):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def fields(shape: type[Value], value: Mapping[str, Any], at: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every field that is set, with the first item of lists and tables standing for all."""
    for name, info in shape.shape().model_fields.items():
        key = info.alias or name
        if key not in value:
            continue
        yield (*at, key), info
        inner = next(models_in(info.annotation), None)
        here: Any = value[key]
        if inner is None:
            continue
        if issubclass(inner, Value) and isinstance(here, list):
            if here:
                yield from fields(inner, here[0], (*at, key, 0))
        elif isinstance(info.annotation, type | types.UnionType):
            yield from fields(inner, here, (*at, key))
        elif isinstance(here, dict) and here:
            first = next(iter(here))
            yield from fields(inner, here[first], (*at, key, first))


def spelled(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def changed(value: Any, path: Path, change: Any) -> Any:
    """A copy in which `change` was applied to the holder and the key that `path` leads to."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        change(copy, path[0])
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], change)  # type: ignore[index]
    return copy


def drop(holder: Any, key: Any) -> None:
    del holder[key]


def spoil(holder: Any, key: Any) -> None:
    holder[key] = 12.5


def extend(holder: Any, key: Any) -> None:
    holder["surprise_"] = "x"


def faults_of(name: str, shape: type[Any], value: Mapping[str, Any]) -> list[str]:
    faults: list[str] = []
    parse({name: document(value)}, name, shape, faults)
    return faults


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_fault_of_a_field_is_named_with_file_and_field(name: str, files: dict[str, bytes]) -> None:
    import tomllib

    shape = ONE_OF_EACH[name]
    value = tomllib.loads(files[name].decode())
    assert faults_of(name, shape, value) == []
    seen = list(fields(shape, value))
    assert seen
    holders = {path[:-1] for path, _ in seen}
    for path, info in seen:
        if info.is_required():
            wanted = f"{name}: {spelled(path)}: required, but missing"
            assert wanted in faults_of(name, shape, changed(value, path, drop))
        found = faults_of(name, shape, changed(value, path, spoil))
        assert any(fault.startswith(f"{name}: {spelled(path)}: ") and "12.5" in fault for fault in found), path
    for holder in holders:
        wanted = f"{name}: {spelled((*holder, 'surprise_'))}: unknown field"
        assert wanted in faults_of(name, shape, changed(value, (*holder, "surprise_"), extend))


ODD = (
    12.5,
    "",
    " ",
    "x\n",
    "2025.1\n",
    "9999.1",
    "restore",
    True,
    0,
    -1,
    7,
    None,
    (),
    ("",),
    ("x",),
    ({},),
    {},
    {"": "x"},
    {"x": 1},
)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_what_is_read_without_pydantic_is_what_pydantic_reads(name: str, files: dict[str, bytes]) -> None:
    """The shipped files pass the quick check, and with anything else in any field it is not more lenient."""
    import tomllib

    shape = ONE_OF_EACH[name]
    value = tomllib.loads(files[name].decode())
    assert shape.trusted(shape.quickly(tuples(value))) == adapter(shape).validate_python(tuples(value))
    accepted = 0
    for path, _ in fields(shape, value):
        for odd in ODD:
            document = tuples(changed(value, path, lambda holder, key, odd=odd: holder.__setitem__(key, odd)))
            try:
                quick = shape.trusted(shape.quickly(document))
            except Doubt:
                continue
            assert quick == adapter(shape).validate_python(document), (path, odd)
            accepted += 1
    assert accepted


def test_all_faults_of_a_file_are_told_together(files: dict[str, bytes]) -> None:
    import tomllib

    name = "releases/2025.1.toml"
    value = tomllib.loads(files[name].decode())
    del value["codename"], value["kolla_ansible"]["source"]
    value["slurp"] = "yes"
    value["engines"] = ["docker", "rkt"]
    faults = faults_of(name, ONE_OF_EACH[name], value)
    assert [fault.split(": ")[1] for fault in sorted(faults)] == [
        "codename",
        "engines[1]",
        "kolla_ansible.source",
        "slurp",
    ]


def test_a_number_in_place_of_a_release_is_a_fault(files: dict[str, bytes]) -> None:
    raw = files["hops/2025.1-2025.2.toml"].replace(b'to = "2025.2"', b"to = 2025.2")
    faults: list[str] = []
    parse({"h": raw}, "h", PER_HOP["hops"], faults)
    assert faults == ["h: to: Input should be a valid string (found 2025.2)"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"id = ", "not TOML"),
        (b'id = "\xff"', "not UTF-8 at byte 6"),
        (b'id = "2025.1"\nid = "2025.2"\n', "not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named(raw: bytes, words: str) -> None:
    faults: list[str] = []
    assert parse({"releases/x.toml": raw}, "releases/x.toml", PER_RELEASE["releases"], faults) is None
    assert faults[0].startswith(f"releases/x.toml: {words}")
