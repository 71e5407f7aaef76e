"""`upgrader resume`: go on after an interruption, a stop, an approval, or a failure that was looked at."""

from __future__ import annotations

from collections.abc import Callable
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
    must_have_run,
    settle_dead,
    site_of,
)
from upgrader.cli.verb import invocation, verb_app

if TYPE_CHECKING:
    from upgrader.engine import Ending
    from upgrader.journal import HopRow
    from upgrader.session import Session
    from upgrader.views.live import Live

app = verb_app()


@app.command()
def resume(
    ctx: typer.Context,
    accept: Annotated[list[str] | None, typer.Option(metavar="NAME=REASON", help=ACCEPT_HELP)] = None,
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", help="Approve the upgrade and the end of each hop in advance.")
    ] = False,
    pause_between_hops: Annotated[bool | None, typer.Option(PAUSE_OPTION, help=PAUSE_HELP)] = None,
    takeover: Annotated[
        bool, typer.Option("--takeover", help="Take over from an owner on another machine that is surely gone.")
    ] = False,
) -> None:
    """Find out how an interrupted stage ended, then go on.

    After a failed or lost upgrade, resuming is your decision to try it again; a failed check starts the hop's checks
    anew; an interrupted way back is gone on with.
    """
    given = invocation(ctx)
    accepted = acceptances(accept or ())
    site = site_of(given)
    must_have_run(site, "to resume")
    from upgrader.session import session

    view = live(given)
    with session(site, "resume", view, takeover=takeover, create=False) as opened:
        for name, reason in accepted.items():
            opened.journal.accept(name, reason, opened.actor)
        found = opened.journal.snapshot(recent=0).run
        if pause_between_hops is not None and found is not None:
            opened.pause_between_hops(pause_between_hops, found.plan_sha256)
        ending = go_on(opened, view, lambda: drive(opened, view, auto_approve=auto_approve))
    conclude(ending, site, given)


def go_on(opened: Session, view: Live, drive: Callable[[], Ending]) -> Ending:
    """Settle what an interruption left, take at most one decision in the operator's name, and drive.

    The decision is about what was there before this command: a stage that fails under it, also one that was still
    under way and is only followed now, comes back to the operator.
    """
    alive = settle_dead(opened)
    decided = not alive and decide(opened, view)
    before = opened.journal.snapshot().last_attempt
    ending = drive()
    after = opened.journal.snapshot().last_attempt
    if ending.kind == "attention" and not decided and (after and after.id) == (before and before.id):
        # nothing was started: the stage's attempts were used up before, and this command is the word to try again
        hop = opened.journal.snapshot().hop
        if hop is not None and _spent(opened, view, hop):
            return drive()
    return ending


def _spent(opened: Session, view: Live, hop: HopRow) -> bool:
    from upgrader.states import INFO

    return INFO[hop.state].kind == "stage" and _once_more(opened, view, hop)


def decide(opened: Session, view: Live) -> bool:
    """At a rest, record that the operator wants to go on, and where to. False: there is nothing to go on with."""
    from upgrader.states import Event, State

    snapshot = opened.journal.snapshot()
    hop = snapshot.hop
    if hop is None or snapshot.attempt is not None or hop.ended:
        return False
    last = snapshot.last_attempt
    words = {
        State.FAILED_CLEAN: (Event.RETRY, "resumed: the hop's checks start anew"),
        State.DECIDE: (Event.RETRY, "resumed: the upgrade is tried again"),
        State.DECIDE_BROKER: (Event.RETRY, "resumed: the queue migration is tried again"),
        State.HOLD_VERIFY: (Event.RECHECK, "resumed: verified again"),
        State.HOLD_HOP: (Event.APPROVE, "resumed: the next hop begins"),
    }
    if hop.state in words:
        event, reason = words[hop.state]
        opened.journal.move(hop.index, event, opened.actor, reason)
        view("note", {"text": f"  decision    {reason}"})
        return True
    if hop.state is State.NEEDS_ATTENTION and last is not None:
        return _after_attention(opened, view, hop, last.stage.value)
    return False


def _once_more(opened: Session, view: Live, hop: HopRow) -> bool:
    """A stage whose attempts are used up: out of it by the move its state has, and back as a person's decision."""
    from upgrader.states import Event, State, row_of

    leave = Event.TAKE_BACK if row_of(hop.state, Event.TAKE_BACK) else Event.GIVE_UP
    words = "resumed: tried too often by itself, looked at by a person"
    left = opened.journal.move(hop.index, leave, opened.actor, words)
    if left.state is State.NEEDS_ATTENTION:
        return _after_attention(opened, view, left, hop.state.value)
    event = Event.RECHECK if hop.state in (State.VERIFY, State.SOAK) else Event.RETRY
    opened.journal.move(hop.index, event, opened.actor, words)
    view("note", {"text": f"  decision    {hop.state} is tried again"})
    return True


def _after_attention(opened: Session, view: Live, hop: HopRow, stage: str) -> bool:
    from upgrader.cli.rollback_cmd import go_back, reconsider
    from upgrader.states import AttemptState, Event, State

    last = opened.journal.snapshot().last_attempt
    if last is not None and last.stage in (State.ROLLBACK_REDEPLOY, State.ROLLBACK_RESTORE):
        if last.state not in (AttemptState.UNKNOWN, AttemptState.CANCELED):
            return False  # it failed for a reason; the operator has to say rollback again
        opened.journal.move(hop.index, reconsider(hop), opened.actor, "resumed: the interrupted way back goes on")
        event = Event.REDEPLOY if last.stage is State.ROLLBACK_REDEPLOY else Event.RESTORE
        go_back(opened, event, "resumed: the interrupted way back goes on")
        view("note", {"text": f"  decision    {last.stage} goes on"})
        return True
    event = Event.RECHECK_OLD if stage == State.VERIFY_OLD.value else Event.RECHECK
    if event is Event.RECHECK and hop.broker_open:
        event = Event.RECONSIDER_BROKER
    if stage == State.FINALIZE.value:
        event = Event.REOPEN
    words = "resumed: looked at by a person, checked again"
    if event is Event.RECONSIDER_BROKER:
        words = "resumed: looked at by a person, the queue migration is tried again"
        opened.journal.move(hop.index, event, opened.actor, words)
        event = Event.RETRY
    opened.journal.move(hop.index, event, opened.actor, words)
    view("note", {"text": "  decision    checked again"})
    return True
