"""`[notices]` of upgrader.toml: who is told when a run waits, fails, crosses its line or is done.

[notices]
urls_file = "notices.urls"             one address per line, mode 0600: they hold tokens
urls_environment = "CLOUD_NOTICES"     or: the variable whose value is such lines
webhook_secret_file = "notices.key"    mode 0600; signs what is sent to webhook+https:// addresses
events = ["waiting", "failed"]         without it: all of them
title = "Cloud Frankfurt"              how messages begin; without it: the site's name
timeout = 30                           seconds for one message to all addresses
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from upgrader.config_table import Table

SECTION = "notices"
EVENTS: tuple[str, ...] = ("waiting", "failed", "rolled_back", "point_of_no_return", "hop_done", "unattended")
"""What can be told of. `unattended`: a run that is not at its end, and for a minute nobody has been driving it."""
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
_LONGEST_TITLE = 100


@dataclass(frozen=True, slots=True)
class NoticeRules:
    """As the site file says it. The addresses themselves are read when they are needed, and kept nowhere."""

    urls_file: Path | None = None
    urls_environment: str = ""
    webhook_secret_file: Path | None = None
    events: tuple[str, ...] = EVENTS
    title: str = ""
    timeout: int = 30

    @property
    def wanted(self) -> bool:
        return self.urls_file is not None or bool(self.urls_environment)


def notice_rules(table: Table) -> NoticeRules:
    """The section's values; faults go to the table."""
    faults = table.faults
    variable = table.text(SECTION, "urls_environment", "")
    if "://" in variable:
        # not repeated: it may be the secret itself
        faults.append(f"[{SECTION}] urls_environment: wants the name of a variable, has what looks like an address")
        variable = ""
    elif variable and not _VARIABLE.match(variable):
        faults.append(f"[{SECTION}] urls_environment: wants the name of a variable")
        variable = ""
    file = table.path(SECTION, "urls_file", None)
    if file is not None and variable:
        faults.append(f"[{SECTION}] urls_file and urls_environment: one of the two, not both")
    title = table.text(SECTION, "title", "")
    if len(title) > _LONGEST_TITLE or not title.isprintable():
        faults.append(f"[{SECTION}] title: wants one line of at most {_LONGEST_TITLE} characters")
    timeout = table.parsed(SECTION, "timeout", int, 30, "a whole number of seconds")
    if not 1 <= timeout <= 600:
        faults.append(f"[{SECTION}] timeout: {timeout} is not between 1 and 600 seconds")
    secret = table.path(SECTION, "webhook_secret_file", None)
    return NoticeRules(file, variable, secret, _events(table), title, timeout)


def _events(table: Table) -> tuple[str, ...]:
    found = table.texts(SECTION, "events")
    unknown = [name for name in found if name not in EVENTS]
    if unknown:
        table.faults.append(f"[{SECTION}] events: {', '.join(unknown)}: none of {', '.join(EVENTS)}")
    return found or EVENTS
