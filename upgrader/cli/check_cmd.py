"""`upgrader check`: everything known that stands between a cloud and a release, on all hops, days before the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.verb import Invocation, invocation, say, silent, verb_app, with_site
from upgrader.errors import LockedError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from upgrader.config import Site
    from upgrader.findings import Checked
    from upgrader.findings import Path as HopPath
    from upgrader.graph import ReleaseGraph
    from upgrader.model import Finding
    from upgrader.record import SiteRecord
    from upgrader.views.page import Page

app = verb_app()


@app.command()
def check(
    ctx: typer.Context,
    to: Annotated[
        str, typer.Option("--to", metavar="RELEASE", help="Up to which release; default: the newest that is final.")
    ] = "",
    source: Annotated[
        str, typer.Option("--from", metavar="RELEASE", help="Where from, if the cloud does not say.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Every finding, as one JSON document.")] = False,
    baseline: Annotated[bool, typer.Option("--baseline", help="The production checklist too.")] = False,
    explain: Annotated[
        str, typer.Option(metavar="ID|VARIABLE", help="Everything about one finding, or one variable and who sets it.")
    ] = "",
    accept: Annotated[str, typer.Option(metavar="ID", help="Take the risk of one finding (needs --reason).")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")] = "",
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what was seen, to be judged again with --facts.")
    ] = None,
    facts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Judge what --record kept; look at no cloud.")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="With evidence, reason and fix of everything.")] = False,
    config_diff: Annotated[
        bool, typer.Option("--config-diff", help="Render each release's configuration aside too: takes minutes.")
    ] = False,
    inventory_patch: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the groups that the inventory lacks as a patch.")
    ] = None,
) -> None:
    """Look at the cloud and say what has to be settled, for every hop of the way at once. Changes nothing there.

    Exit code 3 while something blocks, 0 otherwise.
    """
    given = invocation(ctx)
    _refuse_nonsense(accept, reason, facts)
    if facts is not None and (config_diff or inventory_patch):
        raise UsageError(
            "A file of facts has no configuration and no inventory to compare.",
            next_command="upgrader check --config-diff",
            reason="usage",
        )
    from upgrader.graph import load_graph

    graph = load_graph()
    if to:
        graph.release(to)  # a misspelt name is refused before the cloud is looked at
    narrate = silent if as_json else say
    if facts is not None:
        checked, seen = _of_record(graph, facts, source, to, baseline=baseline)
        site = None
    else:
        from upgrader.cli.driving import site_of

        site = site_of(given)
        checked, seen = _of_site(
            site, graph, source, to, baseline=baseline or accept.startswith("baseline-"), more=explain, say=narrate
        )
    if record is not None:
        from upgrader.record_file import write_record

        write_record(seen, record)
    if site is not None:
        checked = _remember(site, checked, accept, reason)
    again = _again(checked, source, to, facts)
    if explain:
        _show(_explained(graph, checked, seen, explain, with_site(again, given.named)), given)
        return
    next_command = with_site(_next(checked, source, again, facts), given.named)
    more: dict[str, object] = {}
    pages: list[Page] = []
    if site is not None and (config_diff or inventory_patch):
        from upgrader.cli.check_parts import further_parts

        more, pages = further_parts(
            site, graph, checked.path.hops, config_diff=config_diff, patch=inventory_patch, details=details, say=narrate
        )
    from upgrader.cli.check_parts import window_document, window_of

    window, fits = window_of(site, graph, checked.path.hops, seen)
    if as_json:
        import json

        more |= window_document(window, fits)
        typer.echo(json.dumps(checked.document(next_command) | more, indent=2, ensure_ascii=False))
    else:
        from upgrader.views.check import check_page

        page = check_page(checked, next_commands=[next_command], details=details, window=window, fits=fits)
        for shown in (*pages, page):
            _show(shown, given)
    if checked.blockers:
        raise typer.Exit(RefusedError.exit_code)


def _refuse_nonsense(accept: str, reason: str, facts: Path | None) -> None:
    if accept and not reason.strip():
        raise UsageError(
            f"Accepting {accept} needs a reason.",
            next_command=f"upgrader check --accept {accept} --reason 'why'",
            reason="acceptance-without-reason",
        )
    if reason and not accept:
        raise UsageError("--reason belongs to --accept ID.", next_command="upgrader check", reason="usage")
    if accept and facts is not None:
        raise UsageError(
            "A finding is accepted for a site, not for a file of facts.",
            next_command=f"upgrader check --accept {accept} --reason 'why'",
            reason="usage",
        )


# ---------------------------------------------------------------- looking and judging


def _of_site(
    site: Site, graph: ReleaseGraph, source: str, to: str, *, baseline: bool, more: str, say: Callable[[str], None]
) -> tuple[Checked, SiteRecord]:
    from upgrader.survey import ask_services, judged, survey

    names = frozenset({more}) if more.isidentifier() else frozenset()
    sight = survey(site, graph, start=source, target=to, whole=False, more=names, say=say)
    sight = ask_services(site, graph, sight, say=say)
    found = judged(site, graph, sight, checklist=baseline, own_files=True)
    return _checked(graph, sight.path, sight.record, found), sight.record


def _of_record(graph: ReleaseGraph, file: Path, source: str, to: str, *, baseline: bool) -> tuple[Checked, SiteRecord]:
    from upgrader.facts.names import release_names
    from upgrader.findings import Room, find_path, judge_checklist, judge_own_checks, judge_site
    from upgrader.record_file import read_record

    record = read_record(file)
    path = find_path(graph, record.facts.reading, source, to)
    found = judge_site(graph, path, record, release_names(graph), Room(0))
    found += judge_own_checks(path, record.facts)
    if baseline:
        found += judge_checklist(record, path.source)
    return _checked(graph, path, record, found, unrecorded=f"judged from {file}"), record


def _checked(
    graph: ReleaseGraph, path: HopPath, record: SiteRecord, found: Sequence[Finding], *, unrecorded: str = ""
) -> Checked:
    from upgrader.findings import Checked, in_order

    return Checked(
        site=record.facts.site,
        path=path,
        findings=in_order(found, path),
        observed_at=record.facts.observed_at,
        known_by=record.facts.reading.how,
        hosts=record.hosts,
        graph_version=graph.version,
        unrecorded=unrecorded,
    )


# ---------------------------------------------------------------- memory


def _remember(site: Site, checked: Checked, accept: str, reason: str) -> Checked:
    """Record the check, and the acceptance that was asked for. Somebody else at work keeps only the record away."""
    from dataclasses import replace

    from upgrader.findings import CHECKLIST, in_order, open_ids, part_of, refuse_acceptance, with_life
    from upgrader.session import session

    if accept:
        refuse_acceptance(accept, checked.findings)
    scope = {*checked.path.scope, *(CHECKLIST for finding in checked.findings if part_of(finding) == CHECKLIST)}
    try:
        with session(site, "check") as opened:
            before = opened.journal.findings()
            data = {"from": checked.path.source, "to": checked.path.target}
            memory = opened.journal.checked(open_ids(checked.findings), scope, opened.actor, data)
            if accept:
                opened.journal.accept_finding(accept, reason.strip(), opened.actor)
                memory = opened.journal.findings()
    except LockedError as error:
        if accept:
            raise
        return replace(checked, unrecorded=f"{error.message}.")
    settled = sorted(memory.settled - before.settled)
    return replace(
        checked, findings=in_order(with_life(checked.findings, memory), checked.path), settled=tuple(settled)
    )


# ---------------------------------------------------------------- saying


def _show(page: Page, given: Invocation) -> None:
    from upgrader.views.terminal import show

    show(page, color=given.color)


def _again(checked: Checked, source: str, to: str, facts: Path | None) -> str:
    words = ["upgrader check"]
    words += [f"--from {source}"] if source else []
    words += [f"--to {to}"] if to else []
    words += [f"--facts {facts}"] if facts else []
    return " ".join(words)


def _next(checked: Checked, source: str, again: str, facts: Path | None) -> str:
    if checked.blockers:
        return f"{again} --explain {checked.blockers[0].id}"
    if checked.path.hops and facts is None:
        start = f" --from {source}" if source else ""
        return f"upgrader plan{start} --to {checked.path.target} --out plan.json"
    return "upgrader graph" if facts is not None else "upgrader status"


def _explained(graph: ReleaseGraph, checked: Checked, record: SiteRecord, name: str, again: str) -> Page:
    """The page about a finding, about an action that does not apply here, or about a variable."""
    from upgrader.effective import explain
    from upgrader.findings import nearest
    from upgrader.views.explain import finding_page, variable_page

    found = [finding for finding in checked.findings if finding.id == name]
    if found:
        return finding_page(found, [again])
    silent = _not_here(graph, checked, record, name)
    if silent:
        return finding_page(silent, [again])
    told = explain(record, name)
    if told.known:
        users = sorted({finding.id for finding in checked.findings if finding.variable == name})
        return variable_page(told, [again], users)
    near = (*nearest(name, checked.findings, _actions(graph, checked)), *told.similar)
    raise UsageError(
        f"There is no finding, no action of these hops and no variable {name!r}.",
        details=[f"nearest: {word}" for word in dict.fromkeys(near)],
        next_command=again,
        reason="nothing-to-explain",
    )


def _actions(graph: ReleaseGraph, checked: Checked) -> set[str]:
    return {action.id for hop in checked.path.hops for action in graph.actions(hop)}


def _not_here(graph: ReleaseGraph, checked: Checked, record: SiteRecord, name: str) -> list[Finding]:
    """An action of the path that is no finding: it does not apply, is done, or this tool does it. With the evidence."""
    from upgrader.findings import hop_name
    from upgrader.gates import World, judge_action
    from upgrader.model import Code, Finding

    found = []
    for hop in checked.path.hops:
        for action in graph.actions(hop):
            if action.id != name:
                continue
            judged = judge_action(World(record.with_own_groups, graph, hop), action)
            by = f"stage {action.done_by} of this tool does it" if action.done_by else "does not apply, or is done"
            found.append(
                Finding(
                    id=action.id, code=Code.SUCCESS, message=f"{action.title}: {by}", hop=hop_name(hop),
                    when=action.when, evidence="; ".join(judged.evidence), why=action.detail,
                    source="; ".join(action.source),
                )
            )  # fmt: skip
    return found
