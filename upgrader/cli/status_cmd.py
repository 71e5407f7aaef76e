"""`upgrader status`: where the run and the cloud stand. Light: without --observe it imports nothing heavy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, verb_app, with_site

if TYPE_CHECKING:
    from upgrader.config import Site

app = verb_app()


@app.command()
def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="Look at the cloud now, host by host (seconds).")] = False,
) -> None:
    """Say where the run and the cloud stand, and what can be done now. Changes nothing and takes no lock."""
    from upgrader.config import find_site, load_site
    from upgrader.status_read import gather

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    if observe:
        _observe(site, quiet=as_json)
    report = gather(site)
    choices = tuple(replace(choice, command=with_site(choice.command, given.named)) for choice in report.choices)
    report = replace(report, choices=choices)
    if as_json:
        import json

        typer.echo(json.dumps(report.document(), indent=2, ensure_ascii=False))
        return
    from upgrader.views.status import status_page
    from upgrader.views.terminal import show

    show(status_page(report), color=given.color)


def _observe(site: Site, *, quiet: bool) -> None:
    """One observation; it is kept beside the journal, where `gather` finds it."""
    from upgrader.graph import load_graph
    from upgrader.survey import observe_site

    observe_site(site, load_graph(), say=(lambda _line: None) if quiet else (lambda line: typer.echo(line, err=True)))
