"""`[serve]` of upgrader.toml: where `upgrader serve` listens and who may read.

[serve]
listen = "127.0.0.1:8620"
token_file = "serve.token"        needed for any address but loopback
names = ["upgrade.example.net"]   host names under which the page is asked for, behind a proxy for example
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from upgrader.config_table import Table

SECTION = "serve"
LISTEN = "127.0.0.1:8620"


@dataclass(frozen=True, slots=True)
class ServeRules:
    """As the site file says it; the command line wins over it."""

    listen: str = LISTEN
    token_file: Path | None = None
    names: tuple[str, ...] = ()


def serve_rules(table: Table) -> ServeRules:
    """The section's values; faults go to the table."""
    return ServeRules(
        listen=table.text(SECTION, "listen", LISTEN),
        token_file=table.path(SECTION, "token_file", None),
        names=tuple(name.lower() for name in table.texts(SECTION, "names")),
    )
