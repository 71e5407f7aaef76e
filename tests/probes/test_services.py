"""Health questions about the services, answered from observations made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host
from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import (
    BackendFacts,
    BrokerFacts,
    CacheFacts,
    CephFacts,
    FernetFacts,
    Observed,
    OvnFacts,
    UpgradeCheck,
    VipFacts,
)
from upgrader.probes.backends import backends
from upgrader.probes.base import ask, said_by
from upgrader.probes.caches import caches
from upgrader.probes.ceph import ceph
from upgrader.probes.fernet import fernet
from upgrader.probes.ovn import ovn
from upgrader.probes.rabbitmq import rabbitmq
from upgrader.probes.services import PROBES
from upgrader.probes.upgrade_checks import judge_upgrade_checks
from upgrader.probes.vip import vip

RUNNING = (
    "rabbitmq", "haproxy", "proxysql", "keepalived", "keystone", "memcached", "redis", "valkey_server", "ovn_nb_db",
    "ovn_sb_db",
)  # fmt: skip
CTL = ("ctl1", "ctl2", "ctl3")
NODES = tuple(f"rabbit@{name}" for name in CTL)
GOOD: Mapping[str, Any] = {
    "rabbitmq": BrokerFacts(
        version="3.13.7", expected=3, nodes=NODES, running=NODES, partitions=(), alarms=(), maintenance=(),
        disabled_flags=(), classic_queues=0, quorum_queues=5, under_replicated_queues=0,
    ),
    "vip": VipFacts(address="10.0.0.250", owners=("ctl1",), host_address=False, interfaces=("ctl1: eth0",)),
    "haproxy": BackendFacts(total=9, down=(), dead=()),
    "proxysql": BackendFacts(total=3, down=(), dead=()),
    "fernet": FernetFacts(hosts=CTL, same=True, odd=(), primary_age_hours=70.0, rotation_hours=72.0, count=3),
    "memcached": CacheFacts(kind="memcached", hosts=CTL, down=(), version="1.6.18"),
    "redis": CacheFacts(kind="redis", hosts=CTL, down=(), version="7.0", master=("ctl1",), unlinked=()),
    "valkey": CacheFacts(kind="valkey", hosts=CTL, down=(), version="8.1", master=("ctl1",), unlinked=()),
    "ovn": OvnFacts(nb="healthy", sb="healthy", version="24.03.2"),
    "ceph": CephFacts(health="HEALTH_OK", noout=False, checks=()),
}  # fmt: skip


def seen(containers: tuple[str, ...] = RUNNING, /, **parts: Any) -> CloudFacts:
    facts = cloud(*(host(name, *map(container, containers)) for name in CTL))
    return facts.model_copy(update={"observed": Observed(**{**GOOD, **parts})})


def but(part: str, **changes: Any) -> CloudFacts:
    return seen(**{part: GOOD[part].model_copy(update=changes)})


MINE = (vip, backends, rabbitmq, fernet, caches, ovn, ceph)


def judged(facts: CloudFacts) -> tuple[Finding, ...]:
    """By the probes of this file alone; hosts and databases have their own."""
    return ask(MINE, facts)


def test_none_is_left_out() -> None:
    assert set(MINE) <= set(PROBES)


def told(facts: CloudFacts) -> list[tuple[str, Code]]:
    return [(finding.id, finding.code) for finding in judged(facts) if finding.code is not Code.SUCCESS]


def test_all_well_is_one_good_word_for_each() -> None:
    findings = judged(seen())
    assert [(finding.id, finding.code) for finding in findings if finding.code is not Code.SUCCESS] == []
    assert len(findings) == len(GOOD)


F, W = Code.FAILURE, Code.WARNING


@pytest.mark.parametrize(
    ("part", "changes", "found"),
    [
        ("rabbitmq", {"partitions": ("rabbit@ctl1: rabbit@ctl2",)}, [("rabbitmq-partition", F)]),
        ("rabbitmq", {"running": NODES[:2], "classic_queues": None}, [("rabbitmq-node-down", F)]),
        ("rabbitmq", {"nodes": NODES[:2], "running": NODES[:2]}, [("rabbitmq-node-missing", F)]),
        ("rabbitmq", {"alarms": ("disk on rabbit@ctl1",)}, [("rabbitmq-alarm", F)]),
        ("rabbitmq", {"maintenance": ("rabbit@ctl2",)}, [("rabbitmq-maintenance", W)]),
        ("rabbitmq", {"disabled_flags": ("stream_queue",)}, [("rabbitmq-feature-flags", W)]),
        ("rabbitmq", {"under_replicated_queues": 2}, [("rabbitmq-under-replicated", W)]),
        ("rabbitmq", {"error": "ctl2: no answer"}, [("rabbitmq-unread", F)]),
        ("rabbitmq", {"classic_queues": None}, [("rabbitmq-unread", W)]),
        ("vip", {"owners": ()}, [("vip-no-owner", F)]),
        ("vip", {"owners": ("ctl1", "ctl3")}, [("vip-two-owners", F)]),
        ("vip", {"host_address": True}, [("vip-is-host-address", F)]),
        ("vip", {"answers": True}, [("vip-foreign", W)]),
        ("vip", {"answers": False}, []),
        ("vip", {"owners": None, "error": "ctl2 was not read"}, [("vip-unread", W)]),
        ("haproxy", {"down": ("nova_back/ctl2 (ctl1)",)}, [("backend-down", W)]),
        ("haproxy", {"down": ("nova_back/ctl2 (ctl1)",), "dead": ("nova_back (ctl1)",)}, [("backend-dead", F)]),
        ("haproxy", {"total": 0}, [("haproxy-unread", W)]),
        ("proxysql", {"down": None, "error": "ctl1: refused"}, [("proxysql-unread", F)]),
        ("proxysql", {"error": "ctl1: refused"}, [("proxysql-unread", W)]),
        ("fernet", {"same": False, "odd": ("ctl3",)}, [("fernet-keys-differ", F)]),
        ("fernet", {"same": False, "odd": CTL, "count": 0}, [("fernet-keys-missing", F)]),
        ("fernet", {"same": None, "error": "ctl2: not running"}, [("fernet-unread", F)]),
        ("fernet", {"hosts": None, "error": "ctl2: not running"}, [("fernet-unread", F)]),
        ("fernet", {"primary_age_hours": 144.0}, []),
        ("fernet", {"primary_age_hours": 144.1}, [("fernet-keys-stale", W)]),
        ("memcached", {"down": ("ctl2",)}, [("memcached-down", W)]),
        ("memcached", {"down": CTL}, [("memcached-down", F)]),
        ("redis", {"master": ()}, [("redis-master", F)]),
        ("valkey", {"master": ("ctl1", "ctl2")}, [("valkey-master", F)]),
        ("redis", {"unlinked": ("ctl2",)}, [("redis-unlinked", W)]),
        ("redis", {"hosts": ("ctl1",), "master": ()}, []),
        ("ovn", {"sb": "ctl1: knows no leader"}, [("ovn-sb", F)]),
        ("ovn", {"nb": None, "error": "nb: ctl1: refused"}, [("ovn-unread", F)]),
        ("ceph", {"health": "HEALTH_ERR"}, [("ceph-health", F)]),
        ("ceph", {"health": "HEALTH_WARN"}, [("ceph-health", W)]),
        ("ceph", {"health": "HEALTH_WARN", "noout": True}, [("ceph-noout", W)]),
        ("ceph", {"health": None, "error": "EACCES"}, [("ceph-unread", W)]),
    ],
)
def test_one_trouble_at_a_time(part: str, changes: dict[str, Any], found: list[tuple[str, Code]]) -> None:
    assert told(but(part, **changes)) == found


def test_hosts_are_named() -> None:
    (finding,) = (item for item in judged(but("rabbitmq", running=NODES[:2])) if item.code is F)
    assert (finding.host, finding.message) == ("ctl3", "broker node rabbit@ctl3 does not run")
    (finding,) = (item for item in judged(but("rabbitmq", alarms=("disk on rabbit@ctl1",))) if item.code is F)
    assert finding.host == "ctl1"
    (finding,) = (item for item in judged(but("fernet", same=False, odd=("ctl3",))) if item.code is F)
    assert (finding.host, finding.why != "", finding.fix != ()) == ("ctl3", True, True)
    assert said_by("ctl1: no answer; ctl2: it said: x; y z: w") == "ctl1, ctl2"


def test_what_runs_and_was_not_asked_is_never_green() -> None:
    findings = judged(seen(**dict.fromkeys(GOOD)))
    assert {finding.id for finding in findings} == {
        "rabbitmq-unread", "vip-unread", "haproxy-unread", "proxysql-unread", "fernet-unread", "memcached-unread",
        "redis-unread", "valkey-unread", "ovn-unread",
    }  # fmt: skip
    assert all(finding.unknown and finding.code is not Code.SUCCESS for finding in findings)


def test_what_does_not_run_is_not_spoken_of() -> None:
    assert judged(seen((), **dict.fromkeys(GOOD))) == ()
    # without keepalived the address is a host's own, and right so
    assert told(seen(("keystone",), vip=VipFacts(address="10.0.0.1", owners=(), host_address=True))) == []


def test_the_external_address_is_judged_too() -> None:
    both = seen(external_vip=VipFacts(address="192.0.2.1", owners=CTL[:2], host_address=False))
    assert told(both) == [("vip-two-owners", F)]


def check(service: str, code: int | None, **more: Any) -> UpgradeCheck:
    return UpgradeCheck(service=service, release="2025.2", code=code, **more)


def test_upgrade_checks() -> None:
    assert judge_upgrade_checks(()) == ()
    assert [finding.code for finding in judge_upgrade_checks([check("nova", 0)])] == [Code.SUCCESS]
    rows = (("A", "Success", ""), ("B", "Warning", "soon"), ("C", "Failure", "cmp1 is old"))
    findings = judge_upgrade_checks(
        [check("nova", 2, checks=rows), check("keystone", 1, checks=rows), check("heat", None, error="no image")]
    )
    assert [(item.id, item.code, item.evidence, item.unknown) for item in findings] == [
        ("upgrade-check-nova-2025.2", F, "cmp1 is old", False),
        ("upgrade-check-keystone-2025.2", W, "soon", False),
        ("upgrade-check-heat-2025.2", W, "no image", True),
    ]
    assert [item.overridable for item in findings] == [True, False, False], "the operator may know better"
