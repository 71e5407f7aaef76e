"""What a site says of its change document: whose templates, which language, what logo, and who is called.

Light, as the site file's reader is. Looks at no file: whether templates and logo are what they should be is found when
a document is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from upgrader.config_table import Table

_LANGUAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who is called. `order`: place in the escalation, by default the place in the file."""

    name: str
    role: str = ""
    phone: str = ""
    mail: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class RunbookRules:
    """`[runbook]` and `[[contacts]]` of the site file."""

    templates: Path | None = None
    """Folder whose files win over those of the same name that are shipped."""
    language: str = "en"
    """Folder of the translation; what it lacks is English."""
    logo: Path | None = None
    contacts: tuple[Contact, ...] = ()
    """In the order of the escalation."""


def runbook_rules(table: Table) -> RunbookRules:
    """The rules of a site file; faults are the table's to tell."""
    contacts = [
        Contact(
            name=part.text(label, "name", None),
            role=part.text(label, "role", ""),
            phone=part.text(label, "phone", ""),
            mail=part.text(label, "mail", ""),
            order=part.parsed(label, "order", int, number, "a whole number"),
        )
        for number, (part, label) in enumerate(table.entries("contacts"), start=1)
    ]
    return RunbookRules(
        templates=table.path("runbook", "templates", None),
        language=table.text("runbook", "language", "en", _LANGUAGE),
        logo=table.path("runbook", "logo", None),
        contacts=tuple(sorted(contacts, key=lambda contact: contact.order)),
    )
