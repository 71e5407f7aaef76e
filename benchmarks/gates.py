"""How long the gates of a whole path take for a recorded cloud: `python benchmarks/gates.py --help`.

Each size is measured in a process of its own, cold: reading the record and the release graph, compiling every
condition, judging all hops and the production checklist. Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

SIZES = (30, 300, 1000)
LIMIT_HOSTS, LIMIT_SECONDS = 300, 2.0
STEEPEST = 1.5
"""Time for the largest size may be at most so much more than in proportion to that of 300 hosts."""
SPREAD_EVERY = 10
"""Every so many variables one has another value on some hosts."""


# ---------------------------------------------------------------- a record


def record_of(hosts: int) -> bytes:
    """A record of a cloud with three controllers, the rest compute, with every variable that conditions name."""
    from upgrader.gates import variables_needed  # noqa: PLC0415 - what importing costs is measured, too
    from upgrader.graph import load_graph  # noqa: PLC0415 - what importing costs is measured, too

    graph = load_graph()
    names = [f"host-{number:04d}" for number in range(hosts)]
    wanted = sorted(variables_needed(graph))
    document = {
        "facts": {
            "site": "bench",
            "observed_at": "2026-01-01T00:00:00Z",
            "hosts": [_host(number, name) for number, name in enumerate(names)],
            "reading": {"kind": "exact", "release": graph.ids[0]},
            "observed": _observed(names),
        },
        "effective": [
            {"release": release, "by": "toolchain", "variables": list(_variables(wanted, names))}
            for release in graph.ids
        ],
        "hosts": [[name, _groups(number)] for number, name in enumerate(names)],
        "groups": ["baremetal", "compute", "control", "loadbalancer", "network", "rabbitmq"],
        "passwords": ["database_password", "keystone_admin_password"],
        "config_files": ["nova.conf"],
        "config_options": ["nova.conf [DEFAULT] debug = True"],
    }
    return json.dumps(document).encode()


def _groups(number: int) -> list[str]:
    if number < 3:
        return ["baremetal", "control", "loadbalancer", "network", "rabbitmq"]
    return ["baremetal", "compute"]


def _host(number: int, name: str) -> dict[str, object]:
    services = ("fluentd", "cron", "kolla_toolbox", "nova_compute", "nova_libvirt", "neutron_openvswitch_agent")
    return {
        "name": name,
        "groups": _groups(number),
        "engine": "docker",
        "os": "ubuntu-22.04" if number % 3 else "debian-12",
        "kernel": "6.1.0",
        "sdk_version": f"7.{number % 4}.0",
        "clock": {"synchronised": True, "offset_seconds": 0.1},
        "containers": [{"name": service, "image": f"quay.io/kolla/{service}:2023.1-debian"} for service in services],
    }


def _observed(names: list[str]) -> dict[str, object]:
    return {
        "host_systems": ["debian-bookworm", "ubuntu-jammy"],
        "containers": ["cron", "fluentd", "mariadb", "nova_compute", "rabbitmq"],
        "rabbitmq": {"version": "3.11.28", "nodes": names[:3], "classic_queues": 120, "non_quorum_queues": 120},
        "database": {"version": "10.6.18", "expected": 3, "size": 3, "synced": 3},
        "nova": {"computes": names[3:], "services_down": []},
    }


def _variables(wanted: list[str], names: list[str]) -> Iterator[dict[str, object]]:
    place = {"place": "globals.yml:12", "kind": "globals", "text": "yes"}
    for number, name in enumerate(wanted):
        value = "true" if name.startswith("enable_") else '"text"'
        if number % SPREAD_EVERY:
            yield {"name": name, "value": value, "configured": True, "definitions": [place]}
        else:
            values = [[host, json.dumps(bool(at % 2))] for at, host in enumerate(names)]
            yield {"name": name, "per_host": values, "configured": True, "definitions": [place]}


# ---------------------------------------------------------------- measuring


def judged(file: Path) -> dict[str, float]:
    """Seconds of each part in this process, and how much was found."""
    began, worked = time.perf_counter(), time.process_time()
    from upgrader.gates import judge  # noqa: PLC0415 - what importing costs is measured, too
    from upgrader.gates.baseline import baseline  # noqa: PLC0415 - what importing costs is measured, too
    from upgrader.graph import load_graph  # noqa: PLC0415 - what importing costs is measured, too
    from upgrader.record import SiteRecord  # noqa: PLC0415 - what importing costs is measured, too

    record = SiteRecord.model_validate_json(file.read_bytes())
    read = time.perf_counter()
    graph = load_graph()
    findings = judge(graph, graph.path(graph.ids[0], graph.ids[-1]), record)
    points = baseline(record, graph.ids[0])
    end = time.perf_counter()
    return {
        "read": read - began,
        "judge": end - read,
        "total": end - began,
        "cpu": time.process_time() - worked,
        "findings": len(findings) + len(points),
    }


def measure(hosts: int, rounds: int) -> dict[str, float]:
    """Medians over several processes."""
    with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as folder:
        file = Path(folder) / "record.json"
        file.write_bytes(record_of(hosts))
        command = [sys.executable, __file__, "--judge", str(file)]
        said = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    return {key: statistics.median(one[key] for one in said) for key in said[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.judge:
        sys.stdout.write(json.dumps(judged(given.judge)))
        return 0
    # seconds mean little on a busy machine, processor time hardly depends on it
    sys.stdout.write(f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} processes at work on this machine\n")
    totals = {}
    for hosts in SIZES:
        found = measure(hosts, given.rounds)
        totals[hosts] = found["total"]
        sys.stdout.write(
            f"{hosts:5d} hosts: {found['total']:.2f} s (record {found['read']:.2f} s, judging {found['judge']:.2f} s; "
            f"processor time {found['cpu']:.2f} s), {found['findings']:.0f} findings\n"
        )
    growth = totals[SIZES[-1]] / totals[LIMIT_HOSTS] / (SIZES[-1] / LIMIT_HOSTS)
    kept = totals[LIMIT_HOSTS] <= LIMIT_SECONDS and growth <= STEEPEST
    sys.stdout.write(
        f"{'ok' if kept else 'MISSED'}: {LIMIT_HOSTS} hosts in {totals[LIMIT_HOSTS]:.2f} s of {LIMIT_SECONDS:.0f} s, "
        f"{SIZES[-1]} hosts cost {growth:.2f} times their share\n"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
