"""The last steps of stage `backup`: a copy off this machine that was read back, and what may go because of it."""

from __future__ import annotations

from pathlib import Path

from upgrader.database.offbox import copy_set
from upgrader.database.restic_process import CancelledError
from upgrader.database.retention import remove_old, rules
from upgrader.findings import accept_all
from upgrader.model import Code, Finding
from upgrader.stages.base import StageCanceled, StageContext

COPY, REMOVE = "copy off this machine", "remove old sets"


def copy_off_this_machine(ctx: StageContext, folder: Path) -> None:
    """Copy the set where the site says so. A copy that does not count ends the stage, unless somebody took that risk
    by name; without restic the stage goes on and says what is missing."""
    if ctx.site.offbox is not None:
        with ctx.step(COPY) as evidence:
            try:
                copied = copy_set(ctx.site, folder, evidence.append, cancelled=ctx.attempt.cancelled)
            except CancelledError:
                raise StageCanceled(COPY) from None
            ctx.facts.update(copied.facts)
            findings = accept_all(copied.findings, dict(ctx.request.acceptances))
            # the outcome is the step's message, how it came to that follows
            evidence[:0] = [_told(finding) for finding in findings]
            ctx.judge(findings, f"{folder.name} is whole on this machine, but there is no copy of it that counts")
    if rules(ctx.site):
        with ctx.step(REMOVE) as evidence:
            findings = remove_old(ctx.site, {folder.name}, evidence.append)
            evidence[:0] = [finding.message for finding in findings] or ["none may go"]
            ctx.judge(findings, "old sets were not removed")


def _told(finding: Finding) -> str:
    todo = finding.next if finding.code is not Code.SUCCESS else ""
    return f"{finding.message}: {todo}" if todo else finding.message
