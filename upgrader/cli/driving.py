"""What the verbs that drive a run share: signals, the live view, and the ending as words and exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from upgrader.cli.verb import Invocation
from upgrader.errors import (
    AttentionError,
    EnvironmentMissingError,
    FailedCleanError,
    InterruptedRunError,
    RefusedError,
    RolledBackError,
    UpgraderError,
    UsageError,
    WaitingError,
)

if TYPE_CHECKING:
    from upgrader.config import Site
    from upgrader.engine import Ending, Engine
    from upgrader.session import Session
    from upgrader.views.live import Live

_AS_RECORDED = "As the journal's last event says; nothing further was started."
PAUSE_OPTION = "--pause-between-hops/--no-pause-between-hops"
PAUSE_HELP = "Rest after each hop until a person says go on (default: as the site file says)."
ACCEPT_HELP = "Accept a named risk, with the reason: --accept not-rehearsed='no staging cloud yet'. Repeatable."


def site_of(given: Invocation) -> Site:
    """The site meant by the options; the embedded sandbox is made when it is asked for and not there."""
    from upgrader.config import SITE_FILE, find_site, load_site, sandbox_home

    path = find_site(given.site)
    home = sandbox_home()
    if path == home / "site" / SITE_FILE and not path.exists():
        from upgrader.sandbox.create import create_sandbox

        create_sandbox(home)
    return load_site(path)


def must_have_run(site: Site, what: str) -> None:
    """Raises RefusedError where no run was ever begun: before a lock is taken or anything is written."""
    from upgrader.journal import JournalError, open_journal

    try:
        with open_journal(site.state_dir, readonly=True) as journal:
            if journal.snapshot(recent=0).run is not None:
                return
    except JournalError as error:
        if error.reason == "journal-from-older-version":
            return  # the writer brings it up to date
        if error.reason != "no-journal":
            raise
    raise RefusedError(
        f"There is no run {what}.",
        cloud="Nothing was changed by this command.",
        next_command="upgrader plan --to RELEASE",
        reason="no-run",
    )


def live(given: Invocation, *, quiet: bool = False) -> Live:
    from upgrader.views.live import Live
    from upgrader.views.terminal import in_colour

    return Live(sys.stderr, terminal=in_colour(sys.stderr, given.color), quiet=quiet)


class Interrupts:
    """Ctrl-C once: stop after the attempt. Twice, or SIGTERM, or a lost terminal: let go, the attempt goes on."""

    def __init__(self, say: Live) -> None:
        self.say = say
        self.stop = False
        self.detach = False

    def _interrupt(self, *_: object) -> None:
        if self.stop:
            self.detach = True
            return
        self.stop = True
        text = "Stopping after this stage. Ctrl-C again: leave it running and detach."
        self.say("note", {"text": text})

    def _let_go(self, *_: object) -> None:
        self.stop = self.detach = True

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        wanted = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._let_go, signal.SIGHUP: self._let_go}
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def drive(opened: Session, view: Live, *, auto_approve: bool) -> Ending:
    """Drive the open run of the session to its ending."""
    with Interrupts(view).installed() as interrupts:
        try:
            return engine(opened, interrupts, auto_approve=auto_approve).drive()
        except UpgraderError as error:
            error.cloud = error.cloud or _AS_RECORDED
            error.next_command = error.next_command or "upgrader status"
            raise
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise EnvironmentMissingError(
                f"{error.strerror or error}{where}", cloud=_AS_RECORDED, next_command="upgrader status",
                reason="operating-system",
            ) from error  # fmt: skip
        finally:
            view.close()


def engine(opened: Session, interrupts: Interrupts, *, auto_approve: bool) -> Engine:
    from upgrader.engine import Engine

    return Engine(
        opened.conduct(opened.journal.snapshot()),
        opened.actor,
        auto_approve=auto_approve,
        stop_wanted=lambda: interrupts.stop,
        detach_wanted=lambda: interrupts.detach,
    )


def settle_dead(opened: Session) -> bool:
    """Give an attempt that nobody works on any more its result. True: one is still being worked on."""
    from upgrader import attempts
    from upgrader.conduct import settle

    snapshot = opened.journal.snapshot()
    if snapshot.attempt is None:
        return False
    folder = attempts.folder_of(opened.site.state_dir, snapshot.attempt.id)
    if folder.is_dir() and attempts.judge(attempts.evidence(folder)) in ("running", "orphaned"):
        return True
    settle(opened.conduct(snapshot), snapshot, lambda: False)
    return False


def must_rest(opened: Session) -> None:
    """An attempt without a result gets one first. Raises RefusedError beside one that is being worked on."""
    if not settle_dead(opened):
        return
    attempt = opened.journal.snapshot().attempt
    raise RefusedError(
        f"Stage {attempt.stage if attempt else ''} is under way.",
        cloud="It is being worked on; nothing was changed by this command.",
        next_command="upgrader resume",
        reason="attempt-in-flight",
    )


def conclude(ending: Ending, site: Site, given: Invocation) -> None:
    """Say how it ended. Raises the error whose exit code the ending has; returns for a run that is done."""
    if ending.kind in ("done", "no_run"):
        _show_status(site, given)
        return
    _raise(ending, site)


def _show_status(site: Site, given: Invocation) -> None:
    from upgrader.status_read import gather
    from upgrader.views.status import status_page
    from upgrader.views.terminal import show

    show(status_page(gather(site)), color=given.color)


def _raise(ending: Ending, site: Site) -> NoReturn:
    from upgrader.database.restore_point import RENEW
    from upgrader.engine import RESTORE_POINT
    from upgrader.status_read import gather

    report = gather(site)
    commands = [f"{choice.command:<45} {choice.what}".rstrip() for choice in report.choices]
    first = report.choices[0].command if report.choices else "upgrader status"
    details = ["You can:", *(f"  {line}" for line in commands)] if len(commands) > 1 else []
    mends = _mends(site) if ending.kind in ("failed_clean", "decide", "attention") else []
    if mends:
        details = ["First mend what it stopped at:", *(f"  {line}" for line in mends), *details]
        first = next((line for line in mends if line.startswith("upgrader ")), first)
    if ending.wants == RESTORE_POINT:
        first = RENEW
        details = [f"{RENEW:<45} take and prove a new set, for this hop", *details]
    if ending.kind in ("failed_clean", "decide", "attention"):
        details = [f"Evidence: {report.diagnosis or 'upgrader diagnose'}", *details]
    cloud = cloud_words(ending)
    kinds: dict[str, type[UpgraderError]] = {
        "waiting": WaitingError,
        "stopped": InterruptedRunError,
        "detached": InterruptedRunError,
        "failed_clean": FailedCleanError,
        "rolled_back": RolledBackError,
    }
    raise kinds.get(ending.kind, AttentionError)(
        ending.message, cloud=cloud, details=details, next_command=first, reason=ending.kind.replace("_", "-")
    )


def _mends(site: Site) -> list[str]:
    """What the failed findings of the last attempt say to do about them; empty when it left none."""
    from upgrader.journal import open_journal

    with open_journal(site.state_dir, readonly=True) as journal:
        ended = [row for row in journal.snapshot(recent=20).recent if row.kind == "attempt_finished"]
    if not ended:
        return []
    last = max(ended, key=lambda row: row.seq)
    findings = last.data.get("evidence", {}).get("findings", ())
    return list(dict.fromkeys(found["next"] for found in findings if found["code"] == "failure" and found["next"]))


def cloud_words(ending: Ending) -> str:
    """The cloud's condition in one line, as far as the law knows it."""
    hop = ending.hop
    if hop is None:
        return ""
    from upgrader.model import BROKER_DONE
    from upgrader.states import INFO, Ponr, State

    if hop.state is State.ROLLED_BACK:
        return f"It runs {hop.source} again, verified."
    if hop.state is State.HOLD_FINALIZE:
        return f"It runs {hop.target}, verified; the way back to {hop.source} is still open."
    if hop.closed:
        return f"It runs {hop.target}; the way back to {hop.source} is closed."
    if hop.broker_open:
        return (
            f"It runs {hop.source}. A queue migration has begun and is not finished: services that use RabbitMQ may be "
            "stopped, queues may be gone, every API may be down."
        )
    if INFO[hop.state].way_back == "nothing" and hop.facts.get(BROKER_DONE):
        return f"It runs {hop.source}; its queues were migrated, no service was upgraded on this hop."
    if INFO[hop.state].way_back == "nothing":
        return f"It runs {hop.source}; no running service was changed on this hop."
    line = {
        Ponr.NO: "The point of no return was not passed.",
        Ponr.POSSIBLE: "The point of no return may be passed.",
        Ponr.CROSSED: "The point of no return was passed.",
    }[hop.ponr]
    mixed = f"It may be mixed ({hop.source} and {hop.target}). " if hop.interrupted else ""
    return f"{mixed}{line}"


def acceptances(values: Sequence[str]) -> dict[str, str]:
    """`NAME=REASON` words; both have to be there. Raises UsageError."""
    found = {}
    for value in values:
        name, _, reason = value.partition("=")
        if not name.strip() or not reason.strip():
            raise UsageError(
                f"--accept {value!r} wants a name and a reason.",
                next_command="--accept not-rehearsed='why this is acceptable'",
                reason="acceptance-without-reason",
            )
        found[name.strip()] = reason.strip()
    return found


def ask(question: str, expected: str, given: str | None) -> bool:
    """Whether the operator typed `expected`: as option, or at the prompt when there is a terminal."""
    if given is not None:
        return given.strip() == expected
    if not sys.stdin.isatty():
        return False
    typed: str = typer.prompt(question, default="", show_default=False, err=True)
    return typed.strip() == expected
