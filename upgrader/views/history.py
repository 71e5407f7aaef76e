"""The journal's events, one line each, and the verdict on their chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from upgrader.views.page import Page, Span

_LONGEST = 200


def history_page(document: Mapping[str, Any], check: str) -> Page:
    """One line per event: number, time (UTC), hop, what happened. `check`: the command that checks the chain."""
    page = Page()
    page.line(Span(document["site"], "strong"), f" · lineage {document['lineage']} · serial {document['serial']}")
    page.blank()
    rows = []
    for event in document["events"]:
        hop = "" if event["hop"] is None else f"hop {event['hop'] + 1}"
        rows.append(
            (
                Span(str(event["seq"]), "dim"),
                event["at"][:19],
                hop,
                Span(event["kind"], "strong"),
                _told(event["data"]),
            )
        )
    page.columns(rows)
    if not rows:
        page.line("No event yet.")
    page.blank()
    chain = document["chain"]
    page.line(f"Head {document['head']}")
    if chain is None:
        page.next(check)
    elif chain["whole"]:
        page.line(Span("The chain is whole", "good"), ": no event was changed, removed, added or reordered.")
    else:
        page.line(Span(f"The chain is BROKEN: {len(chain['faults'])} faults", "bad"))
    return page


def _told(data: Mapping[str, Any]) -> str:
    """An event's data in one line; long values are cut here, `--json` has them whole."""
    told = " ".join(f"{key}={_short(value)}" for key, value in data.items() if value not in ("", None, [], {}))
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
