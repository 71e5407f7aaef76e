"""Reads the release graph's files and says everything that is wrong with them, by file and field.

All bytes are read once, when the graph is loaded: what is parsed later is what the digest was taken of.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from upgrader.errors import DataError
from upgrader.value import Value

Part = TypeVar("Part", bound=Value)

FIX = "python -m upgrader.graph"


def data_folder() -> Path:
    """Folder of the data that is shipped with the tool."""
    import release_graph

    return Path(release_graph.__file__).parent


def read_files(folder: Path) -> dict[str, bytes]:
    """Every data file by its path below `folder`, sorted. Raises DataError when there is none or one cannot be read."""
    try:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.toml"))
        files = {name: (folder / name).read_bytes() for name in names}
        files["VERSION"] = (folder / "VERSION").read_bytes()
    except OSError as error:
        raise damaged([f"{error.filename}: {error.strerror}"]) from error
    if not names:
        raise damaged([f"{folder}: holds no data files"])
    return files


def files_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and bytes of all files in the order of their names, in hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()


def parse(files: Mapping[str, bytes], name: str, shape: type[Part], faults: list[str]) -> Part | None:
    """The file as a value, or None with every fault of it added to `faults`."""
    raw = files.get(name)
    if raw is None:
        faults.append(f"{name}: missing")
        return None
    try:
        document = tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        faults.append(f"{name}: not UTF-8 at byte {error.start}")
        return None
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{name}: not TOML: {error}")
        return None
    try:
        return shape.model_validate(_tuples(document))
    except ValueError as error:  # pydantic's, which is imported only when there is a fault
        found: list[dict[str, Any]] = getattr(error, "errors", list)()
        if not found:
            raise
        faults.extend(f"{name}: {_field(fault['loc'])}: {_words(fault)}" for fault in found)
        return None


def damaged(faults: list[str]) -> DataError:
    """The one error that carries all faults."""
    count = f"{len(faults)} fault" + ("" if len(faults) == 1 else "s")
    return DataError(
        f"The release graph's data is damaged: {count}, the first is {faults[0]}",
        details=faults,
        cloud="Nothing was changed.",
        next_command=FIX,
        reason="graph-data",
    )


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down: the shapes are strict and frozen."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _field(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "the file"


def _words(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "missing":
        return "required, but missing"
    if fault["type"] == "extra_forbidden":
        return "unknown field"
    return f"{fault['msg']} (found {fault['input']!r:.60})"
