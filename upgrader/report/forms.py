"""The three forms of a report."""

from __future__ import annotations

import json

from upgrader.report.as_html import html_text
from upgrader.report.as_markdown import markdown_text
from upgrader.report.sections import document_of
from upgrader.report.values import Report


def markdown(report: Report) -> str:
    """For a ticket or a repository."""
    return markdown_text(document_of(report))


def html(report: Report) -> str:
    """One file with its pictures."""
    return html_text(document_of(report))


def as_json(report: Report) -> str:
    """The model itself, with everything that the others cut."""
    text = json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode()  # half characters from a damaged file stay JSON
