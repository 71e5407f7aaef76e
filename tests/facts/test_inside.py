"""The scripts that run inside containers, on what real servers printed.

RabbitMQ 3.10.8 in a cluster of three, ovsdb-server 3.1 in a cluster of three, HAProxy 2.6, Redis 7.0 and memcached 1.6;
node names and addresses were replaced.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.facts.inside import caches, ceph, fernet, haproxy, ovn, proxysql, rabbitmq

SAMPLES = Path(__file__).parent / "samples" / "services"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"rabbitmq-3.10-{name}.json").read_text())


def test_a_whole_broker() -> None:
    seen = rabbitmq.node(sample("cluster_status"))
    assert seen["nodes"] == seen["running"] == ["rabbit@ctl1", "rabbit@ctl2", "rabbit@ctl3"]
    assert set(seen["versions"].values()) == {"3.10.8"}
    assert [seen[name] for name in ("partitions", "alarms", "maintenance", "disabled_flags")] == [[], [], [], []]


def test_a_broker_in_trouble() -> None:
    assert rabbitmq.node(sample("drained"))["maintenance"] == ["rabbit@ctl2"]
    seen = rabbitmq.node(sample("down-and-alarm"))
    assert seen["running"] == ["rabbit@ctl1", "rabbit@ctl3"]
    assert seen["alarms"] == ["memory on rabbit@ctl1"]
    assert rabbitmq.node(sample("partition-ctl3"))["partitions"] == ["rabbit@ctl3: rabbit@ctl1, rabbit@ctl2"]


def test_only_stable_flags_that_are_off_count() -> None:
    flags = [
        {"name": "a", "state": "enabled", "stability": "stable"},
        {"name": "b", "state": "disabled", "stability": "stable"},
        {"name": "c", "state": "disabled", "stability": "experimental"},
        {"name": "d", "state": "disabled"},
        {"name": "e", "state": "unavailable", "stability": "stable"},
    ]
    assert rabbitmq.node({"feature_flags": flags})["disabled_flags"] == ["b", "d"]


def test_queues_are_counted_by_kind() -> None:
    queues = sample("list_queues")
    mirroring = {policy["name"] for policy in sample("list_policies") if "ha-mode" in policy["definition"]}
    assert rabbitmq.count(queues, mirroring, 3) == {
        "classic_queues": 3, "quorum_queues": 5, "stream_queues": 1, "mirrored_queues": 1, "non_quorum_queues": 3,
        "non_durable_queues": 1, "transient_queues": 1, "under_replicated_queues": 1,
    }  # fmt: skip
    assert rabbitmq.count(queues, set(), 3)["mirrored_queues"] == 0
    assert sum(rabbitmq.own(item["name"]) for item in sample("list_exchanges")) == 2


def test_a_stream_wants_every_node_and_a_quorum_queue_a_majority() -> None:
    two = ["rabbit@ctl1", "rabbit@ctl2"]
    quorum, stream = ({"type": kind, "members": two} for kind in ("quorum", "rabbit_stream_queue"))
    assert rabbitmq.count([quorum], set(), 3)["under_replicated_queues"] == 0
    assert rabbitmq.count([stream], set(), 3)["under_replicated_queues"] == 1
    assert rabbitmq.count([quorum], set(), 5)["under_replicated_queues"] == 1


def test_one_node_counts() -> None:
    nodes = ["rabbit@ctl2", "rabbit@ctl1"]
    assert rabbitmq.counts_here(nodes, "ctl1.example")
    assert not rabbitmq.counts_here(nodes, "ctl2")
    assert rabbitmq.counts_here(nodes, "renamed")
    assert not rabbitmq.counts_here([], "ctl1")


def test_a_tool_that_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "rabbitmqctl"
    tool.write_text("#!/bin/sh\necho 'Error: unable to connect to epmd' >&2\nexit 69\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(rabbitmq.Failed, match="cluster_status: Error: unable to connect to epmd"):
        rabbitmq.ctl("cluster_status")
    tool.write_text('#!/bin/sh\necho "warning: latin1"\necho "{\\"a\\": 1}"\n')
    assert rabbitmq.ctl("cluster_status") == {"a": 1}


def test_servers_behind_haproxy() -> None:
    seen = haproxy.servers((SAMPLES / "haproxy.csv").read_text())
    assert seen["total"] == 7
    assert seen["down"] == [
        ["keystone_internal_back", "ctl2", "DOWN"],
        ["nova_api_back", "ctl1", "DOWN"],
        ["nova_api_back", "ctl2", "DOWN"],
        ["memcached", "ctl2", "DOWN"],
    ]
    assert seen["dead"] == ["nova_api_back"]


def test_a_galera_node_in_the_offline_group_is_down() -> None:
    up = [
        (0, "10.0.0.1", 3306, "ONLINE", ""),
        (1, "10.0.0.2", 3306, "ONLINE", ""),
        (0, "10.0.0.2", 3306, "SHUNNED", ""),
    ]
    gone = [(3, "10.0.0.3", 3306, "ONLINE", ""), (0, "10.0.0.3", 3306, "OFFLINE_HARD", "")]
    seen = proxysql.judged([*up, *gone], [3])
    assert (seen["total"], seen["dead"]) == (3, [])
    assert seen["down"] == [["galera", "10.0.0.3:3306", "OFFLINE_HARD in 0, ONLINE in 3"]]
    assert proxysql.judged(gone, [3])["dead"] == ["galera"]


def test_where_something_listens() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    try:
        assert proxysql.addresses(port) == ["127.0.0.1"]
    finally:
        listener.close()


def test_keys_are_compared_without_being_told(tmp_path: Path) -> None:
    for name, key in (("0", b"staged"), ("1", b"old"), ("2", b"primary\n"), ("note", b"x")):
        (tmp_path / name).write_bytes(key)
    os.utime(tmp_path / "2", (1000, 1000))
    seen = fernet.keys(str(tmp_path), b"site", 1000 + 7200)
    assert isinstance(seen["keys"], dict)
    assert (list(seen["keys"]), seen["primary_age_hours"]) == (["0", "1", "2"], 2.0)
    assert "primary" not in json.dumps(seen["keys"])
    assert fernet.keys(str(tmp_path), b"site", 1000)["keys"] == seen["keys"]
    assert fernet.keys(str(tmp_path), b"another", 1000)["keys"] != seen["keys"]


def test_redis_and_valkey() -> None:
    lines = ("+OK", "$99", "# Server", "redis_version:7.0.15", "", "$9", "# Replication", "role:slave")
    said = "\r\n".join((*lines, "master_link_status:up", ""))
    assert caches.replicated(said) == {"version": "7.0.15", "role": "slave", "link": "up"}
    assert caches.replicated(said.replace("# Server", "# Server\r\nvalkey_version:8.1.1"))["version"] == "8.1.1"
    assert caches.replicated("-NOAUTH Authentication required.\r\n") == {"error": "NOAUTH Authentication required."}
    assert caches.bulk("AUTH", 'se c"') == b'*2\r\n$4\r\nAUTH\r\n$5\r\nse c"\r\n'


def test_memcached_is_asked_where_its_command_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    command = tmp_path / "run_command"
    command.write_text(f"/usr/bin/memcached -v -l 127.0.0.1 -p {listener.getsockname()[1]} -c 5000")
    monkeypatch.setattr(caches, "COMMAND", str(command))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(99).startswith(b"version\r\n")
            connection.sendall(b"VERSION 1.6.18\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    assert caches.ask("memcached", 1, "") == {"version": "1.6.18"}
    thread.join()
    listener.close()
    assert "refused" in caches.ask("memcached", 1, "")["error"]


@pytest.mark.parametrize(
    ("name", "role", "leader", "silent"),
    [
        ("leader", "leader", "self", 16),
        ("follower", "follower", "323b", 0),
        # followers do not hear each other, which means nothing
        ("follower-late", "follower", "323b", 0),
        ("leader-one-gone", "leader", "self", 4082),
    ],
)
def test_a_database_cluster_of_ovn(name: str, role: str, leader: str, silent: int) -> None:
    seen = ovn.status((SAMPLES / f"ovn-{name}.txt").read_text())
    assert seen == {
        "status": "cluster member", "role": role, "leader": leader, "servers": 3, "silent_ms": silent, "timer_ms": 1000,
    }  # fmt: skip


def test_a_database_of_ovn_that_is_alone() -> None:
    seen = ovn.status((SAMPLES / "ovn-alone.txt").read_text())
    assert (seen["status"], seen["leader"]) == ("disconnected from the cluster (election timeout)", "unknown")


def test_noout_is_a_check_of_ceph() -> None:
    checks = {"OSDMAP_FLAGS": {"severity": "HEALTH_WARN", "summary": {"message": "noout,norebalance flag(s) set"}}}
    seen = ceph.health({"health": {"status": "HEALTH_WARN", "checks": checks}})
    assert (seen["health"], seen["noout"]) == ("HEALTH_WARN", True)
    assert ceph.health({"health": {"status": "HEALTH_OK", "checks": {}}})["noout"] is False


def test_identities_of_ceph(tmp_path: Path) -> None:
    for name in ("ceph.conf", "ceph.client.cinder.keyring", "client.admin.keyring", "other.client.x.keyring"):
        (tmp_path / name).touch()
    assert [options[3] for options in ceph.identities(str(tmp_path))] == ["admin", "cinder"]


@given(st.text(alphabet=st.sampled_from("#,\n|: abcDOWN1"), max_size=200))
def test_no_text_breaks_them(text: str) -> None:
    haproxy.servers(text)
    ovn.status(text)
    caches.replicated(text)
    caches.memcached(text)
    proxysql.listening(["sl local"], 1)
