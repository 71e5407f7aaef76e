"""`upgrader diagnose`: the evidence of a failure in one file, for a colleague or an LLM. Only reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, say, silent, verb_app, with_site

if TYPE_CHECKING:
    from upgrader.diagnose.model import Diagnosis

app = verb_app()


@app.command()
def diagnose(
    ctx: typer.Context,
    attempt: Annotated[
        str, typer.Option("--attempt", metavar="ID", help="An attempt's id or its beginning (upgrader history).")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; by default beside the journal.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no host: only what is known on this machine.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The diagnosis as one JSON document too, on stdout.")] = False,
) -> None:
    """Write one Markdown file: what failed, the logs around it, the cloud, what is known of it, what to check next.

    Without --attempt: the attempt under way, or the newest that did not come right; the cloud as it is where there is
    none. Only reads, takes no lock. The file has mode 0600 and no secret of passwords.yml in it.
    """
    from upgrader.config import find_site, load_site
    from upgrader.diagnose.making import diagnose as made

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    found, path = made(
        site,
        attempt=attempt,
        offline=offline,
        keep=out.absolute() if out else None,
        say=silent if as_json else say,
    )
    if as_json:
        import json

        typer.echo(json.dumps({**found.document(), "file": str(path)}, indent=2, ensure_ascii=False))
        return
    _show(found, path, color=given.color, named=given.named)


def _show(found: Diagnosis, path: Path, *, color: bool, named: str | None) -> None:
    """The summary, the first check, and the file: the last line is what is typed next."""
    from upgrader.views.diagnosis import diagnosis_page
    from upgrader.views.terminal import show

    commands = [with_site(command, named) for command, _ in found.next]
    show(diagnosis_page(found, path, commands[:1]), color=color, stream=sys.stdout)
