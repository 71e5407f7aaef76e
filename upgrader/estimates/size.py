"""How large the cloud of a plan is, out of the plan's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.estimates.model import Size, baseline


def size_of(plan: Mapping[str, Any], hop: Mapping[str, Any], *, forks: int, soak: int) -> Size:
    """The size of the planned cloud; a typical one where the plan is on paper."""
    rows = [row for row in hop["way_back"] if row.get("enabled") is True]
    known = {row["service"] for row in rows}
    changing = {row["service"] for row in rows if row["changes_schema"] and row.get("database")}
    shipped = baseline()
    return Size(
        hosts=len(plan.get("hosts", ())) or shipped.typical_hosts,
        services=len(known) or shipped.typical_services,
        schemas=len(changing),
        forks=forks,
        soak=soak,
    )
