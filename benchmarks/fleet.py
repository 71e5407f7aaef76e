"""A play of a large cloud, as the tool follows it: python benchmarks/fleet.py [--hosts 300 1000] [--rounds 5]

An upgrade of a sandbox with so many compute hosts runs for real (Ansible, its events, the supervisor's side of an
attempt). Measured: how long after an event its line stands in progress.jsonl; the highest memory of the tool's own
processes (the supervisor's side and the play's listener; Ansible's are Ansible's); `status`, cold, while it runs, after
it was killed, and at rest with the last look at every host. Memory and processor time must not grow faster than the
number of hosts. The sandbox's tasks cost next to nothing on a host, so events come as fast as Ansible can make them.
Exit code 1 when a limit is missed. Takes minutes: Ansible needs some 20 ms of processor time for a task on a host.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from benchmarks.run import UPGRADER, Figure, Sample, environment, once, report  # noqa: E402
from tests.cloud_kit.facts import cloud as facts  # noqa: E402
from tests.cloud_kit.facts import container, host  # noqa: E402
from tests.watch_kit import Going, going  # noqa: E402
from upgrader.config import load_site  # noqa: E402
from upgrader.context import AttemptContext  # noqa: E402
from upgrader.kolla.commands import play  # noqa: E402
from upgrader.kolla.toolchain import locate  # noqa: E402
from upgrader.sandbox.create import create_sandbox  # noqa: E402
from upgrader.status_read import keep_seen  # noqa: E402

RELEASE, TARGET = "2024.1", "2024.2"
SERVICES = ("openvswitch",)
LAG_SECONDS, STATUS_SECONDS, MEMORY_MIB = 2.0, 0.3, 300.0
GROWTH = 1.3
"""How much more than the hosts memory and processor time may grow."""
SITE = '[site]\nname = "fleet"\n[kolla]\nconfig_dir = "."\ninventory = "hosts"\n[state]\ndir = "state"\n'


@dataclass
class Seen:
    """What one play showed."""

    hosts: int
    lags: list[float] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    """Process → MiB at its highest."""
    cpu: float = 0.0
    """Processor seconds of the listener."""
    events: int = 0
    seconds: float = 0.0
    status: dict[str, Sample] = field(default_factory=dict)
    bytes_: int = 0

    @property
    def lag(self) -> float:
        """All but the slowest hundredth."""
        return sorted(self.lags)[int(len(self.lags) * 0.99)] if self.lags else float("inf")


# ---------------------------------------------------------------- the attempt's side, a process of its own


def drive(folder: Path, site_file: Path, tags: Sequence[str]) -> int:
    """Run the play as a stage does, in the attempt's folder."""
    site = load_site(site_file)
    hosts = sorted(item.name for item in (site.sandbox or Path()).joinpath("hosts").iterdir())
    chosen = play("upgrade", locate(site, TARGET), site, expected_hosts=hosts, tags=tags)
    result = AttemptContext(folder).run(chosen)
    sys.stdout.write(f"{result.status} {result.message}\n")
    return 0 if result.verdict else 1


# ---------------------------------------------------------------- watching it


class Lines:
    """New lines of progress.jsonl, with how old each was when it could first be read."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def ages(self) -> Iterator[float]:
        with suppress(FileNotFoundError), self._path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read()
            now = datetime.now(UTC)
            whole = data.rpartition(b"\n")[0]
            self._offset += len(whole) + 1 if whole else 0
            for line in whole.splitlines():
                told = json.loads(line)
                if told.get("kind") in ("task_start", "host_failed", "play_start", "stats"):
                    at = datetime.fromisoformat(told["at"])
                    yield (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()


def watch(process: subprocess.Popen[bytes], folder: Path, seen: Seen) -> None:
    lines = Lines(folder / "progress.jsonl")
    beside: int | None = None
    while process.poll() is None:
        seen.lags += lines.ages()
        beside = beside or listener(process.pid)
        for name, pid in (("the stage", process.pid), ("its listener", beside)):
            if pid is not None:
                seen.memory[name] = max(seen.memory.get(name, 0.0), highest(pid))
        if beside is not None:
            seen.cpu = max(seen.cpu, processor(beside))
        time.sleep(0.05)
    seen.lags += lines.ages()


def listener(parent: int) -> int | None:
    """The play's own process: the first child."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
    return None


def highest(pid: int) -> float:
    """MiB; 0 when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def processor(pid: int) -> float:
    with suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


# ---------------------------------------------------------------- one size


@contextmanager
def cloud(hosts: int) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="upgrader-fleet-"))
    try:
        yield create_sandbox(place / "cloud", RELEASE, (3, hosts, 0), services=SERVICES)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(hosts: int, rounds: int, tags: Sequence[str]) -> Seen:
    sys.stderr.write(f"{hosts} compute hosts …\n")
    seen = Seen(hosts)
    with cloud(hosts) as site_file, tempfile.TemporaryDirectory(prefix="upgrader-fleet-") as name:
        configure(site_file.parent)
        place = Path(name)
        (place / "upgrader.toml").write_text(SITE)
        observed(place / "state", hosts)
        with going(place, now=datetime.now(UTC)) as run:
            run.begin()
            run.step("kolla-ansible upgrade")
            began = time.perf_counter()
            with run.locked():
                follow(run, site_file, tags, seen)
                seen.seconds = time.perf_counter() - began
                seen.status["while it runs"] = cold(place, rounds)
            events = run.folder / "plays" / "01-upgrade" / "events.jsonl"
            seen.events, seen.bytes_ = len(events.read_bytes().splitlines()), events.stat().st_size
            seen.status["after it was killed"] = cold(place, rounds)
    return seen


def follow(run: Going, site_file: Path, tags: Sequence[str], seen: Seen) -> None:
    command = [sys.executable, __file__, "--drive", str(run.folder), str(site_file), "--tags", *tags]
    process = subprocess.Popen(command, env=environment())
    try:
        watch(process, run.folder, seen)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the play did not come right: {run.folder}")


def cold(place: Path, rounds: int) -> Sample:
    sample = Sample()
    for number in range(rounds + 1):
        once([*UPGRADER, "status"], place, environment(), Sample() if number == 0 else sample)
    return sample


def configure(site: Path) -> None:
    path = site / "kolla" / "globals.yml"
    path.write_text(path.read_text().replace(f'"{RELEASE}"', f'"{TARGET}"'))


def observed(state: Path, hosts: int) -> None:
    """A look at every host, in the middle of the hop: half of the compute hosts run the target release."""
    names = ("cron", "fluentd", "kolla_toolbox", "openvswitch_db", "openvswitch_vswitchd", "nova_libvirt", "nova_ssh",
             "nova_compute", "neutron_openvswitch_agent", "prometheus_node_exporter")  # fmt: skip
    made = [
        host(f"cmp{number}", *(container(name, TARGET if number <= hosts // 2 else RELEASE) for name in names))
        for number in range(1, hosts + 1)
    ]
    state.mkdir(parents=True, exist_ok=True)
    keep_seen(load_site(state.parent / "upgrader.toml"), facts(*made).document())


# ---------------------------------------------------------------- report


def figures(found: Sequence[Seen]) -> Iterator[Figure]:
    for seen in found:
        detail = (
            f"median {statistics.median(seen.lags):.2f} s, slowest {max(seen.lags):.2f} s of {len(seen.lags)} lines; "
            f"{seen.events} events in {seen.seconds:.0f} s, {seen.bytes_ / 2**20:.0f} MiB"
        )
        yield Figure(f"{seen.hosts} hosts: event to progress.jsonl", seen.lag, LAG_SECONDS, True, detail)
        for when, sample in seen.status.items():
            wall, cpu = statistics.median(sample.wall), statistics.median(sample.cpu)
            # it waits for nothing: on an idle machine both are the same
            detail = f"{wall:.2f} s by the clock beside everything else this machine does"
            name = f"{seen.hosts} hosts: status {when}, processor time"
            yield Figure(name, cpu, STATUS_SECONDS, True, detail)
        memory = sum(seen.memory.values())
        parts = ", ".join(f"{name} {size:.0f} MiB" for name, size in seen.memory.items())
        name = f"{seen.hosts} hosts: memory, share of {MEMORY_MIB:.0f} MiB"
        yield Figure(name, memory / MEMORY_MIB, 1.0, False, parts)
    small, large = found[0], found[-1]
    if large.hosts > small.hosts:
        times = large.hosts / small.hosts
        for name, one, other in (
            ("memory", sum(small.memory.values()), sum(large.memory.values())),
            ("processor time of listening", small.cpu, large.cpu),
            ("events", small.events, large.events),
        ):
            detail = f"{one:.1f} and {other:.1f} for {small.hosts} and {large.hosts} hosts"
            yield Figure(f"growth of {name}, in growths of the fleet", other / one / times, GROWTH, False, detail)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, nargs="+", default=[300, 1000], help="compute hosts, smallest first")
    parser.add_argument("--rounds", type=int, default=5, help="how often status is measured")
    parser.add_argument("--tags", nargs="*", default=[], help="only these roles; default: every role of the cloud")
    parser.add_argument("--drive", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        return drive(given.drive[0], given.drive[1], given.tags)
    found = tuple(figures([measure(hosts, given.rounds, given.tags) for hosts in sorted(given.hosts)]))
    sys.stdout.write(report(found) + "\n")
    return 0 if all(figure.kept for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
