"""`upgrader serve` as it is started: what is refused and how it is said, that it serves, and how it ends."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import REPO
from tests.watch_kit import going
from upgrader.cli.main import main
from upgrader.config import load_site
from upgrader.errors import ConfigError

SITE = '[site]\nname = "crash"\n[kolla]\nconfig_dir = "."\ninventory = "inventory"\n[state]\ndir = "state"\n'
TOKEN = "a-token-that-is-long-enough-0"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "upgrader.toml").write_text(SITE)
    return tmp_path


def test_a_port_that_is_taken(place: Path, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--site", str(place), "serve", "--listen", f"127.0.0.1:{port}"]) == 3
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}: another process listens there" in said
    assert f"Next:  upgrader --site {place} serve --listen 127.0.0.1:{port + 1}" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--listen", "0.0.0.0:8620"], 2, "no token guards the page"),
        (["--listen", "[::]:8620"], 2, "no token guards the page"),
        (["--listen", "host.example:1"], 2, "is no IP address"),
        (["--listen", "127.0.0.1:99999"], 2, "is no port"),
        (["--token-file", "missing"], 2, "is not there"),
        (["--listen", "203.0.113.7:8620", "--token-file", "token"], 3, "does not have that address"),
    ],
)
def test_what_is_refused(place: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]):
    words = [str(place / word) if word in ("token", "missing") else word for word in words]
    (place / "token").write_text(TOKEN)
    (place / "token").chmod(0o600)
    assert main(["--site", str(place), "serve", *words]) == code
    said = capsys.readouterr().err
    assert says in said and "Next:" in said
    assert TOKEN not in said and "Traceback" not in said


def test_without_the_extra(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "h11" else real(name, *rest))
    assert main(["--site", str(place), "serve"]) == 3
    assert "Next:  pip install 'upgrader[serve]'" in capsys.readouterr().err


def test_what_cannot_be_read_is_said_before_it_serves(place: Path, capsys: pytest.CaptureFixture[str]):
    (place / "state").mkdir()
    (place / "state" / "journal.db").write_bytes(b"not a database, and long enough to be looked at" * 40)
    assert main(["--site", str(place), "serve", "--listen", "127.0.0.1:0"]) not in (0, 1)
    assert "journal" in capsys.readouterr().err


def test_the_site_file(place: Path):
    file = place / "upgrader.toml"
    assert load_site(file).serve.listen == "127.0.0.1:8620"
    file.write_text(SITE + '[serve]\nlisten = "0.0.0.0:80"\ntoken_file = "token"\nnames = ["Up.example"]\n')
    rules = load_site(file).serve
    assert (rules.listen, rules.token_file, rules.names) == ("0.0.0.0:80", place / "token", ("up.example",))
    file.write_text(SITE + '[serve]\nlisten = 80\nnames = "x"\ntoken = "never here"\n')
    with pytest.raises(ConfigError) as caught:
        load_site(file)
    assert len(caught.value.details) == 3


def test_help_says_where_tls_is(capsys: pytest.CaptureFixture[str]):
    assert main(["serve", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "behind your proxy, which has TLS" in said and "ssh -L" in said


# ------------------------------------------------------------ the real process


@contextmanager
def served(place: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "upgrader", "--site", str(place), "serve", "--listen", "127.0.0.1:0", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        yield process, process.stderr.readline().split()[0]
    finally:
        process.kill()
        process.wait()


def get(address: str, **headers: str) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_serves_and_ends(place: Path, number: signal.Signals, code: int):
    with going(place) as run, served(place) as (process, address):
        assert get(address + "status.json")["status"]["run"] == run.run
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code and out == ""
    assert ("The run is not touched" in err) is (code == 130) and "Traceback" not in err


@pytest.mark.slow
def test_it_serves_with_a_token(place: Path):
    (place / "token").write_text(TOKEN + "\n")
    (place / "token").chmod(0o600)
    with going(place), served(place, "--token-file", "token") as (process, address):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(address + "status.json")
        basic = base64.b64encode(f"me:{TOKEN}".encode()).decode()
        assert get(address + "status.json", Authorization=f"Basic {basic}")["kind"] == "watched"
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert TOKEN.encode() not in command
        process.send_signal(signal.SIGTERM)
        assert TOKEN not in "".join(process.communicate(timeout=30))
