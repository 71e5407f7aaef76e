"""`upgrader abort`: end a run that has not changed the cloud; cancels what is under way first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.driving import drive, live, must_have_run, site_of
from upgrader.cli.verb import invocation, verb_app, with_site
from upgrader.errors import LockedError, RefusedError

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.journal import HopRow
    from upgrader.session import Session
    from upgrader.views.live import Live

app = verb_app()


@app.command()
def abort(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")] = "",
    wait: Annotated[int, typer.Option(metavar="SECONDS", help="How long to wait for a stage to stop.")] = 600,
) -> None:
    """End the run before it changes anything. Once the upgrade began, the way back is `upgrader rollback`."""
    given = invocation(ctx)
    site = site_of(given)
    _refuse_too_late(site)
    view = live(given)
    from upgrader.conduct import ABORT_REQUEST, clear_abort_request
    from upgrader.durable import write_atomic

    write_atomic(site.state_dir / ABORT_REQUEST, reason or "aborted")
    try:
        told = _abort(site, view, reason or "aborted by the operator", wait)
        typer.echo(f"{told}\nNext:  {with_site('upgrader status', given.named)}")
    finally:
        clear_abort_request(site)


def _refuse_too_late(site: Site) -> None:
    """Before anything is canceled: an upgrade that began is not aborted, it is taken back."""
    from upgrader.journal import open_journal
    from upgrader.states import INFO, RUN_ENDED

    must_have_run(site, "to abort")
    with open_journal(site.state_dir, readonly=True) as journal:
        snapshot = journal.snapshot()
    if snapshot.run is None or snapshot.run.state in RUN_ENDED or snapshot.hop is None:
        raise RefusedError("There is no run to abort.", next_command="upgrader status", reason="no-run")
    if INFO[snapshot.hop.state].way_back != "nothing" and snapshot.hop.state.value != "needs_attention":
        begun = "a queue migration" if snapshot.hop.broker_open else "the upgrade"
        raise RefusedError(
            f"{snapshot.hop.name} is in {snapshot.hop.state}: {begun} has begun, so it cannot simply be ended.",
            cloud="Nothing was canceled or changed.",
            next_command="upgrader rollback",
            reason="too-late-to-abort",
        )


def _abort(site: Site, view: Live, reason: str, wait: int) -> str:
    from upgrader.session import session

    deadline = time.monotonic() + wait
    while True:
        try:
            with session(site, "abort", view, create=False) as opened:
                return _end(opened, view, reason)
        except LockedError:
            # whoever drives the run sees the request, cancels the attempt and ends the run
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _end(opened: Session, view: Live, reason: str) -> str:
    from upgrader.states import RUN_ENDED, RunState

    snapshot = opened.journal.snapshot()
    if snapshot.run is not None and snapshot.run.state not in RUN_ENDED:
        opened.journal.note("abort", {"reason": reason, "actor": opened.actor})
        drive(opened, view, auto_approve=False)
        snapshot = opened.journal.snapshot()
    if snapshot.run is None or snapshot.run.state is not RunState.ABORTED:
        raise RefusedError(
            "The run could not be aborted: the upgrade had begun.",
            cloud="See upgrader status.",
            next_command="upgrader status",
            reason="too-late-to-abort",
        )
    return told(snapshot.hops)


def told(hops: Sequence[HopRow]) -> str:
    """What an aborted run leaves: the hops that were done stay done."""
    from upgrader.model import BROKER_DONE

    done = [row for row in hops if row.state.value == "hop_done"]
    ended = next((row for row in hops if row.state.value == "aborted"), None)
    name = f" ({ended.name})" if ended else ""
    migrated = ended is not None and BROKER_DONE in ended.facts
    words = "Queues were migrated on this hop" if migrated else "No running service was changed on this hop"
    names = ", ".join(row.name for row in done)
    stays = f" The cloud stays on {done[-1].target}: {names} done before." if done else ""
    return f"Aborted. {words}{name}.{stays}"
