"""`upgrader report`: what became of a run, against its plan, as Markdown, HTML or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from upgrader.cli.verb import invocation, say, verb_app
from upgrader.errors import AttentionError, UsageError

app = verb_app()

FORMATS = ("md", "html", "json")
_BY_SUFFIX = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html", ".json": "json"}


@app.command()
def report(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(metavar="[RUN]", help="Beginning of the run's id; default: the newest run.", show_default=False),
    ] = "",
    form: Annotated[
        str,
        typer.Option("--format", metavar="md|html|json", help="Default: as --out ends, else md.", show_default=False),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of showing it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Say what became of a run: durations, attempts, decisions, API downtime, versions, evidence, audit.

    Works during a run too. Changes nothing and takes no lock. Exit code 8 when the journal's hash chain is broken.
    """
    chosen = _format(form, out, as_json=as_json)
    from upgrader.config import find_site, load_site
    from upgrader.report import as_json as json_text
    from upgrader.report import gather, html, markdown

    given = invocation(ctx)
    site = load_site(find_site(given.site))
    found = gather(site, run)
    text = {"md": markdown, "html": html, "json": json_text}[chosen](found)
    if out is None:
        _show(text, chosen)
    else:
        _write(out, text)
        say(f"{out}: run {found.run[:8]}, {found.outcome}")
    if found.audit.faults:
        raise AttentionError(
            "The history of this site was changed or is damaged: what the report says cannot be relied on.",
            cloud="Not looked at.",
            details=found.audit.faults[:20],
            next_command="upgrader history --verify",
            reason="history-broken",
        )


def _format(form: str, out: Path | None, *, as_json: bool) -> str:
    chosen = form or ("json" if as_json else _BY_SUFFIX.get(out.suffix.lower(), "md") if out else "md")
    if chosen not in FORMATS or (as_json and chosen != "json"):
        wrong = "--json contradicts --format" if as_json else f"{chosen!r} is no format: md, html or json"
        raise UsageError(f"{wrong}.", next_command="upgrader report --format html --out report.html", reason="usage")
    return chosen


def _show(text: str, form: str) -> None:
    """On stdout, also where that takes less than the text has: each form has its own way of saying the rest."""
    import json
    import sys

    from upgrader.views.plain import fit

    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        if form == "json":
            text = json.dumps(json.loads(text), indent=2) + "\n"
        elif form == "html":
            text = text.encode("ascii", "xmlcharrefreplace").decode()
        else:
            text = fit(text, encoding)
    typer.echo(text, nl=False)


def _write(path: Path, text: str) -> None:
    """The whole file or nothing. Raises UsageError where it cannot be written."""
    from upgrader.durable import write_atomic

    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        write_atomic(path, text, mode=0o640)
    except OSError as error:
        raise UsageError(
            f"The report cannot be written to {path}: {error.strerror or error}.",
            cloud="Nothing was changed.",
            next_command="upgrader report --out FILE",
            reason="out-unwritable",
        ) from error
