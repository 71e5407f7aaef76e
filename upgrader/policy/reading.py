"""Where a cloud was observed, the plan starts from what runs: mixed or unknown is refused, a contradiction too."""

from __future__ import annotations

from upgrader.model import ReleaseReading
from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    reading = request.reading
    if reading is None:
        return () if request.source else (_unasked(),)
    if reading.kind == "mixed" or not request.source:
        return of_cloud(reading)
    if reading.kind == "unknown":
        return ()
    typed = request.graph.find(request.source)
    if typed is not None and typed.id != reading.release:
        return (_contradicted(typed.id, reading),)
    return ()


def of_cloud(reading: ReleaseReading) -> tuple[Verdict, ...]:
    """What the reading alone has against any plan: nothing when it is exact."""
    if reading.kind == "mixed":
        return (_mixed(reading),)
    return (_unknown(reading),) if reading.kind == "unknown" else ()


def _unasked() -> Verdict:
    return Verdict(
        "block",
        "source-not-given",
        "Neither a site nor a release to start from was given.",
        next_command="upgrader plan --from RELEASE --to RELEASE",
    )


def _mixed(reading: ReleaseReading) -> Verdict:
    releases = sorted({release for _, release, _ in reading.by_service if release})
    seen = f": {reading.how}" if reading.how else ""
    if len(releases) > 1:
        seen = f": {', '.join(releases)} run side by side"
    return Verdict(
        "block",
        "mixed-releases",
        f"The cloud is mixed{seen}. A plan needs one release to start from.",
        details=(
            *reading.evidence,
            "Finish or take back what was begun first: an interrupted run with upgrader resume or rollback,"
            " anything else with kolla-ansible of the release that is meant to run.",
        ),
        next_command="upgrader status",
    )


def _unknown(reading: ReleaseReading) -> Verdict:
    return Verdict(
        "block",
        "unknown-source",
        f"Which release runs could not be told{f' ({reading.how})' if reading.how else ''}; it is not guessed.",
        details=reading.evidence,
        next_command="upgrader plan --from RELEASE --to RELEASE",
    )


def _contradicted(typed: str, reading: ReleaseReading) -> Verdict:
    return Verdict(
        "block",
        "source-contradicts-cloud",
        f"--from says {typed}, but the cloud runs {reading.release}{f' ({reading.how})' if reading.how else ''}.",
        details=reading.evidence,
        next_command=f"upgrader plan --from {reading.release} --to RELEASE",
    )
