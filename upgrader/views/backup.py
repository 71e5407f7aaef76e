"""Backup sets in words: a line for each in the list, every part of one alone."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.database.sets import SetNow
from upgrader.model import Code, Finding
from upgrader.views.page import Page, Span, Tone

_TONES: dict[str, Tone] = {"proved": "good", "unverified": "", "expired": "warn"}
_MARKS: dict[Code, tuple[str, Tone]] = {
    Code.SUCCESS: ("ok", "good"),
    Code.WARNING: ("!", "warn"),
    Code.FAILURE: ("FAILED", "bad"),
}


def sets_page(site: str, folder: str, found: Sequence[SetNow], next_command: str) -> Page:
    """Every set, the newest first, with what keeps it from being used."""
    page = Page()
    page.line(Span(f"Site {site}", "strong"), f" · {len(found)} backup set{'' if len(found) == 1 else 's'} in {folder}")
    page.blank()
    if not found:
        page.line("There is none: no hop could be taken back.")
    rows = [("SET", "STATE", "AGE", "SIZE", "")] if found else []
    page.columns([*rows, *((one.folder.name, _state(one), _age(one), _size(one), _trouble(one)) for one in found)])
    page.next(next_command)
    return page


def set_page(one: SetNow, findings: Sequence[Finding], next_command: str) -> Page:
    """One set: what it was taken from, its parts, and what was found."""
    page = Page()
    page.line(Span(one.folder.name, "strong"), " · ", _state(one), f" · {_age(one)} old · {_size(one)}")
    manifest = one.manifest
    if manifest is not None:
        tables, rows = len(manifest.tables), sum(table.rows for table in manifest.tables)
        counted = f" · {tables} tables, {rows} rows" if tables else ""
        page.line(f"Taken {manifest.made_at} from {manifest.release} · {manifest.dump_format}{counted}")
        page.line(f"In {one.folder}")
        if manifest.proof:
            proof = manifest.proof
            page.line(f"Restored {proof.proved_at} into MariaDB {proof.server} in {proof.seconds} s, and compared")
        page.blank()
        page.columns(
            [
                (part.name, size(sum(entry.bytes for entry in part.files)), _about(part.facts))
                for part in manifest.parts
            ],
            indent=2,
        )
    if one.trouble:
        page.line(Span(one.trouble, "warn"))
    told = [*(f"part {name} is missing" for name in one.missing), *(f"{name} is gone or cut" for name in one.lost)]
    shown = [finding for finding in findings if finding.message]
    if told or shown:
        page.blank()
    if not shown:
        page.columns([(Span("FAILED", "bad"), line) for line in told], indent=2)
    page.columns([(Span(*_MARKS[finding.code]), _words(finding)) for finding in shown], indent=2)
    page.next(next_command)
    return page


def _words(finding: Finding) -> str:
    todo = finding.next if finding.code is not Code.SUCCESS else ""
    return f"{finding.message}: {todo}" if todo else finding.message


def _state(one: SetNow) -> Span:
    return Span(one.state, _TONES.get(one.state, "bad"))


def _age(one: SetNow) -> str:
    if one.manifest is None:
        return "-"
    minutes = one.age_seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _size(one: SetNow) -> str:
    return size(one.manifest.bytes) if one.manifest else "-"


def size(count: int) -> str:
    """`4.2 MB`; decimal units."""
    value, unit = float(count), 0
    while value >= 1000 and unit < 4:
        value, unit = value / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[unit]}"


def _about(facts: Sequence[tuple[str, str]]) -> str:
    known = dict(facts)
    return ", ".join(f"{known[name]} {word}" for name, word in (("schemas", "schemas"), ("images", "images"))
                     if name in known) or known.get("hosts", known.get("host", ""))  # fmt: skip


def _trouble(one: SetNow) -> str:
    told = [f"missing: {', '.join(one.missing)}"] if one.missing else []
    told += [f"{len(one.lost)} files gone or cut"] if one.lost else []
    return "; ".join([*told, *([one.trouble] if one.trouble else [])])
