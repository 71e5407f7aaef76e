"""`upgrader notices`: what was told and to whom; `notices test` sends a message to every address now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from upgrader.cli.verb import invocation, say, verb_app
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.notices.addresses import Address

app = verb_app()


@app.command(
    epilog="Addresses are those of Apprise (https://appriseit.com), or webhook+https://HOST/PATH for a signed POST. "
    "They hold tokens: they are read from a file of mode 0600 and never shown."
)
def notices(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="[test]", help="test: send a message to every address now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Show which notices were sent, to whom by name, and what went wrong. `notices test` tries every address.

    Exit code 3 when an address could not be told.
    """
    if what not in ("", "test"):
        raise UsageError(f"There is no notices {what}.", next_command="upgrader notices test", reason="usage")
    from upgrader.config import find_site, load_site

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    if what:
        _test(site, as_json=as_json)
    else:
        _list(site, as_json=as_json)


def _list(site: Site, *, as_json: bool) -> None:
    from upgrader.herald.place import folder_of, works
    from upgrader.notices.ledger import Ledger

    ledger = Ledger.of(site.state_dir)
    working = works(folder_of(site.state_dir))
    rows: list[dict[str, Any]] = [
        {
            "at": one.at,
            "event": entry.notice.event,
            "title": entry.notice.title,
            "name": one.name,
            "state": one.state,
            "why": one.why,
            "tries": one.tries,
        }
        for entry in ledger.entries.values()
        for one in entry.deliveries.values()
    ]
    if as_json:
        troubles = [{"at": at, "words": words} for at, words in ledger.troubles]
        document = {
            "schema_version": 1, "kind": "notices", "site": site.name, "wanted": site.notices.wanted,
            "events": list(site.notices.events), "working": working, "sent": rows, "troubles": troubles,
        }  # fmt: skip
        _json(document)
        return
    if not site.notices.wanted:
        typer.echo(f"{site.name} tells nobody: [notices] in {site.file.name} names no addresses.")
    for row in rows:
        why = f"  {row['why']}" if row["why"] else ""
        typer.echo(_safe(f"{row['at'][:19].replace('T', ' ')}  {row['state']:<9} {row['name']}  {row['title']}{why}"))
    for at, words in ledger.troubles[-5:]:
        typer.echo(_safe(f"{at[:19].replace('T', ' ')}  trouble   {words}"))
    if site.notices.wanted:
        told = "" if rows else "Nothing was told yet. "
        typer.echo(f"{told}Events: {', '.join(site.notices.events)}.\nNext:  upgrader notices test")


def _test(site: Site, *, as_json: bool) -> None:
    from upgrader.notices.addresses import NEEDS_APPRISE, lacking, read_addresses

    if not site.notices.wanted:
        raise RefusedError(
            f"{site.name} tells nobody: [notices] in {site.file} names no addresses.",
            cloud="Not looked at.",
            details=["[notices]", 'urls_file = "notices.urls"     # one address per line, mode 0600'],
            next_command="upgrader notices --help",
            reason="no-addresses",
        )
    addresses = read_addresses(site.notices)
    missing = lacking(addresses)
    if not as_json:
        say(f"Sending a test to {len(addresses)} address{'es' if len(addresses) > 1 else ''}.")
    results = _send(site, addresses)
    if as_json:
        _json({"schema_version": 1, "kind": "notices-test", "site": site.name, "results": results})
    else:
        for row in results:
            typer.echo(_safe(f"{row['name']:<20} {row['state']}{'  ' + row['why'] if row['why'] else ''}"))
    failed = [row["name"] for row in results if row["state"] != "sent"]
    if failed:
        raise RefusedError(
            f"{len(failed)} of {len(results)} addresses could not be told: {', '.join(failed)}.",
            cloud="Not looked at.",
            details=[missing] if missing else [],
            next_command=NEEDS_APPRISE if missing else "upgrader notices test",
            reason="not-told",
        )


def _send(site: Site, addresses: tuple[Address, ...]) -> list[dict[str, Any]]:
    import uuid
    from datetime import UTC, datetime

    from upgrader.notices.notice import TEST, Notice
    from upgrader.notices.sender import Sending, order_for

    title = f"{site.notices.title or site.name}: a test of upgrader's notices"
    text = f"This is what a notice of {site.name} looks like. Nothing has happened.\nNext:  upgrader status"
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    notice = Notice(f"{TEST}:{uuid.uuid4()}", TEST, "info", at, site.name, title, text, command="upgrader status")
    sending = Sending(order_for(site.notices, notice, tuple((address, 1) for address in addresses)))
    found = sending.results(site.notices.timeout + 15)
    lost = ("failed", "its process ended without a word")
    return [
        {"name": address.name, "state": state, "why": why}
        for address in addresses
        for state, why in [found.get(address.name, lost)]
    ]


def _json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _safe(text: str) -> str:
    import sys

    from upgrader.views.plain import fit, safe

    return fit(safe(text), sys.stdout.encoding)
