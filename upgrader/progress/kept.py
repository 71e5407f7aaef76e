"""What was counted, in a small file beside the play's events: `status` reads that, not a hundred thousand lines.

Hosts are written as ranges of their places in one list, so that a thousand of them cost a few bytes for each service.
Not synced to the disk: it repeats what the events say, and whoever needs certainty counts those.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from upgrader.progress.tally import RoleTally, Tally

FILE = "services.json"


def keep(folder: Path, tally: Tally) -> None:
    """Write what is counted by now. Raises OSError."""
    names = sorted({host for known in tally.roles.values() for host in known.hosts})
    place = {name: number for number, name in enumerate(names)}
    document = {
        "hosts": names,
        "now": tally.now,
        "over": tally.over,
        "roles": [
            [name, _ranges(place[host] for host in known.hosts), known.broken, known.ended]
            for name, known in tally.roles.items()
        ],
    }
    temporary = folder / f"{FILE}.tmp"
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    os.replace(temporary, folder / FILE)  # noqa: PTH105


def _ranges(places: Any) -> str:
    """`0-4,7`."""
    found: list[list[int]] = []
    for number in sorted(places):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{first}-{last}" if first != last else str(first) for first, last in found)


def _hosts(text: str, names: list[str]) -> set[str]:
    found: set[str] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(names[int(first) : int(last or first) + 1])
    return found


def read(folder: Path) -> Tally | None:
    """What was counted of a play; None where nothing was, or the file is damaged."""
    try:
        document = json.loads((folder / FILE).read_bytes())
        tally = Tally()
        names = [str(name) for name in document["hosts"]]
        for name, ranges, broken, ended in document["roles"]:
            tally.roles[str(name)] = RoleTally(_hosts(str(ranges), names), dict(broken), bool(ended))
        tally.now, tally.over = str(document["now"]), bool(document["over"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tally


def read_all(plays: Path) -> tuple[Tally, ...]:
    """Of every play of an attempt that was counted, in order."""
    try:
        folders: Collection[Path] = sorted(item for item in plays.iterdir() if item.is_dir())
    except OSError:
        return ()
    return tuple(tally for folder in folders if (tally := read(folder)) is not None)
