"""Controller and supervisor are killed, an API is taken away meanwhile: the probe goes on, tells of it, and ends.

What it reports is held against the log of the server that was taken away.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.availability_kit.cloud import PASSWORD
from tests.engine_kit.place import REPO, prepare
from tests.engine_kit.world import World
from upgrader import attempts
from upgrader.availability import downtime, during, now, timeline
from upgrader.availability.records import probe_pid, probe_works
from upgrader.availability.work import attempt_folders
from upgrader.journal import open_journal
from upgrader.states import RunState, State

pytestmark = pytest.mark.slow
AWAY = 3.0


def until(there: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "cloud"
    folder.mkdir()
    words = [sys.executable, "-m", "tests.availability_kit.cloud", str(folder), "3"]
    server = subprocess.Popen(words, cwd=REPO)
    until((folder / "ports.json").exists)
    yield folder
    server.kill()
    server.wait()


def say(cloud: Path, port: int, mode: str) -> None:
    before = len(json.loads((cloud / "truth.log").read_text())) if (cloud / "truth.log").exists() else 0
    with (cloud / "say").open("a") as stream:
        stream.write(f"{port} {mode}\n")
    until(lambda: (cloud / "truth.log").exists() and len(json.loads((cloud / "truth.log").read_text())) > before)


def test_killed_and_resumed(cloud: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    site = prepare(place)
    (place / "passwords.yml").write_text(f"keystone_admin_password: {PASSWORD}\n")
    (place / "globals.yml").write_text("{}\n")
    World.of(site.state_dir).script({"upgrade": ["wait"]})
    ports = json.loads((cloud / "ports.json").read_text())
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "tests.outside.controller", str(place), f"http://127.0.0.1:{ports[0]}/v3"]

    controller = subprocess.Popen(command, env=environment)
    state = site.state_dir
    until(lambda: list(state.glob("availability/*/present.json")))
    (folder,) = (path.parent for path in state.glob("availability/*/present.json"))
    until(lambda: len(now(folder).apis) == 5 and {one.state for one in now(folder).apis} == {"up"})
    probe = probe_pid(folder)

    def at_work() -> int:
        with open_journal(state, readonly=True) as journal:
            row = journal.snapshot().attempt
        return row.pid if row is not None and row.stage is State.UPGRADE else 0

    until(at_work)
    supervisor = at_work()
    (attempt,) = attempt_folders(state, folder.name)[-1:]
    until(lambda: any(line.get("kind") == "step_start" for line in attempts.read_progress(attempt)[0]))
    controller.kill()
    os.kill(supervisor, signal.SIGKILL)
    controller.wait()

    say(cloud, ports[1], "closed")
    until(lambda: now(folder).away == ("service1",))
    time.sleep(AWAY)
    say(cloud, ports[1], "up")
    until(lambda: not now(folder).away)
    assert probe_works(folder) and probe_pid(folder) == probe

    assert subprocess.run(command, env=environment, check=False).returncode == 0
    with open_journal(state, readonly=True) as journal:
        run = journal.snapshot().run
    assert run is not None and run.id == folder.name and run.state is RunState.DONE
    told = [json.loads(line) for line in (place / "said").read_text().splitlines()]
    started = [data["text"] for kind, data in told if kind == "note" and "outside" in data["text"]]
    assert len(started) == 1 and probe_pid(folder) == probe, "one probe for the whole run"
    until(lambda: not probe_works(folder))
    assert now(folder).words == "the run is done"

    truth = {kind: at for at, port, kind in json.loads((cloud / "truth.log").read_text())[3:] if port == ports[1]}
    away = truth["open"] - truth["closed"]
    found = {one.api: one for one in downtime(folder)}
    (outage,) = found["service1"].outages
    print(f"away {away:.3f} s; reported {outage.seconds:.3f} s, {outage.low:.3f} to {outage.high:.3f} s")
    assert outage.low - 0.005 <= away <= outage.high + 0.005
    assert outage.high - outage.low < 1.0
    assert {one.failed for name, one in found.items() if name != "service1"} == {0}
    assert {one.unknown for one in found.values()} == {0.0}
    works = timeline(attempt_folders(state, folder.name))
    assert [share.work.stage for share in during(outage, works)][:1] in (["upgrade"], [])
    whole = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in whole
