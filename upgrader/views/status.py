"""The state of a run in words: one line that says it all, then only what matters now, then what can be typed."""

from __future__ import annotations

from datetime import UTC, datetime

from upgrader.status import Report, Seen, Verdict
from upgrader.views.page import Page, Piece, Span, Tone
from upgrader.views.progress import service_lines

HEADLINES: dict[Verdict, tuple[str, Tone]] = {
    Verdict.NO_RUN: ("no run was ever started", ""),
    Verdict.RUNNING: ("RUNNING", "good"),
    Verdict.DETACHED: ("RUNNING, followed by nobody", "warn"),
    Verdict.INTERRUPTED: ("INTERRUPTED", "bad"),
    Verdict.STOPPED: ("STOPPED between two stages", "warn"),
    Verdict.WAITING: ("WAITING for you", "warn"),
    Verdict.DECISION: ("FAILED, a decision is due", "bad"),
    Verdict.FAILED_CLEAN: ("FAILED, no running service was changed", "bad"),
    Verdict.ATTENTION: ("NEEDS ATTENTION, all automation stopped", "bad"),
    Verdict.DONE: ("DONE", "good"),
    Verdict.ROLLED_BACK: ("ROLLED BACK", "warn"),
    Verdict.ABORTED: ("ABORTED", "warn"),
    Verdict.SUPERSEDED: ("SUPERSEDED by a newer plan", "warn"),
}
_EVIDENCE = {
    "running": "The attempt is running.",
    "orphaned": "Its supervisor died, but work of the attempt is still going on.",
    "finished": "The attempt ended and left its account; it is not in the journal yet.",
    "artifact": "The play ended and its supervisor died after it; what it left says how it ended.",
    "infer": "The play reached its end, its exit code is lost.",
    "never_started": "The attempt provably never began.",
    "unknown": "Nothing of it is running, and nothing says how it ended.",
    "rebooted": "The machine was restarted since; nothing of it is running here.",
    "contradiction": "What it left contradicts itself; a human has to look.",
}
_PONR = {
    "no": "not crossed (no schema change has begun)",
    "possible": "may be crossed: a schema change may have begun",
    "crossed": "crossed",
}
_MOST_LINES = 12
_STATES = {"hop_done": "done", "rolled_back": "rolled back"}


def status_page(report: Report, now: datetime | None = None) -> Page:
    """The report; `now` (UTC) for ages, today's by default."""
    now = now or datetime.now(UTC)
    page = Page()
    headline, tone = HEADLINES[report.verdict]
    page.line(Span(report.site, "strong"), " · ", Span(headline, tone), _where(report), hang=4)
    if report.run:
        _hops(page, report)
        _attempt(page, report, now)
    _services(page, report)
    _cloud(page, report, now)
    if report.run and report.verdict not in (Verdict.DONE, Verdict.ABORTED, Verdict.SUPERSEDED, Verdict.ROLLED_BACK):
        _back(page, report)
    if report.window is not None:
        _window(page, report)
    for name, reason, who in report.accepted:
        page.line(f"Accepted: {name}: {reason} ({who})")
    _choices(page, report)
    return page


def _where(report: Report) -> str:
    if not report.run:
        return ""
    hop = f" in hop {report.hop} of {len(report.hops)} ({report.source} → {report.target})"
    if report.verdict in (Verdict.DONE, Verdict.SUPERSEDED, Verdict.ABORTED):
        return f" · {report.hops[0][0]} → {report.hops[-1][1]}"
    if report.verdict is Verdict.ROLLED_BACK:
        return f" to {report.source}{hop}"
    stage = report.attempt.stage if report.attempt else report.state
    number = f", attempt {report.attempt.number}" if report.attempt else ""
    task = f', at "{report.attempt.task}"' if report.attempt and report.attempt.task else ""
    return f"{hop}, stage {stage}{number}{task}"


def _hops(page: Page, report: Report) -> None:
    if len(report.hops) < 2:
        return
    pieces: list[Piece] = []
    for number, (source, target, state) in enumerate(report.hops, start=1):
        tone: Tone = "good" if state == "hop_done" else "strong" if number == report.hop else "dim"
        pieces += [" · " if pieces else "", Span(f"{source} → {target} {_STATES.get(state, state)}", tone)]
    page.line("Hops: ", *pieces, hang=6)


def _attempt(page: Page, report: Report, now: datetime) -> None:
    attempt = report.attempt
    if report.controller:
        page.line(f"Driven by {report.controller}.")
    if attempt:
        last = f" Last sign of it {age(attempt.at, now)} ago." if attempt.at else ""
        page.line(f"{_EVIDENCE.get(attempt.evidence, attempt.evidence)}{last}")
        for trouble in attempt.troubles:
            page.line(Span("✗ ", "bad"), trouble, indent=2)
    if report.left_by and report.verdict is Verdict.INTERRUPTED:
        page.line(f"The controller died: {report.left_by}.")
    elif not attempt and report.reason:
        page.line(f"Why: {report.reason}")
    if report.diagnosis:
        page.line(f"Diagnosis: {report.diagnosis}")


def _services(page: Page, report: Report) -> None:
    if report.services is not None:
        for line in service_lines(report.services):
            page.line(*line.spans, indent=line.indent, hang=line.hang)


def _cloud(page: Page, report: Report, now: datetime) -> None:
    seen = report.cloud
    if seen is None:
        page.line("The cloud: never looked at from here." + (" Take it as mixed." if report.unverified else ""))
        return
    when = f"{seen.at}, {age(seen.at, now)} ago"
    last = report.attempt.at if report.attempt and report.attempt.at else report.since
    before = report.unverified and _older(seen.at, last)
    word = {"exact": f"{seen.release} everywhere", "mixed": "MIXED", "unknown": "of no release that could be named"}
    page.line("The cloud: ", Span(word[seen.kind], "bad" if seen.kind == "mixed" else ""), f" (seen {when})")
    if seen.kind == "mixed":
        _mixed(page, seen)
    elif seen.kind == "unknown":
        for line in seen.evidence:
            page.line(line, indent=2)
    if before:
        page.line(
            Span("That was before the interruption: take the cloud as MIXED until it was looked at again.", "warn")
        )


def _mixed(page: Page, seen: Seen) -> None:
    rows = [
        (Span(release or "not named", "strong"), " ".join(services), f"({_hosts(hosts)})")
        for release, services, hosts in seen.releases
    ]
    for release, services, hosts in rows:
        page.line(release, f"  {services}  {hosts}", indent=2, hang=10)
    told = seen.evidence
    if len(told) > _MOST_LINES:
        # the services above say it of many hosts; what could not be read they do not
        told = tuple(line for line in told if ": not read (" in line)[:_MOST_LINES]
    for line in told:
        page.line(Span(line, "dim"), indent=4)
    if len(told) < len(seen.evidence):
        page.line(
            Span(f"… {len(seen.evidence) - len(told)} more, host by host: upgrader status --json", "dim"), indent=4
        )


def _hosts(hosts: tuple[str, ...]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"


def _back(page: Page, report: Report) -> None:
    crossed: Tone = "bad" if report.ponr == "crossed" else "warn" if report.ponr == "possible" else ""
    if not report.ponr_words:
        page.line("Point of no return: none on this hop.")
    else:
        page.line("Point of no return: ", Span(_PONR.get(report.ponr, report.ponr), crossed), f" · {report.ponr_words}")
    nothing = "nothing to undo"
    if report.hop > 1:
        nothing += f" on this hop; nothing leads back to {report.hops[report.hop - 2][0]} any more"
    words = {
        "nothing": nothing,
        "redeploy": f"redeploy {report.source}",
        "restore": f"restore of {', '.join(report.restore_services)}, redeploy of the rest",
        "forward-only": "none, forward only",
    }
    backup = f" · backup {report.backup_set}" if report.backup_set and report.way_back == "restore" else ""
    page.line(f"Way back: {words.get(report.way_back, report.way_back)}{backup}")


def _window(page: Page, report: Report) -> None:
    window = report.window
    assert window is not None  # noqa: S101 - the caller has looked
    page.line(f"Change window: {window.schedule} · ", window.told or "none comes any more", hang=4)
    if window.why:
        page.line(Span("! ", "warn"), f"{window.stage} waits: {window.why}", indent=2, hang=4)
    elif window.outside:
        page.line(f"{window.stage} may begin outside it: {window.outside}", indent=2, hang=4)
    elif window.stage:
        page.line(f"{window.stage} fits into what is left of it", indent=2)


def _choices(page: Page, report: Report) -> None:
    page.line("You can:")
    page.columns([(Span(choice.command, "command"), choice.what) for choice in report.choices], indent=2, gap=3)


def age(at: str, now: datetime) -> str:
    """How long ago, in words; `?` when the time cannot be read."""
    moment = _moment(at)
    if moment is None:
        return "?"
    return age_seconds(max(0, int((now - moment).total_seconds())))


def age_seconds(seconds: int) -> str:
    """`41 s`, `2 min 05 s`, `1 h 05 min`, `3 days`."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    hours = seconds // 3600
    return f"{hours} h {seconds % 3600 // 60:02d} min" if hours < 48 else f"{hours // 24} days"


def _moment(at: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _older(at: str, than: str) -> bool:
    first, second = _moment(at), _moment(than)
    return first is None or second is None or first < second
