"""`upgrader inspect`: which release the databases in a dump are at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import invocation, verb_app

if TYPE_CHECKING:
    from upgrader.database.inspect_dump import Inspection

app = verb_app()

REFUSED = 3


@app.command()
def inspect(
    ctx: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER...",
            help="A dump (.sql, .sql.gz, .sql.zst), a backup set, a folder of mydumper or of dumps; -: standard input.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Name the release of the databases in dumps, or say mixed, half-migrated or unknown head.

    Reads each dump once and loads nothing; names of databases do not matter. Exit code 0: one release fits all and
    nothing is wrong with the dumps; 3: anything else.
    """
    from upgrader.database.inspect_dump import inspect as look
    from upgrader.graph import load_graph

    found = look(files, load_graph())
    if as_json:
        import json

        typer.echo(json.dumps(found.document(), indent=2, ensure_ascii=False))
    else:
        from upgrader.views.inspect import inspect_page
        from upgrader.views.terminal import show

        page = inspect_page(found)
        page.next(_next(found))
        show(page, color=invocation(ctx).color)
    if not found.sound:
        raise typer.Exit(REFUSED)


def _next(found: Inspection) -> str:
    if found.troubles:
        return "take the dump again, whole and with rows: mariadb-dump --single-transaction --databases NAME..."
    if found.verdict == "release":
        return f"upgrader plan --from {found.releases[-1]} --to RELEASE"
    if found.verdict == "half-migrated":
        return "restore the backup taken before that migration"
    return "upgrader graph"
