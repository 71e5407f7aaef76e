"""The probe as a whole, in this process: what it asks, writes, says of now, and when it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.availability_kit.cloud import PASSWORD, TOKEN, Cloud
from upgrader.availability import downtime, now
from upgrader.availability import probe as module
from upgrader.availability.keystone import Account
from upgrader.availability.probe import Order, Probe, lock, order_of
from upgrader.availability.records import probe_works
from upgrader.durable import read_json


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.over()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "availability" / "run"
    made.mkdir(parents=True)
    return made


def order(cloud: Cloud, *, keystone: str = "", **more: Any) -> Order:
    account = Account("admin", "admin", PASSWORD) if keystone else None
    values = {"interval": 0.1, "timeout": 15.0, "token_interval": 0.3, "limit": 60.0, "region": "one", **more}
    return Order(keystone=keystone, account=account, **values)


class Running:
    """A probe in a thread, holding the folder's lock as its process would."""

    def __init__(self, folder: Path, order: Order, ended: Callable[[], str] = lambda: "") -> None:
        self.held = lock(folder)
        assert self.held is not None
        self.folder = folder
        self.probe = Probe(folder, order, ended)
        self.reason = ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.reason = self.probe.run()

    def until(self, there: Callable[[], object], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, now(self.folder)
            time.sleep(0.02)

    def end(self) -> str:
        self.probe.stop()
        self.thread.join(10)
        assert self.held is not None
        os.close(self.held)
        return self.reason


def states(folder: Path) -> dict[str, str]:
    return {one.api: one.state for one in now(folder).apis}


def test_catalogue_outage_and_end(cloud: Cloud, folder: Path) -> None:
    keystone, nova = cloud.port(keystone=True), cloud.port()
    cloud.catalogue = [
        {"name": name, "endpoints": [{"interface": "public", "region_id": "one", "url": cloud.url(port, path)}]}
        for name, port, path in (("keystone", keystone, "/v3"), ("nova", nova, "/v2.1/abc"))
    ]
    running = Running(folder, order(cloud, keystone=cloud.url(keystone), endpoints=(("extra", cloud.url(nova)),)))
    every = {"keystone token", "keystone validation", "keystone", "nova", "extra"}
    running.until(lambda: set(states(folder)) == every and set(states(folder).values()) == {"up"})
    cloud.close(nova)
    running.until(lambda: now(folder).away == ("nova", "extra"))
    assert next(one for one in now(folder).apis if one.api == "nova").error.startswith("refused")
    running.until(lambda: next(one.seconds for one in now(folder).apis if one.api == "nova") > 0.3)
    cloud.open(nova)
    running.until(lambda: set(states(folder).values()) == {"up"})
    said = now(folder)
    assert said.probing and said.words == ""
    assert running.end() == "it was asked to end"

    found = {one.api: one for one in downtime(folder)}
    opened = {kind: at for at, port, kind in cloud.truth if port == nova.number}
    away = opened["open"] - opened["closed"]
    assert found["nova"].low - 0.002 <= away <= found["nova"].high + 0.002
    assert found["keystone token"].failed == 0 and found["nova"].unknown == 0
    assert next(one for one in said.apis if one.api == "nova").outages == len(found["nova"].outages) == 1
    after = now(folder)
    assert not after.probing and after.words == "it was asked to end" and set(states(folder).values()) == {"unknown"}
    kept = read_json(folder.parent / "endpoints.json").document
    assert kept == {
        "keystone": cloud.url(keystone),
        "catalogue": {"keystone": cloud.url(keystone), "nova": cloud.url(nova)},
    }
    whole = b"".join(path.read_bytes() for path in folder.parent.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in whole and TOKEN.encode() not in whole


def test_a_keystone_that_is_away_from_the_start(cloud: Cloud, folder: Path) -> None:
    """What an earlier probe learned is asked; the catalogue is read as soon as there is one."""
    keystone, nova = cloud.port(mode="closed", keystone=True), cloud.port()
    known = (("nova", cloud.url(nova)),)
    running = Running(folder, order(cloud, keystone=cloud.url(keystone), known=known))
    running.until(lambda: states(folder).get("nova") == "up" and states(folder)["keystone token"] == "away")
    kept = read_json(folder.parent / "endpoints.json").document
    assert kept == {"keystone": cloud.url(keystone), "catalogue": dict(known)}
    cloud.catalogue = [
        {"name": "glance", "endpoints": [{"interface": "public", "region_id": "one", "url": cloud.url(nova)}]}
    ]
    cloud.open(keystone)
    running.until(lambda: states(folder).get("glance") == "up")
    running.end()


def test_a_catalogue_with_nothing_new_keeps_the_address(cloud: Cloud, folder: Path) -> None:
    """The next probe may begin while the database that knows it is away."""
    keystone = cloud.port(keystone=True)
    cloud.catalogue = [
        {"name": "keystone", "endpoints": [{"interface": "public", "region_id": "one", "url": cloud.url(keystone)}]}
    ]
    running = Running(folder, order(cloud, keystone=cloud.url(keystone)))
    found = {"keystone": cloud.url(keystone), "catalogue": {"keystone": cloud.url(keystone)}}
    running.until(lambda: read_json(folder.parent / "endpoints.json").document == found)
    running.end()


def test_it_ends_when_the_run_rests(cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    reason = [""]
    running = Running(folder, order(cloud, endpoints=(("api", cloud.url(cloud.port())),)), lambda: reason[0])
    running.until(lambda: states(folder) == {"api": "up"})
    reason[0] = "the run is done"
    running.thread.join(10)
    assert running.end() == "the run is done"
    (before,) = downtime(folder)
    running = Running(folder, order(cloud, endpoints=(("api", cloud.url(cloud.ports[0])),)))
    # what the first one said last still stands there
    running.until(lambda: downtime(folder)[0].asked > before.asked)
    running.end()
    (found,) = downtime(folder)
    assert found.unknown == 0 and [gap.rest for gap in found.gaps] == [True]


def test_it_ends_after_its_limit(cloud: Cloud, folder: Path) -> None:
    running = Running(folder, order(cloud, endpoints=(("api", cloud.url(cloud.port())),), limit=0.2))
    running.thread.join(10)
    assert "its limit" in running.end()


def test_a_journal_that_cannot_be_read_ends_nothing(
    cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.02)

    def broken() -> str:
        raise OSError("no disk")

    running = Running(folder, order(cloud, endpoints=(("api", cloud.url(cloud.port())),)), broken)
    running.until(lambda: "cannot be looked at" in now(folder).words)
    assert states(folder) == {"api": "up"}
    running.end()


def test_long_records_slow_the_asking(cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)
    monkeypatch.setattr(module, "_TIDY_SECONDS", 0.0)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.02)
    running = Running(folder, order(cloud, endpoints=(("api", cloud.url(cloud.port())),)))
    running.until(lambda: "ten times less often" in now(folder).words)
    running.until(lambda: downtime(folder)[0].every == pytest.approx(1.0))
    running.end()
    assert downtime(folder)[0].unknown == 0


def test_one_folder_has_one_probe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = lock(folder)
    assert held is not None and probe_works(folder)
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.05)
    assert lock(folder) is None
    assert module.main(folder, b"{}", lambda _order: lambda: "") == 75
    os.close(held)


def test_an_order_shows_no_password_and_comes_through_json() -> None:
    from dataclasses import asdict

    made = Order(
        interval=0.5, timeout=5, token_interval=5, limit=60, keystone="http://h:5000", endpoints=(("a", "http://b/"),),
        account=Account("admin", "admin", PASSWORD), known=(("n", "http://n/"),), authorities=("ca.crt",),
    )  # fmt: skip
    assert PASSWORD not in repr(made)
    assert order_of(json.loads(json.dumps(asdict(made)))) == made
    for broken in ({}, {"interval": 1, "nonsense": 2}, {"endpoints": 3}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            order_of(broken)


def test_a_stuck_or_torn_present_is_not_believed(folder: Path) -> None:
    assert now(folder).words == "no API was asked in this run"
    (folder / "present.json").write_text('{"clock": 1.0, "apis": [], "written": 2.0}')
    assert not now(folder).probing
    (folder / "present.json").write_text('{"clock":')
    assert not now(folder).probing
