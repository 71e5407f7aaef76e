"""Everything known of one finding, one thing to do by hand or one variable: pages that `check` and `plan` share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from upgrader.model import ByHand, Finding, HopPlan
from upgrader.views.page import Page, Piece, Span

if TYPE_CHECKING:
    from upgrader.effective import Explained, Explanation

_LABEL = 8
_APPLIES = {"yes": "applies", "no": "does not apply, or is done", "unknown": "not known whether it applies"}
_LONGEST = 400


def finding_page(findings: Sequence[Finding], next_commands: Sequence[str]) -> Page:
    """All that is known of the findings with one id."""
    page = Page()
    for finding in findings:
        about = [finding.hop.replace("→", " → ") or "the cloud as it is", _when(finding.when), standing(finding)]
        page.line(Span(finding.id, "strong"), f"   {', '.join(part for part in about if part)}")
        page.line(finding.message, indent=2)
        told(page, finding)
        page.blank()
    page.blocks.pop()
    page.next(*next_commands)
    return page


def told(page: Page, finding: Finding, indent: int = 4, *, sources: bool = True) -> None:
    """What a finding says below its message: hosts, evidence, reason, what to do, who accepted it, where it is from."""
    _row(page, "hosts", finding.host.replace(",", ", ") if "," in finding.host else "", indent)
    _row(page, "unknown" if finding.unknown else "seen", finding.evidence, indent)
    _row(page, "why", finding.why, indent)
    fixes = finding.fix or ((finding.next,) if finding.next else ())
    for number, fix in enumerate(fixes):
        _row(page, "" if number else "do", Span(fix, "command"), indent)
    if finding.accepted[1]:
        _row(page, "taken", f'accepted by {finding.accepted[0]}: "{finding.accepted[1]}"', indent)
    elif finding.overridable:
        word = Span(f"upgrader check --accept {finding.id} --reason 'WHY'", "command")
        _row(page, "or", word, indent)
    for number, source in enumerate(finding.source.split("; ") if sources else ()):
        _row(page, "" if number else "source", Span(source, "dim"), indent)


def standing(finding: Finding) -> str:
    """How heavy it is, in words."""
    if finding.accepted[1]:
        return "accepted"
    if finding.blocks:
        return "blocks until it is known" if finding.unknown else "blocks"
    return finding.severity


def by_hand_page(found: Sequence[tuple[HopPlan, ByHand]], next_commands: Sequence[str]) -> Page:
    """Everything known about one thing to do by hand, for every hop that asks for it."""
    page = Page()
    for hop, item in found:
        page.line(Span(item.id, "strong"), f"   {hop.source} → {hop.target}, {_when(item.when)}, {item.severity}")
        by_hand_told(page, item)
        page.blank()
    page.blocks.pop()
    page.next(*next_commands)
    return page


def by_hand_told(page: Page, item: ByHand, *, title: bool = True) -> None:
    if title:
        page.line(item.title, indent=2)
    _row(page, "when", f"{item.condition} ({_APPLIES[item.applies]})" if item.condition else "", 8)
    _row(page, "why", item.detail, 8)
    for number, fix in enumerate(item.fix):
        _row(page, "" if number else "do", Span(fix, "command"), 8)
    for number, source in enumerate(item.source):
        _row(page, "" if number else "source", Span(source, "dim"), 8)


def variable_page(explanation: Explanation, next_commands: Sequence[str], used_by: Iterable[str] = ()) -> Page:
    """What Ansible computes for one variable in every release of the path, and who sets it where."""
    page = Page()
    page.line(Span(explanation.name, "strong"), "   a variable, as each release's own Ansible computes it")
    for item in explanation.releases:
        page.blank()
        _release(page, item)
    users = list(used_by)
    if users:
        page.blank()
        page.line(Span("asked by", "dim"), "  ", ", ".join(users), indent=2, hang=12)
    page.next(*next_commands)
    return page


def _release(page: Page, item: Explained) -> None:
    how = "" if item.by == "toolchain" else f"   ({item.by}: its toolchain is not built)"
    page.line(Span(item.release, "strong"), f"  {_value(item)}", how, indent=2, hang=10)
    if item.error:
        page.line(Span("not known: ", "warn"), item.error, indent=10)
    for text, hosts in item.per_host:
        page.line(_shown(text), Span(f"  on {', '.join(hosts)}", "dim"), indent=10)
    for number, definition in enumerate(reversed(item.definitions)):
        text = "" if item.secret or not definition.text else f" {_cut(definition.text)}"
        on = f" ({', '.join(definition.hosts)})" if definition.hosts else ""
        mark = Span("set in " if not number else "over   ", "dim")
        page.line(mark, f"{definition.place}{on}:", Span(text, "command"), indent=10, hang=17)


def _value(item: Explained) -> str:
    if not item.defined:
        return "" if item.error else "not a variable of this release, and set nowhere"
    if item.secret:
        return "a password; it has a value" if item.value == "true" else "a password; it has no value"
    if item.per_host:
        return f"differs between hosts ({item.type})"
    return f"{_shown(item.value)}  ({item.type})" if item.value is not None else ""


def _shown(text: str) -> str:
    value = json.loads(text)
    return _cut(value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    flat = " ".join(text.split()) if "\n" in text else text
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]}…"


def _row(page: Page, label: str, words: Piece, indent: int) -> None:
    text = words.text if isinstance(words, Span) else words
    if text:
        page.line(Span(label.ljust(_LABEL), "dim"), words, indent=indent, hang=indent + _LABEL)


def _when(when: str) -> str:
    return {"before": "before the hop", "during": "in the window", "after": "after the hop"}[when]
