"""What a check found, in words: blockers first, by hop and by when it has to be done, the next command last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from upgrader.estimates import HopFit
from upgrader.findings import CHECKLIST, Checked, asked, hop_name, missing, part_of, questions
from upgrader.model import Code, Finding
from upgrader.status import Standing
from upgrader.views.explain import told
from upgrader.views.page import Page, Span
from upgrader.views.plan import blocked_words, count, host_before, host_counts, mark_of
from upgrader.views.window import window_part

_WHEN = {"before": "do now", "during": "in the window", "after": "after"}
_FEW = 3
"""So many lines of one id are shown; the rest is counted."""


def check_page(
    checked: Checked,
    *,
    next_commands: Sequence[str],
    details: bool = False,
    window: Standing | None = None,
    fits: Sequence[HopFit] = (),
) -> Page:
    """The whole check. Without `details` what only should be done is a line each, and what is advised is counted."""
    page = Page()
    _header(page, checked)
    _verdict(page, checked)
    window_part(page, window, fits)
    checklist = [finding for finding in checked.findings if part_of(finding) == CHECKLIST]
    rest = [finding for finding in checked.findings if finding not in checklist]
    _part(page, "The cloud as it is", [finding for finding in rest if not finding.hop], details)
    names = [hop_name(hop) for hop in checked.path.hops]
    for number, hop in enumerate(checked.path.hops, start=1):
        title = f"Hop {number} of {len(names)}   {hop.source} → {hop.target}"
        _part(page, title, [finding for finding in rest if finding.hop == hop_name(hop)], details)
    _questions(page, checked)
    _checklist(page, checklist, details)
    _closing(page, checked, details)
    page.next(*next_commands)
    return page


def _header(page: Page, checked: Checked) -> None:
    runs = f"running {checked.path.source} ({checked.known_by})" if checked.path.source else checked.known_by
    page.line(Span(f"Site {checked.site}", "strong"), f" · {host_counts(checked.hosts)} · {runs}")
    way = " → ".join(checked.path.releases) if checked.path.hops else "no hop to judge"
    page.line(f"Checked {way} · graph data {checked.graph_version} · looked at {checked.observed_at}")


def _verdict(page: Page, checked: Checked) -> None:
    page.blank()
    blockers = checked.blockers
    unknown = sum(finding.unknown for finding in blockers)
    if not blockers:
        words = "Nothing found blocks this way." if checked.path.hops else "Nothing found is wrong with the cloud."
        page.line(Span(words, "good"))
        return
    page.line(Span("BLOCKED", "bad"), f"  {blocked_words(blockers, [hop_name(hop) for hop in checked.path.hops])}")
    if unknown:
        page.line(f"{count(unknown, 'of them is', 'of them are')} not known yet: not known never counts as fine.",
                  indent=9)  # fmt: skip


# ---------------------------------------------------------------- one hop


def _part(page: Page, title: str, findings: Sequence[Finding], details: bool) -> None:
    found = [finding for finding in findings if details or finding.code is not Code.SUCCESS]
    if not found:
        return
    page.blank()
    page.line(Span(title, "strong"))
    for when, group in groupby(found, key=lambda finding: finding.when):
        items = list(group)
        shown = [finding for finding in items if details or not _folded(finding)]
        if shown:
            page.line(Span(_WHEN[when], "strong"), indent=2)
        for finding in _few(page, shown, details):
            _finding(page, finding, details)
        folded = len(items) - len(shown)
        if folded:
            label = "" if shown else f"{_WHEN[when]}: "
            page.line(Span(f"{label}{folded} advised", "dim"), indent=2 if label else 4)


def _folded(finding: Finding) -> bool:
    return finding.severity == "advised" and not finding.blocks and not finding.regressed


def _few(page: Page, findings: Sequence[Finding], details: bool) -> Iterable[Finding]:
    """The findings; of many with the same id the first ones, and then their number."""
    for name, group in groupby(findings, key=lambda finding: finding.id):
        items = list(group)
        yield from items if details else items[:_FEW]
        left = 0 if details else len(items) - _FEW
        if left > 0:
            page.line(Span(f"… and {left} more of {name}", "dim"), indent=6)


def _finding(page: Page, finding: Finding, details: bool) -> None:
    mark, tone = mark_of(finding)
    said = f"  {host_before(finding)}{finding.message}"
    page.line(Span(mark, tone), " ", Span(finding.id, tone), said, Span(_notes(finding), "warn"), indent=4, hang=8)
    if details or finding.blocks:
        told(page, finding, indent=8, sources=details)
    elif finding.accepted[1]:
        page.line(f'accepted by {finding.accepted[0]}: "{finding.accepted[1]}"', indent=8)
    elif missing(finding):
        page.line(Span("; ".join(missing(finding)), "dim"), indent=8)


def _notes(finding: Finding) -> str:
    notes = []
    if finding.unknown:
        wanted = f"answer {', '.join(asked(finding))}" if asked(finding) else ""
        notes.append("blocks until it is known" if finding.blocks else wanted or "not known")
    if finding.regressed:
        notes.append("came back")
    return f"  [{', '.join(notes)}]" if notes else ""


# ---------------------------------------------------------------- questions, checklist, end


def _questions(page: Page, checked: Checked) -> None:
    found = questions(checked.findings)
    if not found:
        return
    page.blank()
    page.line(Span("Only you can answer", "strong"), "   in [answers] of upgrader.toml")
    for question in found:
        by = Span(f"  ({', '.join(question.asked_by)})", "dim")
        page.line(Span(question.name, "command"), f" = …  {question.words}", by, indent=2, hang=6)


def _checklist(page: Page, findings: Sequence[Finding], details: bool) -> None:
    if not findings:
        return
    good = sum(finding.code is Code.SUCCESS for finding in findings)
    page.blank()
    page.line(Span("Production checklist", "strong"), f"   {good} of {len(findings)} as they should be")
    for finding in findings:
        mark, tone = mark_of(finding)
        note = Span("  [came back]" if finding.regressed else "", "warn")
        page.line(Span(mark, tone), " ", Span(finding.id, tone), f"  {finding.message}", note, indent=2, hang=6)
        if details:
            told(page, finding, indent=6)
        elif finding.code is not Code.SUCCESS:
            page.line(Span(finding.why, "dim"), indent=6)


def _closing(page: Page, checked: Checked, details: bool) -> None:
    page.blank()
    if checked.settled:
        page.line("Settled since the last check: ", ", ".join(checked.settled), hang=2)
    open_ = checked.open
    blockers = len(checked.blockers)
    parts = [
        count(blockers, "blocker"),
        f"{sum(finding.severity == 'required' and not finding.blocks for finding in open_)} required",
        f"{sum(finding.severity == 'advised' for finding in open_)} advised",
        f"{sum(finding.unknown for finding in open_)} not known",
        f"{sum(bool(finding.accepted[1]) for finding in open_)} accepted",
    ]
    page.line(f"In all: {', '.join(parts)}." + ("" if details else "  Everything about each: --details"))
    if checked.unrecorded:
        page.line(Span("Not recorded: ", "warn"), checked.unrecorded, hang=2)
