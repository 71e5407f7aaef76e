"""What `upgrader diagnose` shows of the file it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from upgrader.diagnose.model import Diagnosis
from upgrader.views.page import Page, Span


def diagnosis_page(found: Diagnosis, path: Path, commands: Sequence[str]) -> Page:
    """The three lines, what to check, how much could not be read, and the file."""
    page = Page()
    stopped, cloud, back = found.summary
    page.line(Span("Stopped: ", "strong"), stopped, hang=9)
    page.line(Span("The cloud: ", "strong"), cloud, hang=11)
    page.line(back, hang=2)
    if found.checks:
        page.line("Check:")
        for check in found.checks:
            page.line(check.title, indent=2, hang=4)
            page.line(Span(check.command, "command"), indent=4, hang=6)
    known = [match for match in found.matches if match.line]
    for match in known[:4]:
        page.line(Span(f"Known: {match.id}", "warn"), f" {match.title}", hang=7)
    if found.gaps:
        page.line(f"Not read: {len(found.gaps)}; the file says what and why.")
    page.line("File: ", Span(str(path), "strong"))
    page.next(*commands)
    return page
