"""`upgrader history`: the journal's events, and whether their chain is whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from upgrader.cli.verb import invocation, verb_app, with_site
from upgrader.errors import AttentionError

app = verb_app()


@app.command()
def history(
    ctx: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the hash chain; exit code 8 when it is broken.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
    last: Annotated[int, typer.Option("--last", metavar="N", min=0, help="Only the last N events; 0: all.")] = 0,
) -> None:
    """Show what was done, event by event, oldest first. Changes nothing and takes no lock."""
    from upgrader.config import find_site, load_site
    from upgrader.journal import open_journal

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    with open_journal(site.state_dir, readonly=True) as journal:
        snapshot = journal.snapshot(recent=0)
        after = max(0, snapshot.last_seq - last) if last else 0
        events = list(journal.events(after=after))
        faults = journal.verify() if verify else None
    document: dict[str, Any] = {
        "schema_version": 1,
        "kind": "history",
        "site": site.name,
        "lineage": snapshot.lineage,
        "serial": snapshot.serial,
        "head": snapshot.head,
        "chain": None if faults is None else {"whole": not faults, "faults": list(faults)},
        "events": [asdict(event) for event in events],
    }
    if as_json:
        import json

        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        if faults:
            raise typer.Exit(AttentionError.exit_code)
        return
    from upgrader.views.history import history_page
    from upgrader.views.terminal import show

    show(history_page(document, with_site("upgrader history --verify", given.named)), color=given.color)
    if faults:
        raise AttentionError(
            "The history of this site was changed or is damaged: what it says cannot be relied on.",
            cloud="Not looked at.",
            details=faults,
            next_command="upgrader status --observe",
            reason="history-broken",
        )
