"""The page in a real headless Chromium: it loads, follows the run, comes back, and leaves nobody out.

Pictures go to the folder UPGRADER_TEST_PICTURES names, for people to look at; else to the test's own folder.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.browser_kit import DESKTOP, PHONE, Browser, browser, program
from tests.watch_kit import Going, going, probing
from upgrader.config import Site
from upgrader.progress.kept import keep
from upgrader.progress.tally import Tally
from upgrader.serve.access import Token
from upgrader.serve.address import Address
from upgrader.serve.app import App
from upgrader.serve.feed import Feed
from upgrader.serve.loop import Loop
from upgrader.states import AttemptState, Event
from upgrader.watch.sample import Watcher

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror='window.hit=1'><script>window.hit=1</script>"
TOKEN = "a-token-that-is-long-enough-0"


def beginning(place: Path) -> AbstractContextManager[Going]:
    """A run that is under way by this machine's own clock."""
    return going(place, now=datetime.now(UTC) - timedelta(seconds=20))


class Server:
    """The page of a site on one port, that can go and come back."""

    def __init__(self, site: Site, token: str = "") -> None:
        self.site = site
        self.token = Token(token) if token else None
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.loop = Loop(listening, App(Address("127.0.0.1", self.port), self.token).answer)
        self.feed = Feed(Watcher(self.site).sample, self.loop.wake)
        self.thread = threading.Thread(target=self.loop.run, args=(self.feed,))
        self.feed.start()
        self.thread.start()

    def stop(self) -> None:
        self.loop.stop()
        self.thread.join(20)
        self.feed.stop()


@contextmanager
def serving(run: Going, token: str = "") -> Iterator[Server]:
    server = Server(run.site, token)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker's source, from the npm registry."""
    folder = tmp_path_factory.mktemp("npm")
    words = [
        program("npm"),
        "install",
        "--prefix",
        str(folder),
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "axe-core@4",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    file = folder / "node_modules/axe-core/axe.min.js"
    if not file.exists():
        if os.environ.get("UPGRADER_CI") == "1":
            pytest.fail(done.stderr)
        pytest.skip(f"axe-core cannot be had: {done.stderr[-300:]}")
    return file.read_text(encoding="utf-8")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("UPGRADER_TEST_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def under_way(run: Going) -> None:
    """Everything at once: a host that failed, one whose name is hostile, the line crossed, a task that runs."""
    run.before(**{"Copying over config": 4.0, "Running expand": 38.0, "Restarting": 9.0})
    run.begin()
    run.step("kolla-ansible upgrade to 2024.2")
    run.play(*(f"cmp{number:02d}" for number in range(24)), HOSTILE, "ctl1")
    run.task("Copying over config", "cmp01", "ctl1", seconds=3)
    run.event("host_failed", task="Copying over config", host="cmp07", message="no space left on device")
    run.event("host_unreachable", task="Copying over config", host=HOSTILE, message=HOSTILE)
    run.task("Running expand", "ctl1", seconds=12, watched=True)
    hosts = (*(f"cmp{number:02d}" for number in range(24)), "ctl1")
    counted = Tally()
    for role, last in (("keystone", ("ctl1",)), ("nova", hosts), ("neutron", hosts)):
        counted.take("play_start", play=f"Apply role {role}")
        counted.take("task_start", role=role)
        for host in last:
            counted.take("host_failed" if (role, host) == ("nova", "cmp07") else "host_ok", task=HOSTILE, host=host)
    counted.roles["nova"].broken["cmp07"] = HOSTILE
    keep(next((run.folder / "plays").iterdir()), counted)


def shown(window: Browser, server: Server, size: tuple[int, int] = DESKTOP, **prefers: bool) -> None:
    window.emulate(size, **prefers)
    window.open(server.address)
    window.until(lambda: "live" in str(window.js("return document.getElementById('line-words').innerText")), "live")


def test_it_follows_the_run_without_being_loaded_anew(tmp_path: Path, window: Browser, pictures: Path):
    with beginning(tmp_path) as run:
        under_way(run)
        with run.locked(), probing(run, "away", 41.0), serving(run) as server:
            shown(window, server)
            window.until(lambda: "away, 41 s so far" in window.text(), "the API that is away")
            text = window.text()
            for words in (
                "RUNNING", "hop 1 of 2: 2024.1 → 2024.2", "Running expand", "cmp07", "as usual",
                "24 ok, 1 failed, 1 unreachable", "1 of 3 that were begun are done", "neutron under way on 25 hosts",
                f"nova on 24 of 25 hosts; failed: cmp07 ({HOSTILE})", "Point of no return crossed", "old-computes",
                "preflight",
            ):  # fmt: skip
                assert words in text, f"{words!r} is not in\n{text}"
            window.js("window.mine = 1")
            window.picture(pictures / "desktop.png")
            took = []
            for number in range(5):
                began = time.monotonic()
                run.task(f"Restarting number {number}", "ctl1")
                window.until(lambda number=number: f"number {number}" in window.text(), f"task {number}")  # type: ignore[misc]
                took.append(time.monotonic() - began)
            assert statistics.median(took) <= 2.0, took
            run.end(AttemptState.FAILED, Event.FAILED)
            window.until(lambda: "a decision is due" in window.text(), "the failure")
            assert "upgrader rollback" in window.text()
            assert window.js("return window.mine") == 1, "it was loaded anew"
            assert "decision is due" in window.js("return document.getElementById('said').innerText")


def test_it_comes_back_after_the_server_did(tmp_path: Path, window: Browser, pictures: Path):
    with beginning(tmp_path) as run:
        under_way(run)
        with run.locked(), serving(run) as server:
            shown(window, server)
            server.stop()
            line = "return document.getElementById('line-words').innerText"
            window.until(lambda: "no connection" in str(window.js(line)), "that the line is lost")
            assert "Running expand" in window.text(), "what was known stays, and is marked"
            window.picture(pictures / "lost.png")
            run.task("While nobody looked", "ctl1")
            server.start()
            window.until(lambda: "While nobody looked" in window.text(), "what happened meanwhile")
            window.until(lambda: "live" in str(window.js(line)), "live again")
            run.task("And it goes on", "ctl1")
            window.until(lambda: "And it goes on" in window.text(), "news after the restart")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, (320, 640)])
def test_a_phone(tmp_path: Path, window: Browser, pictures: Path, width: tuple[int, int], dark: bool):
    with beginning(tmp_path) as run:
        under_way(run)
        with run.locked(), serving(run) as server:
            shown(window, server, width, dark=dark, phone=True)
            wide, view = window.js("return [document.documentElement.scrollWidth, window.innerWidth]")
            window.picture(pictures / f"phone-{width[0]}{'-dark' if dark else ''}.png")
            assert wide <= view, "it scrolls sideways"


def test_hostile_names_are_words(tmp_path: Path, window: Browser):
    with beginning(tmp_path) as run:
        under_way(run)
        window.log()
        with run.locked(), serving(run) as server:
            shown(window, server)
            assert HOSTILE in window.text()
            assert (
                window.js("return window.hit || document.querySelectorAll('img:not(#picture), main script').length")
                == 0
            )
            assert window.log() == [], "the browser complained"


def test_nothing_comes_from_elsewhere(tmp_path: Path, window: Browser):
    with beginning(tmp_path) as run, serving(run) as server:
        shown(window, server)
        window.until(lambda: len(window.js("return performance.getEntriesByType('resource').map(e => e.name)")) >= 2)
        names = window.js("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert all(name.startswith(server.address) for name in names), names


def test_the_browser_asks_for_the_token_and_sends_it_on(tmp_path: Path, window: Browser):
    with beginning(tmp_path) as run:
        under_way(run)
        with run.locked(), serving(run, TOKEN) as server:
            window.open(server.address.replace("http://", f"http://me:{TOKEN}@"))
            window.until(lambda: "Running expand" in window.text(), "the page")
            run.task("With a token", "ctl1")
            window.until(lambda: "With a token" in window.text(), "events")
            assert TOKEN not in window.source()


@contextmanager
def state(name: str, place: Path) -> Iterator[Site]:
    """A site whose run is in that state."""
    place.mkdir()
    with ExitStack() as stack:
        with ExitStack() as held:
            run = held.enter_context(beginning(place))
            if name != "at rest":
                under_way(run)
            if name == "under way":
                stack.enter_context(run.locked())
            if name == "failed":
                run.end(AttemptState.FAILED, Event.FAILED)
            if name != "interrupted":
                stack.push(held.pop_all())
        yield run.site


STATES = {
    "at rest": "RUNNING",
    "under way": "Running expand",
    "interrupted": "INTERRUPTED",
    "failed": "decision is due",
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0]}).then(done, error => done({violations: [{id: String(error)}], passes: []}));
"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_nobody_is_left_out(
    tmp_path: Path, window: Browser, axe: str, pictures: Path, size: tuple[int, int], dark: bool
):
    """axe-core's rules, WCAG 2.2 AA and best practices, in every state of a run, light and dark."""
    found = []
    for name, words in STATES.items():
        with state(name, tmp_path / name) as site:
            server = Server(site)
            try:
                shown(window, server, size, dark=dark, calm=True, phone=size == PHONE)
                window.until(lambda words=words: words in window.text(), words)  # type: ignore[misc]
                window.js(axe + "; window.axe = axe;")
                result = window.js_later(CHECK, RULES)
                found += [f"{name}: {one['id']}: {one.get('nodes', '')}" for one in result["violations"]]
                assert len(result["passes"]) > 20
                window.picture(pictures / f"{name.replace(' ', '-')}-{size[0]}{'-dark' if dark else ''}.png")
            finally:
                server.stop()
    assert found == []


def test_before_any_run(tmp_path: Path, window: Browser, pictures: Path):
    from tests.engine_kit.place import site_of

    server = Server(site_of(tmp_path))
    try:
        shown(window, server, PHONE)
        assert "no run was ever started" in window.text()
        window.picture(pictures / "no-run.png")
    finally:
        server.stop()
