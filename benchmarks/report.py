"""What a report and its pictures cost: `python benchmarks/report.py`. Prints seconds and sizes, judges nothing.

A journal of 20 earlier runs and one of three hops; records of 15 APIs over ten hours; pictures of 1, 60 and 400 rows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.report_kit import Run, plan_of  # noqa: E402
from upgrader import pictures as pics  # noqa: E402
from upgrader.report import as_json, gather, html, markdown  # noqa: E402
from upgrader.states import AttemptState, Event, RunState, State  # noqa: E402

HOPS = [("2024.1", "2024.2"), ("2024.2", "2025.1"), ("2025.1", "2025.2")]
BEGAN = 1_795_363_200.0


def seconds(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """(median of wall, median of processor time)."""
    walls, works = [], []
    for _ in range(rounds):
        wall, work = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return statistics.median(walls), statistics.median(works)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def history(run: Run, runs: int) -> None:
    """Earlier runs, all of them aborted; then one of three hops that is done."""
    for _ in range(runs):
        run.attempt(State.PREFLIGHT, 30, AttemptState.FAILED, message="no room")
        run.journal.end_run(RunState.ABORTED, "anna", "another day")
        plan = plan_of(run.journal, HOPS)
        run.journal.begin_run(plan.document(), plan.sha256, "anna", HOPS, engine_version="0.1.0")
        run.journal.begin_hop(0)
    for hop in range(len(HOPS)):
        if hop:
            run.journal.begin_hop(hop)
        run.to_upgrade(hop)
        for stage in (State.UPGRADE, State.VERIFY, State.SOAK):
            run.attempt(stage, 600, hop=hop, schema_started=True)
        run.journal.move(hop, Event.APPROVE, actor="anna", reason="well")
        run.attempt(State.FINALIZE, 5, hop=hop)


def drawn(rows: int) -> dict[str, Callable[[], str]]:
    names = [f"service-{at:03}" for at in range(rows)]
    outages = tuple(pics.Outage(BEGAN + at * 300, BEGAN + at * 300 + 9, "timeout") for at in range(40))
    apis = [pics.Api(name, outages) for name in names]
    return {
        "releases": lambda: pics.release_graph(
            [pics.Release(name) for name in names],
            [pics.Edge(a, b, "path") for a, b in pairwise(names)],
        ),
        "hop": lambda: pics.hop_timeline("a→b", [pics.StageBar(name, 60) for name in names], window=pics.Window(14400)),
        "durations": lambda: pics.durations([pics.Duration(name, 60, 50, 70, 80) for name in names]),
        "strip": lambda: pics.availability_strip(apis, begins=BEGAN, ends=BEGAN + 36000),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = Run(Path(place), HOPS)
        history(run, given.runs)
        events = run.journal.snapshot().last_seq
        wall, work = seconds(lambda: gather(run.site), given.rounds)
        say(f"gather, {events} events: {wall:.3f} s (processor {work:.3f} s)")
        report = gather(run.site)
        for name, form in (("markdown", markdown), ("html", html), ("json", as_json)):
            wall, work = seconds(lambda form=form: form(report), given.rounds)  # type: ignore[misc]
            say(f"{name}: {wall:.3f} s (processor {work:.3f} s), {len(form(report).encode()):,} bytes")
        run.close()
    for rows in (1, 60, 400):
        for name, draw in drawn(rows).items():
            wall, _ = seconds(draw, given.rounds)
            say(f"picture {name}, {rows} rows: {wall * 1000:.1f} ms, {len(draw().encode()):,} bytes")


if __name__ == "__main__":
    main()
