"""What the availability probe costs: share of one core, bytes on disk, memory, at 2 Hz for 15 endpoints.

    python benchmarks/availability.py [--seconds 60] [--ports 15] [--interval 0.5] [--tls]

The real process (`python -m upgrader.outside`) asks a local server with that many ports, Keystone's among them.
Processor time comes from /proc/PID/stat, so that it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.availability_kit.certificate import certificate  # noqa: E402
from tests.availability_kit.cloud import PASSWORD  # noqa: E402
from upgrader.availability import downtime  # noqa: E402
from upgrader.availability.records import segments  # noqa: E402

LIMIT = 1.0
"""Percent of one core."""
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def measure(seconds: float, ports: int, interval: float, *, tls: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as name:
        place = Path(name)
        pair = certificate(place) if tls else None
        words = [sys.executable, "-m", "tests.availability_kit.cloud", name, str(ports), *map(str, pair or ())]
        environment = {**os.environ, "PYTHONPATH": str(REPO)}
        cloud = subprocess.Popen(words, env=environment)
        folder = place / "availability" / "run"
        folder.mkdir(parents=True)
        try:
            while not (place / "ports.json").exists():
                time.sleep(0.05)
            first = json.loads((place / "ports.json").read_text())[0]
            order = {
                "interval": interval, "timeout": 5.0, "token_interval": 5.0, "limit": 86400.0,
                "keystone": f"{'https' if tls else 'http'}://127.0.0.1:{first}/v3",
                "authorities": [str(pair[0])] if pair else [],
                "account": {"user": "admin", "project": "admin", "password": PASSWORD},
            }  # fmt: skip
            command = [sys.executable, "-P", "-m", "upgrader.outside", str(folder)]
            probe = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
            try:
                if probe.stdin is not None:
                    with probe.stdin as pipe:
                        pipe.write(json.dumps(order).encode())
                time.sleep(5)
                before, began = processor_seconds(probe.pid), time.monotonic()
                time.sleep(seconds)
                used, took = processor_seconds(probe.pid) - before, time.monotonic() - began
                memory = resident(probe.pid)
            finally:
                probe.terminate()
                probe.wait()
        finally:
            cloud.terminate()
            cloud.wait()
        found = downtime(folder)
        asked = sum(one.asked for one in found)
        data = b"".join(path.read_bytes() for path in segments(folder))
        return {
            "percent_of_one_core": 100 * used / took,
            "apis": len([one for one in found if one.asked > 5]),
            "failed": sum(one.failed for one in found),
            "answers_per_second": asked / (took + 5),
            "bytes_per_answer": len(data) / asked,
            "packed_bytes_per_answer": len(gzip.compress(data)) / asked,
            "megabytes_in_10_h": len(gzip.compress(data)) / asked * ports / interval * 36000 / 1e6,
            "resident_megabytes": memory / 1024,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--ports", type=int, default=15)
    parser.add_argument("--interval", type=float, default=0.5)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.seconds, given.ports, given.interval, tls=given.tls)
    kept = found["percent_of_one_core"] <= LIMIT
    if given.json:
        sys.stdout.write(json.dumps({**found, "kept": kept}, indent=2) + "\n")
    else:
        sys.stdout.write(f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} processes at work on this machine\n")
        for name, value in found.items():
            sys.stdout.write(f"{name:<26} {value:8.2f}\n")
        sys.stdout.write(f"{'ok' if kept else 'MISSED'}: {LIMIT:g} % of one core\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
