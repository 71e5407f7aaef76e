"""How long one hop of nine services takes on a copy: `python benchmarks/rehearsal.py --services DIR [--from 2025.1]`.

The databases are made by the release's own migrations, small. Two figures in one run: a rehearsal of the hop (the
services' own checks, every migration, a second pass, the old release's programs, the judgement of every schema
statement), and the hop's migrations alone, each typed as an operator would, one after the other. Exit code 1 when the
rehearsal takes longer than its limit on a machine that has two processors to itself; on a busy one only the ratio
tells.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upgrader.database.throwaway import Server

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

LIMIT_SECONDS = 25.0
QUIET = 1.0
"""Processes at work besides this one, up to which the limit is held against the clock."""
LARGEST_RATIO = 1.0
"""The rehearsal does about four times as much as the commands alone, and may not take longer than they do."""


def one_after_the_other(folder: Path, server: Server, release: str, services_dir: Path) -> float:
    """Seconds of the hop's migrations alone, a process for each."""
    from tests.rehearsal_kit.fresh import services  # noqa: PLC0415
    from upgrader.rehearsal.clerk import EnvironmentPrograms  # noqa: PLC0415
    from upgrader.rehearsal.commands import Workplace  # noqa: PLC0415
    from upgrader.rehearsal.environments import build_services  # noqa: PLC0415

    found = build_services(release, services_dir)
    seconds = 0.0
    for service in services():
        place = Workplace(folder / f"alone-{service.name}", server, EnvironmentPrograms(found, folder), service)
        try:
            for step in service.steps:
                words = [str(found.program(step.command[0])), *map(place.filled, step.command[1:])]
                began = time.monotonic()
                subprocess.run(words, capture_output=True, check=True, cwd=folder)
                seconds += time.monotonic() - began
        finally:
            place.close()
    return seconds


def main() -> int:
    """Make a cloud, rehearse its hop, then run the hop's commands on another copy of it."""
    from tests.rehearsal_kit.fresh import make_fresh, make_set, services  # noqa: PLC0415
    from upgrader.database.load import open_copy  # noqa: PLC0415
    from upgrader.database.questions import databases  # noqa: PLC0415
    from upgrader.database.throwaway import programs, throwaway  # noqa: PLC0415
    from upgrader.graph import load_graph  # noqa: PLC0415
    from upgrader.rehearsal.clerk import EnvironmentPrograms  # noqa: PLC0415
    from upgrader.rehearsal.copies import sanitise  # noqa: PLC0415
    from upgrader.rehearsal.environments import build_services  # noqa: PLC0415
    from upgrader.rehearsal.path import Job, rehearse  # noqa: PLC0415
    from upgrader.rehearsal.source import CopySource  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--services", type=Path, required=True, help="Folder that holds, or gets, the environments.")
    parser.add_argument("--from", dest="source", default="2025.1")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    sys.stdout.write(f"{os.cpu_count()} processors, {load:.1f} processes at work on this machine\n")
    graph = load_graph()
    with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as name:
        folder = Path(name)
        with throwaway(folder / "server", programs()) as server:
            make_fresh(server, build_services(given.source, given.services), folder, services())
            backup = make_set(server, folder / "set", given.source)
        (folder / "rehearsals").mkdir()
        (folder / "rehearsals" / "one").mkdir()

        def of_release(release: str) -> EnvironmentPrograms:
            return EnvironmentPrograms(build_services(release, given.services), folder / release)

        job = Job(graph, CopySource(backup), folder / "rehearsals" / "one", of_release, restore_again=False)
        report = rehearse(job)
        hop = report.hops[0]
        with open_copy(backup, folder / "copies") as server:
            sanitise(server, databases(server))
            alone = one_after_the_other(folder, server, hop.target, given.services)
    ratio = hop.seconds / alone
    commands = sum(len(service.commands) for service in hop.services)
    sys.stdout.write(
        f"{hop.source} to {hop.target}, {len(hop.services)} services, passed: {report.passed}\n"
        f"restore {report.restore_seconds:.1f} s, rehearsal of the hop {hop.seconds:.1f} s\n"
        f"its {commands} migrations alone, one after the other: {alone:.1f} s (ratio {ratio:.2f})\n"
    )
    slow = hop.seconds > LIMIT_SECONDS and load <= QUIET
    kept = report.passed and ratio <= LARGEST_RATIO and not slow
    sys.stdout.write(f"{'ok' if kept else 'MISSED'}: limit {LIMIT_SECONDS:.0f} s on two idle processors\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
