"""Rehearsal on a copy: the hop's backup set restored on this machine, cut off, and migrated by the services' programs.

Nothing of the cloud is asked or changed. What was found lies in the report; here it becomes findings, and a service
that did not come through ends the stage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from upgrader.database.manifest import must_be_whole, sha256_of
from upgrader.findings import accept_all
from upgrader.model import Code, Finding
from upgrader.rehearsal.environments import build_services
from upgrader.rehearsal.kept import keep, new_folder
from upgrader.rehearsal.of_site import job_of
from upgrader.rehearsal.path import Job, rehearse
from upgrader.rehearsal.programs import RehearsalCanceled
from upgrader.rehearsal.report import Rehearsal, ServiceResult
from upgrader.rehearsal.source import CopySource
from upgrader.stages.base import StageCanceled, StageContext, StepFailed

REPORT, DIGEST = "rehearsal_report", "rehearsal_report_sha256"
"""Facts of a hop: path and digest of the report of its rehearsal on a copy."""


def on_copy(ctx: StageContext) -> None:
    """Try the hop on a copy of its own backup set. Raises StepFailed when a service does not come through."""
    folder = ctx.backup_set
    if folder is None:
        raise StepFailed("there is no backup set to rehearse on")
    with ctx.step("databases without a rehearsal") as evidence:
        strange = _strange(ctx, folder)
        ctx.judge(strange, "not everything can be rehearsed")
        evidence.append(f"{len(strange)} databases of services whose migrations are not known here")
    job = _job(ctx, folder)
    if job.by == "environment":
        with ctx.step("programs of both releases") as evidence:
            for release in (ctx.hop.source, ctx.hop.target):
                build_services(release, ctx.site.toolchains_dir, wheelhouse=ctx.site.wheelhouse, say=job.say)
            evidence.append(f"the services of {ctx.hop.source} and {ctx.hop.target} are built")
    with ctx.step("the hop on a copy of the backup set") as evidence:
        try:
            report = rehearse(job)
        except RehearsalCanceled:
            raise StageCanceled("rehearsal") from None
        path = keep(report, job.folder)
        ctx.facts["rehearsal"], ctx.facts[REPORT] = report.id, str(path)
        ctx.facts[DIGEST] = sha256_of(path)
        ctx.judge(findings_of(report), "the rehearsal failed")
        if not report.passed:
            raise StepFailed("the copy holds no service whose migrations are known", evidence=[str(path)])
        services = len(report.hops[0].services)
        evidence.append(f"{services} services, {report.rows} rows, {report.seconds:.0f} s: {path}")


def findings_of(report: Rehearsal) -> tuple[Finding, ...]:
    """What a rehearsal has to say to those who plan the window; failures first."""
    found: list[Finding] = []
    for hop in report.hops:
        for service in hop.services:
            if service.verdict == "failed":
                found += _failures(service)
            elif service.way_back.good is False:
                message = f"{service.service}: the way back ({service.way_back.way}) failed: {service.way_back.message}"
                found.append(Finding(id=f"rehearsal-back-{service.service}", code=Code.WARNING, message=message))
        locking = [change for service in hop.services for change in service.changes if change.locks]
        if locking:
            tables = ", ".join(dict.fromkeys(f"{one.database}: {one.statement[:60]}" for one in locking))
            message = f"{len(locking)} schema statements make writers wait: {tables}"
            found.append(Finding(id="rehearsal-locks", code=Code.SUCCESS, message=message, when="during"))
    return tuple(sorted(found, key=lambda finding: -finding.code.rank))


def _failures(service: ServiceResult) -> Iterable[Finding]:
    again = "upgrader rehearse --show last --details"
    words = f"{service.service}: {service.message}"
    if not service.faults:
        yield Finding(id=f"rehearsal-{service.service}", code=Code.FAILURE, message=words, next=again)
    for fault in service.faults:
        rows = "; ".join(fault.rows)
        yield Finding(
            id=fault.id, code=Code.FAILURE, message=f"{service.service}: {fault.message}", evidence=rows or words,
            fix=fault.fix, source=fault.source, next=again,
        )  # fmt: skip


def _job(ctx: StageContext, folder: Path) -> Job:
    def say(line: str) -> None:
        ctx.attempt.progress("task_start", task=line.strip())

    source = CopySource(folder=folder, programs_dir=ctx.site.mariadb_programs)
    job = job_of(ctx.site, source, new_folder(ctx.site.state_dir), say=say, cancelled=ctx.attempt.cancelled)
    return replace(job, graph=ctx.graph, plan=ctx.plan.sha256, start=ctx.hop.source, target=ctx.hop.target)


def _strange(ctx: StageContext, folder: Path) -> tuple[Finding, ...]:
    """Databases whose migrations are not known: one with a version table may change on this hop, and needs a word."""
    known = {name for service in ctx.graph.migrations for name in service.databases}
    manifest = must_be_whole(folder)
    versioned = {name for name, _ in manifest.heads}
    there = versioned | {table.partition(".")[0] for table, _ in manifest.rows}
    there |= {table.name.partition(".")[0] for table in manifest.tables}
    found = [
        Finding(
            id=f"not-rehearsed-{name}",
            code=Code.FAILURE if name in versioned else Code.WARNING,
            message=f"database {name} is not rehearsed: the migrations of its service are not known here",
            next=f"upgrader resume --accept not-rehearsed-{name}='why'" if name in versioned else "",
            overridable=name in versioned,
        )
        for name in sorted(there - known)
    ]
    return accept_all(found, dict(ctx.request.acceptances))
