"""What a rehearsal found, in words: what failed first, then each hop service by service, the next command last."""

from __future__ import annotations

from collections.abc import Sequence

from upgrader.rehearsal.report import Change, HopRehearsal, Projection, Rehearsal, ServiceResult
from upgrader.views.page import Page, Piece, Span, Tone
from upgrader.views.plan import count

_VERDICTS: dict[str, tuple[str, Tone]] = {"passed": ("passed", "good"), "failed": ("FAILED", "bad")}
_BY = {"environment": "the services' own programs from PyPI", "images": "the target's container images"}
_MANY_STATEMENTS = 6
_A_MINUTE, _AN_HOUR = 120, 7200


def rehearsal_page(report: Rehearsal, *, next_commands: Sequence[str], details: bool = False) -> Page:
    """The whole rehearsal; with `details` every command, schema statement and row difference."""
    page = Page()
    way = " → ".join([report.source, *(hop.target for hop in report.hops)])
    page.line(Span(f"Site {report.site}", "strong"), f" · rehearsed {way} · {report.made_at} · {report.id}")
    what = report.backup_set or report.dump
    page.line(
        f"Copy of {what}: {count(len(report.databases), 'database')}, {count(report.tables, 'table')}, "
        f"{count(report.rows, 'row')}; restored in {seconds(report.restore_seconds)} (MariaDB {report.server_version})"
    )
    page.line(f"By {_BY[report.by]}, without any network · {seconds(report.seconds)} in all")
    _verdict(page, report)
    _failures(page, report)
    _foreseen(page, report)
    _unrehearsed(page, report)
    for number, hop in enumerate(report.hops, start=1):
        _hop(page, hop, f"Hop {number} of {len(report.hops)}   {hop.source} → {hop.target}", details)
    if next_commands:
        page.next(*next_commands)
    return page


def list_page(reports: Sequence[Rehearsal], *, next_commands: Sequence[str]) -> Page:
    """One line for each rehearsal, the newest last."""
    page = Page()
    page.columns(
        (
            Span(one.id, "strong"), f"{one.source} → {one.target}",
            Span("passed", "good") if one.passed else Span("FAILED", "bad"), seconds(one.seconds),
            one.backup_set or one.dump,
        )
        for one in reports
    )  # fmt: skip
    if not reports:
        page.line("Nothing was rehearsed yet.")
    page.next(*next_commands)
    return page


def seconds(value: float) -> str:
    """`0.4 s`, `41 s`, `12 min`, `2.5 h`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < _A_MINUTE:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < _AN_HOUR else f"{value / 3600:.1f} h"


def _failed(report: Rehearsal) -> list[tuple[HopRehearsal, ServiceResult]]:
    return [(hop, service) for hop in report.hops for service in hop.services if service.verdict == "failed"]


def _verdict(page: Page, report: Rehearsal) -> None:
    page.blank()
    failed = _failed(report)
    if failed:
        page.line(Span("FAILED", "bad"), f"  {', '.join(f'{one.service} ({hop.target})' for hop, one in failed)}")
        last = report.hops[-1].target if report.hops else report.source
        if last != report.target:
            page.line(f"The hops after {last} were not tried.", indent=8)
        return
    if not report.passed:
        page.line(Span("NOTHING was rehearsed", "bad"), ": the copy holds no service whose migrations are known.")
        return
    services = len(report.hops[0].services)
    page.line(Span("PASSED", "good"), f"  {count(services, 'service')} over {count(len(report.hops), 'hop')}")


def _failures(page: Page, report: Rehearsal) -> None:
    for hop, service in _failed(report):
        page.blank()
        page.line(Span(f"✗ {service.service}", "bad"), f" to {hop.target}: {service.message}")
        for fault in service.faults:
            page.line(Span(fault.id, "strong"), f" {fault.message}", indent=2)
            for row in fault.rows:
                page.line(f"{fault.table}: {row}" if fault.table else row, indent=4)
            if fault.count is not None and fault.count > len(fault.rows):
                page.line(f"{count(fault.count, 'row')} in all", indent=4)
            for line in fault.fix:
                page.line("fix: ", Span(line, "command"), indent=4)
        broken = next((command for command in service.commands if command.code != 0), None)
        for line in broken.last_words[-4:] if broken and not service.faults else ():
            page.line(Span(line, "dim"), indent=2)


def _foreseen(page: Page, report: Rehearsal) -> None:
    """What the rows said before a hop, where no service failed of it."""
    told = {fault.id for _, service in _failed(report) for fault in service.faults}
    for hop in report.hops:
        for fault in hop.foreseen:
            if fault.id not in told:
                page.blank()
                page.line(Span(fault.id, "warn"), f" {hop.target}: {fault.message}")
                for line in fault.fix:
                    page.line("fix: ", Span(line, "command"), indent=4)


def _unrehearsed(page: Page, report: Rehearsal) -> None:
    if not report.not_rehearsed:
        return
    page.blank()
    names = ", ".join(one.database for one in report.not_rehearsed)
    page.line(Span("NOT REHEARSED", "warn"), f"  {names}: no migrations of theirs are known here")
    risky = [one.database for one in report.not_rehearsed if one.versioned]
    if risky:
        page.line(
            f"A hop may change the schema of {', '.join(risky)}. The run asks for --accept not-rehearsed-NAME='why'.",
            indent=2,
        )


# ---------------------------------------------------------------- one hop


def _hop(page: Page, hop: HopRehearsal, title: str, details: bool) -> None:
    page.blank()
    page.ruled(title, "strong")
    page.columns([_row(service) for service in hop.services], indent=2)
    _window(page, hop)
    locking = [change for service in hop.services for change in service.changes if change.locks]
    shown = locking if details else locking[:_MANY_STATEMENTS]
    for change in shown:
        page.line(Span("LOCKS ", "warn"), _statement(change), indent=2)
    if len(locking) > len(shown):
        page.line(f"and {len(locking) - len(shown)} more statements that lock (--details)", indent=2)
    for service in hop.services:
        _checks(page, service, details)
        if service.way_back.good is False:
            page.line(Span("way back ", "bad"), f"of {service.service}: {service.way_back.message}", indent=2)
        if details:
            _details(page, service)


def _checks(page: Page, service: ServiceResult, details: bool) -> None:
    """What the service's own check has to say; not what only the running cloud could have answered."""
    name = f"{service.service}-status "
    if service.check is not None and not service.checks:
        last = service.check.last_words[-1] if service.check.last_words else f"exit code {service.check_code}"
        page.line(Span(name, "dim"), f"gave no answer: {last}", indent=2)
    for check, result, told in service.checks:
        if result == "Success":
            continue
        if check in service.asks_cloud:
            if details:
                page.line(Span(name, "dim"), f"{check}: asks the running cloud, a copy cannot answer", indent=2)
            continue
        page.line(Span(name, "warn"), f"{check}: {result}. {told}", indent=2)


def _row(service: ServiceResult) -> tuple[Piece, ...]:
    verdict, tone = _VERDICTS.get(service.verdict, (service.verdict, ""))
    moved = [name for name, before, now, _ in service.heads if sorted(before) != sorted(now)]
    schema = f"schema of {', '.join(moved)} changed" if moved else "same schema"
    return (
        service.service,
        Span(verdict, tone),
        seconds(service.seconds),
        _rows_of(service),
        schema if service.verdict == "passed" else service.message,
        _way_back(service),
    )


def _rows_of(service: ServiceResult) -> str:
    done = sum(completed for command in service.commands for _, _, completed in command.batches)
    return f"{done} rows migrated" if done else ""


def _way_back(service: ServiceResult) -> str:
    trial = service.way_back
    if trial.way == "not tried":
        return ""
    good = {True: "tried", False: "FAILED", None: "not tried"}[trial.good]
    return f"back: {trial.way}, {good}"


def _window(page: Page, hop: HopRehearsal) -> None:
    if not hop.projections:
        return
    schema = sum(one.schema_seconds for one in hop.projections)
    online = [one for one in hop.projections if one.online_seconds]
    page.line(
        f"In production, one after the other: about {seconds(schema)} of schema migrations"
        + (f", then online {', '.join(_online(one) for one in online)}" if online else ""),
        indent=2,
    )


def _online(one: Projection) -> str:
    rate = f" ({one.online_rows} rows at {one.online_rate:.0f}/s)" if one.online_rate else ""
    return f"{one.service} {seconds(one.online_seconds)}{rate}"


def _statement(change: Change) -> str:
    rows = f", {change.rows} rows" if change.rows is not None else ""
    return f"{change.database}: {change.statement} ({seconds(change.seconds)}{rows}; {change.why})"


def _details(page: Page, service: ServiceResult) -> None:
    page.line(Span(service.service, "strong"), indent=2)
    for command in service.commands:
        work = "" if command.work_seconds is None else f", of that work {seconds(command.work_seconds)}"
        start = f"{seconds(command.load_seconds)} to load" if command.load_seconds else "loaded already"
        code = "ended at its time limit" if command.code is None else f"exit {command.code}"
        words = f"{command.phase}: {' '.join(command.command)}  {seconds(command.seconds)}{work}; {start}; {code}"
        page.line(words, indent=4)
        for name, needed, completed in command.batches:
            page.line(f"{name}: {completed} of {needed} rows", indent=6)
    for database, before, now, expected in service.heads:
        page.line(f"{database}: {' + '.join(before)} → {' + '.join(now)} (expected {' + '.join(expected)})", indent=4)
    for line in service.differences:
        page.line(line, indent=6)
    for table, was, is_now in service.rows:
        page.line(f"{table}: {was} → {is_now} rows", indent=6)
    for change in service.changes:
        if not change.locks:
            page.line(_statement(change), indent=6)
    page.line(f"second pass: {service.again}; {service.way_back.way}: {service.way_back.message}", indent=4)
