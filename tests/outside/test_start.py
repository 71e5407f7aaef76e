"""Starting the probe: once, with nothing secret where others can see it, and never at the price of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.availability_kit.cloud import PASSWORD, Cloud
from tests.engine_kit.place import site_of
from upgrader import facts, outside
from upgrader.availability import downtime, now
from upgrader.availability.records import probe_works
from upgrader.availability_rules import AvailabilityRules
from upgrader.config import Site
from upgrader.errors import EnvironmentMissingError
from upgrader.outside.start import Equipment, ensure, order_for, why_not
from upgrader.outside.where import ANSWER, account, address_in, authorities
from upgrader.runner.base import Play, PlayResult

RUN = "run-one"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.over()


def place(folder: Path, **rules: Any) -> Site:
    (folder / "passwords.yml").write_text(f"database_password: other-canary\nkeystone_admin_password: {PASSWORD}\n")
    (folder / "globals.yml").write_text('openstack_region_name: "north"\nkeystone_admin_user: "root"\n')
    values = {"interval": 0.1, "timeout": 1.0, **rules}
    return site_of(folder, availability=AvailabilityRules(**values))


def no_cloud() -> Equipment:
    raise EnvironmentMissingError("No toolchain is built.")


def processes_of(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_started_once_and_again_after_it_was_killed(cloud: Cloud, tmp_path: Path) -> None:
    site = place(tmp_path, keystone=cloud.url(cloud.port(keystone=True), "/v3"))
    folder = site.state_dir / "availability" / RUN
    first = ensure(site, RUN, no_cloud)
    try:
        assert first.probing and "asked every 0.1 s" in first.words
        (pid,) = processes_of(folder)
        assert ensure(site, RUN, no_cloud) == replace(first, words="")
        assert processes_of(folder) == [pid]
        assert os.getsid(pid) == pid, "a session of its own"
        shown = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        assert PASSWORD.encode() not in shown and b"UPGRADER_ATTEMPT" not in shown
        until(lambda: {one.state for one in now(folder).apis} == {"up"})
        os.kill(pid, signal.SIGKILL)
        until(lambda: not probe_works(folder))
        assert not now(folder).probing and {one.state for one in now(folder).apis} == {"unknown"}
        time.sleep(3.5)
        assert ensure(site, RUN, no_cloud).probing
        until(lambda: {one.state for one in now(folder).apis} == {"up"})
        (one, *_) = [api for api in downtime(folder) if api.api == "keystone validation"]
        assert one.unknown > 3 and one.asked > one.failed
        files = b"".join(path.read_bytes() for path in site.state_dir.rglob("*") if path.is_file())
        assert PASSWORD.encode() not in files and b"other-canary" not in files
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not probe_works(folder))


def test_reasons_not_to_ask(tmp_path: Path) -> None:
    assert why_not(place(tmp_path)) == ""
    assert why_not(place(tmp_path, enabled=False)) == "[availability] enabled is false"
    sandbox = replace(place(tmp_path), sandbox=tmp_path)
    assert why_not(sandbox) == "a sandbox has no public API to ask"
    assert not ensure(sandbox, RUN, no_cloud).probing
    assert why_not(replace(sandbox, availability=AvailabilityRules(keystone="http://h/"))) == ""


def test_nothing_keeps_a_run_from_going_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = place(tmp_path)
    started = ensure(site, RUN, no_cloud)
    assert not started.probing and started.words == "The public APIs are not asked: No toolchain is built."

    def defect() -> Equipment:
        raise RuntimeError("a defect")

    assert "RuntimeError: a defect" in ensure(site, RUN, defect).words
    assert ensure(site, "../..", no_cloud).words.startswith("The public APIs are not asked")
    named = place(tmp_path, keystone="http://127.0.0.1:1/")
    monkeypatch.setattr("upgrader.outside.start.sys.executable", "/bin/false")
    assert "the probe ended with 1" in ensure(named, RUN, no_cloud).words


class Said:
    """A runner whose play answers with what a database server printed."""

    def __init__(self, printed: str) -> None:
        self.printed = printed
        self.plays: list[Play] = []

    def run(self, play: Play, folder: Path, **_: Any) -> PlayResult:
        self.plays.append(play)
        return PlayResult(play.name, "successful", 0, collected={ANSWER: {"db1": {"msg": {"stdout": self.printed}}}})


class Inventory:
    hosts = {"db1": ("mariadb",)}  # noqa: RUF012


def equipped(tmp_path: Path, printed: str) -> Callable[[], Equipment]:
    from types import SimpleNamespace

    toolchain: Any = SimpleNamespace(dir=tmp_path)
    runner: Any = Said(printed)
    return lambda: Equipment(toolchain, runner, tmp_path / "play", Inventory())


PRINTED = "noise\n@@keystone-public\nnorth\thttps://api.north:5000\nsouth\thttps://api.south:5000\n"


def test_the_order_of_a_site(tmp_path: Path) -> None:
    order, missing = order_for(place(tmp_path), RUN, equipped(tmp_path, PRINTED))
    assert (order.keystone, order.region, missing) == ("https://api.north:5000", "north", "")
    assert order.account is not None
    assert (order.account.user, order.account.project, order.account.password) == ("root", "admin", PASSWORD)


def test_what_was_known_before_stands_in_for_a_dead_database(tmp_path: Path) -> None:
    site = place(tmp_path)
    kept = site.state_dir / "availability"
    kept.mkdir(parents=True)
    (kept / "endpoints.json").write_text('{"keystone": "http://old:5000", "catalogue": {"nova": "http://n/"}}')
    for equip in (no_cloud, equipped(tmp_path, "@@failed keystone-public no server\n")):
        order, _ = order_for(site, RUN, equip)
        assert (order.keystone, order.known) == ("http://old:5000", (("nova", "http://n/"),))
    order, _ = order_for(site, RUN, equipped(tmp_path, PRINTED))
    assert (order.keystone, order.known) == ("https://api.north:5000", ())


def test_without_a_password_documents_are_asked(tmp_path: Path) -> None:
    site = place(tmp_path)
    (tmp_path / "passwords.yml").write_text("keystone_admin_password:\n")
    order, missing = order_for(site, RUN, equipped(tmp_path, PRINTED))
    assert order.account is None and "no keystone_admin_password" in missing
    assert account(site, {}) is None
    order, _ = order_for(place(tmp_path, token=False), RUN, equipped(tmp_path, PRINTED))
    assert order.account is None


def test_addresses_a_database_says() -> None:
    assert address_in(PRINTED, "south") == "https://api.south:5000"
    assert address_in(PRINTED, "west") == "https://api.north:5000"
    hostile = "@@keystone-public\nnorth\tftp://x\nnorth\thttp://u:geheim@h:1\nbroken\nnorth\thttp://[::1]:5000\n"
    assert address_in(hostile, "north") == "http://[::1]:5000"
    assert address_in("", "north") == address_in("@@failed keystone-public x", "north") == ""


def test_the_script_that_asks_the_database() -> None:
    """Run by bash with an engine that shows what it was given."""
    folder, here = Path(facts.__file__).parent, Path(outside.__file__).parent
    script = (
        "engine() { printf 'north\\thttp://h:5000\\n'; { echo \"$MYSQL_PWD\"; cat; } >&2; }\n"
        f"database_user=root\n{(folder / 'questions.sh').read_text()}\nsql() {{ mariadb_in mariadb; }}\n"
        f"{(here / 'keystone.sh').read_text()}"
    )
    done = subprocess.run(["bash", "-c", script], input="secret\n", capture_output=True, text=True, check=True)
    assert address_in(done.stdout, "north") == "http://h:5000"
    assert "interface = 'public'" in done.stderr and done.stderr.startswith("secret")


def test_authorities(tmp_path: Path) -> None:
    site = place(tmp_path)
    assert authorities(site) == ()
    (tmp_path / "certificates" / "ca").mkdir(parents=True)
    (tmp_path / "certificates" / "ca" / "root.crt").write_text("x")
    assert authorities(site) == (str(tmp_path / "certificates" / "ca" / "root.crt"),)
    named = place(tmp_path, ca_file=tmp_path / "own.pem")
    assert "own.pem does not exist" in ensure(replace(named, availability=replace(
        named.availability, keystone="http://127.0.0.1:1/")), RUN, no_cloud).words  # fmt: skip
    (tmp_path / "own.pem").write_text("x")
    assert authorities(named) == (str(tmp_path / "own.pem"),)
