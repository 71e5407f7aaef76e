"""How long each API was away, as a table, then each outage with the task it fell into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upgrader.views.page import Page, Span, Tone

_MOST = 20
"""Outages shown of one API; `--json` has them all."""


def availability_page(document: Mapping[str, Any], command: str) -> Page:
    """The page; `command` is what to type next."""
    page = Page()
    asking = "asked now" if document["probing"] else document["words"] or "not asked any more"
    page.line(Span(document["site"], "strong"), f" · run {document['run'][:8]} · {asking}")
    if document["probing"] and document["words"]:
        page.line(Span(document["words"], "warn"))
    page.blank()
    if not document["apis"]:
        page.line("No API was asked yet.")
    page.columns([_row(api) for api in document["apis"]])
    for api in document["apis"]:
        _outages(page, api)
    _gaps(page, document["apis"])
    page.next(command)
    return page


def _row(api: Mapping[str, Any]) -> tuple[Span, ...]:
    state, tones = api["state"], {"up": "good", "away": "bad", "was away": "bad"}
    if state == "unknown" and api["last"]:
        state = f"was {api['last']}"
    tone: Tone = tones.get(state, "dim")  # type: ignore[assignment]
    count = len(api["outages"])
    times = "" if count == 0 else " in 1 outage" if count == 1 else f" in {count} outages"
    if not api["asked"]:
        away = "not asked yet"
    elif api["never_up"]:
        away = "never answered since asking began: is the address right?"
    elif not count:
        away = f"never away in {api['asked']} questions"
    else:
        away = f"away {seconds(api['seconds'])}{times}, at least {seconds(api['at_least'])}, "
        away += f"at most {seconds(api['at_most'])}"
    if api["unknown"]:
        away += f"; unknown {seconds(api['unknown'])}"
    return Span(api["api"], "strong"), Span(state, tone), Span(away, "bad" if count else "")


def _outages(page: Page, api: Mapping[str, Any]) -> None:
    if not api["outages"] or api["never_up"]:
        return
    page.blank()
    page.line(Span(api["api"], "strong"), f"  {api['url']}")
    for outage in api["outages"][:_MOST]:
        ended = _until(outage["began"], outage["ended"]) if outage["ended"] else "not seen to end,"
        page.line(f"{_time(outage['began'])} to {ended}  {seconds(outage['seconds'])}  {outage['error']}", indent=2)
        if outage["ours"]:
            page.line("only the name could not be resolved: perhaps a trouble of this machine", indent=4)
        if outage["during"]:
            first = outage["during"][0]
            more = len(outage["during"]) - 1
            rest = f" and {more} more task{'s' if more > 1 else ''}" if more else ""
            page.line(f"during {first['stage']}: {first['words']}{rest}", indent=4)
    if len(api["outages"]) > _MOST:
        page.line(f"and {len(api['outages']) - _MOST} more, see --json", indent=2)


def _gaps(page: Page, apis: list[Mapping[str, Any]]) -> None:
    found = {(gap["began"][:19], gap["ended"][:19]) for api in apis for gap in api["gaps"] if not gap["at_rest"]}
    if not found:
        return
    page.blank()
    page.line(Span("Nobody asked", "warn"), ", so nothing is known of these times:")
    for began, ended in sorted(found)[:_MOST]:
        page.line(f"{_time(began)} to {_until(began, ended)}", indent=2)


def seconds(value: float) -> str:
    """A duration in words, as exact as the questions were."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _time(at: str) -> str:
    return f"{at[:10]} {at[11:19]}"


def _until(began: str, ended: str) -> str:
    return f"{ended[11:19] if began[:10] == ended[:10] else _time(ended)} UTC"
