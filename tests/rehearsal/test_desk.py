"""One process that has loaded the programs, and a fork of it for every command: what a command sees and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process_kit import text_of
from upgrader.errors import EnvironmentMissingError
from upgrader.graph import load_graph
from upgrader.rehearsal.clerk import EnvironmentDesk, EnvironmentPrograms
from upgrader.rehearsal.environments import Services
from upgrader.rehearsal.programs import RehearsalCanceled

PROGRAM = """
import os, sys, socket, time
LOADED_BY = os.getpid()
def main():
    words = sys.argv[1:]
    if words[:1] == ["exit"]:
        sys.exit(int(words[1]))
    if words[:1] == ["text"]:
        return "told on stderr"
    if words[:1] == ["sleep"]:
        open(words[1], "w").write(str(os.getpid()))
        time.sleep(600)
    if words[:1] == ["die"]:
        os.kill(os.getpid(), 9)
    if words[:1] == ["reach"]:
        socket.create_connection(("127.0.0.1", int(words[1])), timeout=5)
    if words[:1] == ["break"]:
        raise RuntimeError("broken on purpose")
    print("cwd", os.getcwd(), "home", os.environ["HOME"], "own", os.getpid() != LOADED_BY, "key", os.environ.get("KEY"))
"""


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """An environment of one program, made of links to this Python."""
    found = Services("2025.1", tmp_path / "environment")
    found.bin.mkdir(parents=True)
    site = found.dir / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "toy-1.0.dist-info").mkdir(parents=True)
    (site / "toy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (site / "toy-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\ntoy-manage = toy:main\n")
    (site / "toy.py").write_text(PROGRAM)
    (found.dir / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    (found.bin / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    for program in ("toy-manage", "lost-manage"):
        (found.bin / program).touch()
    return found


@pytest.fixture
def stop() -> list[bool]:
    return [False]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def desk(services: Services, tmp_path: Path, place: Path, stop: list[bool]) -> Iterator[EnvironmentDesk]:
    service = load_graph().migrations[0]
    try:
        with EnvironmentPrograms(services, tmp_path / "log", lambda: stop[0]) as programs:
            made = programs.desk(service, place, tmp_path / "socket", {"KEY": "from the set"})
            yield made
            made.close()
    except EnvironmentMissingError as error:
        pytest.skip(error.message)


def test_a_command_runs_in_its_own_process_and_folder(desk: EnvironmentDesk, place: Path) -> None:
    log = place / "1.log"
    first = desk.run(["toy-manage"], log, 60)
    assert first.code == 0
    assert log.read_text().split() == [
        "cwd",
        str(place),
        "home",
        str(place),
        "own",
        "True",
        "key",
        "from",
        "the",
        "set",
    ]
    assert [desk.run(["toy-manage", "exit", "3"], log, 60).code, desk.run(["toy-manage", "text"], log, 60).code] == [
        3,
        1,
    ]
    assert "told on stderr" in log.read_text()


def test_what_breaks_says_why_and_the_next_command_runs(desk: EnvironmentDesk, place: Path) -> None:
    log = place / "1.log"
    assert desk.run(["toy-manage", "break"], log, 60).code == 1
    assert "broken on purpose" in log.read_text()
    assert desk.run(["toy-manage", "die"], log, 60).code == -9
    assert [desk.run(["none-manage"], log, 60).code, desk.run(["lost-manage"], log, 60).code] == [127, 127]
    assert desk.run(["toy-manage"], log, 60).code == 0


def test_a_command_is_ended_at_its_limit(desk: EnvironmentDesk, place: Path) -> None:
    for limit in (0.5, 5, 50, 500):
        assert desk.run(["toy-manage", "sleep", str(place / "pid")], place / "1.log", limit).code is None
        if pid := int(text_of(place / "pid") or 0):  # where a processor is scarce it may not come so far at once
            break
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_wish_to_stop_is_heard_inside_a_command(desk: EnvironmentDesk, place: Path, stop: list[bool]) -> None:
    class Later(list[bool]):
        """False when the command is begun, True as soon as it runs."""

        def __getitem__(self, _: object) -> bool:  # type: ignore[override]
            return (place / "pid").exists()

    desk.programs.cancelled = lambda: Later()[0]
    with pytest.raises(RehearsalCanceled):
        desk.run(["toy-manage", "sleep", str(place / "pid")], place / "1.log", 600)
    with pytest.raises(RehearsalCanceled):
        desk.run(["toy-manage"], place / "1.log", 60)


def test_nothing_can_be_reached_not_even_this_machine(desk: EnvironmentDesk, place: Path) -> None:
    """The canary: a listener on loopback sees no connection."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ran = desk.run(["toy-manage", "reach", str(listener.getsockname()[1])], place / "1.log", 60)
        assert ran.code == 1
        assert "unreachable" in (place / "1.log").read_text()
        with pytest.raises(TimeoutError):
            listener.accept()
