"""A rehearsal as a site wants it: which programs, where they are kept, how many at once, how long each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from upgrader.config import Site
from upgrader.graph import load_graph
from upgrader.rehearsal.clerk import EnvironmentPrograms
from upgrader.rehearsal.environments import build_services
from upgrader.rehearsal.path import Job
from upgrader.rehearsal.programs import By, Cancelled, Programs
from upgrader.rehearsal.source import CopySource
from upgrader.rehearsal.trial import Say


def job_of(
    site: Site,
    source: CopySource,
    folder: Path,
    *,
    by: str = "",
    say: Say = lambda _line: None,
    cancelled: Cancelled = lambda: False,
) -> Job:
    """The job without its hops. `by`: what the operator typed, else the site file's word."""
    rules = site.rehearsal_rules
    chosen: By = "images" if (by or rules.by) == "images" else "environment"

    def programs(release: str) -> AbstractContextManager[Programs]:
        if chosen == "images":
            from upgrader.rehearsal.images import image_programs

            return image_programs(site, release, folder / f"images-{release}", cancelled)
        services = build_services(release, site.toolchains_dir, wheelhouse=site.wheelhouse, say=say)
        return EnvironmentPrograms(services, folder / f"environment-{release}", cancelled)

    return Job(
        load_graph(), source, folder, programs, by=chosen, site=site.name, workers=rules.workers,
        limit=float(rules.limit_seconds), say=say, cancelled=cancelled,
    )  # fmt: skip
