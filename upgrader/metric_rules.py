"""`[metrics]` of upgrader.toml: the file that node_exporter's textfile collector reads.

[metrics]
textfile = "/var/lib/node_exporter/textfile/upgrader.prom"
interval = 10          seconds; it is written at once when something happens, and this often when nothing does
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upgrader.config_table import Table

SECTION = "metrics"
SUFFIX = ".prom"
"""The collector reads no other file (prometheus/node_exporter, textfile collector)."""


@dataclass(frozen=True, slots=True)
class MetricRules:
    """As the site file says it."""

    textfile: Path | None = None
    """None: none is written."""
    interval: int = 10


def metric_rules(table: Table) -> MetricRules:
    """The section's values; faults go to the table."""
    textfile = table.path(SECTION, "textfile", None)
    if textfile is not None and textfile.suffix != SUFFIX:
        table.faults.append(f"[{SECTION}] textfile: {textfile.name!r} does not end with {SUFFIX}: nobody would read it")
    interval = table.parsed(SECTION, "interval", int, 10, "a whole number of seconds")
    if not 1 <= interval <= 3600:
        table.faults.append(f"[{SECTION}] interval: {interval} is not between 1 and 3600 seconds")
    return MetricRules(textfile, interval)
