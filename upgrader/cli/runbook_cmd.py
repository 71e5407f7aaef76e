"""`upgrader runbook`: the document for the change board and for those who do the change, from a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import Invocation, invocation, say, silent, verb_app, with_site
from upgrader.errors import UsageError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.model import Plan
    from upgrader.runbook.build import JournalHead
    from upgrader.runbook.document import Document
    from upgrader.runbook.render import Format
    from upgrader.runbook.templates import Templates
    from upgrader.runbook.times import Opening

app = verb_app()
_SUFFIXES = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"}
UNTOUCHED = "Nothing was written."


@app.command()
def runbook(
    ctx: typer.Context,
    plan_file: Annotated[Path | None, typer.Argument(metavar="[PLAN]", help="File of upgrader plan --out.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="RELEASE", help="Plan now; the plan is kept beside --out.")] = "",
    source: Annotated[str, typer.Option("--from", metavar="RELEASE", help="With --to: where from, on paper.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here: FILE.md or FILE.html.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="md|html", help="If the suffix does not say.")] = "",
    window: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START[/LENGTH]", help="When a hop's window opens: 2026-12-05T22:00+01:00/6h. Repeatable."
        ),
    ] = None,
    change: Annotated[str, typer.Option(metavar="TEXT", help="Your number of the change, for the head.")] = "",
    language: Annotated[str, typer.Option(metavar="CODE", help="Language; by default [runbook] language.")] = "",
    paper: Annotated[bool, typer.Option("--paper", help="Look at no cloud, even where there is a site.")] = False,
    no_look: Annotated[
        bool, typer.Option("--no-look", help="Compare the plan with files and journal only, not with the cloud.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What the document says, as one JSON document.")] = False,
) -> None:
    """Write the change document of a plan: schedule, go/no-go, every command by tool and by hand, ways back, incidents.

    The same plan gives the same document, byte by byte. A plan that no longer fits its cloud is refused.
    """
    given = invocation(ctx)
    if (plan_file is None) == (not to):
        raise UsageError(
            "Give either the file of a plan or --to RELEASE.", next_command="upgrader runbook plan.json", reason="usage"
        )
    kind = _format(out, form)
    keep: Path | None = None
    if plan_file is not None:
        from upgrader.plan_file import read_plan

        plan = read_plan(plan_file)
        site = _site_of(plan, given, paper)
        if site is not None:
            _must_fit(plan, plan_file, site, look=not no_look, quiet=as_json)
        name = str(plan_file)
    else:
        from upgrader.runbook.build import PLAN_FILE

        plan, site = _made(to, source, given, paper=paper, quiet=as_json)
        keep = _beside(out)
        name = str(keep or PLAN_FILE)
    made = _document(plan, site, window or [], name, change)
    templates = _templates(site, language)
    if as_json:
        _print_json(made)
        return
    text = _text(made, templates, kind, site)
    if out is None:
        typer.get_binary_stream("stdout").write(text.encode())
        return
    _write(text, out, plan, keep)
    _tell(made, out, len(text.encode()), given)


def _format(out: Path | None, form: str) -> Format:
    suffix = _SUFFIXES.get(out.suffix.lower(), "") if out else "md"
    chosen = form or suffix
    if chosen not in ("md", "html"):
        what = f"--format {form!r} is none of md, html" if form else f"{out}: neither .md nor .html"
        raise UsageError(f"{what}.", cloud=UNTOUCHED, next_command="--out change.html", reason="no-such-format")
    return "html" if chosen == "html" else "md"


# ---------------------------------------------------------------- plan and site


def _site_of(plan: Plan, given: Invocation, paper: bool) -> Site | None:
    """The plan's own site; None for a paper plan. Raises ConfigError where a site's plan has no site here."""
    if not plan.site:
        return None
    if paper:
        raise UsageError(
            f"The plan is of site {plan.site}, not of paper.", cloud=UNTOUCHED,
            next_command=f"upgrader runbook --paper --from {plan.source} --to {plan.target}", reason="usage",
        )  # fmt: skip
    from upgrader.cli.driving import site_of

    return site_of(given)


def _must_fit(plan: Plan, path: Path, site: Site, *, look: bool, quiet: bool) -> None:
    """As `run` asks before it begins. A plan that is being carried out fits: the cloud changes because of it."""
    from upgrader.cli.plan_fits import no_drift, refuse, same_release_data
    from upgrader.graph import load_graph
    from upgrader.journal import open_journal
    from upgrader.journal.place import exists
    from upgrader.plan_file import check_belongs

    tell = silent if quiet else say
    again = f"upgrader plan --to {plan.target} --out {path}"
    lineage, serial = "", 0
    if exists(site.state_dir):
        with open_journal(site.state_dir, readonly=True) as journal:
            snapshot = journal.snapshot(recent=0)
        lineage, serial = snapshot.lineage, snapshot.serial
        if snapshot.run is not None and snapshot.run.plan_sha256 == plan.sha256:
            tell(f"Plan of run {snapshot.run.id[:8]} ({snapshot.run.state}); the cloud is not looked at.")
            return
    check_belongs(plan, site=site.name, lineage=lineage, serial=serial)
    graph = load_graph()
    same_release_data(plan, graph, again)
    refuse(_changed_here(plan, site), again)
    if not look:
        tell("The cloud was not looked at (--no-look): only files and journal were compared with the plan.")
        return
    from upgrader.kolla.inventory import INVENTORIES, remembered_inventory
    from upgrader.survey import look as look_at
    from upgrader.survey import looking_glass

    toolchain = looking_glass(site, graph, plan.source)
    inventory = remembered_inventory(toolchain, site.inventory, site.vault_password_file, site.state_dir / INVENTORIES)
    no_drift(plan, site, graph, look_at(site, graph, toolchain, inventory, say=tell), inventory, again)


def _changed_here(plan: Plan, site: Site) -> tuple[str, ...]:
    """What changed on this machine alone, told before anything is asked of the cloud."""
    from upgrader.facts.binding import config_sha256

    if plan.binding.config_sha256 and config_sha256(site) != plan.binding.config_sha256:
        return (f"configuration: files below {site.config_dir} have changed",)
    return ()


def _made(to: str, source: str, given: Invocation, *, paper: bool, quiet: bool) -> tuple[Plan, Site | None]:
    """A plan made now, as `upgrader plan` makes it."""
    from upgrader.cli.plan_cmd import make, site_or_paper
    from upgrader.planner import Goal

    goal = Goal(target=to, source=source)
    site = site_or_paper(given, goal, paper)
    return make(goal, site, quiet=quiet), site


def _beside(out: Path | None) -> Path | None:
    """Where the plan itself is kept: beside the document, which speaks of this plan and no other."""
    return out.with_suffix(".plan.json") if out else None


# ---------------------------------------------------------------- the document


def _document(plan: Plan, site: Site | None, window: list[str], plan_file: str, change: str) -> Document:
    from upgrader.estimates import estimates, for_plan_only
    from upgrader.runbook.build import Given, document
    from upgrader.runbook.past import past_downtimes

    if len(window) > len(plan.hops):
        raise UsageError(
            f"{len(window)} windows for {len(plan.hops)} hops.", cloud=UNTOUCHED, reason="too-many-windows",
            next_command="give one --window for each hop, in order",
        )  # fmt: skip
    given = Given(
        estimates=estimates(site, plan) if site else for_plan_only(plan),
        journal=_head(site),
        openings=tuple(_opening(text, site) for text in window) or _own_opening(site),
        downtimes=past_downtimes(site, plan) if site else {},
        plan_file=plan_file,
        change=change,
    )
    return document(plan, site, given)


def _opening(text: str, site: Site | None) -> Opening:
    """A window as it was typed; zone and length by default those of the site's [window]."""
    from upgrader.runbook.times import opening_of

    rules = site.window if site else None
    return opening_of(text, rules.zone, rules.length_seconds) if rules else opening_of(text)


def _own_opening(site: Site | None) -> tuple[Opening, ...]:
    """A window of the site that comes once is the first hop's; of one that comes again nobody knows which is meant."""
    from datetime import datetime

    from upgrader.runbook.times import Opening

    rules = site.window if site else None
    if rules is None or not isinstance(rules.start, datetime):
        return ()
    return (Opening(rules.start, rules.length_seconds, rules.zone),)


def _head(site: Site | None) -> JournalHead:
    from upgrader.journal import open_journal
    from upgrader.journal.place import exists
    from upgrader.runbook.build import JournalHead

    if site is None or not exists(site.state_dir):
        return JournalHead()
    with open_journal(site.state_dir, readonly=True) as journal:
        snapshot = journal.snapshot(recent=0)
    return JournalHead(snapshot.head, snapshot.last_seq)


def _templates(site: Site | None, language: str) -> Templates:
    from upgrader.runbook.templates import Templates

    rules = site.runbook if site else None
    return Templates(rules.templates if rules else None, language or (rules.language if rules else "en"))


def _text(made: Document, templates: Templates, kind: Format, site: Site | None) -> str:
    from upgrader.runbook.commands import Typist
    from upgrader.runbook.logo import data_uri
    from upgrader.runbook.render import render

    logo = data_uri(site.runbook.logo) if site and kind == "html" else ""
    return render(made, templates, kind, typist=Typist(site), logo=logo)


def _write(text: str, out: Path, plan: Plan, keep: Path | None) -> None:
    """Each file whole or not at all, and none before everything is rendered."""
    from upgrader.durable import write_atomic
    from upgrader.plan_file import write_plan

    if keep is not None:
        write_plan(plan, keep)
    write_atomic(out, text, mode=0o644)


def _tell(made: Document, out: Path, size: int, given: Invocation) -> None:
    blockers = len(made.blockers)
    state = f"BLOCKED by {blockers} finding{'s' if blockers > 1 else ''}" if made.blocked else "nothing found blocks it"
    state = "on paper, no cloud was looked at" if made.paper else state
    hops = f"{len(made.hops)} hop{'s' if len(made.hops) > 1 else ''}"
    typer.echo(f"Wrote {out}: {made.source} to {made.target}, {hops}, {size // 1024} KB; {state}.")
    if not made.paper:
        after = f"upgrader check --to {made.target}" if made.blocked else f"upgrader run {made.plan_file}"
        typer.echo(f"Next:  {with_site(after, given.named)}")


def _print_json(made: Document) -> None:
    import json
    from dataclasses import asdict

    document = asdict(replace(made, picture="", hops=tuple(replace(hop, picture="") for hop in made.hops)))
    typer.echo(json.dumps({"schema_version": 1, "kind": "runbook", **document}, indent=2, ensure_ascii=False))
