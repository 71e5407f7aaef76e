"""`upgrader status`: where the run and the cloud stand. Light: without --observe it imports nothing heavy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, verb_app, with_site
from upgrader.errors import UsageError

if TYPE_CHECKING:
    from upgrader.config import Site

app = verb_app()


@app.command()
def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="Look at the cloud now, host by host (seconds).")] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on looking until the run ends; a line per change in a pipe or with --json."),
    ] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print what [metrics] textfile holds, for Prometheus.")
    ] = False,
    interval: Annotated[
        float | None, typer.Option("--interval", metavar="SECONDS", help="Time between two looks of --watch (1).")
    ] = None,
) -> None:
    """Say where the run and the cloud stand, and what can be done now. Changes nothing and takes no lock."""
    from upgrader.config import find_site, load_site
    from upgrader.status_read import gather

    given = invocation(ctx)
    _check(watch, interval)
    _alone(metrics, as_json or watch)
    site = load_site(find_site(given.site))
    if observe:
        _observe(site, quiet=as_json)
    if metrics:
        from upgrader.metrics.reading import Reader
        from upgrader.watch.sample import Watcher

        typer.echo(Reader(site).text(Watcher(site).sample()), nl=False)
        return
    if watch:
        from upgrader.cli.status_watch import watch as go_on

        go_on(site, given, interval=interval or 1.0, as_json=as_json)
        return
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


def _check(watch: bool, interval: float | None) -> None:
    if interval is None:
        return
    if not watch:
        raise UsageError("--interval goes with --watch.", next_command="upgrader status --watch", reason="usage")
    if not 0.2 <= interval <= 3600:  # also refuses nan
        message = f"--interval {interval:g} is not between 0.2 and 3600 seconds."
        raise UsageError(message, next_command="upgrader status --watch --interval 1", reason="usage")


def _alone(metrics: bool, other: bool) -> None:
    if metrics and other:
        raise UsageError(
            "--metrics goes with neither --json nor --watch.", next_command="upgrader status --metrics", reason="usage"
        )


def _observe(site: Site, *, quiet: bool) -> None:
    """One observation; it is kept beside the journal, where `gather` finds it."""
    from upgrader.graph import load_graph
    from upgrader.survey import observe_site

    observe_site(site, load_graph(), say=(lambda _line: None) if quiet else (lambda line: typer.echo(line, err=True)))
