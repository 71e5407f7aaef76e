"""`upgrader availability`: how long each public API was away in a run, when, and during which task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, verb_app, with_site
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.config import Site

app = verb_app()


@app.command()
def availability(
    ctx: typer.Context,
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="A run's name or its beginning; else the last one asked about.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Show how long each public API was away during a run. Changes nothing, takes no lock and asks nobody.

    Times are bounds: between two questions nobody knows. Where nobody asked, the time is unknown, never up.
    """
    from upgrader.availability import downtime, folder_of, now
    from upgrader.availability.told import told
    from upgrader.availability.work import attempt_folders, timeline
    from upgrader.config import find_site, load_site

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    name = _run(site, run)
    folder = folder_of(site.state_dir, name)
    works = timeline(attempt_folders(site.state_dir, name))
    document = told(site.name, name, downtime(folder), now(folder), works)
    if as_json:
        import json

        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from upgrader.views.availability import availability_page
    from upgrader.views.terminal import show

    show(availability_page(document, with_site("upgrader status", given.named)), color=given.color)


def _run(site: Site, wanted: str) -> str:
    """The run meant. Raises RefusedError where nothing was ever asked, UsageError for a name that fits not just one."""
    from upgrader.availability.records import FOLDER
    from upgrader.outside.start import why_not

    place = site.state_dir / FOLDER
    found = {path.name: _asked_last(path) for path in place.iterdir() if path.is_dir()} if place.is_dir() else {}
    fitting = [name for name in found if name.startswith(wanted)]
    if not found:
        why = why_not(site)
        raise RefusedError(
            f"No public API of {site.name} was asked{f': {why}' if why else ''}.",
            cloud="Not looked at.",
            details=() if why else ("asking begins with the first stage that can take an API away",),
            next_command="upgrader status",
            reason="nothing-asked",
        )
    if wanted and len(fitting) != 1:
        raise UsageError(
            f"{len(fitting) or 'No'} runs with records are called {wanted!r}.",
            details=sorted(found),
            next_command="upgrader availability --run RUN",
            reason="which-run",
        )
    return max(fitting, key=lambda name: found[name])


def _asked_last(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.iterdir() if path.name.startswith("answers-")), default=0.0)
