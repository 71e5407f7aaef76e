"""Warns where the way stops at a release that upstream no longer maintains: fixes for it will not come."""

from __future__ import annotations

from upgrader.graph import Release
from upgrader.policy.base import Request, Verdict


def judge(request: Request) -> tuple[Verdict, ...]:
    stops = [request.graph.release(hop.target) for hop in request.path]
    return tuple(_warning(release, release is stops[-1]) for release in stops if release.status != "maintained")


def _warning(release: Release, last: bool) -> Verdict:
    if release.status == "end of life":
        reason, since, fixes = "end-of-life", release.end_of_life, "nothing is fixed in it any more"
    else:
        reason, since, fixes = "unmaintained", release.unmaintained_from, "fixes are no longer promised"
    stay = "it is the end of this plan" if last else "do not stay on it longer than the hop needs"
    when = f" since {since}" if since else f" (as of {release.status_as_of})"
    return Verdict("warn", reason, f"{release.title} is {release.status}{when}: {fixes}; {stay}.")
