"""`upgrader rehearse`: the next releases' real migrations, tried on a copy of the databases that can reach nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import Invocation, invocation, say, silent, verb_app, with_site
from upgrader.errors import FailedCleanError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from upgrader.config import Site
    from upgrader.rehearsal.path import Job
    from upgrader.rehearsal.report import Rehearsal

app = verb_app()


@app.command()
def rehearse(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="RELEASE", help="Up to which release; one hop without it.")] = "",
    source: Annotated[
        str, typer.Option("--from", metavar="RELEASE", help="Release of the copy, where its heads leave it open.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--set", metavar="DIR", help="Backup set to restore; the newest by default.")
    ] = None,
    dump: Annotated[
        Path | None, typer.Option("--dump", metavar="FILE", help="A dump instead: .sql, .sql.gz or .sql.zst.")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="environment|images", help="Programs from PyPI, or the target's own images.")
    ] = "",
    list_: Annotated[bool, typer.Option("--list", help="Show the rehearsals that were made.")] = False,
    show: Annotated[str, typer.Option("--show", metavar="ID|last", help="Show one of them again.")] = "",
    details: Annotated[bool, typer.Option("--details", help="With every command and schema statement.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report, as one JSON document.")] = False,
) -> None:
    """Restore a copy, cut off from every network, and run the next releases' own migrations on it, hop by hop.

    Nothing of the cloud is asked or changed. Exit code 6 when a service failed.
    """
    given = invocation(ctx)
    if folder is not None and dump is not None:
        raise UsageError("--set and --dump name two copies.", next_command="upgrader rehearse --set DIR")
    from upgrader.cli.driving import site_of

    site = site_of(given)
    if list_:
        _list(site, given, as_json=as_json)
        return
    if show:
        from upgrader.rehearsal.kept import of_id

        report = of_id(site.state_dir, show)
    else:
        report = _made(site, source, to, folder, dump, by, silent if as_json else say)
    again = with_site("upgrader rehearse --show last --details", given.named)
    onward = with_site(f"upgrader plan --to {report.target}", given.named)
    if as_json:
        import json

        typer.echo(json.dumps(report.document() | {"passed": report.passed}, indent=2, ensure_ascii=False))
    else:
        from upgrader.views.rehearse import rehearsal_page
        from upgrader.views.terminal import show as show_page

        commands = [onward] if report.passed else [] if details else [again]
        show_page(rehearsal_page(report, next_commands=commands, details=details), color=given.color)
    if not report.passed:
        raise typer.Exit(FailedCleanError.exit_code)


def _made(
    site: Site, source: str, to: str, folder: Path | None, dump: Path | None, by: str, narrate: Callable[[str], None]
) -> Rehearsal:
    from upgrader.errors import EnvironmentMissingError
    from upgrader.graph import load_graph
    from upgrader.rehearsal.kept import keep, new_folder
    from upgrader.rehearsal.path import rehearse as rehearse_path
    from upgrader.rehearsal.source import CopySource, newest_set

    graph = load_graph()
    for name in (source, to):
        if name:
            graph.release(name)  # a misspelt name is refused before anything is restored
    if site.sandbox is not None:
        raise EnvironmentMissingError(
            "A sandbox has no databases that MariaDB could load: there is nothing to rehearse on.",
            cloud="Nothing was looked at or changed.",
            next_command="upgrader demo",
            reason="sandbox",
        )
    if dump is None:
        folder = (folder or newest_set(site.backup_dir)).absolute()
    elif not dump.is_file():
        raise UsageError(f"There is no dump {dump}.", next_command="upgrader rehearse --set DIR", reason="no-dump")
    made = new_folder(site.state_dir)
    stop: list[bool] = []
    job = _job(
        site,
        CopySource(folder, dump.absolute() if dump else None, site.mariadb_programs),
        made,
        by,
        narrate,
        lambda: bool(stop),
    )
    from dataclasses import replace

    with _interruptible(stop):
        report = rehearse_path(replace(job, graph=graph, start=source, target=to))
    narrate(f"report: {keep(report, made)}")
    return report


@contextmanager
def _interruptible(stop: list[bool]) -> Iterator[None]:
    """The first Ctrl-C ends what runs on the copy and takes the copy away; the second ends this process."""
    from upgrader.rehearsal.programs import RehearsalCanceled

    def interrupt(*_: object) -> None:
        stop.append(True)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except RehearsalCanceled:
        raise InterruptedRunError(
            "The rehearsal was stopped.",
            cloud="Nothing of the cloud was looked at or changed; the copy is gone.",
            next_command="upgrader rehearse",
            reason="rehearsal-stopped",
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _job(
    site: Site, source: object, folder: Path, by: str, narrate: Callable[[str], None], stopped: Callable[[], bool]
) -> Job:
    from upgrader.rehearsal.of_site import job_of
    from upgrader.rehearsal.source import CopySource

    assert isinstance(source, CopySource)  # noqa: S101
    return job_of(site, source, folder, by=by, say=narrate, cancelled=stopped)


def _list(site: Site, given: Invocation, *, as_json: bool) -> None:
    from upgrader.rehearsal.kept import kept

    reports = kept(site.state_dir)
    if as_json:
        import json

        listed = [
            {"id": one.id, "from": one.source, "to": one.target, "passed": one.passed, "made_at": one.made_at}
            for one in reports
        ]
        typer.echo(json.dumps({"schema_version": 1, "kind": "rehearsals", "rehearsals": listed}, indent=2))
        return
    from upgrader.views.rehearse import list_page
    from upgrader.views.terminal import show as show_page

    command = "upgrader rehearse --show last" if reports else "upgrader rehearse"
    show_page(list_page(reports, next_commands=[with_site(command, given.named)]), color=given.color)
