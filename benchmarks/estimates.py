"""What estimates and windows cost: seconds of one answer, with a long history. `python benchmarks/estimates.py --help`.

A site of 300 hosts with twenty past runs in its journal; the plan is asked for its estimates, and `status` for where
its window stands. A second figure is the arithmetic alone: ten thousand answers of `fits`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.engine_kit.place import a_plan, site_of  # noqa: E402
from tests.estimates.test_estimates import past, sized  # noqa: E402
from upgrader.estimates import estimates  # noqa: E402
from upgrader.journal import acquire, open_journal  # noqa: E402
from upgrader.status_read import gather  # noqa: E402
from upgrader.window import Freeze, WindowRules, fits  # noqa: E402

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
RULES = WindowRules(clock_time(22), 8 * 3600, "Europe/Berlin", (4, 5), (Freeze(NOW, NOW + timedelta(days=20), "x"),))


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the quickest of some rounds: what the work itself costs."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        past(place / "state", runs=given.runs, hosts=300)
        site = site_of(place, staging=None, window=RULES)
        with acquire(site.state_dir, "run") as lease, open_journal(site.state_dir) as journal:
            journal.enter(lease)
            plan = sized(a_plan(journal, 3), 300)
            journal.begin_run(plan.document(), plan.sha256, "anna", [(hop.source, hop.target) for hop in plan.hops])
            journal.begin_hop(0)
        document = plan.document()
        seconds = best(lambda: estimates(site, document), given.rounds)
        say(f"estimates of 3 hops, {given.runs} past runs, 300 hosts  {seconds:.3f} s")
        with_window = best(lambda: gather(site), given.rounds)
        without = best(lambda: gather(site_of(place, staging=None)), given.rounds)
        say(f"status with a window {with_window:.3f} s, without {without:.3f} s")
    many = best(lambda: [fits(RULES, NOW + timedelta(minutes=n), 3600, 1800) for n in range(10_000)], 2)
    say(f"10000 answers of fits  {many:.3f} s")


if __name__ == "__main__":
    main()
