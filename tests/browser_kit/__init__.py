"""A real headless browser, spoken to by its driver's own protocol (W3C WebDriver over HTTP): nothing to install but it.

Debian: `apt-get install chromium chromium-driver`. Without it tests are skipped; with UPGRADER_CI=1 that is a failure.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PHONE = (390, 844)
DESKTOP = (1280, 900)
PATIENCE = 60.0
_PLACES = ("/usr/bin", "/usr/lib/chromium", "/usr/local/bin")


def program(*names: str) -> str:
    """The first of the programs that is here; the test is skipped (in CI: fails) without one."""
    where = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    for name in names:
        found = shutil.which(name, path=where)
        if found:
            return found
    message = f"none of {', '.join(names)} is installed"
    if os.environ.get("UPGRADER_CI") == "1":
        pytest.fail(message)
    pytest.skip(message)


class Browser:
    """One window. Raises AssertionError with the driver's words when it refuses."""

    def __init__(self, driver: str, session: str) -> None:
        self._base = f"{driver}/session/{session}"

    def open(self, address: str) -> None:
        self._ask("POST", "/url", {"url": address})

    def js(self, code: str, *arguments: Any) -> Any:
        """What a function body returns in the page."""
        return self._ask("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def js_later(self, code: str, *arguments: Any) -> Any:
        """The same for code that calls `arguments[arguments.length - 1]` with its result."""
        return self._ask("POST", "/execute/async", {"script": code, "args": list(arguments)})

    def text(self) -> str:
        """All that can be read on the page."""
        return str(self.js("return document.body.innerText"))

    def until(self, true: Callable[[], Any], what: str = "") -> Any:
        """Wait for it; fails after PATIENCE seconds with what stands on the page."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = true()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"never came: {what}; the page says:\n{self.text()}")

    def emulate(self, size: tuple[int, int], *, dark: bool = False, calm: bool = False, phone: bool = False) -> None:
        """Size of the view, and what the reader prefers."""
        width, height = size
        self._cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if calm else "no-preference"},
        ]
        self._cdp("Emulation.setEmulatedMedia", features=features)

    def picture(self, file: Path) -> None:
        """The whole page, as it stands."""
        shot = self._cdp("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def scripts_off(self) -> None:
        self._cdp("Emulation.setScriptExecutionDisabled", value=True)

    def source(self) -> str:
        return str(self._ask("GET", "/source"))

    def log(self) -> list[str]:
        """What the page complained of since the last call."""
        rows = self._ask("POST", "/se/log", {"type": "browser"})
        return [f"{row['level']} {row['message']}" for row in rows]

    def _cdp(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return ask(method, self._base + path, body)


def ask(method: str, address: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {address}: {error.read().decode(errors='replace')[:2000]}") from None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh browser with a fresh profile, gone afterwards."""
    driver, chromium = program("chromedriver"), program("chromium", "chromium-browser", "google-chrome")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [driver, f"--port={port}", "--log-level=SEVERE"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )  # fmt: skip
        try:
            yield from _session(f"http://127.0.0.1:{port}", chromium, profile)
        finally:
            process.terminate()
            process.wait(20)


def _session(driver: str, chromium: str, profile: str) -> Iterator[Browser]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if ask("GET", f"{driver}/status")["ready"]:
                break
        except OSError:
            assert time.monotonic() < deadline, "the driver does not start"
            time.sleep(0.1)
    words = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-data-dir={profile}",
    ]
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # the browser's own sandbox does not work for root
    wanted = {
        "browserName": "chrome", "goog:chromeOptions": {"binary": chromium, "args": words},
        "goog:loggingPrefs": {"browser": "ALL"},
    }  # fmt: skip
    session = ask("POST", f"{driver}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
    try:
        yield Browser(driver, session)
    finally:
        ask("DELETE", f"{driver}/session/{session}")
