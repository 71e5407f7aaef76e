"""How fast `upgrader inspect` reads dumps: `python benchmarks/inspect_dump.py --help`.

Unpacking alone (`zstd -dc`, `pigz -dc`, `cat`, each into nothing) and inspecting are measured in turn, so that a busy
machine slows both; the ratios are of the medians. The verb is a process of its own, so that its start is in them.
Wall time is what a person waits for; on a busy machine only processor time tells, and that is held against the limit.
Peak memory is measured with the smallest and the largest dump: it must not grow. Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
LIMITS = {"zstd": 8.0, "gzip": 4.0}
"""Processor time of inspecting, unpacking included, in times of unpacking alone (zstd: 1.5 GB/s, pigz: 0.35 GB/s)."""
GROWTH = 1.2
"""Peak memory of the largest dump over that of the smallest."""
FORMS = ("one line", "a line each row", "a statement each row")


def write_dump(path: Path, megabytes: int, form: str) -> None:
    """A dump of one database of nova, as mariadb-dump writes it."""
    chance = random.Random(4711)  # noqa: S311 - rows, not secrets
    rows = [
        b"('%032x',%d,NULL,'2026-01-01 00:00:00','%040x','it\\'s \\n a row','{\"vcpus\": [1, 2, 3]}')"
        % (chance.getrandbits(128), chance.randrange(10**9), chance.getrandbits(160))
        for _ in range(20_000)
    ]
    with path.open("wb") as out:
        out.write(
            b"-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n"
            b"-- Host: localhost    Database: nova\n/*!40101 SET NAMES utf8mb4 */;\nUSE `nova`;\n"
            b"CREATE TABLE `alembic_version` (\n  `version_num` varchar(32) NOT NULL\n) ENGINE=InnoDB;\n"
            b"INSERT INTO `alembic_version` VALUES ('2903cd72dc14');\n"
        )
        for piece in _statements(rows, megabytes * 10**6, form, chance):
            out.write(piece)
        out.write(b"-- Dump completed on 2026-11-22 12:00:00\n")


def _statements(rows: Sequence[bytes], wanted: int, form: str, chance: random.Random) -> Iterator[bytes]:
    written = 0
    while written < wanted:
        chosen = rows[chance.randrange(10_000) :]
        if form == "a statement each row":
            piece = b"".join(b"INSERT INTO `instances` VALUES " + row + b";\n" for row in chosen)
        else:
            between = b",\n" if form == "a line each row" else b","
            piece = b"INSERT INTO `instances` VALUES\n" + between.join(chosen) + b";\n"
        written += len(piece)
        yield piece


@dataclass(frozen=True)
class Took:
    wall: float
    cpu: float


def took(argv: Sequence[str]) -> Took:
    """Of the command and all that it started."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, cwd=REPO)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(time.perf_counter() - began, max(cpu, 0.001))


def peak(argv: Sequence[str]) -> float:
    """Peak resident memory of the largest process of the command, in MB."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    told = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, check=True, cwd=REPO)
    return int(told.stdout) / 1024


def measured(first: Sequence[str], second: Sequence[str], rounds: int) -> tuple[Took, Took]:
    """Medians of both commands, measured in turn."""
    pairs = [(took(first), took(second)) for _ in range(rounds)]
    return _median([pair[0] for pair in pairs]), _median([pair[1] for pair in pairs])


def _median(runs: Sequence[Took]) -> Took:
    return Took(statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400, help="size of the dump, unpacked (default: 400)")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    gzip = "pigz" if shutil.which("pigz") else "gzip"
    kept = True
    with tempfile.TemporaryDirectory() as place:
        for form in FORMS:
            plain = Path(place) / "nova.sql"
            write_dump(plain, asked.megabytes, form)
            size = plain.stat().st_size / 1e6
            for program, ending, name in (("cat", "", "plain"), (gzip, ".gz", "gzip"), ("zstd", ".zst", "zstd")):
                path = Path(f"{plain}{ending}")
                if ending:
                    with path.open("wb") as out:
                        subprocess.run(
                            [program, "-qc" if program == "zstd" else "-c", str(plain)], stdout=out, check=True
                        )
                unpack = ["cat", str(path)] if not ending else [program, "-dc", str(path)]
                inspect = [sys.executable, "-m", "upgrader", "inspect", str(path)]
                alone, whole = measured(unpack, inspect, asked.rounds)
                ratio = whole.cpu / alone.cpu
                good = ratio <= LIMITS.get(name, float("inf"))
                kept = kept and good
                sys.stdout.write(
                    f"{name:<5} {form:<20} {size:5.0f} MB  {size / whole.wall:6.0f} MB/s, "
                    f"{size / whole.cpu:6.0f} MB per second of processor;  {whole.wall / alone.wall:5.2f} times "
                    f"{' '.join(unpack[:-1])}, {ratio:5.2f} of its processor time"
                    f"{'' if good else f'  over {LIMITS[name]}'}\n"
                )
                sys.stdout.flush()
                path.unlink() if ending else None
        kept = _memory(Path(place), asked.megabytes) and kept
    return 0 if kept else 1


def _memory(place: Path, megabytes: int) -> bool:
    peaks = []
    for size in (max(1, megabytes // 40), megabytes):
        path = place / f"{size}.sql"
        write_dump(path, size, FORMS[0])
        peaks.append(peak([sys.executable, "-m", "upgrader", "inspect", str(path)]))
        path.unlink()
    good = peaks[1] <= GROWTH * peaks[0]
    small = max(1, megabytes // 40)
    sys.stdout.write(f"memory: {peaks[0]:.0f} MB for {small} MB, {peaks[1]:.0f} MB for {megabytes} MB\n")
    return good


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(REPO))
    sys.exit(main())
