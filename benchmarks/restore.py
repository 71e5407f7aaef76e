"""Measures restores of backup sets against what an operator would type, as ratios within one run.

    python benchmarks/restore.py                  # clouds of 0.1, 1 and 3.3 million rows; minutes
    python benchmarks/restore.py --rows 1000000

For each size: a cloud's databases are made (cloud_rows.py), dumped by schema with mariadb-dump, with mydumper, and
copied with mariadb-backup. `mariadb < dump.sql`, schema after schema, is then measured against loading the compressed
dumps; both servers have the same settings. The physical way is measured against copying the unpacked bytes and
preparing them. Needs mariadb-server, mariadb-backup, mydumper and zstd. Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from benchmarks.cloud_rows import ROWS_PER_INSTANCE, statements  # noqa: E402
from benchmarks.run import Figure, report  # noqa: E402
from upgrader.database import manifest as parts  # noqa: E402
from upgrader.database.compare import mydumped, row_counts  # noqa: E402
from upgrader.database.load import LOADING, copied, load_files  # noqa: E402
from upgrader.database.manifest import BackupSet, Manifest  # noqa: E402
from upgrader.database.physical import program  # noqa: E402
from upgrader.database.throwaway import Server, programs, throwaway  # noqa: E402

SCHEMAS = ("nova", "neutron", "keystone")
LOGICAL, PHYSICAL = 0.35, 1.3
SERVER = {"pool": "1024M", "redo": "512M"}
ROWS = (100_000, 1_000_000, 3_300_000)


@dataclass
class Cloud:
    """The files of one size."""

    plain: list[Path]
    packed: list[Path]
    mydumper: list[Path]
    physical: Path
    rows: int


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor(server: Server) -> float:
    """Seconds of processor time the server has used; hardly depends on what else the machine does."""
    fields = Path(f"/proc/{(server.folder / 'pid').read_text().strip()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make(folder: Path, rows: int) -> Cloud:
    with throwaway(folder, programs(), **SERVER) as server:
        server.sql(statements(max(1, round(rows / ROWS_PER_INSTANCE))), seconds=7200)
        plain = [_dump(folder, server, schema) for schema in SCHEMAS]
        mydumped(server, folder / "mydumper", SCHEMAS)
        stream = folder / "mariabackup.xbs.gz"
        words = ["--no-defaults", "--backup", "--stream=xbstream", f"--socket={server.socket}", "--user=root"]
        command = [program("mariadb-backup", None), *words, f"--datadir={server.folder / 'data'}"]
        with stream.open("wb") as out, (folder / "backup.log").open("wb") as log:
            taking = subprocess.Popen([*command, f"--target-dir={folder / 'work'}"], stdout=subprocess.PIPE, stderr=log)
            packer = shutil.which("pigz") or "gzip"
            subprocess.run([packer, "-1"], stdin=taking.stdout, stdout=out, check=True)
            if taking.wait():
                raise subprocess.CalledProcessError(taking.returncode, command)
        counted = sum(row_counts(server, SCHEMAS).values())
    for path in plain:
        subprocess.run(["zstd", "-q", "-3", "-T0", str(path)], check=True)
    packed = [path.with_name(f"{path.name}.zst") for path in plain]
    return Cloud(plain, packed, sorted((folder / "mydumper").iterdir()), stream, counted)


def _dump(folder: Path, server: Server, schema: str) -> Path:
    path = folder / f"{schema}.sql"
    options = ("--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob")
    words = ["mariadb-dump", "--no-defaults", f"--socket={server.socket}", "--user=root", *options]
    with path.open("wb") as out:
        subprocess.run([*words, "--databases", schema], stdout=out, check=True)
    return path


def one_client(server: Server, files: Sequence[Path]) -> None:
    for path in files:
        with path.open("rb") as stream:
            subprocess.run(server.client(), stdin=stream, check=True)


def measured(folder: Path, rows: int, load: Callable[[Server], object]) -> tuple[float, float]:
    """Seconds and the server's processor seconds of one load into a fresh server; every row has to be there."""
    with throwaway(folder, programs(), options=LOADING, **SERVER) as server:
        before = processor(server)
        seconds = timed(lambda: load(server))
        used = processor(server) - before
        if sum(row_counts(server, SCHEMAS).values()) != rows:
            raise RuntimeError("rows were lost")
    return seconds, used


def logical(folder: Path, cloud: Cloud, rounds: int) -> list[Figure]:
    loads: dict[str, Callable[[Server], object]] = {
        "mariadb < dump.sql": lambda server: one_client(server, cloud.plain),
        "mariadb-dump": lambda server: load_files(server, cloud.packed),
        "mydumper": lambda server: load_files(server, cloud.mydumper, mydumper=True),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(measured(folder, cloud.rows, load))
    best = {name: min(times) for name, times in found.items()}
    base, base_cpu = best.pop("mariadb < dump.sql")
    return [
        Figure(
            f"load of {cloud.rows} rows ({name}) / mariadb < dump.sql",
            seconds / base,
            LOGICAL,
            False,
            f"{seconds:.1f} s against {base:.1f} s; {cloud.rows / seconds:.0f} rows/s",
            used / base_cpu if base_cpu else None,
        )
        for name, (seconds, used) in best.items()
    ]


def physical(folder: Path, cloud: Cloud) -> Figure:
    unpacked, copy = folder / "unpacked", folder / "copy"
    unpacked.mkdir()
    with gzip.open(cloud.physical) as stream:
        unpacking = subprocess.Popen([program("mbstream", None), "-x", "-C", str(unpacked)], stdin=subprocess.PIPE)
        assert unpacking.stdin is not None  # noqa: S101
        shutil.copyfileobj(stream, unpacking.stdin)
        unpacking.stdin.close()
        unpacking.wait()
    size = sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file())
    copying = timed(lambda: subprocess.run(["cp", "-a", str(unpacked), str(copy)], check=True))
    prepare = [program("mariadb-backup", None), "--prepare", f"--target-dir={copy}", "--use-memory=1024M"]
    preparing = timed(lambda: subprocess.run(prepare, check=True, capture_output=True))
    shutil.rmtree(unpacked)
    shutil.rmtree(copy)
    made = BackupSet.begin(folder / "set", Manifest(site="b", release="2025.1", made_at=parts.now()))
    made.describe("mariabackup")
    target = made.folder / "mariabackup.xbs.gz"
    shutil.copyfile(cloud.physical, target)
    made.record(parts.MARIABACKUP, [target])
    seconds = 0.0
    began = time.perf_counter()
    with copied(made.folder, folder, made.manifest) as copy_of:
        seconds = time.perf_counter() - began
        if sum(row_counts(copy_of.server, SCHEMAS).values()) != cloud.rows:
            raise RuntimeError("rows were lost")
    detail = f"{seconds:.1f} s against {copying:.1f} s to copy {size // 1024**2} MiB and {preparing:.1f} s to prepare"
    name = f"server on the physical copy of {cloud.rows} rows / copy + prepare"
    return Figure(name, seconds / (copying + preparing), PHYSICAL, False, detail)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help=f"rows of the cloud; default {ROWS}")
    parser.add_argument("--rounds", type=int, default=1, help="how often each load is measured; the best counts")
    parser.add_argument("--folder", type=Path, help="where the files go (default: a temporary folder)")
    given = parser.parse_args()
    figures: list[Figure] = []
    for rows in given.rows or ROWS:
        with tempfile.TemporaryDirectory(prefix="upgrader-bench-", dir=given.folder) as name:
            cloud = make(Path(name), rows)
            sys.stderr.write(f"{cloud.rows} rows made, {sum(p.stat().st_size for p in cloud.plain) >> 20} MiB of SQL\n")
            found = [*logical(Path(name), cloud, given.rounds), physical(Path(name), cloud)]
            # the limits are for the large cloud: in a small one starting and ending weigh more than rows
            figures += found
            sys.stderr.write(report(found) + "\n")
    sys.stdout.write(report(figures) + "\n")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
