"""How long the gates of a whole path take for a recorded cloud: `python benchmarks/gates.py --help`.

Each round is a process of its own, cold: reading the record and the release graph, compiling every condition, judging
all hops and the production checklist; the fastest counts. Judging waits for nothing, so that its processor time is
what a person waits on a machine that has a processor for it: that is held against the limit. Exit code 1 when missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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
        "schema_version": 1,
        "kind": "site-record",
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


def judge_all(file: Path) -> int:
    """Judges every hop of the graph, provisional ones too, and the checklist. Returns how many findings there are."""
    from upgrader.gates import judge  # noqa: PLC0415 - what importing costs is measured, too
    from upgrader.gates.baseline import baseline  # noqa: PLC0415
    from upgrader.graph import load_graph  # noqa: PLC0415
    from upgrader.record_file import read_record  # noqa: PLC0415

    record, graph = read_record(file), load_graph()
    hops = graph.path(graph.ids[0], graph.ids[-1])
    return len(judge(graph, hops, record)) + len(baseline(record, graph.ids[0]))


def measure(command: Sequence[str], rounds: int) -> tuple[float, float]:
    """(seconds a person waits, processor time) of the fastest round of a command that ends by 0 or 3."""
    took: list[tuple[float, float]] = []
    for _ in range(rounds):
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 3):
            raise subprocess.CalledProcessError(process.returncode, command)
        took.append((time.perf_counter() - began, usage.ru_utime + usage.ru_stime))
    return min(took)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.judge:
        sys.stdout.write(f"{judge_all(given.judge)} findings\n")
        return 0
    sys.stdout.write(f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} processes at work on this machine\n")
    gates: dict[int, tuple[float, float]] = {}
    for hosts in SIZES:
        with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as folder:
            file = Path(folder) / "record.json"
            file.write_bytes(record_of(hosts))
            gates[hosts] = measure([sys.executable, __file__, "--judge", str(file)], given.rounds)
            verb = [sys.executable, "-m", "upgrader", "check", "--facts", str(file), "--baseline", "--json"]
            whole = measure(verb, given.rounds)
        sys.stdout.write(
            f"{hosts:5d} hosts: every hop judged in {gates[hosts][0]:.2f} s (processor time {gates[hosts][1]:.2f} s); "
            f"`check --facts` to the newest final release {whole[0]:.2f} s ({whole[1]:.2f} s)\n"
        )
    growth = gates[SIZES[-1]][1] / gates[LIMIT_HOSTS][1] / (SIZES[-1] / LIMIT_HOSTS)
    kept = gates[LIMIT_HOSTS][1] <= LIMIT_SECONDS and growth <= STEEPEST
    sys.stdout.write(
        f"{'ok' if kept else 'MISSED'}: {LIMIT_HOSTS} hosts in {gates[LIMIT_HOSTS][1]:.2f} s of {LIMIT_SECONDS:.0f} s, "
        f"{SIZES[-1]} hosts cost {growth:.2f} times their share\n"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
