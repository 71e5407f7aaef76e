"""Measures what dumping a cloud's databases costs: memory at its highest, and rows in a second, by size of the cloud.

    python benchmarks/backup.py                  # clouds of 0.1, 1 and 3.3 million rows; minutes
    python benchmarks/backup.py --rows 100000

The programs run as a backup set's own scripts run them: mariadb-dump into zstd (take.sh), mydumper by its script, and
the reading of what was dumped, which counts rows and finds heads. Memory is each program's own peak as the kernel
counted it; about 32 MiB is the least that can be seen: what this program has when it starts them. Exit code 1 when
one needs more than 300 MiB, whatever the size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from benchmarks.cloud_rows import ROWS_PER_INSTANCE, statements  # noqa: E402
from benchmarks.run import environment  # noqa: E402
from upgrader.database.compare import row_counts  # noqa: E402
from upgrader.database.throwaway import programs, throwaway  # noqa: E402

SCHEMAS = ("nova", "neutron", "keystone")
ROWS = (100_000, 1_000_000, 3_300_000)
LIMIT_MIB = 300
READ = (
    "import sys; from pathlib import Path; from upgrader.database.contents import read_contents;"
    "print(sum(table.rows for table in read_contents(sys.argv[1], map(Path, sys.argv[2:])).tables.values()))"
)


def ended(process: subprocess.Popen[bytes]) -> float:
    """Peak of a process and of those it waited for, in MiB. Raises CalledProcessError when it failed."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return used.ru_maxrss / 1024


def by_mariadb_dump(folder: Path, socket: Path) -> tuple[float, list[Path]]:
    peak, files = 0.0, []
    for schema in SCHEMAS:
        file = folder / f"{schema}.sql.zst"
        options = ("--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob")
        words = ["mariadb-dump", "--no-defaults", f"--socket={socket}", "--user=root", *options, "--databases", schema]
        with file.open("wb") as out:
            dump = subprocess.Popen(words, stdout=subprocess.PIPE)
            squeeze = subprocess.Popen(["zstd", "-3", "-q", "-T0"], stdin=dump.stdout, stdout=out)
            assert dump.stdout is not None  # noqa: S101 - a pipe was asked for
            dump.stdout.close()
            peak = max(peak, ended(dump), ended(squeeze))
        files.append(file)
    return peak, files


def by_mydumper(folder: Path, socket: Path) -> tuple[float, list[Path]]:
    script = REPO / "upgrader" / "database" / "take_mydumper.py"
    words = [sys.executable, str(script), str(folder / "out"), str(socket), "0", "root", *SCHEMAS]
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    process.stdin.write(b"\n")
    process.stdin.close()
    return ended(process), sorted((folder / "out").iterdir())


def read_back(dump_format: str, files: Sequence[Path], rows: int) -> float:
    words = [sys.executable, "-c", READ, dump_format, *map(str, files)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment())
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    counted = int(process.stdout.read())
    if counted != rows:
        raise RuntimeError(f"{counted} rows in the dump, {rows} in the cloud")
    return ended(process)


def measure(folder: Path, rows: int) -> list[str]:
    lines = []
    with throwaway(folder, programs(), pool="512M", redo="256M") as server:
        server.sql(statements(max(1, round(rows / ROWS_PER_INSTANCE))), seconds=7200)
        made = sum(row_counts(server, SCHEMAS).values())
        for name, dumping in (("mariadb-dump", by_mariadb_dump), ("mydumper", by_mydumper)):
            place = folder / name
            place.mkdir()
            began = time.perf_counter()
            peak, files = dumping(place, server.socket)
            took = time.perf_counter() - began
            began = time.perf_counter()
            reading = read_back(name, files, made)
            read = time.perf_counter() - began
            verdict = "ok    " if max(peak, reading) <= LIMIT_MIB else "MISSED"
            lines.append(
                f"{verdict} {made:>8} rows, {name:<12}"
                f" {peak:5.0f} MiB to dump ({took:5.1f} s, {made / took:8.0f} rows/s"
                f"), {reading:4.0f} MiB to read back ({read:5.1f} s)"
            )
            sys.stderr.write(lines[-1] + "\n")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help=f"rows of the cloud; default {ROWS}")
    given = parser.parse_args()
    lines: list[str] = []
    for rows in given.rows or ROWS:
        with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as name:
            lines += measure(Path(name), rows)
    sys.stdout.write("\n".join(lines) + f"\nlimit: {LIMIT_MIB} MiB\n")
    return 1 if any(line.startswith("MISSED") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
