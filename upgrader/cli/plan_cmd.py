"""`upgrader plan`: the way to a release, from the graph alone or from what a cloud runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import Invocation, invocation, say, silent, verb_app, with_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from upgrader.config import Site
    from upgrader.estimates import Estimate, HopFit
    from upgrader.model import Plan
    from upgrader.planner import Goal
    from upgrader.status import Standing
    from upgrader.views.page import Page

app = verb_app()


@app.command()
def plan(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="RELEASE", help="Where to: 2025.2, or its codename.")],
    source: Annotated[
        str, typer.Option("--from", metavar="RELEASE", help="Where from, without a site or if a cloud does not say.")
    ] = "",
    hops: Annotated[
        int | None, typer.Option(help="Steps you expect it to take; skipping a release is refused.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE", help="Write the plan, to be given to upgrader run.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The plan as one JSON document.")] = False,
    details: Annotated[bool, typer.Option("--details", help="With commands, reasons and sources.")] = False,
    explain: Annotated[str, typer.Option(metavar="ID", help="Everything about one point to do by hand.")] = "",
    paper: Annotated[bool, typer.Option("--paper", help="Look at no cloud, even where there is a site.")] = False,
    config_diff: Annotated[
        bool, typer.Option("--config-diff", help="Attach what each hop changes in the configuration: takes minutes.")
    ] = False,
) -> None:
    """Work out the way to a release, one release at a time, or say why there is none. Changes nothing."""
    given = invocation(ctx)
    from upgrader.planner import Goal

    goal = Goal(target=to, source=source, hops=hops)
    site = site_or_paper(given, goal, paper)
    made = make(goal, site, quiet=as_json)
    if config_diff and site is not None:
        made = _with_configuration(made, site, quiet=as_json)
    if out:
        from upgrader.plan_file import write_plan

        write_plan(made, Path(out))
    found, window, fits = _times(made, site)
    if as_json:
        _print_json(made, found, window, fits)
        return
    from upgrader.views.plan import plan_page
    from upgrader.views.terminal import show

    following = [with_site(command, given.named) for command in _next(made, goal, site, out)]
    if explain:
        show(_explained(made, explain, following), color=given.color)
        return
    page = plan_page(
        made,
        next_commands=following,
        details=details,
        typed=lambda command: with_site(command, given.named),
        found=found,
        window=window,
        fits=fits,
    )
    show(page, color=given.color)


def site_or_paper(given: Invocation, goal: Goal, paper: bool) -> Site | None:
    """The site to look at; None for a paper plan: asked for, or --from given where there is no site."""
    if paper:
        return None
    from upgrader.cli.driving import site_of
    from upgrader.errors import ConfigError

    try:
        return site_of(given)
    except ConfigError as error:
        if error.reason == "no-site" and goal.source and not given.site:
            return None
        raise


def make(goal: Goal, site: Site | None, *, quiet: bool) -> Plan:
    """A plan from what the site is now, or from the release graph alone. Raises as the planner and the survey do."""
    from upgrader.graph import load_graph
    from upgrader.planner import plan as make_plan

    graph = load_graph()
    if site is not None:
        from upgrader.survey import plan_site

        return plan_site(site, graph, goal, say=silent if quiet else say)
    from upgrader.by_hand import typed, typed_action
    from upgrader.planner import Frame

    return make_plan(graph, goal, None, Frame(typed=typed(), typed_action=typed_action()))


def _with_configuration(made: Plan, site: Site, *, quiet: bool) -> Plan:
    from upgrader.cli.check_parts import config_differences, site_inventory, with_configuration
    from upgrader.graph import load_graph

    graph = load_graph()
    hops = [graph.hop(hop.source, hop.target) for hop in made.hops]
    inventory = site_inventory(site, graph)
    return with_configuration(made, config_differences(site, hops, inventory, say=silent if quiet else say))


def _times(made: Plan, site: Site | None) -> tuple[tuple[Estimate, ...], Standing | None, tuple[HopFit, ...]]:
    """How long it takes and when there is time for it: beside the plan, whose digest knows nothing of either."""
    from upgrader.estimates import estimates, for_plan_only, hop_fits

    document = made.document()
    if site is None:
        return for_plan_only(document), None, ()
    found = estimates(site, document)
    if site.window is None:
        return found, None, ()
    from datetime import UTC, datetime

    from upgrader.status_read import schedule_now

    now = datetime.now(UTC)
    return found, schedule_now(site.window, now), hop_fits(site.window, now, document, found)


def _print_json(made: Plan, found: Sequence[Estimate], window: Standing | None, fits: Sequence[HopFit]) -> None:
    import json

    from upgrader.estimates import documents
    from upgrader.views.window import fit_document

    beside = {"estimates": documents(found), "window": None if window is None else fit_document(window, fits)}
    typer.echo(json.dumps({**made.document(), "sha256": made.sha256, **beside}, indent=2, ensure_ascii=False))


def _explained(made: Plan, wanted: str, following: list[str]) -> Page:
    """The page that `check --explain` shows too; without a finding, what there is to do by hand."""
    from upgrader.views.explain import by_hand_page, finding_page

    findings = [finding for finding in made.findings if finding.id == wanted]
    if findings:
        return finding_page(findings, following)
    found = [(hop, item) for hop in made.hops for item in hop.by_hand if item.id == wanted]
    if not found:
        from difflib import get_close_matches

        from upgrader.errors import UsageError

        points = {item.id for hop in made.hops for item in hop.by_hand}
        known = sorted({*points, *(finding.id for finding in made.findings)})
        raise UsageError(
            f"This plan has no finding and no point {wanted!r} to do by hand.",
            details=[f"nearest: {name}" for name in get_close_matches(wanted, known, n=3, cutoff=0.4)],
            next_command=f"upgrader plan --to {made.target}",
            reason="unknown-point",
        )
    return by_hand_page(found, following)


def _next(made: Plan, goal: Goal, site: Site | None, out: str) -> list[str]:
    if site is None:
        return ["upgrader init", f"upgrader plan --to {made.target}"]
    source = f" --from {goal.source}" if goal.source else ""
    if made.blockers:
        return [f"upgrader check{source} --to {made.target} --explain {made.blockers[0].id}"]
    return [f"upgrader run {out}"] if out else [f"upgrader plan{source} --to {made.target} --out plan.json"]
