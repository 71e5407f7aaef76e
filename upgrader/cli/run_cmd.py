"""`upgrader run`: carry out a plan, from a file or made now, until it is done or a person is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.driving import (
    ACCEPT_HELP,
    PAUSE_HELP,
    PAUSE_OPTION,
    acceptances,
    conclude,
    drive,
    live,
    site_of,
)
from upgrader.cli.plan_fits import no_drift, same_release_data
from upgrader.cli.verb import invocation, verb_app
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.graph import ReleaseGraph
    from upgrader.model import Plan
    from upgrader.session import Session
    from upgrader.views.live import Live

app = verb_app()


@app.command()
def run(
    ctx: typer.Context,
    plan_file: Annotated[Path | None, typer.Argument(metavar="[PLAN]", help="File of upgrader plan --out.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="RELEASE", help="Plan now, then carry it out.")] = "",
    accept: Annotated[list[str] | None, typer.Option(metavar="NAME=REASON", help=ACCEPT_HELP)] = None,
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="Approve the upgrade and the end of each hop in advance.")
    ] = False,
    pause_between_hops: Annotated[bool | None, typer.Option(PAUSE_OPTION, help=PAUSE_HELP)] = None,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="Take over from an owner on another machine that is surely gone.")
    ] = False,
) -> None:
    """Carry out a plan, stage by stage. Every step is recorded; killed at any moment, it can be resumed.

    Ctrl-C stops after the stage that is under way; a second one leaves it running and detaches.
    """
    given = invocation(ctx)
    if (plan_file is None) == (not to):
        raise UsageError(
            "Give either the file of a plan or --to RELEASE.", next_command="upgrader run plan.json", reason="usage"
        )
    accepted = acceptances(accept or ())
    site = site_of(given)
    read = _read(plan_file, to, site)
    from upgrader.session import session

    view = live(given)
    with session(site, "run", view, takeover=takeover) as opened:
        _refuse_open_run(opened)
        if read is not None:
            assert plan_file is not None  # noqa: S101 - a plan was read from it
            _must_fit(read, plan_file, site, opened)
        plan = read or _make(to, site, opened.graph, view)
        if pause_between_hops is not None:
            opened.pause_between_hops(pause_between_hops, plan.sha256)
        opened.begin(plan)
        for name, reason in accepted.items():
            opened.journal.accept(name, reason, opened.actor)
        ending = drive(opened, view, auto_approve=auto_approve)
    conclude(ending, site, given)


def _refuse_open_run(opened: Session) -> None:
    from upgrader.states import RUN_ENDED

    found = opened.journal.snapshot().run
    if found is None or found.state in RUN_ENDED:
        return
    raise RefusedError(
        f"Run {found.id[:8]} of plan {found.plan_sha256[:12]} is not finished.",
        cloud="As that run left it; nothing was changed now.",
        next_command="upgrader status",
        reason="run-active",
    )


def _read(path: Path | None, to: str, site: Site) -> Plan | None:
    """The plan of the file, unedited. What can be refused by reading files alone is refused here, before the site is
    locked and its journal made: a misspelt release, settings that cannot be read."""
    if path is not None:
        from upgrader.plan_file import read_plan

        plan = read_plan(path)
    else:
        from upgrader.graph import load_graph

        load_graph().release(to)
        plan = None
    from upgrader.survey import read_settings

    read_settings(site)
    return plan


def _must_fit(plan: Plan, path: Path, site: Site, opened: Session) -> None:
    """The plan is this journal's, and nothing of what it was made from has changed."""
    from upgrader.plan_file import check_belongs

    snapshot = opened.journal.snapshot()
    check_belongs(plan, site=site.name, lineage=snapshot.lineage, serial=snapshot.serial)
    again = f"upgrader plan --to {plan.target} --out {path}"
    same_release_data(plan, opened.graph, again)
    facts, inventory = opened.observe(plan.source)
    no_drift(plan, site, opened.graph, facts, inventory, again)


def _make(to: str, site: Site, graph: ReleaseGraph, view: Live) -> Plan:
    from upgrader.planner import Goal
    from upgrader.survey import plan_site

    return plan_site(site, graph, Goal(target=to), say=lambda line: view("note", {"text": line}))
