"""`status --watch` on a terminal, in a pipe and as JSON: it follows, fits, and ends as it should."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.house.tree import REPO
from tests.screen_kit import Terminal
from tests.watch_kit import Going, going
from upgrader.cli import status_watch
from upgrader.cli.main import main
from upgrader.states import RunState, State

SITE = '[site]\nname = "crash"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n[state]\ndir = "state"\n'
PATIENCE = 60.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "upgrader.toml").write_text(SITE)
    return tmp_path


def under_way(run: Going) -> None:
    run.begin()
    run.step("kolla-ansible upgrade to 2024.2")
    run.play("ctl1", "ctl2")
    run.task("Copying over config", "ctl1", "ctl2")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens at each pause; after the last thing, Ctrl-C."""

    def play(*steps: Callable[[], object]) -> None:
        waiting = list(steps)

        def pause(_seconds: float) -> bool:
            if not waiting:
                raise KeyboardInterrupt
            waiting.pop(0)()
            return True

        @contextmanager
        def alarm() -> Iterator[Callable[[float], bool]]:
            yield pause

        monkeypatch.setattr(status_watch, "_alarm", alarm)

    return play


def test_a_line_per_change_in_a_pipe(place: Path, script: Callable[..., None], capsys: pytest.CaptureFixture[str]):
    with going(place) as run:
        script(
            lambda: under_way(run), lambda: None, lambda: run.event("host_failed", task="t", host="ctl2", message="no")
        )
        assert main(["--site", str(place), "status", "--watch"]) == 130
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].endswith("crash: RUNNING hop 1 of 2 2024.1 → 2024.2")
    assert [line[21:] for line in lines if "ctl2" in line] == ["✗ ctl2 failed at t: no"]
    assert any("now kolla-ansible upgrade to 2024.2: Apply role neutron" in line for line in lines)
    assert len(lines) == len(set(lines)), "nothing is said twice"
    assert f"Next:  upgrader --site {place} status --watch" in err and "not touched" in err


def test_it_ends_with_the_run(place: Path, script: Callable[..., None], capsys: pytest.CaptureFixture[str]):
    with going(place, State.HOLD_BROKER) as run:
        script(lambda: run.journal.end_run(RunState.SUPERSEDED, "anna", "a newer plan"))
        assert main(["--site", str(place), "status", "--watch"]) == 0
        assert "SUPERSEDED" in capsys.readouterr().out
        script(lambda: None)
        assert main(["--site", str(place), "status", "--watch"]) == 130, "a run that had ended before is not the one"


def test_json_is_one_document_per_line_and_change(
    place: Path, script: Callable[..., None], capsys: pytest.CaptureFixture[str]
):
    with going(place) as run:
        script(lambda: None, lambda: under_way(run), lambda: None, lambda: run.task("Restart", "ctl1"))
        assert main(["--site", str(place), "status", "--watch", "--json"]) == 130
    out, err = capsys.readouterr()
    documents = [json.loads(line) for line in out.splitlines()]
    assert [(one["tasks"]["now"] or {}).get("name") for one in documents] == [None, "Copying over config", "Restart"]
    assert {one["kind"] for one in documents} == {"watched"}
    assert "--watch --json" in err


@pytest.mark.parametrize(
    "words", ["--interval 1", "--watch --interval 0", "--watch --interval nan", "--watch --interval x"]
)
def test_intervals_that_are_none(place: Path, words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["--site", str(place), "status", *words.split()]) == 2
    assert capsys.readouterr().err


def test_a_site_that_cannot_be_read_is_an_error_before_anything_is_drawn(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    (place / "state").mkdir()
    (place / "state" / "journal.db").write_bytes(b"not a database, and long enough to be looked at" * 40)
    assert main(["--site", str(place), "status", "--watch"]) not in (0, 1)
    out, err = capsys.readouterr()
    assert out == "" and "journal" in err


# ------------------------------------------------------------ on a real pseudo-terminal


class Pty:
    """The command on a terminal of a size, and what stands on it."""

    def __init__(self, place: Path, columns: int, lines: int, **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.raw = b""
        self.size(columns, lines)
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("UPGRADER", "LC_", "NO_COLOR"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "upgrader", "--site", str(place), "status", "--watch", "--interval", "0.2"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
            env={**plain, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(REPO), **environment},
        )  # fmt: skip
        os.close(slave)

    def size(self, columns: int, lines: int) -> None:
        self.screen = Terminal(columns, lines)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, words: str) -> str:
        """Read until the words stand on the screen; the whole screen."""
        deadline = time.monotonic() + PATIENCE
        while words not in "\n".join(self.screen.text()):
            assert time.monotonic() < deadline, f"{words!r} never came:\n" + "\n".join(self.screen.text())
            if select.select([self.master], [], [], 0.2)[0]:
                data = os.read(self.master, 65536)
                self.raw += data
                self.screen.feed(data.decode())
        return "\n".join(self.screen.text())

    def end(self) -> tuple[int, str]:
        """Exit code, and everything that was written after the screen was given back."""
        rest = b""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            rest += data
        os.close(self.master)
        return self.process.wait(PATIENCE), (self.raw + rest).decode().rpartition("\x1b[?1049l")[2]


@contextmanager
def on_a_terminal(place: Path, columns: int = 80, lines: int = 24, **environment: str) -> Iterator[Pty]:
    watching = Pty(place, columns, lines, **environment)
    try:
        yield watching
    finally:
        if watching.process.poll() is None:
            watching.process.kill()
            watching.process.wait()


def lately(place: Path):  # type: ignore[no-untyped-def]
    return going(place, now=datetime.now(UTC) - timedelta(seconds=5))


@pytest.mark.slow
def test_a_terminal_follows_is_resized_and_comes_back(place: Path):
    with lately(place) as run, on_a_terminal(place) as watching:
        watching.until("RUNNING")
        under_way(run)
        with run.locked():
            wide = watching.until("Copying over config")
            assert "hosts  2 ok · 0 failed" in wide and "Ctrl-C: stop watching" in wide
            watching.size(40, 20)
            narrow = watching.until("Ctrl-C")
            assert "Copying over config" in narrow, narrow
            watching.size(120, 50)
            watching.until("pull succeeded")
            run.task("Restart container", "ctl1")
            watching.until("Restart container")
            watching.process.send_signal(signal.SIGINT)
            code, after = watching.end()
    assert code == 130
    assert f"Next:  upgrader --site {place} status --watch" in after
    text = watching.raw.decode()
    assert text.count("\x1b[?1049h") == 1, "the screen was taken once"


@pytest.mark.slow
def test_a_terminal_at_the_end_of_the_run(place: Path):
    with going(place, State.HOLD_BROKER) as run, on_a_terminal(place) as watching:
        watching.until("WAITING")
        run.journal.end_run(RunState.SUPERSEDED, "anna", "a newer plan")
        code, after = watching.end()
    assert code == 0 and "SUPERSEDED" in after and "work out the way" in after


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 40])
def test_ascii_only_and_narrow(place: Path, columns: int):
    with (
        lately(place) as run,
        on_a_terminal(place, columns, 24, LANG="C", PYTHONIOENCODING="ascii", NO_COLOR="1") as watching,
    ):
        under_way(run)
        with run.locked():
            watching.until("Copying")
        assert watching.raw.isascii()
        assert not re.search(rb"\x1b\[[0-9;]*m", watching.raw), "colour in spite of NO_COLOR"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_given_back_whatever_ends_it(place: Path, number: signal.Signals):
    with lately(place), on_a_terminal(place) as watching:
        watching.until("RUNNING")
        before = termios.tcgetattr(watching.master)[3]
        assert not before & termios.ECHO, "keys would show up in the middle of the screen"
        watching.process.send_signal(number)
        assert watching.process.wait(PATIENCE) == 128 + number
        assert termios.tcgetattr(watching.master)[3] & termios.ECHO
        data = b""
        while select.select([watching.master], [], [], 0.2)[0]:
            try:
                data += os.read(watching.master, 65536)
            except OSError:
                break
        assert b"\x1b[?25h\x1b[?1049l" in data


@pytest.mark.slow
def test_a_dumb_terminal_gets_lines(place: Path):
    with lately(place), on_a_terminal(place, 200, 24, TERM="dumb") as watching:
        watching.until("crash: RUNNING hop 1 of 2")
        assert b"\x1b" not in watching.raw


@pytest.mark.slow
def test_a_line_that_is_idle_costs_next_to_nothing(place: Path):
    """Two seconds at rest, five looks a second: clocks tick, nothing else is sent."""
    with lately(place) as run:
        under_way(run)
        with run.locked(), on_a_terminal(place) as watching:
            watching.until("Ctrl-C")
            before = len(watching.raw)
            began = time.monotonic()
            while time.monotonic() - began < 2:
                if select.select([watching.master], [], [], 0.1)[0]:
                    watching.raw += os.read(watching.master, 65536)
            sent = len(watching.raw) - before
    assert sent < 2 * 400, f"{sent} bytes in two seconds"


class Tmux:
    """A pane with a shell of its own."""

    def __init__(self, place: Path) -> None:
        if shutil.which("tmux") is None and os.environ.get("UPGRADER_CI") != "1":
            pytest.skip("tmux is not installed")
        self._socket = str(place / "tmux")
        self("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1=ready bash --norc --noprofile -i")

    def __call__(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def until(self, true: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true(seen := self("capture-pane", "-p")):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)

    def resize(self, columns: int, *words: str) -> None:
        self("resize-window", "-x", str(columns), "-y", "24")
        self.until(lambda seen: all(word in seen for word in words) and max(map(len, seen.splitlines())) <= columns)


@pytest.mark.slow
def test_in_tmux_resized_suspended_and_stopped(place: Path):
    command = f"PYTHONPATH={REPO} {sys.executable} -m upgrader --site {place} status --watch --interval 0.2"
    tmux = Tmux(place)
    try:
        with lately(place) as run:
            under_way(run)
            with run.locked():
                tmux.until(lambda seen: "ready" in seen)
                tmux("send-keys", command, "Enter")
                for columns in (80, 40, 100):
                    tmux.resize(columns, "Copying over config", "Ctrl-C: stop")
                tmux("send-keys", "C-z")
                tmux.until(lambda seen: "Stopped" in seen and "Copying over config" not in seen)
                tmux("send-keys", "fg", "Enter")
                tmux.until(lambda seen: "Copying over config" in seen and "Stopped" not in seen)
                tmux("send-keys", "C-c")
                tmux.until(lambda seen: "Next:" in seen and "Copying over config" not in seen)
                tmux("send-keys", "echo it is $((6*7))", "Enter")
                tmux.until(lambda seen: "it is 42" in seen)
    finally:
        tmux("kill-server")
