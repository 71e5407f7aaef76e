"""The page in a real browser: nobody is left out, nothing runs off a phone's screen, nothing is asked of a network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_kit import DESKTOP, PHONE, Browser, browser, program
from tests.runbook.made import SAMPLES, kind_of

pytestmark = pytest.mark.slow
PAGES = sorted(name for name in SAMPLES if kind_of(name) == "html")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0]}).then(done, error => done({violations: [{id: String(error)}], passes: []}));
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker's source, from the npm registry."""
    folder = tmp_path_factory.mktemp("npm")
    options = ("--ignore-scripts", "--no-audit", "--no-fund")
    words = [program("npm"), "install", "--prefix", str(folder), *options, "axe-core@4"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    file = folder / "node_modules/axe-core/axe.min.js"
    if not file.exists():
        message = f"axe-core cannot be had: {done.stderr[-300:]}"
        if os.environ.get("UPGRADER_CI") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return file.read_text(encoding="utf-8")


def shown(window: Browser, folder: Path, name: str, size: tuple[int, int], *, dark: bool = False) -> None:
    page = folder / name
    page.write_text(SAMPLES[name]().render("html"))
    window.emulate(size, dark=dark, calm=True, phone=size == PHONE)
    window.open(page.as_uri())


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_nobody_is_left_out(tmp_path: Path, window: Browser, axe: str, size: tuple[int, int], dark: bool) -> None:
    """axe-core's rules, WCAG 2.2 AA and best practices, light and dark."""
    found = []
    for name in PAGES:
        shown(window, tmp_path, name, size, dark=dark)
        window.js(axe + "; window.axe = axe;")
        result = window.js_later(CHECK, RULES)
        for one in result["violations"]:
            nodes = one.get("nodes", [])
            found.append(
                f"{name}: {one['id']}, {len(nodes)} times: {[node.get('html', '')[:120] for node in nodes[:3]]}"
            )
        assert len(result["passes"]) > 20
    assert found == []


@pytest.mark.parametrize("size", [(320, 700), PHONE, DESKTOP])
def test_nothing_runs_off_the_screen(tmp_path: Path, window: Browser, size: tuple[int, int]) -> None:
    for name in PAGES:
        shown(window, tmp_path, name, size)
        wide = window.js("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], name


def test_nothing_is_complained_of(tmp_path: Path, window: Browser) -> None:
    """Of the page's own rule that nothing is loaded, among others."""
    window.log()
    for name in PAGES:
        shown(window, tmp_path, name, DESKTOP)
        assert window.js("return performance.getEntriesByType('resource').length") == 0
    assert window.log() == []
