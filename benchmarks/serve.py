"""What the live page costs beside a run: python benchmarks/serve.py [--readers 50] [--seconds 20] [--rounds 5]

Processor time of `upgrader serve` with nobody, one and fifty readers, while a run writes twenty tasks a second for nine
hosts; as a share of all processors, which is the most it can take from a run that keeps all of them busy. Then real
work (Ansible looking at a sandbox cloud), in turn without and with fifty readers: the ratio of the medians, which on a
busy machine says less than the first. Readers run on this machine too, in a process of their own that only reads.
Last, one look at a run of 400 hosts. Exit code 1 when the share is above 1 %.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.watch_kit import Going, going  # noqa: E402

SITE = '[site]\nname = "bench"\n[kolla]\nconfig_dir = "."\ninventory = "hosts"\n[state]\ndir = "state"\n'
HOSTS = tuple(f"host{number}" for number in range(9))
LIMIT = 0.01
PER_SECOND = 20


def read(address: str, readers: int) -> int:
    """Readers that do nothing but read, until they are killed."""
    host, _, port = address.removeprefix("http://").strip("/").rpartition(":")
    poll = select.epoll()
    found: dict[int, socket.socket] = {}
    for _ in range(readers):
        made = socket.create_connection((host, int(port)))
        made.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found[made.fileno()] = made
        poll.register(made, select.EPOLLIN)
    while found:
        for number, _ in poll.poll():
            if not found[number].recv(65536):
                sys.stderr.write("a reader was let go\n")
                return 1
    return 0


@contextmanager
def reading(address: str, readers: int) -> Iterator[subprocess.Popen[bytes] | None]:
    if not readers:
        yield None
        return
    process = subprocess.Popen([sys.executable, __file__, "--read", address, "--readers", str(readers)])
    try:
        time.sleep(2)
        yield process
    finally:
        process.kill()
        process.wait()


def processor(pid: int) -> float:
    """Seconds a process has had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Writer(threading.Thread):
    """The run: a task begins and every host gets through it, again and again."""

    def __init__(self, run: Going) -> None:
        super().__init__(daemon=True)
        self.run_, self.over, self.tasks = run, threading.Event(), 0

    def run(self) -> None:
        while not self.over.wait(1 / PER_SECOND):
            self.run_.now = datetime.now(UTC)
            self.run_.task(f"task {self.tasks}", *HOSTS, seconds=0)
            self.tasks += 1


@contextmanager
def served(place: Path) -> Iterator[tuple[int, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "upgrader", "--site", str(place), "serve", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert process.stderr is not None  # noqa: S101 - a pipe was asked for
    try:
        yield process.pid, process.stderr.readline().split()[0]
    finally:
        process.kill()
        process.wait()


def work(site: Path) -> float:
    """Seconds that Ansible takes to look at every host of a sandbox cloud."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "upgrader", "--site", str(site), "status", "--observe", "--json"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPO)
    return time.perf_counter() - began


def effect(site: Path, address: str, readers: int, rounds: int) -> float:
    """Wall time of the work with readers, as a multiple of the time without."""
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(work(site))
        with reading(address, readers):
            beside.append(work(site))
    return statistics.median(beside) / statistics.median(alone)


def one_look(place: Path, hosts: int, tasks: int) -> tuple[float, float]:
    """(first, later) milliseconds of processor time for a look at a run of so many hosts and tasks."""
    from upgrader.watch.sample import Watcher  # noqa: PLC0415

    with going(place, now=datetime.now(UTC)) as run:
        run.begin()
        run.play(*(f"host{number}" for number in range(hosts)))
        names = [f"host{number}" for number in range(hosts)]
        for number in range(tasks):
            run.task(f"task {number}", *(names if number > tasks - 40 else names[:3]), seconds=0.1)
        with run.locked():
            began = time.process_time()
            watcher = Watcher(run.site)
            watcher.sample()
            first = time.process_time() - began
            began = time.process_time()
            for _ in range(20):
                watcher.sample().document()
            later = (time.process_time() - began) / 20
    return first * 1000, later * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="0: without the sandbox")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        return read(given.read, given.readers)
    cores = os.cpu_count() or 1
    sys.stdout.write(f"{cores} processors, {os.getloadavg()[0]:.1f} processes at work on this machine\n")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as folder:
        place = Path(folder) / "run"
        place.mkdir()
        (place / "upgrader.toml").write_text(SITE, encoding="utf-8")
        with going(place, now=datetime.now(UTC)) as run:
            run.begin()
            run.step("kolla-ansible upgrade")
            run.play(*HOSTS)
            with run.locked(), served(place) as (pid, address):
                writer = Writer(run)
                writer.start()
                for readers in (0, 1, given.readers):
                    with reading(address, readers):
                        before, began = processor(pid), time.monotonic()
                        time.sleep(given.seconds)
                        share = (processor(pid) - before) / (time.monotonic() - began)
                    worst = max(worst, share / cores)
                    sys.stdout.write(f"{readers:3} readers  {share:6.2%} of one core, {share / cores:6.2%} of all\n")
                if given.rounds:
                    from upgrader.sandbox.create import create_sandbox  # noqa: PLC0415

                    site = create_sandbox(Path(folder) / "sandbox", "2024.1")
                    ratio = effect(site, address, given.readers, given.rounds)
                    sys.stdout.write(f"work beside {given.readers} readers takes {ratio:.3f} times as long\n")
                writer.over.set()
                writer.join()
                sys.stdout.write(f"{writer.tasks} tasks were written\n")
        first, later = one_look(Path(folder) / "large", 400, 1500)
        sys.stdout.write(f"400 hosts, 1500 tasks: first look {first:.0f} ms, each further one {later:.1f} ms\n")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
