"""Measures what has to be quick, as ratios within one run: `make bench`, or `python benchmarks/run.py --help`.

Each pair is measured in turn, one after the other, so that a busy machine slows both; the ratio is of the medians.
Wall time is what a person waits for; the ratio of processor time is printed beside it because it hardly depends on
what else the machine does. Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.engine_kit.place import a_plan, opened, prepare, site_of  # noqa: E402
from tests.engine_kit.world import World  # noqa: E402
from upgrader.journal import open_journal  # noqa: E402
from upgrader.journal.place import Durability  # noqa: E402
from upgrader.states import State  # noqa: E402

UPGRADER = (sys.executable, "-m", "upgrader")
BARE = (sys.executable, "-c", "import networkx, pydantic, rich")
EVENTS = 100_000
SITE = '[site]\nname = "bench"\n[kolla]\nconfig_dir = "."\ninventory = "hosts"\n[state]\ndir = "state"\n'


@dataclass
class Sample:
    """Seconds of one command, each list in the order of the rounds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """One line of the report. `value` and `limit` are ratios, or seconds where `seconds` says so."""

    name: str
    value: float
    limit: float
    seconds: bool
    detail: str
    cpu_ratio: float | None = None

    @property
    def kept(self) -> bool:
        return self.value <= self.limit


def environment(**more: str) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("UPGRADER_", "PYTHON"))}
    return {**plain, "PYTHONPATH": str(REPO), **more}


def once(command: Sequence[str], cwd: Path, env: Mapping[str, str], sample: Sample) -> None:
    """Run a command to its end and add what it took. Raises CalledProcessError: a failing command measures nothing."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    sample.wall.append(took)
    sample.cpu.append(usage.ru_utime + usage.ru_stime)


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int, cwd: Path, env: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Sample]:
    """Every command once per round; a first round that fills caches does not count."""
    samples = {name: Sample() for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            once(command, cwd, (env or {}).get(name, environment()), Sample() if number == 0 else samples[name])
    return samples


def ratio(name: str, samples: Mapping[str, Sample], ours: str, theirs: str, limit: float) -> Figure:
    def median(which: str, kind: str) -> float:
        return float(statistics.median(getattr(samples[which], kind)))

    value = median(ours, "wall") / median(theirs, "wall")
    detail = f"{median(ours, 'wall'):.3f} s against {median(theirs, 'wall'):.3f} s"
    return Figure(name, value, limit, False, detail, median(ours, "cpu") / median(theirs, "cpu"))


# ---------------------------------------------------------------- grounds


@contextmanager
def ground() -> Iterator[Path]:
    """A folder with a site and an open run."""
    with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as name:
        place = Path(name)
        (place / "upgrader.toml").write_text(SITE)
        with opened(prepare(place)) as session:
            session.begin(a_plan(session.journal))
            session.journal.begin_hop(0)
        yield place


def lengthen(place: Path, events: int) -> float:
    """Write events with the journal's own writer, as the steps of one attempt. Returns the seconds it took."""
    began = time.perf_counter()
    with opened(site_of(place), durability=Durability("OFF", False)) as session:
        attempt = session.journal.intend(0, State.PREFLIGHT, request_sha256="0" * 64)
        session.journal.launched(attempt.id, 4_000_000)
        while session.journal.snapshot(0).last_seq < events:
            for number in range(1000):
                session.journal.step(attempt.id, f"step {number}", "success", "a message of the usual length, or so")
    return time.perf_counter() - began


# ---------------------------------------------------------------- what is measured


def against_kolla(kolla: Path, rounds: int) -> list[Figure]:
    """`--help`, completion and `status`, cold, against `kolla-ansible --help`."""
    completing = {"COMP_WORDS": "upgrader st", "COMP_CWORD": "1", "_UPGRADER_COMPLETE": "complete_bash"}
    with ground() as place:
        commands = {
            "kolla-ansible": (str(kolla), "--help"),
            "--help": (*UPGRADER, "--help"),
            "completion": UPGRADER,
            "status": (*UPGRADER, "status"),
            "status --json": (*UPGRADER, "status", "--json"),
        }
        samples = interleaved(commands, rounds, place, {"completion": environment(**completing)})
    ours = [name for name in commands if name != "kolla-ansible"]
    return [ratio(f"{name} / kolla-ansible --help", samples, name, "kolla-ansible", 1.5) for name in ours]


def planning(rounds: int) -> list[Figure]:
    """A paper plan of three hops, cold, against importing three of the libraries it needs."""
    plan = (*UPGRADER, "plan", "--from", "2024.1", "--to", "2025.2")
    commands = {"bare": BARE, "plan": plan, "plan --json": (*plan, "--json")}
    with tempfile.TemporaryDirectory() as name:
        samples = interleaved(commands, rounds, Path(name))
    return [
        ratio(f"{which} / import networkx, pydantic, rich", samples, which, "bare", 1.25)
        for which in ("plan", "plan --json")
    ]


def long_journal(rounds: int, events: int) -> list[Figure]:
    """`status`, cold, with a long history, and beside it with a short one."""
    with ground() as place, ground() as young:
        took = lengthen(place, events)
        lengthen(young, 10)
        here, there = ((*UPGRADER, "--site", str(where), "status") for where in (place, young))
        samples = interleaved({"long": here, "short": there}, rounds, place)
    growth = ratio("", samples, "long", "short", 0)
    detail = f"{growth.detail} with 10 events; {events} events were written in {took:.0f} s"
    value = statistics.median(samples["long"].wall)
    return [Figure(f"status with {events} events", value, 0.3, True, detail, growth.cpu_ratio)]


def resuming(rounds: int) -> list[Figure]:
    """kill -9 of controller and supervisor in a stage; a new process knows what became of it. Looking at the cloud,
    which only a lost upgrade needs, is not in it: that is an Ansible play and costs what Ansible costs."""
    sample = Sample()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="upgrader-bench-") as name:
            place = Path(name)
            site = prepare(place)
            World.of(site.state_dir).script({"preflight": ["wait"]})
            _killed(place)
            once([sys.executable, "-m", "benchmarks.resume", name], place, environment(), sample)
            told = (place / "told").read_text()
            if told != "lost unknown":
                raise RuntimeError(f"resume said {told!r}")
    wall, cpu = statistics.median(sample.wall), statistics.median(sample.cpu)
    span = f"{min(sample.wall):.2f} to {max(sample.wall):.2f} s"
    detail = f"{span} from the start of the process, processor time {cpu:.2f} s"
    return [Figure("resume knows what became of a killed attempt", wall, 2.0, True, detail)]


def _killed(place: Path) -> None:
    controller = subprocess.Popen([sys.executable, "-m", "benchmarks.resume", str(place)], env=environment())
    _until(lambda: any((place / "state").glob("attempts/*/progress.jsonl")))
    with open_journal(place / "state", readonly=True) as journal:
        _until(lambda: (shot := journal.snapshot()).attempt is not None and shot.attempt.pid > 0)
        attempt = journal.snapshot().attempt
    if attempt is None:
        raise RuntimeError("the attempt ended before it was killed")
    controller.kill()
    os.kill(attempt.pid, signal.SIGKILL)
    controller.wait()
    _until(lambda: not Path(f"/proc/{attempt.pid}/environ").exists() or _is_zombie(attempt.pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _until(there: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


# ---------------------------------------------------------------- report


def report(figures: Sequence[Figure]) -> str:
    # seconds mean little on a busy machine, ratios still do
    lines = [f"{os.cpu_count()} processors, {os.getloadavg()[0]:.1f} processes at work on this machine"]
    for figure in figures:
        unit = " s" if figure.seconds else "x"
        cpu = f"  (ratio of processor time {figure.cpu_ratio:.2f})" if figure.cpu_ratio is not None else ""
        verdict = "ok    " if figure.kept else "MISSED"
        lines.append(f"{verdict} {figure.name:<52} {figure.value:6.2f}{unit:<2} of {figure.limit:.2f}{unit}{cpu}")
        lines.append(f"       {figure.detail}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is measured (default 15)")
    found = shutil.which("kolla-ansible")
    helping = "of a built toolchain; without it the ratios to it are left out"
    parser.add_argument("--kolla-ansible", type=Path, metavar="PATH", default=found, help=helping)
    parser.add_argument("--events", type=int, default=EVENTS, help="length of the long journal")
    parser.add_argument("--only", choices=("kolla", "plan", "journal", "resume"), help="measure one thing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    parts: dict[str, Callable[[], list[Figure]]] = {
        "kolla": lambda: against_kolla(Path(given.kolla_ansible), given.rounds),
        "plan": lambda: planning(given.rounds),
        "journal": lambda: long_journal(given.rounds, given.events),
        "resume": lambda: resuming(max(3, given.rounds // 3)),
    }
    if given.kolla_ansible is None:
        parts.pop("kolla")
        sys.stderr.write("No kolla-ansible on PATH and none given: the ratios to it are not measured.\n")
    figures = [figure for name, part in parts.items() if given.only in (None, name) for figure in part()]
    document = [{**vars(figure), "kept": figure.kept} for figure in figures]
    sys.stdout.write((json.dumps(document, indent=2) if given.json else report(figures)) + "\n")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
