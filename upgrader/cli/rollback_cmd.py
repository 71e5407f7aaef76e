"""`upgrader rollback`: take the current hop back, by deploying the old release or by restoring the databases."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.closing import what_is_lost, who_closed
from upgrader.cli.driving import ask, conclude, drive, live, must_have_run, must_rest, site_of
from upgrader.cli.verb import Invocation, invocation, verb_app, with_site
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.back_map import BackMap
    from upgrader.config import Site
    from upgrader.decisions import Ways
    from upgrader.journal import HopRow
    from upgrader.session import Session
    from upgrader.states import Event
    from upgrader.views.page import Page

app = verb_app()


@app.command()
def rollback(
    ctx: typer.Context,
    redeploy: Annotated[
        bool, typer.Option("--redeploy", help="Deploy the old release on the data as they are.")
    ] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Put the databases and keys of the backup back.")] = False,
    only_changed: Annotated[
        bool,
        typer.Option("--only-changed", help="Restore only the services whose schemas changed, where that is sound."),
    ] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="SITE", help="The site's name, which a restore asks for, typed beforehand.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")] = "",
    show: Annotated[bool, typer.Option("--show", help="Only show the way back and what it loses.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --show: as one JSON document.")] = False,
) -> None:
    """Take the current hop back to the release it came from, and verify it there.

    Looks at the cloud first, and shows what each service needs. Redeploying is offered where the schemas did not
    change, or provably no change began; otherwise the databases are restored, which loses what was written since the
    backup: that is shown by table and by name, and the site's name has to be typed.
    """
    given = invocation(ctx)
    _refuse_nonsense(redeploy=redeploy, restore=restore, only_changed=only_changed, show=show, as_json=as_json)
    site = site_of(given)
    must_have_run(site, "to take back")
    from upgrader.secret_sources.standing import at_hand
    from upgrader.session import session

    if not show:
        at_hand(site)  # before a way is decided on
    view = live(given, quiet=as_json)
    with session(site, "rollback", view, create=False) as opened:
        must_rest(opened)
        hop = _hop(opened)
        view("note", {"text": f"Looking which ways back to {hop.source} are open …"})
        snapshot = opened.journal.snapshot()
        plan = opened.conduct(snapshot).plan
        ways = opened.ways(snapshot, hop, plan)
        asked = show or restore or only_changed or not ways.redeploy
        if asked:
            view("note", {"text": "Asking what was written since the backup …"})
        found = opened.back_map(snapshot, hop, plan, ways, losses=asked)
        view.close()
        if show:
            _show(found, hop, site, given, as_json=as_json)
            return
        event = _choose(ways, redeploy=redeploy, restore=restore or only_changed)
        _confirm(event, hop, site, found, given, confirm, only_changed=only_changed)
        to_decision(opened, hop, reason)
        _keep_scope(opened, event, only_changed=only_changed)
        go_back(opened, event, reason or "taken back by the operator", ways)
        ending = drive(opened, view, auto_approve=False)
    conclude(ending, site, given)


def _hop(opened: Session) -> HopRow:
    """The hop to take back. Raises RefusedError where there is nothing to take back, or no way any more."""
    from upgrader.states import INFO, RUN_ENDED

    snapshot = opened.journal.snapshot()
    hop = snapshot.hop
    if snapshot.run is None or hop is None:
        raise RefusedError("There is no run to take back.", next_command="upgrader status", reason="no-run")
    done = [row for row in snapshot.hops if row.ended]
    if snapshot.run.state in RUN_ENDED or (hop.state.value in ("pending", "hold_hop") and done):
        last = done[-1] if done else hop
        finished = last.state.value == "hop_done"
        raise RefusedError(
            f"{last.name} is {'finalized' if finished else last.state}: its way back is closed.",
            cloud=f"It runs {last.target if finished else last.source}.",
            details=_closed(opened, last) if finished else (),
            next_command="upgrader status",
            reason="way-back-closed",
        )
    if hop.closed:
        raise RefusedError(
            f"{hop.name} is being finalized: its way back is closed.",
            details=_closed(opened, hop),
            next_command="upgrader status",
            reason="way-back-closed",
        )
    if INFO[hop.state].way_back == "nothing" and not hop.interrupted:
        raise RefusedError(
            f"{hop.name} is in {hop.state}: no running service was changed, so there is nothing to take back.",
            next_command="upgrader abort",
            reason="nothing-to-take-back",
        )
    return hop


def _closed(opened: Session, hop: HopRow) -> tuple[str, ...]:
    return tuple(line for line in (who_closed(opened.journal, hop), *what_is_lost(hop, opened.site)) if line)


def _choose(ways: Ways, *, redeploy: bool, restore: bool) -> Event:
    from upgrader.states import Event

    if (redeploy or not restore) and ways.redeploy:
        return Event.REDEPLOY
    if redeploy:
        raise RefusedError(
            "Redeploying the old release is not enough.",
            cloud="Nothing was changed by this command.",
            details=ways.redeploy_reasons,
            next_command="upgrader rollback --restore" if ways.restore else "upgrader resume",
            reason="redeploy-not-enough",
        )
    if ways.restore:
        return Event.RESTORE
    raise RefusedError(
        "No way back is open; the way is forward.",
        cloud="Nothing was changed by this command.",
        details=(*ways.redeploy_reasons, *ways.restore_reasons),
        next_command="upgrader resume",
        reason="forward-only",
    )


def _refuse_nonsense(*, redeploy: bool, restore: bool, only_changed: bool, show: bool, as_json: bool) -> None:
    if redeploy and (restore or only_changed):
        words = "--redeploy and --restore exclude each other."
        raise UsageError(words, next_command="upgrader rollback", reason="usage")
    if show and (redeploy or restore or only_changed):
        words = "--show shows every way; it takes none."
        raise UsageError(words, next_command="upgrader rollback --show", reason="usage")
    if as_json and not show:
        raise UsageError("--json belongs to --show.", next_command="upgrader rollback --show --json", reason="usage")


def _show(found: BackMap, hop: HopRow, site: Site, given: Invocation, *, as_json: bool) -> None:
    """The map on stdout. Changes nothing."""
    command = {"redeploy": "upgrader rollback --redeploy", "restore": "upgrader rollback --restore"}.get(found.best)
    following = with_site(command or "upgrader resume", given.named)
    if as_json:
        import json

        document = found.document() | {"next": following, "site": site.name}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from upgrader.views.terminal import show

    show(_page(found, hop, site, following), color=given.color)


def _page(found: BackMap, hop: HopRow, site: Site, *following: str) -> Page:
    from upgrader.views.rollback import back_page

    return back_page(found, site=site.name, age=age(hop.facts.get("backup_made_at", "")), next_commands=following)


def _confirm(
    event: Event, hop: HopRow, site: Site, found: BackMap, given: Invocation, typed: str | None, *, only_changed: bool
) -> None:
    """The map is shown; a restore is confirmed by typing the site's name."""
    from upgrader.states import Event as Events
    from upgrader.views.terminal import show

    show(_page(found, hop, site), sys.stderr, color=given.color)
    if event is not Events.RESTORE:
        return
    if only_changed and not found.only_changed:
        refused = [f"{row.service}: {row.alone_why}" for row in found.services if row.alone is False]
        raise RefusedError(
            "Restoring only what the hop changed would not be sound.",
            cloud="Nothing was changed by this command.",
            details=refused or ["no service needs its databases put back"],
            next_command="upgrader rollback --restore",
            reason="partial-restore-unsound",
        )
    folder = Path(hop.facts.get("backup_set", ""))
    what = f"Databases {', '.join(found.changed)}" if only_changed else "Every database of the set"
    typer.echo(f"{what} will be replaced by backup {folder.name}; services stand still meanwhile.", err=True)
    if not ask(f'Type the name of the site, "{site.name}", to go on', site.name, typed):
        words = "--only-changed" if only_changed else "--restore"
        raise RefusedError(
            "The restore was not confirmed.",
            cloud="Nothing was changed by this command.",
            details=[f"backup   {folder}", "lost     everything written to the databases since then, as shown above"],
            next_command=f'upgrader rollback {words} --confirm "{site.name}"',
            reason="not-confirmed",
        )


def _keep_scope(opened: Session, event: Event, *, only_changed: bool) -> None:
    """What is to be restored is the operator's word, so it is in the journal before the attempt that it unlocks."""
    from upgrader.back_map import RESTORE_ALL, RESTORE_CHANGED, scope
    from upgrader.states import Event as Events

    if event is not Events.RESTORE:
        return
    wanted = RESTORE_CHANGED if only_changed else RESTORE_ALL
    now = scope((row.name, row.reason) for row in opened.journal.acceptances())
    if wanted != now:
        opened.journal.accept(wanted, "chosen with the restore", opened.actor)


def age(at: str) -> str:
    """`2 h 05 min` since a UTC time; `unknown time` when it cannot be read."""
    try:
        minutes = int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()) // 60
    except (ValueError, TypeError):
        return "unknown time"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def to_decision(opened: Session, hop: HopRow, reason: str) -> None:
    """Bring the hop to `decide`, by the move its state has for it."""
    from upgrader.states import Event, State

    if hop.state in (State.DECIDE, State.DECIDE_BROKER):
        return
    event = reconsider(hop) if hop.state is State.NEEDS_ATTENTION else Event.TAKE_BACK
    opened.journal.move(hop.index, event, opened.actor, reason or "the operator takes the hop back")


def reconsider(hop: HopRow) -> Event:
    """The move from needs_attention back to the decision that the hop had come to."""
    from upgrader.states import Event

    return Event.RECONSIDER_BROKER if hop.broker_open else Event.RECONSIDER


def go_back(opened: Session, event: Event, reason: str, ways: Ways | None = None) -> None:
    """Record the decision for one way back; what is open is looked at now unless `ways` says it."""
    snapshot = opened.journal.snapshot()
    hop = snapshot.hop
    assert hop is not None  # noqa: S101 - callers have one
    found = ways or opened.ways(snapshot, hop, opened.conduct(snapshot).plan)
    opened.journal.move(
        hop.index, event, opened.actor, reason, redeploy_allowed=found.redeploy, restore_possible=found.restore
    )
