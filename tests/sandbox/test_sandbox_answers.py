"""What the sandbox's services say, as a small healthy cloud and with planted troubles; judged by the real probes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from upgrader.facts.broker import broker_facts
from upgrader.facts.front import backend_facts
from upgrader.facts.said import Said
from upgrader.facts.stores import cache_facts, fernet_facts
from upgrader.facts.upgrade_checks import check_table
from upgrader.sandbox import engine, faults

CTL = ("ctl1", "ctl2", "ctl3")


def ask(root: Path, capsys: pytest.CaptureFixture[str], container: str, *words: str) -> Said:
    """Every controller's answer through the engine's command line, as services.sh asks it."""
    said = Said()
    for host in CTL:
        line = ["exec", "-i", "-e", "UPGRADER_SECRET", container, "python3", "-", *words]
        code = engine.main([f"{root}/hosts/{host}", *line])
        out, err = capsys.readouterr()
        if code:
            said.refused[host] = err.strip()
        else:
            said.answers[host] = json.loads(out)
    return said


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setenv("UPGRADER_SECRET", "site")


def broker(root: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    return broker_facts(ask(root, capsys, "rabbitmq", "rabbitmq"), 3)


def test_a_healthy_cloud(ha_cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = broker(ha_cloud, capsys)
    assert (seen.version, len(seen.running), seen.partitions, seen.non_quorum_queues) == ("3.13.7", 3, (), 0)
    assert backend_facts(ask(ha_cloud, capsys, "haproxy", "haproxy")).down == ()  # type: ignore[union-attr]
    assert backend_facts(ask(ha_cloud, capsys, "kolla_toolbox", "proxysql", "u", "6032")).total == 3  # type: ignore[union-attr]
    assert fernet_facts(ask(ha_cloud, capsys, "keystone", "fernet")).same is True  # type: ignore[union-attr]
    assert cache_facts("memcached", ask(ha_cloud, capsys, "memcached", "memcached", "11211")).down == ()  # type: ignore[union-attr]


def test_planted_troubles(ha_cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults.damage_keys(ha_cloud, "ctl2")
    assert fernet_facts(ask(ha_cloud, capsys, "keystone", "fernet")).odd == ("ctl2",)  # type: ignore[union-attr]
    faults.damage_answer(ha_cloud, "rabbitmq", "ctl1", alarms=["disk on rabbit@ctl1"])
    assert broker(ha_cloud, capsys).alarms == ("disk on rabbit@ctl1",)
    faults.damage_answer(ha_cloud, "rabbitmq", "ctl1")
    assert broker(ha_cloud, capsys).alarms == ()
    faults.plant_queues(ha_cloud, classic_queues=4, non_quorum_queues=4)
    assert broker(ha_cloud, capsys).non_quorum_queues == 4
    faults.plant_queues(ha_cloud)
    assert broker(ha_cloud, capsys).non_quorum_queues == 0


def test_a_stopped_container_shows_up_in_the_others_answers(ha_cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("rabbitmq", "keystone", "mariadb"):
        faults.damage_container(ha_cloud, "ctl3", name, status="exited")
    seen = broker(ha_cloud, capsys)
    assert seen.running == ("rabbit@ctl1", "rabbit@ctl2")
    assert "ctl3: " in seen.error
    assert "is not running" in seen.error
    assert seen.classic_queues is None
    said = backend_facts(ask(ha_cloud, capsys, "haproxy", "haproxy"))
    assert said is not None
    assert said.down == ("keystone_back/ctl3 (ctl1, ctl2, ctl3)",)
    said = backend_facts(ask(ha_cloud, capsys, "kolla_toolbox", "proxysql", "u", "6032"))
    assert said is not None
    assert said.down == ("galera/ctl3:3306 (ctl1, ctl2, ctl3)",)


def check(root: Path, capsys: pytest.CaptureFixture[str], image: str) -> tuple[int, str]:
    words = ["run", "--rm", "--name", "x", "--network", "host", "-v", "a:b:ro", image, "bash", "-c", "…"]
    code = engine.main([f"{root}/hosts/ctl1", *words, "upgrader", "keystone"])
    return code, capsys.readouterr().out


def test_upgrade_checks(ha_cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = "sandbox/kolla/keystone:2024.1-debian-bookworm"
    code, table = check(ha_cloud, capsys, image)
    assert (code, check_table(table.splitlines())) == (0, (("Policy File JSON to YAML Migration", "Success", ""),))
    assert check(ha_cloud, capsys, image.replace("2024.1", "2024.2"))[0] == engine.USAGE
    changes: Mapping[str, Any] = {"code": 2, "details": "no"}
    faults.damage_answer(ha_cloud, "keystone-status", **changes)
    code, table = check(ha_cloud, capsys, image)
    assert (code, check_table(table.splitlines())[0][1:]) == (2, ("Failure", "no"))
