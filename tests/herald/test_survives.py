"""Controller, supervisor and herald are killed and the run is resumed: metrics stay current, each event is told once.

Processes, signals, journal, supervisors, the herald, its senders and the receiver are real; only the cloud is one of
files (tests/engine_kit).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.engine_kit.place import REPO, prepare
from tests.engine_kit.world import World
from tests.notices_kit import free_port, hooks
from tests.process_kit import text_of, wait_until
from upgrader.herald.place import folder_of, pid_of, works
from upgrader.journal import open_journal
from upgrader.notices.ledger import Ledger
from upgrader.states import RunState, State

pytestmark = pytest.mark.slow
SITE = """
[site]
name = "crash"
[kolla]
config_dir = "."
inventory = "inventory"
[state]
dir = "state"
[metrics]
textfile = "upgrader.prom"
[notices]
urls_file = "urls"
timeout = 5
"""


def test_killed_and_resumed(tmp_path: Path) -> None:
    site = prepare(tmp_path)
    World.of(site.state_dir).script({"upgrade": ["wait"]})
    (tmp_path / "upgrader.toml").write_text(SITE)
    state, herald = site.state_dir, folder_of(site.state_dir)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "tests.herald.controller", str(tmp_path)]

    def metrics(part: str) -> bool:
        return part in text_of(tmp_path / "upgrader.prom")

    def at_work() -> int:
        with open_journal(state, readonly=True) as journal:
            row = journal.snapshot().attempt
        return row.pid if row is not None and row.stage is State.UPGRADE else 0

    with hooks() as receiver:
        urls = f"good = {receiver.url('/t0ken')}\ndead = webhook+http://127.0.0.1:{free_port()}/t0ken\n"
        (tmp_path / "urls").write_text(urls)
        (tmp_path / "urls").chmod(0o600)
        controller = subprocess.Popen(command, env=environment)
        wait_until(lambda: (tmp_path / "upgrader.prom").exists() and at_work(), "the upgrade")
        supervisor, first = at_work(), pid_of(herald)
        controller.kill()
        controller.wait()
        wait_until(lambda: metrics('state="detached"} 1'), "metrics without a controller")
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: metrics('state="interrupted"} 1'), "metrics without a supervisor")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not works(herald), "the herald's end")

        assert subprocess.run(command, env=environment, check=False).returncode == 0
        with open_journal(state, readonly=True) as journal:
            run = journal.snapshot().run
        assert run is not None and run.state is RunState.DONE
        assert pid_of(herald) != first
        wait_until(lambda: metrics('state="done"} 1'), "the end in the metrics")
        wait_until(lambda: Ledger.of(state).counts()["pending"] == 0, "everything told")
        os.kill(pid_of(herald), signal.SIGTERM)
        wait_until(lambda: not works(herald), "its end")
        events = Counter(got.document["event"] for got in receiver.got)
        ids = Counter(got.document["id"] for got in receiver.got)
    assert events == {"point_of_no_return": 1, "hop_done": 1} and set(ids.values()) == {1}
    found = Ledger.of(state).entries.values()
    assert {one.deliveries["dead"].state for one in found} == {"given up"}
    assert {one.deliveries["dead"].tries for one in found} == {2}
    whole = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "urls")
    assert b"t0ken" not in whole
