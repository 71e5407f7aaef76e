"""How long a diagnosis takes on this machine, and how long a host needs for its logs: `python -m benchmarks.diagnose`.

The cloud's own time (ssh, Ansible) is not in it. Prints seconds, medians of three, and bytes.
"""

# ruff: noqa: T201 - it prints its figures
from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.diagnose_kit import answer, diagnosis, facts, failure, heard, hosts, local, log, story
from upgrader.diagnose import on_host
from upgrader.diagnose.markdown import markdown

SECRETS = [f"Value-of-password-{number:03d}-xyz" for number in range(170)]
"""A passwords.yml of 2025.1 has about as many."""
MEGABYTES = 300


def timed(what: Callable[[], object]) -> float:
    """Median seconds of three runs."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        what()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def whole(count: int) -> str:
    """A diagnosis of a cloud of `count` hosts, eight of which gave all the lines they may."""
    told = story(*(failure(f"host{number}", words="x " * 4000) for number in range(5)))
    rows = [
        log(*(f"2026-11-22 03:12:05 ERROR nova {number} {'text ' * 40}" for number in range(400)),
            path=f"/var/log/kolla/nova/{number}.log", folder="nova")
        for number in range(3)
    ]  # fmt: skip
    seen = facts(*hosts(*(f"host{number}" for number in range(count))))
    said = {f"host{number}": answer(*rows) for number in range(8)}
    return markdown(diagnosis(Path("/"), told, heard(told, seen, said, SECRETS)))


def a_long_log(folder: Path) -> float:
    """Seconds for the last minutes of one large file."""
    (folder / "logs/nova").mkdir(parents=True)
    now = time.time()
    size = 0
    with (folder / "logs/nova/nova.log").open("w") as stream:
        for second in range(MEGABYTES * 1024 * 10, 0, -1):
            size += stream.write(f"{local(now - second / 10)} 7 INFO nova {'x' * 70}\n")
    engine = folder / "engine"
    engine.write_text(f'#!/bin/sh\n[ "$1" = volume ] && echo {folder}/logs; exit 0\n')
    engine.chmod(0o755)
    question = {
        "engine": str(engine), "host_root": "", "begin": now - 300, "end": now, "moment": now, "containers": [],
        "folders": ["nova"], "ids": [], "lines": 400, "bytes": 60_000, "total": 200_000, "seconds": 40,
    }  # fmt: skip
    return timed(lambda: on_host.answer(dict(question)))


def main() -> None:
    for count in (30, 400):
        size = len(whole(count).encode())
        print(f"diagnosis of {count} hosts, logs of 8: {timed(lambda count=count: whole(count)):.2f} s, {size} bytes")
    with tempfile.TemporaryDirectory() as folder:
        print(f"last 5 minutes of a log of {MEGABYTES} MB on a host: {a_long_log(Path(folder)):.2f} s")


if __name__ == "__main__":
    main()
