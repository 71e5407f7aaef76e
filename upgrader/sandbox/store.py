"""How the sandbox keeps its cloud in files: whole-file replacement, the effects log, the faults to play.

Only the standard library, and little of it: the engine is started hundreds of times in one upgrade. Not written
through `upgrader.durable` on purpose: these files stand for the cloud, not for what the tool has to remember, and
must not show up among the tool's own writes and failpoints.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing, and json until there is something to read, are half of the engine's start
    from typing import Any

EFFECTS = "effects.log"
FAULTS = "faults.toml"
FAULTS_USED = "faults-used"


def read(path: str) -> Any:
    """The JSON document in `path`. Raises FileNotFoundError."""
    import json

    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib costs a third of the engine's start
        return json.load(stream)


def read_if_there(path: str) -> Any:
    try:
        return read(path)
    except FileNotFoundError:
        return None


def write(path: str, document: Any) -> None:
    """Replace `path` as a whole: a reader, or a process killed in between, sees the old or the new document."""
    import json

    write_bytes(path, (json.dumps(document, indent=1) + "\n").encode())


def write_bytes(path: str, data: bytes, mode: int = 0o600) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)  # noqa: PTH105


def names(folder: str, suffix: str = ".json") -> list[str]:
    """Names of the documents in `folder`, sorted, without suffix; none when the folder is missing."""
    try:
        entries = os.listdir(folder)  # noqa: PTH208
    except FileNotFoundError:
        return []
    return sorted(name[: -len(suffix)] for name in entries if name.endswith(suffix))


def note(root: str, key: str, **more: Any) -> None:
    """Count one effect on the cloud under `key`: one line, appended whole and synced."""
    import json

    line = json.dumps({"key": key, "count": 1, **more}) + "\n"
    descriptor = os.open(f"{root}/{EFFECTS}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def effects(root: str) -> dict[str, int]:
    """How often each effect happened to this cloud, by key."""
    import json

    counts: dict[str, int] = {}
    try:
        with open(f"{root}/{EFFECTS}", encoding="utf-8") as stream:  # noqa: PTH123
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return counts
    for line in lines:
        entry = json.loads(line)
        counts[entry["key"]] = counts.get(entry["key"], 0) + int(entry["count"])
    return counts


def faults(root: str) -> list[dict[str, Any]]:
    """The faults to play, each with its `number`; none when there is no faults file."""
    try:
        with open(f"{root}/{FAULTS}", "rb") as stream:  # noqa: PTH123
            data = stream.read()
    except FileNotFoundError:
        return []
    import tomllib

    found = tomllib.loads(data.decode()).get("fault", [])
    return [{**fault, "number": number} for number, fault in enumerate(found)]


def take_fault(root: str, kind: str, **about: str) -> dict[str, Any] | None:
    """The first fault of `kind` that fits, counted as played; None when there is none (left).

    `about` gives task, host, release and so on; a fault fits when each of these that it names is part of (task) or
    equal to (all others) what is given. `times` limits how often it is played; 0 or missing means always.
    """
    for fault in faults(root):
        if fault.get("kind") != kind or not all(_fits(fault, name, value) for name, value in about.items()):
            continue
        if _count_down(root, fault):
            return fault
    return None


def _fits(fault: dict[str, Any], name: str, value: str) -> bool:
    wanted = fault.get(name)
    if wanted in (None, ""):
        return True
    return str(wanted).lower() in value.lower() if name == "task" else str(wanted) == value


def _count_down(root: str, fault: dict[str, Any]) -> bool:
    times = int(fault.get("times", 0))
    if times <= 0:
        return True
    folder = f"{root}/{FAULTS_USED}"
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    for use in range(times):
        # creating a file exclusively is the counter: hosts are worked on by several processes at once
        try:
            os.close(os.open(f"{folder}/{fault['number']}.{use}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return True
    return False
