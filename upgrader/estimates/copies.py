"""What rehearsals on a copy measured of a hop: the restore, every migration, and how long the rehearsal itself took.

Reads their kept reports (`upgrader.rehearsal.kept`) as plain JSON, for estimates have to be there at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.durable import read_json

_REPORTS = "rehearsals/*/report.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one hop, on the site's own rows but on another machine."""

    id: str
    restore: float
    """Seconds of loading the backup into an empty server."""
    migrations: float
    """Seconds of all services' migrations, one after the other, every program started anew."""
    whole: float
    """Seconds of the rehearsal of this hop, the restore included."""


def measured(state_dir: Path) -> Mapping[str, tuple[Measured, ...]]:
    """By hop, the oldest first: hops that passed. What cannot be read is passed over."""
    found: dict[str, list[Measured]] = {}
    for path in sorted(state_dir.glob(_REPORTS)):
        document = read_json(path).document
        if document is None:
            continue
        try:
            for name, one in _hops(document):
                found.setdefault(name, []).append(one)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # of a version that this one does not know
    return {name: tuple(rows) for name, rows in found.items()}


def _hops(document: Mapping[str, Any]) -> list[tuple[str, Measured]]:
    rows = []
    for hop in document["hops"]:
        services = hop.get("services", ())
        if not services or any(service["verdict"] == "failed" for service in services):
            continue
        passed = {service["service"] for service in services if service["verdict"] == "passed"}
        projected = [row for row in hop.get("projections", ()) if row["service"] in passed]
        migrations = sum(float(row["schema_seconds"]) + float(row["online_seconds"]) for row in projected)
        restore, whole = float(document.get("restore_seconds", 0)), float(hop.get("seconds", 0))
        if not math.isfinite(migrations + restore + whole):
            continue
        rows.append((f"{hop['from']}→{hop['to']}", Measured(str(document["id"]), restore, migrations, restore + whole)))
    return rows
