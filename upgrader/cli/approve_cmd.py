"""`upgrader approve`: let a waiting run go on, or accept a named risk. Records a decision; starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from upgrader.cli.closing import what_is_lost
from upgrader.cli.driving import must_have_run, site_of
from upgrader.cli.verb import invocation, verb_app, with_site
from upgrader.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from upgrader.journal import HopRow, Snapshot
    from upgrader.session import Session

app = verb_app()


@app.command()
def approve(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")] = "",
    accept: Annotated[str, typer.Option(metavar="NAME", help="Accept this named risk instead (needs --reason).")] = "",
) -> None:
    """Approve what the run waits for. Then `upgrader resume` goes on."""
    given = invocation(ctx)
    if accept and not reason.strip():
        raise UsageError(
            f"Accepting {accept} needs a reason.",
            next_command=f"upgrader approve --accept {accept} --reason 'why'",
            reason="acceptance-without-reason",
        )
    from upgrader.session import session
    from upgrader.states import INFO, Event, State

    site = site_of(given)
    must_have_run(site, "to approve")
    with session(site, "approve", create=False) as opened:
        snapshot = opened.journal.snapshot()
        hop = snapshot.hop
        if snapshot.run is None or hop is None or hop.ended:
            raise RefusedError("No run waits for anything.", next_command="upgrader status", reason="no-run")
        if accept and hop.state is not State.HOLD_VERIFY:
            opened.journal.accept(accept, reason, opened.actor)
            done = f"Accepted {accept}: {reason}"
        elif accept:
            opened.journal.move(hop.index, Event.ACCEPT, opened.actor, f"{accept}: {reason}")
            done = f"Accepted {accept} for {hop.name}: {reason}"
        elif INFO[hop.state].kind == "hold":
            opened.journal.move(hop.index, Event.APPROVE, opened.actor, reason or "approved")
            done = f"Approved {hop.state.value.removeprefix('hold_')} of {hop.name}."
            if hop.state is State.HOLD_HOP:
                done = f"{hop.name} may begin."
            if hop.state is State.HOLD_FINALIZE:
                done = "\n".join((done, *what_is_lost(hop, site)))
            if hop.state is State.HOLD_BROKER:
                done += with_site(_outage(opened, snapshot, hop), given.named)
            done += _closed(opened)
        else:
            raise RefusedError(
                f"{hop.name} is in {hop.state}, which waits for no approval.",
                next_command="upgrader status",
                reason="nothing-to-approve",
            )
    typer.echo(f"{done}\nNext:  {with_site('upgrader resume', given.named)}")


def _closed(opened: Session) -> str:
    """That the stage which was approved has to wait for its window."""
    snapshot = opened.journal.snapshot()
    hop = snapshot.hop
    if snapshot.run is None or hop is None:
        return ""
    found = opened.conduct(snapshot).opening(snapshot, hop, hop.state)
    return f"\nIt does not begin yet: {found.why}." if found.why else ""


def _outage(opened: Session, snapshot: Snapshot, hop: HopRow) -> str:
    """What was approved, for those who did not read the plan."""
    planned = opened.conduct(snapshot).plan.hops[hop.index].broker
    services = ", ".join(planned.services) or "every service that uses RabbitMQ"
    are = "are" if len(planned.services) > 1 else "is"
    return (
        f"\nFull API outage from the next `upgrader resume` on: {services} {are} stopped, RabbitMQ is reset (every "
        "queue and message is dropped), then all is deployed again. Running instances and volumes go on."
    )
