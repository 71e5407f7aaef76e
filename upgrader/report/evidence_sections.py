"""The report's later sections: APIs, people, versions, evidence, audit."""

from __future__ import annotations

from collections.abc import Iterable

from upgrader.pictures import spoken
from upgrader.report import drawn
from upgrader.report.blocks import Cell, Code, Document, Tone, Word
from upgrader.report.phrases import moment, short
from upgrader.report.values import Away, HopStory, Image, Report

_MOST = 200
_CHECKS: dict[str, Tone] = {"as recorded": "good", "changed": "bad", "gone": "bad", "damaged": "bad"}


def apis(document: Document, report: Report) -> None:
    document.heading("API availability")
    if not report.apis:
        document.text(f"Not known: {report.no_apis}. Nothing is claimed about downtime.")
        return
    picture = drawn.strip(report)
    if picture:
        document.picture(picture, "When which API did not answer.")
    document.table(
        ("API", "Away", "At least", "At most", "Outages", "Asked", "No answer", "Nobody asked"),
        (
            (one.api, spoken(one.seconds) if one.outages else "never", spoken(one.low), spoken(one.high),
             str(len(one.outages)), str(one.asked), str(one.failed), spoken(one.unknown) if one.unknown else "")
            for one in report.apis
        ),
        caption="Downtime per API",
        numbers=range(1, 8),
    )  # fmt: skip
    outages = sorted((away for one in report.apis for away in one.outages), key=lambda away: (away.began, away.api))
    document.table(
        ("API", "From (UTC)", "To (UTC)", "Seconds", "During", "Last error"),
        map(_outage, outages[:_MOST]),
        caption="Outages",
        numbers=(3,),
    )
    if len(outages) > _MOST:
        document.text(f"{len(outages) - _MOST} more outages are in the JSON form.")
    document.text(
        "Away: from the first question that failed to the first answer after it. At least and at most: the bounds that "
        "follow from when questions were asked; shorter outages between two questions cannot be seen."
    )


def _outage(away: Away) -> tuple[Cell, ...]:
    remark = f" ({away.remark})" if away.remark else ""
    return (
        away.api, moment(away.began), moment(away.ended) or "not ended", f"{away.seconds:.1f}",
        "; ".join(away.during) or "between two attempts", away.error[:200] + remark,
    )  # fmt: skip


def people(document: Document, report: Report) -> None:
    document.heading("Who did what")
    document.table(
        ("Time (UTC)", "Who", "Command", "Machine", "What it found"),
        ((moment(one.at), one.who, Code(one.operation), one.host, one.after) for one in report.controllers),
        caption="Who drove the run, and interruptions",
    )
    document.table(
        ("Time (UTC)", "Who", "Hop", "Decision", "From", "To", "Reason"),
        (
            (moment(one.at), one.who, one.hop, one.event.replace("_", " "), one.before.replace("_", " "),
             one.after.replace("_", " "), one.reason)
            for one in report.moves
        ),
        caption="Approvals and decisions",
    )  # fmt: skip
    if not report.moves:
        document.text("Nobody had to approve or decide anything.")
    document.table(
        ("Risk", "Who", "Time (UTC)", "Reason", "What it was"),
        ((Code(one.name), one.who, moment(one.at), one.reason, short(one.about)) for one in report.taken),
        caption="Risks taken by name",
    )
    document.table(
        ("Time (UTC)", "What", "Words"),
        ((moment(one.at), one.kind, short(one.words)) for one in report.remarks),
        caption="Remarks in the journal",
    )
    if not report.taken:
        document.text("No risk was taken by name.")


def versions(document: Document, report: Report) -> None:
    document.heading("Versions before and after")
    begun = [hop for hop in report.hops if hop.began]
    document.table(
        ("Hop", "Driven by", "Database server before"),
        ((hop.name, hop.toolchain, hop.server_before) for hop in begun),
        caption="Toolchains",
    )
    document.table(
        ("Hop", "Component", "Before", "After"),
        ((hop.name, *change) for hop in begun for change in hop.components),
        caption="Components that the releases change, from the plan",
    )
    document.table(
        ("Hop", "Service", "Database", "Heads before", "Heads after"),
        (
            (hop.name, service, database, Code(" ".join(before)), Code(" ".join(after)))
            for hop in begun
            for service, database, before, after in hop.schemas
        ),
        caption="Schema changes, from the plan",
    )


def images(document: Document, report: Report) -> None:
    document.heading("Images before and after")
    for hop in report.hops:
        if hop.began:
            _images(document, hop)


def _images(document: Document, hop: HopStory) -> None:
    kept = hop.images
    if not kept.before and not kept.after:
        document.text(f"{hop.name}: nothing is kept of the images before or after it.")
        return
    names = sorted({one.name for one in (*kept.before, *kept.after)})
    document.table(
        ("Image", "Before", "Digest before", "After", "Digest after"),
        ((name, *_side(name, kept.before), *_side(name, kept.after)) for name in names),
        caption=f"Images of {hop.name}: before from {kept.before_from or 'nowhere'}, after from "
        f"{kept.after_from or 'nowhere'}",
    )


def _side(name: str, images: Iterable[Image]) -> tuple[Cell, Cell]:
    mine = [one for one in images if one.name == name]
    tags = ", ".join(one.reference.rpartition("/")[2].partition(":")[2] or one.reference for one in mine)
    return Code(tags), Code(", ".join(one.digest.removeprefix("sha256:")[:12] for one in mine))


def evidence(document: Document, report: Report) -> None:
    document.heading("Backup, rehearsal and other evidence")
    begun = [hop for hop in report.hops if hop.began]
    document.table(
        ("Hop", "Backup", "Rehearsal"),
        ((hop.name, hop.backup or "none was taken", hop.rehearsal or "nothing was rehearsed") for hop in begun),
        caption="What the way back and the upgrade stood on",
    )
    document.table(
        ("Hop", "Evidence", "State now", "Where", "Digest, or count", "Remark"),
        (
            (hop.name, one.what, Word(one.state, _CHECKS.get(one.state, "")), Code(one.place),
             Code(one.recorded[:64] or one.found[:64]), one.words)
            for hop in begun
            for one in hop.evidence
        ),
        caption="Evidence, compared with what the journal recorded when this report was made",
    )  # fmt: skip
    if any(hop.rolled_back for hop in begun):
        document.heading("Rollback", 3)
        for hop in begun:
            if hop.rolled_back:
                document.text(f"{hop.name} was taken back {hop.rolled_back}.")


def audit(document: Document, report: Report) -> None:
    document.heading("Audit")
    found = report.audit
    whole = Word("whole: no event was changed, removed, added or reordered", "good")
    broken = Word(f"BROKEN: {len(found.faults)} faults", "bad")
    fits: Word = Word("the one the run was begun with", "good") if found.plan_fits else Word("NOT the run's", "bad")
    document.table(
        ("What", "Value"),
        (
            ("Hash chain of the journal, checked for this report", broken if found.faults else whole),
            ("Events", f"{found.events} in all; this run's are {found.first} to {found.last}"),
            ("Head", Code(found.head)),
            ("Journal", Code(found.lineage)),
            ("Plan", (Code(found.plan_sha256), ", in the journal: ", fits)),
        ),
        caption="The journal",
    )
    if found.faults:
        document.listing(((fault,), ()) for fault in found.faults[:40])
    document.text("Check again with ", Code("upgrader history --verify"), ".")


def reading(document: Document, report: Report) -> None:
    document.heading("How to read this")
    document.text(
        "Times are UTC. A stage's actual time is that of all its attempts, from launch to recorded end; an attempt "
        "whose end was lost counts until somebody found that out. "
        + (
            f"There are no planned times: {report.no_estimates}."
            if report.no_estimates
            else "Planned times are estimates: from rehearsals, from this site's history, or (baseline) from assumed "
            "figures shipped with the tool."
        )
    )
    if report.not_cleared:
        document.text(
            f"The site's passwords could not be read ({report.not_cleared}), so that this text could not be searched "
            "for them; what the journal holds was cleared of them when it was written."
        )
