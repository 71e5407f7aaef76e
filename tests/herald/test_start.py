"""The engine's side: a herald is started where one is wanted, once; what it could not do is said; nothing is raised."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine_kit.place import a_plan, opened, prepare
from tests.notices_kit import a_notice
from tests.process_kit import wait_until
from upgrader.config import Site, load_site
from upgrader.herald.place import folder_of, lock, pid_of, since, works
from upgrader.herald.start import Call
from upgrader.metric_rules import MetricRules
from upgrader.notice_rules import NoticeRules
from upgrader.notices.ledger import Ledger
from upgrader.processes import alive

SITE = """
[site]
name = "crash"
[kolla]
config_dir = "."
inventory = "inventory"
[state]
dir = "state"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return prepare(tmp_path)


def wanting(site: Site, **rules: Any) -> Site:
    folder = site.file.parent
    (folder / "urls").write_text("a = webhook+http://127.0.0.1:1/TOKEN\n")
    (folder / "urls").chmod(0o600)
    values: dict[str, Any] = {"notices": NoticeRules(urls_file=folder / "urls"), **rules}
    return replace(site, **values)


def test_where_nothing_is_wanted_nothing_is_started(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert Call(site).ensure(1) == () and Call(site).news() == ()
    assert not folder_of(site.state_dir).exists()


def test_beforehand(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "_spawn", lambda _self, _after: [])
    asked = wanting(site, metrics=MetricRules(site.file.parent / "gone" / "upgrader.prom"))
    assert asked.notices.urls_file is not None
    asked.notices.urls_file.chmod(0o666)
    call = Call(asked)
    lines = call.ensure(1)
    assert len(lines) == 2 and "No metrics are written" in lines[0] and "can be read by others" in lines[1]
    assert call.ensure(2) == (), "said once"


def test_check_says_so_days_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from upgrader.herald.findings import telling

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert telling(site) == ()
    asked = wanting(site)
    assert telling(asked) == ()
    (site.file.parent / "urls").write_text("mail = mailto://TOKEN\n")
    (finding,) = telling(replace(asked, metrics=MetricRules(site.file.parent / "x.prom")))
    assert (finding.id, finding.next) == ("notices-not-sent", "pip install 'upgrader[notices]'") and not finding.blocks
    assert "TOKEN" not in str(finding)
    (finding,) = telling(replace(site, metrics=MetricRules(site.file.parent / "gone" / "x.prom")))
    assert finding.id == "metrics-not-written"


def test_whatever_happens_the_run_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", no)
    (line,) = Call(wanting(site)).ensure(1)
    assert "not told" in line and "Cannot allocate memory" in line


def test_a_herald_that_ends_at_once_is_said(site: Site) -> None:
    """Its site file is not there."""
    (line,) = Call(wanting(site)).ensure(1)
    assert "their process ended, see" in line and "herald.log" in line


def test_news(site: Site) -> None:
    """Also what went wrong after the last command had ended; each thing once."""
    asked = wanting(site)
    ledger = Ledger.of(site.state_dir)
    notice = a_notice()
    ledger.open(notice, ["old", "a", "b"])
    ledger.note(notice.id, "old", 2, "failed", "long ago")
    time.sleep(0.002)
    assert Call(asked).news() == ()
    time.sleep(0.002)
    ledger.note(notice.id, "a", 1, "failed", "the server answered 500")
    ledger.note(notice.id, "b", 1, "sent")
    time.sleep(0.002)
    ledger.trouble("Apprise is not installed")
    assert Call(asked).news() == (
        "a was not told of hop_done: the server answered 500; it is tried once more.", "Apprise is not installed",
    )  # fmt: skip
    assert Call(asked).news() == ()
    time.sleep(0.002)
    ledger.note(notice.id, "a", 2, "failed", "the server answered 500")
    assert Call(asked).news() == ("a was not told of hop_done: the server answered 500.",)


def test_since_when(tmp_path: Path) -> None:
    assert since(tmp_path / "h", "one", 5) == 5
    assert since(tmp_path / "h", "one", 9) == 5
    assert since(tmp_path / "h", "another journal", 2) == 2


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "herald"
    assert not works(folder)
    held = lock(folder)
    assert held is not None and works(folder) and pid_of(folder) == os.getpid()
    assert lock(folder, patience=0.0) is None
    os.close(held)
    assert not works(folder)


def test_whoever_looks_does_not_keep_a_herald_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "herald"
    held = lock(folder)
    assert held is not None
    os.close(held)
    with (folder / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert lock(folder, patience=0.0) is None
    assert lock(folder) is not None


# ---------------------------------------------------------------- the process


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Site]:
    prepare(tmp_path)
    (tmp_path / "urls").write_text("a = webhook+http://127.0.0.1:1/TOKEN\n")
    (tmp_path / "urls").chmod(0o600)
    text = SITE + '[metrics]\ntextfile = "upgrader.prom"\n[notices]\nurls_environment = "CLOUD_NOTICES"\n'
    (tmp_path / "upgrader.toml").write_text(text)
    site = load_site(tmp_path / "upgrader.toml")
    yield site
    pid = pid_of(folder_of(site.state_dir))
    if pid and works(folder_of(site.state_dir)):
        os.kill(pid, signal.SIGKILL)


def test_it_outlives_its_starter(real: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of its own, nothing secret to be seen of it; a second one finds it; SIGTERM ends it in order."""
    monkeypatch.setenv("CLOUD_NOTICES", "a = webhook+http://127.0.0.1:1/TOKEN")
    with opened(real) as session:
        session.begin(a_plan(session.journal))
        folder = folder_of(real.state_dir)
        assert Call(real).ensure(session.journal.snapshot().last_seq) == ()
        pid = pid_of(folder)
        assert works(folder) and os.getsid(pid) == pid != os.getsid(0)
        assert Call(real).ensure(0) == () and pid_of(folder) == pid
        place = Path("/proc") / str(pid)
        seen = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        assert b"TOKEN" not in seen and str(real.file).encode() in seen
        textfile = real.file.parent / "upgrader.prom"
        wait_until(textfile.exists, "the metrics")
        session.journal.begin_hop(0)
        wait_until(lambda: 'stage="preflight"} 1' in textfile.read_text(), "the stage in them")
        os.kill(pid, signal.SIGHUP)  # its starter's terminal goes away
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not works(folder), "its end")
        wait_until(lambda: not alive(pid), "its end")
    assert (folder / "herald.log").read_text() == ""
    whole = b"".join(path.read_bytes() for path in real.state_dir.rglob("*") if path.is_file())
    assert b"TOKEN" not in whole + textfile.read_bytes()


def test_it_ends_when_nobody_works(real: Site) -> None:
    """No lease, no attempt: LINGER later it is gone. The wait is cut short, the rest is real."""
    with opened(real) as session:
        session.begin(a_plan(session.journal))
    code = (
        "import upgrader.herald.__main__ as m; m.TICK, m.LINGER = 0.01, 0.2; import sys, pathlib;"
        'sys.exit(m.main(pathlib.Path(sys.argv[1]), b\'{"after": 0, "urls": ""}\'))'
    )
    done = subprocess.run([sys.executable, "-c", code, str(real.file)], check=False, timeout=60)
    assert done.returncode == 0 and not works(folder_of(real.state_dir))
    assert 'state="stopped"} 1' in (real.file.parent / "upgrader.prom").read_text()


# ---------------------------------------------------------------- the commands


def test_every_command_that_takes_the_lease_tells(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its beginning, and once more what went wrong at its end, however it ends."""
    from upgrader.session import session

    heard: list[Any] = []

    class Recorded:
        def __init__(self, told: Site) -> None:
            heard.append(told.name)

        def ensure(self, after: int) -> tuple[str, ...]:
            heard.append(after > 0)
            return ("no metrics",)

        def news(self) -> tuple[str, ...]:
            return ("no notice",)

    monkeypatch.setattr("upgrader.herald.start.Call", Recorded)
    said: list[str] = []

    def say(_kind: str, data: dict[str, Any]) -> None:
        said.append(data["text"].split(maxsplit=1)[1])

    with pytest.raises(KeyboardInterrupt), session(wanting(site), "run", say):
        raise KeyboardInterrupt
    assert heard == ["crash", True] and said == ["no metrics", "no notice"]
    with session(site, "run", say):
        pass
    assert len(heard) == 2 and len(said) == 2, "nothing is wanted, so nothing is loaded"


def test_every_stage_that_begins_tells(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A herald that was killed is there again with the next stage."""
    heard: list[int] = []
    monkeypatch.setattr(Call, "ensure", lambda _self, after: heard.append(after) or ())
    with opened(wanting(site)) as session:
        session.begin(a_plan(session.journal))
        session.journal.begin_hop(0)
        hop = session.journal.snapshot().hop
        assert hop is not None
        session.conduct(session.journal.snapshot()).beside(hop)
        assert heard == [session.journal.snapshot().last_seq]
