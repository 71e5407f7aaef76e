"""`upgrader rollback`: take the current hop back, by deploying the old release or by restoring the databases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.driving import ask, conclude, drive, live, must_have_run, settle_dead, site_of
from upgrader.cli.verb import invocation, verb_app
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.decisions import Ways
    from upgrader.journal import HopRow
    from upgrader.session import Session
    from upgrader.states import Event

app = verb_app()


@app.command()
def rollback(
    ctx: typer.Context,
    redeploy: Annotated[
        bool, typer.Option("--redeploy", help="Deploy the old release on the data as they are.")
    ] = False,
    restore: Annotated[bool, typer.Option("--restore", help="Put the databases and keys of the backup back.")] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="WORDS", help="The words a restore asks for, typed beforehand.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")] = "",
) -> None:
    """Take the current hop back to the release it came from, and verify it there.

    Looks at the cloud first. Redeploying is offered where the schemas did not change, or provably no change began;
    otherwise the databases are restored, which loses what was written since the backup and asks for typed words.
    """
    given = invocation(ctx)
    if redeploy and restore:
        raise UsageError(
            "--redeploy and --restore exclude each other.", next_command="upgrader rollback", reason="usage"
        )
    site = site_of(given)
    must_have_run(site, "to take back")
    from upgrader.session import session

    view = live(given)
    with session(site, "rollback", view, create=False) as opened:
        _settle(opened)
        hop = _hop(opened)
        view("note", {"text": f"Looking which ways back to {hop.source} are open …"})
        ways = opened.ways(opened.journal.snapshot(), hop, opened.conduct(opened.journal.snapshot()).plan)
        event = _choose(ways, redeploy=redeploy, restore=restore)
        _confirm(event, hop, ways, confirm)
        to_decision(opened, hop, reason)
        go_back(opened, event, reason or "taken back by the operator", ways)
        ending = drive(opened, view, auto_approve=False)
    conclude(ending, site, given)


def _settle(opened: Session) -> None:
    """An attempt without a result gets one first; a live one is not taken back under its feet."""
    if not settle_dead(opened):
        return
    attempt = opened.journal.snapshot().attempt
    raise RefusedError(
        f"Stage {attempt.stage if attempt else ''} is still under way.",
        cloud="It is being worked on; nothing was changed by this command.",
        next_command="upgrader resume",
        reason="attempt-in-flight",
    )


def _hop(opened: Session) -> HopRow:
    """The hop to take back. Raises RefusedError where there is nothing to take back, or no way any more."""
    from upgrader.states import INFO, RUN_ENDED

    snapshot = opened.journal.snapshot()
    hop = snapshot.hop
    if snapshot.run is None or hop is None:
        raise RefusedError("There is no run to take back.", next_command="upgrader status", reason="no-run")
    done = [row for row in snapshot.hops if row.ended]
    if snapshot.run.state in RUN_ENDED or (hop.state.value == "pending" and done):
        last = done[-1] if done else hop
        raise RefusedError(
            f"{last.name} is {last.state}: its way back is closed.",
            cloud=f"It runs {last.target if last.state.value == 'hop_done' else last.source}.",
            next_command="upgrader status",
            reason="way-back-closed",
        )
    if hop.closed:
        raise RefusedError(
            f"{hop.name} is being finalized: its way back is closed.", next_command="upgrader status",
            reason="way-back-closed",
        )  # fmt: skip
    if INFO[hop.state].way_back == "nothing" and not hop.interrupted:
        raise RefusedError(
            f"{hop.name} is in {hop.state}: no running service was changed, so there is nothing to take back.",
            next_command="upgrader abort",
            reason="nothing-to-take-back",
        )
    return hop


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


def _confirm(event: Event, hop: HopRow, ways: Ways, given: str | None) -> None:
    """A restore is confirmed by typing the words that name it; the age of the backup and the loss are shown first."""
    from upgrader.states import Event as Events

    if event is not Events.RESTORE:
        return
    folder = Path(hop.facts.get("backup_set", ""))
    words = f"restore {hop.source} from {folder.name}"
    details = [
        f"backup   {folder}",
        f"taken    {hop.facts.get('backup_made_at', 'unknown')} ({age(hop.facts.get('backup_made_at', ''))} ago)",
        "lost     everything written to the databases since then: users, servers, volumes, networks made or deleted",
        *(f"because  {line}" for line in ways.redeploy_reasons if not ways.redeploy),
    ]
    for line in details:
        typer.echo(line, err=True)
    if not ask(f'Type "{words}" to go on', words, given):
        raise RefusedError(
            "The restore was not confirmed.",
            cloud="Nothing was changed by this command.",
            details=details,
            next_command=f'upgrader rollback --restore --confirm "{words}"',
            reason="not-confirmed",
        )


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
