"""What telling costs beside a run: python benchmarks/herald.py [--seconds 20] [--hosts 9,300,1000]

Processor time and memory of the herald (`upgrader.herald`, metrics and notices wanted) while a run writes tasks that
every host gets through, as a share of all processors; and how far the metrics lag behind an event. Exit code 1 when
the lag is above 2 s (issue: event lag) at the largest fleet.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.watch_kit import Going, going  # noqa: E402
from upgrader.config import load_site  # noqa: E402
from upgrader.herald.place import folder_of, pid_of, works  # noqa: E402
from upgrader.herald.start import Call  # noqa: E402
from upgrader.states import State  # noqa: E402

SITE = """
[site]
name = "bench"
[kolla]
config_dir = "."
inventory = "hosts"
[state]
dir = "state"
[metrics]
textfile = "upgrader.prom"
[notices]
urls_file = "urls"
"""
LAG = 2.0
THROUGH = re.compile(r"^upgrader_last_event_timestamp_seconds\S* (\S+)$", re.MULTILINE)


def processor(pid: int) -> float:
    """Seconds a process has had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """The most it ever had, in MB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmHWM:")[2].split()[0]) / 1024


def lag(run: Going, textfile: Path) -> float:
    """Seconds from an event until the metrics know of it."""
    run.now = datetime.now(UTC)
    run.say("note", words="now")
    wanted, began = run.now.timestamp(), time.monotonic()
    while True:
        found = THROUGH.search(textfile.read_text())
        if found and float(found[1]) >= wanted - 0.001:
            return time.monotonic() - began
        time.sleep(0.01)


def measured(place: Path, hosts: int, seconds: float) -> float:
    """Print one line; the longest lag."""
    (place / "upgrader.toml").write_text(SITE)
    (place / "urls").write_text("a = webhook+http://127.0.0.1:1/\n")
    (place / "urls").chmod(0o600)
    site = load_site(place / "upgrader.toml")
    names = tuple(f"host{number}" for number in range(hosts))
    with going(place, State.UPGRADE) as run:
        run.begin()
        run.play(*names)
        with run.locked():
            for line in Call(site).ensure(run.journal.snapshot().last_seq):
                sys.stdout.write(f"{line}\n")
            pid = pid_of(folder_of(site.state_dir))
            textfile = place / "upgrader.prom"
            while not textfile.exists():
                time.sleep(0.05)
            before, began, lags = processor(pid), time.monotonic(), []
            while time.monotonic() - began < seconds:
                run.now = datetime.now(UTC)
                run.task(f"task {time.monotonic():.1f}", *names)
                time.sleep(max(0.2, hosts / 1000))
                lags.append(lag(run, textfile))
            share = (processor(pid) - before) / (time.monotonic() - began) / (os.cpu_count() or 1)
            most = memory(pid)
            os.kill(pid, signal.SIGTERM)
            while works(folder_of(site.state_dir)):
                time.sleep(0.02)
    middle = sorted(lags)[len(lags) // 2]
    sys.stdout.write(
        f"{hosts:5d} hosts  {share:6.2%} of the processors  {most:5.1f} MB  "
        f"lag {middle:.2f} s (most {max(lags):.2f} s, {len(lags)} tasks)\n"
    )
    return max(lags)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--hosts", default="9,300,1000")
    given = parser.parse_args()
    worst = 0.0
    for hosts in (int(word) for word in given.hosts.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            worst = measured(Path(folder), hosts, given.seconds)
    return int(worst > LAG)


if __name__ == "__main__":
    sys.exit(main())
