"""kill -9 at every failpoint of controller and supervisor, in every stage, forward and on each way back (T1).

A schedule walks a hop leg by leg. In each leg one life is killed (the controller's, its supervisor's, or both) and
the next ones resume; the end has to be the end of an undisturbed walk, nothing one-way may have happened twice
without a decision in between, and journal and cloud have to agree after every leg. Processes, signals, journal,
engine, supervisors and the files of attempts are real; only the cloud is one of files (tests/engine_kit).
"""

from __future__ import annotations

import json
import queue
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.crash.drive import WAYS
from tests.engine_kit.place import REPO, opened, prepare, site_of
from tests.engine_kit.world import World
from tests.journal_kit import ram_folder
from tests.journal_kit.history import DECISIONS, broken_laws
from upgrader import attempts
from upgrader.journal.rows import EventRow
from upgrader.states import Ponr, RunState

SCRIPTS = {
    "forward": {},
    "redeploy": {"upgrade": ["fail_early"]},
    "restore": {"upgrade": ["fail"]},
    "queues": {"broker": ["fail"]},
}
"""What the attempts do in the walk that comes before the legs of a way."""
BEFORE = {"redeploy": ("failing", "upgrade"), "restore": ("failing", "upgrade"), "queues": ("stuck", "broker")}
"""That walk, and its last leg."""
ENDS = {"forward": RunState.DONE, **dict.fromkeys(BEFORE, RunState.ROLLED_BACK)}
FEWEST_POINTS = {"forward": 450, "redeploy": 100, "restore": 110, "queues": 100}
_SUPERVISED = ("supervisor.", "stage.", "play.", "world.")


class Server:
    """A process that lives controllers, see tests/crash/drive.py."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.drive"]
        self.process = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def live(self, place: Path, way: str, leg: str, *, failpoint: str = "", log: str = "", real: bool = False) -> int:
        """The exit code of one life; -9 when it was killed."""
        order = {"place": str(place), "way": way, "leg": leg, "failpoint": failpoint, "log": log, "real": real}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(json.loads(self.process.stdout.readline())["code"])

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Ground:
    """Templates of places, the points of every leg, and the ends of undisturbed walks; each way when it is wanted."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.known: dict[str, dict[str, list[str]]] = {}
        self.ends: dict[str, Any] = {}

    def points(self, way: str) -> dict[str, list[str]]:
        """The failpoints of each leg, in their order."""
        if way not in self.known:
            self.known[way] = self._walk(way)
        return self.known[way]

    def _walk(self, way: str) -> dict[str, list[str]]:
        start = prepare(self.folder / way).state_dir.parent
        world = World.of(start / "state")
        world.script(SCRIPTS[way])
        if way in BEFORE:
            assert self.server.live(start, *BEFORE[way]) == 0, _errors(start)
        walked = self.place(way, "undisturbed")
        points = {}
        for leg in WAYS[way][:-1]:
            log = walked / f"{leg}.log"
            assert self.server.live(walked, way, leg, log=str(log)) == 0, _errors(walked)
            points[leg] = list(dict.fromkeys(log.read_text().split()))
        self.ends[way] = World.of(walked / "state").condition()
        _judge(walked, way, self.ends[way])
        return points

    def place(self, way: str, name: str) -> Path:
        """A fresh place at the beginning of a way. Its backup set is the template's: it is only read."""
        return Path(shutil.copytree(self.folder / way, self.folder / f"{way}-{name}"))

    def diagonals(self, way: str) -> list[dict[str, str]]:
        """As many schedules as the longest leg has points; together they kill at each point of each leg."""
        legs = self.points(way)
        longest = max(map(len, legs.values()))
        return [{leg: points[(number) % len(points)] for leg, points in legs.items()} for number in range(longest)]


def _errors(place: Path) -> str:
    return (place / "errors.log").read_text()[-3000:]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    made = [Server(), Server()]
    yield made
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def ground(servers: list[Server]) -> Iterator[Ground]:
    with ram_folder() as folder:
        yield Ground(folder, servers[0])


def schedule(
    server: Server, ground: Ground, way: str, kills: Mapping[str, str], *, name: str, real: bool = False,
    again: random.Random | None = None,
) -> int:  # fmt: skip
    """Walk a way with a kill in each leg; with `again`, the resume is killed too. Returns how many kills there were."""
    place = ground.place(way, name)
    done = 0
    for leg, point in kills.items():
        told = f"{way} {name}: killed at {point} of {leg}"
        log = place / f"{leg}.killed"
        server.live(place, way, leg, failpoint=point, log=str(log), real=real)
        if again is not None:
            second = again.choice(ground.points(way)[leg])
            told += f", then at {second}"
            done += server.live(place, way, leg, failpoint=second, real=real) == -9
        assert server.live(place, way, leg, real=real) == 0, f"{told}\n{_errors(place)}"
        passed = log.read_text().split()
        assert set(point.split(",")) & set(passed), f"{told}: never came there"
        done += len(set(point.split(",")) & set(passed))
        _agree(place, told)
    _judge(place, way, ground.ends[way], f"{way} {name}: {kills}")
    shutil.rmtree(place)
    return done


def _agree(place: Path, told: str) -> None:
    """After every leg: journal and cloud say the same about the line, and nothing is under way."""
    world = World.of(place / "state")
    with opened(site_of(place)) as session:
        shot = session.journal.snapshot()
        assert shot.attempt is None, told
        hop = shot.hops[0]
        changed = any(row["effect"] == "schema" and row["to"] == hop.target for row in world.effects())
        assert not changed or hop.ponr is Ponr.CROSSED, told
        events = list(session.journal.events())
    assert broken_laws(events) == [], told
    assert world.twice() == [], told
    assert unexplained(world, events) == [], told


def _judge(place: Path, way: str, end: Any, told: str = "") -> None:
    """At the end: where an undisturbed walk ends, the whole history sound, no process left."""
    _agree(place, told)
    world = World.of(place / "state")
    with opened(site_of(place)) as session:
        assert session.journal.verify() == (), told
        assert session.journal.rebuild() == (), told
        shot = session.journal.snapshot()
        events = list(session.journal.events())
    assert shot.run is not None and shot.run.state is ENDS[way], told
    assert world.condition() == end, told
    intended = {event.attempt for event in events if event.kind == "attempt_intended"}
    assert {row["attempt"] for row in world.effects()} <= intended, told
    void = {event.attempt for event in events if event.kind == "attempt_finished" and event.data["result"] == "void"}
    assert not void & {row["attempt"] for row in world.effects()}, f"{told}: void, but it worked"
    assert not any(attempts.running(attempts.folder_of(place / "state", attempt)) for attempt in intended), told


def unexplained(world: World, events: Sequence[EventRow]) -> list[str]:
    """One-way effects that a later attempt of the same stage had again without a decision or a probe in between."""
    stage = {event.attempt: event.data["stage"] for event in events if event.kind == "attempt_intended"}
    began = {event.attempt: event.seq for event in events if event.kind == "attempt_intended"}
    decided = [event.seq for event in events if event.kind == "hop_moved" and event.data["event"] in DECISIONS]
    last: dict[str, str] = {}
    found = []
    for attempt in dict.fromkeys(row["attempt"] for row in world.effects()):
        before = last.get(stage[attempt])
        if before is not None and not any(began[before] < seq < began[attempt] for seq in decided):
            found.append(f"{stage[attempt]} {before} and {attempt}")
        last[stage[attempt]] = attempt
    return found


def both(point: str) -> str:
    """The supervisor's point; and its controller is killed as well, so that nobody sees it die."""
    return f"{point},engine.launched:1" if point.startswith(_SUPERVISED) else point


# ---------------------------------------------------------------- a few


@pytest.mark.slow
@pytest.mark.parametrize("way", SCRIPTS)
def test_kills_along_a_way(servers: list[Server], ground: Ground, way: str) -> None:
    """Supervisors started as in earnest; one point in each leg, each leg another."""
    legs = ground.points(way)
    kills = {leg: points[(17 * (1 + number)) % len(points)] for number, (leg, points) in enumerate(legs.items())}
    assert schedule(servers[0], ground, way, kills, name="few", real=True) >= len(legs)


@pytest.mark.parametrize(
    "point",
    [
        "world.schema.after:1",
        *(pytest.param(point, marks=pytest.mark.slow) for point in ("world.settings.before:1", "play.result:1")),
    ],
)
def test_supervisor_and_controller_die_in_an_upgrade(servers: list[Server], ground: Ground, point: str) -> None:
    kills = {"pending": "engine.between:1", "upgrade": both(point)}
    kills = {leg: kills.get(leg, "lease.card:1") for leg in ground.points("forward")}
    assert schedule(servers[0], ground, "forward", kills, name=f"both-{point.partition(chr(58))[0]}") >= len(kills)


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in ("forward", "restore") else pytest.mark.slow) for way in SCRIPTS]
)
def test_points_are_where_they_should_be(ground: Ground, way: str) -> None:
    """The sweep stands on this list: nobody shall lose a failpoint without noticing."""
    everywhere = {
        "lease.locked:1", "lease.card:1", "lease.release:1", "engine.intend:1", "engine.intended:1", "attempt.folder:1",
        "attempt.requested:1", "attempt.spawned:1", "engine.launched:1", "engine.judged:1", "engine.settled:1",
        "supervisor.locked:1", "supervisor.started:1", "supervisor.stage_done:1", "supervisor.waited:1",
        "supervisor.exit_written:1",
    }  # fmt: skip
    commits = {"enter", "intend", "launched", "step", "finish"}
    legs = ground.points(way)
    for leg, points in legs.items():
        if leg in ("pending", "hold_broker", "hold_upgrade", "hold_finalize", "decide", "decide_broker"):
            continue
        assert everywhere <= set(points), (way, leg)
        for commit in commits:
            for at in ("before_promise", "before_commit", "after_commit", "done"):
                assert f"journal.{commit}.{at}:1" in points, (way, leg)
    assert sum(map(len, legs.values())) >= FEWEST_POINTS[way]


# ---------------------------------------------------------------- all of them


def sweep(servers: list[Server], ground: Ground, way: str, schedules: Sequence[Mapping[str, str]], **more: Any) -> int:
    free: queue.Queue[Server] = queue.Queue()
    for server in servers:
        free.put(server)

    def run(number: int) -> int:
        server = free.get()
        try:
            return schedule(server, ground, way, schedules[number], name=f"{more.get('kind', '')}{number}", **extra)
        finally:
            free.put(server)

    extra = {key: value for key, value in more.items() if key != "kind"}
    with ThreadPoolExecutor(len(servers)) as pool:
        return sum(pool.map(run, range(len(schedules))))


@pytest.mark.slow
@pytest.mark.parametrize("way", list(SCRIPTS))
def test_a_kill_at_every_point(servers: list[Server], ground: Ground, way: str) -> None:
    kills = sweep(servers, ground, way, ground.diagonals(way), kind="every")
    assert kills >= sum(map(len, ground.points(way).values()))


@pytest.mark.slow
@pytest.mark.parametrize("way", list(SCRIPTS))
def test_both_die_at_every_point_of_the_supervisor(servers: list[Server], ground: Ground, way: str) -> None:
    schedules = [{leg: both(point) for leg, point in kills.items()} for kills in ground.diagonals(way)]
    sweep(servers, ground, way, schedules, kind="both")


@pytest.mark.slow
@pytest.mark.parametrize("way", list(SCRIPTS))
def test_the_resume_is_killed_too(servers: list[Server], ground: Ground, way: str) -> None:
    seeds = random.Random(4711)  # noqa: S311 - names a set of schedules
    schedules = seeds.sample(ground.diagonals(way), 20)
    sweep(servers, ground, way, schedules, kind="again", again=seeds)
