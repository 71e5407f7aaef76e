"""The report as a document: what it says first, what it says of each hop. The rest is in `evidence_sections`."""

from __future__ import annotations

from datetime import datetime

from upgrader.pictures import spoken
from upgrader.report import drawn
from upgrader.report.blocks import Cell, Code, Document, Piece, Word
from upgrader.report.evidence_sections import apis, audit, evidence, images, people, reading, versions
from upgrader.report.phrases import BACK, TONES, moment, short, took, unbroken, worded
from upgrader.report.values import AttemptStory, HopStory, Report, StageStory


def document_of(report: Report) -> Document:
    """All sections in order."""
    document = Document(f"Upgrade report: {report.site or 'a site'}, {report.source} → {report.target}")
    _head(document, report)
    _todo(document, report)
    _overview(document, report)
    for hop in report.hops:
        if hop.began:
            _hop(document, hop)
    apis(document, report)
    people(document, report)
    versions(document, report)
    evidence(document, report)
    audit(document, report)
    reading(document, report)
    images(document, report)
    return document


def _local(text: str, zone: str) -> str:
    if not text:
        return ""
    if zone == "UTC":
        return f"{moment(text)} UTC"
    from upgrader.window import moment as in_zone

    return in_zone(datetime.fromisoformat(text), zone)


# ---------------------------------------------------------------- the head


def _head(document: Document, report: Report) -> None:
    if report.audit.faults:
        count = len(report.audit.faults)
        document.callout(
            f"The journal behind this report was changed or is damaged ({count} faults): nothing below can be "
            f"relied on. First: {report.audit.faults[0]}.",
            tone="bad",
        )
    if not report.audit.plan_fits:
        document.callout("The plan in the journal is not the one the run was begun with.", tone="bad")
    document.callout(short(report.outcome), tone=TONES.get(report.state, "warn"))
    attempts = [one for hop in report.hops for one in hop.attempts]
    lost = sum(one.result in ("unknown", "canceled") for one in attempts)
    done = sum(hop.state == "hop_done" for hop in report.hops)
    rows: list[tuple[Cell, Cell]] = [
        ("Site", report.site),
        ("Hops", f"{done} of {len(report.hops)} done"),
        ("Begun", _local(report.begun, report.zone)),
        ("Ended", _local(report.ended, report.zone) or f"not yet; told as of {moment(report.as_of)} UTC"),
        ("Length", spoken(_seconds(report.begun, report.ended or report.as_of))),
        ("Attempts", f"{len(attempts)}; cut short, or their end lost: {lost}"),
        ("API downtime", _worst_api(report)),
        ("Begun by", report.actor),
        ("Run", Code(report.run)),
        ("Plan", (Code(report.plan_sha256), f" made {moment(report.plan_made_at)} UTC" if report.plan_made_at else "")),
        ("Release known by", report.known_by),
        ("Tool", f"upgrader {report.engine_version or 'of unknown version'}, release graph {report.graph_version}"),
    ]
    document.table(("What", "Value"), rows, caption="The run")


def _seconds(begun: str, ended: str) -> float:
    return max(0.0, drawn.stamp(ended) - drawn.stamp(begun))


def _worst_api(report: Report) -> str:
    if not report.apis:
        return f"not known: {report.no_apis}"
    worst = max(report.apis, key=lambda one: one.seconds)
    if not worst.outages:
        return f"none seen on {len(report.apis)} APIs"
    return f"longest {spoken(worst.seconds)} in sum ({worst.api}), of {len(report.apis)} APIs"


def _todo(document: Document, report: Report) -> None:
    document.heading("What stays to be done")
    if not report.todo:
        document.text("Nothing that this tool knows of.")
        return
    document.listing(
        (((one.what, f": {short(one.why)}" if one.why else ""), one.command) for one in report.todo), ticks=True
    )


# ---------------------------------------------------------------- the hops


def _overview(document: Document, report: Report) -> None:
    document.heading("The way")
    if len(report.hops) <= 40:
        document.picture(drawn.path(report), "The releases of this run, and how far it came.")
    rows: list[tuple[Cell, ...]] = []
    for hop in report.hops:
        forward = [one for one in hop.stages if one.when == "window" and one.name not in BACK]
        planned = [one.planned for one in forward if one.planned is not None]
        actual = [one.actual for one in hop.stages if one.when == "window" and one.actual is not None]
        rows.append(
            (
                hop.name,
                worded(hop.state) if hop.began else "not begun",
                moment(hop.began),
                moment(hop.ended),
                took(sum(planned)) if planned else "",
                took(sum(actual)) if actual else "",
                str(len(hop.attempts)),
                {"no": "not passed", "possible": "possibly passed", "crossed": "passed"}.get(hop.ponr, hop.ponr),
            )
        )
    head = (
        "Hop",
        "State",
        "Begun (UTC)",
        "Ended (UTC)",
        "Window planned",
        "Window actual",
        "Attempts",
        "Point of no return",
    )
    document.table(head, rows, caption="Hops", numbers=(4, 5, 6))


def _hop(document: Document, hop: HopStory) -> None:
    document.heading(f"Hop {hop.number}: {hop.source} → {hop.target}", 3)
    document.text(*_told(hop))
    timeline = drawn.timeline(hop)
    if timeline:
        document.picture(timeline, "The attempts of this hop on a time axis.")
    document.table(
        ("Stage", "Planned", "Range", "From", "Actual", "Attempts", "Result", "Note"),
        (_stage(one) for one in hop.stages),
        caption=f"Stages of {hop.name}, planned and actual",
        numbers=(1, 4, 5),
    )
    picture = drawn.planned_and_actual(hop)
    if picture:
        document.picture(picture, "Planned and actual durations of the stages.")
    document.table(
        ("Attempt", "Begun (UTC)", "Took", "Result", "What it said"),
        (_attempt(one) for one in hop.attempts),
        caption=f"Attempts of {hop.name}",
        numbers=(2,),
    )
    rows = [
        (f"{one.stage} {one.number}", Code(found.id), Word(found.code, "bad" if found.code == "failure" else ""),
         short(found.message), f"{found.who}: {found.reason}" if found.reason else "nobody")
        for one in hop.attempts
        for found in one.findings
    ]  # fmt: skip
    document.table(("Attempt", "Finding", "Kind", "What", "Risk taken by"), rows, caption=f"Findings on {hop.name}")


def _told(hop: HopStory) -> list[Piece]:
    pieces: list[Piece] = ["State: ", worded(hop.state), "."]
    if hop.note:
        pieces.append(f" Reason: {short(hop.note)}.")
    if hop.ponr == "crossed":
        pieces.append(f" The point of no return was passed at {moment(hop.ponr_at)} UTC: {hop.ponr_why}.")
    elif hop.ponr == "possible":
        pieces.append(f" The point of no return may have been passed: {hop.ponr_why}.")
    else:
        pieces.append(" The point of no return was not passed.")
    pieces.append(f" As planned: {hop.ponr_plan}." if hop.ponr_plan else " The plan knows of none on this hop.")
    if hop.rolled_back:
        pieces.append(Word(f" Taken back {hop.rolled_back}.", "warn"))
    return pieces


def _stage(one: StageStory) -> tuple[Cell, ...]:
    reach = "" if one.low is None or one.high is None else f"{unbroken(one.low)} to {unbroken(one.high)}"
    actual = took(one.actual)
    return (
        one.name.replace("_", " "), took(one.planned), reach, one.source, actual, str(one.attempts),
        worded(one.result), one.note,
    )  # fmt: skip


def _attempt(one: AttemptStory) -> tuple[Cell, ...]:
    said = one.message or (one.steps[-1][3] if one.steps else "")
    name = f"{one.stage.replace('_', ' ')} {one.number}"
    return name, moment(one.began), took(one.seconds), worded(one.result), short(said)
