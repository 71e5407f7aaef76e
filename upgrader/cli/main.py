"""The `upgrader` command: finds the verb, and turns every error into words and an exit code.

Only this file exits. Verbs raise the classes of `upgrader.errors`; results go to stdout, narration and errors to stderr
(with `--json`, errors too are one JSON document on stdout).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar

# Typer would import rich for help and completion texts; ours are plain and have to be quick.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from upgrader import __version__
from upgrader.cli import trouble
from upgrader.cli.lazy import LazyGroup, Verbs
from upgrader.cli.verb import Invocation


class UpgraderGroup(LazyGroup):
    """The verbs in the order an operator meets them: verb → (module with `app`, help line)."""

    verbs: ClassVar[Verbs] = {
        "init": ("upgrader.cli.init_cmd", "Look at /etc/kolla and write upgrader.toml."),
        "check": ("upgrader.cli.check_cmd", "Say what has to be settled on every hop, days before the window."),
        "plan": ("upgrader.cli.plan_cmd", "Work out the way to a release, or say why there is none."),
        "runbook": ("upgrader.cli.runbook_cmd", "Write the change document of a plan, as Markdown or HTML."),
        "backup": ("upgrader.cli.backup_cmd", "Take a backup set, list the sets, check or prove one."),
        "rehearse": ("upgrader.cli.rehearse_cmd", "Try the releases' own migrations on a copy of the databases."),
        "run": ("upgrader.cli.run_cmd", "Carry out a plan, stage by stage."),
        "status": ("upgrader.cli.status_cmd", "Say where the run and the cloud stand, and what can be done now."),
        "serve": ("upgrader.cli.serve_cmd", "Show the run on a live page, read-only."),
        "availability": ("upgrader.cli.availability_cmd", "Say how long each public API was away in a run."),
        "notices": ("upgrader.cli.notices_cmd", "Show who was told of the run; notices test tries every address."),
        "resume": ("upgrader.cli.resume_cmd", "Go on after an interruption or a failure."),
        "approve": ("upgrader.cli.approve_cmd", "Let a waiting run go on."),
        "abort": ("upgrader.cli.abort_cmd", "End a run that has not changed the cloud."),
        "rollback": ("upgrader.cli.rollback_cmd", "Take a hop back: redeploy or restore."),
        "staging": ("upgrader.cli.staging_cmd", "Make a staging cloud's configuration, and keep it apart."),
        "diagnose": ("upgrader.cli.diagnose_cmd", "Collect the evidence of a failure in one file."),
        "history": ("upgrader.cli.history_cmd", "Show the journal and check its hash chain."),
        "report": ("upgrader.cli.report_cmd", "Say what became of a run: Markdown, HTML or JSON."),
        "graph": ("upgrader.cli.graph_cmd", "Show the releases and hops this tool knows."),
        "inspect": ("upgrader.cli.inspect_cmd", "Name the release of the databases in a dump."),
        "toolchain": ("upgrader.cli.toolchain_cmd", "Build and check the pinned environment of a release."),
        "demo": ("upgrader.cli.demo_cmd", "Walk three hops on a sandbox cloud, killed and resumed."),
        "lab": ("upgrader.lab.main", "A real cloud in containers on this machine: up, down."),
    }


app = typer.Typer(
    cls=UpgraderGroup,
    name="upgrader",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"upgrader {__version__}")
        raise typer.Exit


@app.callback(
    epilog="The options above may also stand after the verb. Start with: upgrader plan --from 2024.1 --to 2025.2"
)
def root(
    ctx: typer.Context,
    site: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|sandbox",
            envvar="UPGRADER_SITE",
            help="The cloud: its upgrader.toml, or the folder of it, or 'sandbox'.",
        ),
    ] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text, as in a pipe.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error came from (or set UPGRADER_DEBUG=1).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Plan and carry out OpenStack upgrades of Kolla-Ansible clouds, one release at a time, with a way back."""
    typed = getattr(ctx.get_parameter_source("site"), "name", "") == "COMMANDLINE"
    ctx.obj = Invocation(site=site, named=site if typed else None, color=not no_color)


def hoist(arguments: Sequence[str]) -> list[str]:
    """The arguments with the options that belong before the verb moved there; nothing after `--` is touched."""
    front: list[str] = []
    rest: list[str] = []
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if argument == "--":
            return [*front, *rest, argument, *pending]
        if argument in ("--no-color", "--traceback") or argument.startswith("--site="):
            front.append(argument)
        elif argument == "--site" and pending:
            front += [argument, pending.pop(0)]
        else:
            rest.append(argument)
    return [*front, *rest]


def named_site(hoisted: Sequence[str]) -> str | None:
    """The site that was named on a command line; commands offered in an error have to name it again."""
    for at, argument in enumerate(hoisted):
        if argument.startswith("--site="):
            return argument.removeprefix("--site=")
        if argument == "--site" and at + 1 < len(hoisted):
            return hoisted[at + 1]
        if argument == "--":
            break
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see `upgrader.errors`); never raises."""
    given = hoist(sys.argv[1:] if arguments is None else arguments)
    debug = "--traceback" in given or os.environ.get("UPGRADER_DEBUG", "") not in ("", "0")
    try:
        code = app(given, prog_name="upgrader", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # the one place that turns errors into words
        return trouble.report(error, as_json="--json" in given, debug=debug, site=named_site(given), typed=given)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
