"""What a host says of itself: its clock, addresses, libraries, old tables; and hosts that answer half."""

from __future__ import annotations

import json

import pytest

from upgrader.facts.host import host_facts
from upgrader.model import HostFacts

BASE = '@@info\n{"DockerRootDir":"/var/lib/docker","ServerVersion":"27.5.1"}\n@@containers\n'
ASKED = 1_795_000_000.0
HEARD = "2026-11-18T11:06:45+00:00"


def seen(text: str, heard: str = "") -> HostFacts:
    return host_facts("a", [], BASE + text, heard=heard)


def clock(begun: float, ended: float, heard: float | None, asked: float = ASKED) -> float | None:
    from datetime import UTC, datetime

    text = f"@@clock\nsynchronised\tNormal\nasked\t{asked}\nbegun\t{begun}\nended\t{ended}\n"
    moment = "" if heard is None else datetime.fromtimestamp(heard, UTC).isoformat()
    found = seen(text, moment).clock
    assert found is not None
    assert found.synchronised is True
    return found.offset_seconds


def test_a_slow_way_is_no_wrong_clock() -> None:
    # 20 s until the host was reached, 1 s of work, 3 s until the answer was in
    assert clock(ASKED + 20, ASKED + 21, ASKED + 24) == 0


@pytest.mark.parametrize("off", [-600.0, -5.0, 5.0, 600.0])
def test_a_wrong_clock_is_told_as_far_as_it_is_certain(off: float) -> None:
    measured = clock(ASKED + 1 + off, ASKED + 2 + off, ASKED + 2.5)
    assert measured is not None
    assert abs(measured) <= abs(off)
    assert abs(measured - off) <= 1.5


def test_without_the_end_only_a_host_behind_can_be_told() -> None:
    assert clock(ASKED + 20, ASKED + 21, None) is None
    assert clock(ASKED - 20, ASKED - 19, None) == -20


@pytest.mark.parametrize(
    ("words", "synchronised"), [("yes", True), ("no", False), ("Not synchronised", False), ("", None)]
)
def test_who_says_that_the_clock_is_kept(words: str, synchronised: bool | None) -> None:
    found = seen(f"@@clock\nsynchronised\t{words}\n@@clock\nasked\tx\nbegun\t{ASKED}\nended\t{ASKED}\n").clock
    assert found is not None
    assert (found.synchronised, found.offset_seconds) == (synchronised, None)
    assert seen("@@clock\nbegun\tnonsense\n").clock is None
    assert seen("").clock is None


def test_addresses_of_interfaces() -> None:
    text = """@@addresses
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
3: bond0.10@bond0    inet 10.0.0.11/24 brd 10.0.0.255 scope global bond0.10\\       valid_lft forever
3: bond0.10    inet 10.0.0.250/32 scope global bond0.10\\       valid_lft forever
3: bond0.10    inet6 fd00::11/64 scope global \\       valid_lft forever
garbage
"""
    assert seen(text).addresses == (
        ("bond0.10", "10.0.0.11"), ("bond0.10", "10.0.0.250"), ("bond0.10", "fd00::11"), ("lo", "127.0.0.1"),
    )  # fmt: skip
    failed = seen("@@addresses\n@@failed addresses ip: not found\n")
    assert failed.addresses is None
    assert failed.unread == (("addresses", "ip: not found"),)
    assert failed.error == "", "the host's containers were read"


def test_the_library_is_that_of_the_engine() -> None:
    both = "@@kernel\n6.8.0-79-generic\n@@sdk\ndocker\t7.1.0\npodman\t5.4.0\n"
    assert (seen(both).sdk_version, seen(both).kernel) == ("7.1.0", "6.8.0-79-generic")
    podman = '@@info\n{"store":{"graphRoot":"/x"},"version":{"Version":"5.4.0"}}\n@@containers\n'
    assert host_facts("a", [], podman + both).sdk_version == "5.4.0"
    assert seen("@@sdk\n").sdk_version == ""


def test_rules_in_old_tables_are_counted_only_when_all_could_be_read() -> None:
    assert seen("@@iptables\n3\n2\n0\n").legacy_iptables == 5
    assert seen("@@iptables\n0\n").legacy_iptables == 0
    assert seen("@@iptables\n3\n@@failed iptables table nat is loaded\n0\n").legacy_iptables is None
    assert seen("").legacy_iptables is None


def test_images_and_volumes() -> None:
    text = "@@volumes\nmariadb\nkolla_logs\n@@images\nr/keystone:2025.1\n<none>:<none>\nr/keystone:2025.1\n"
    assert seen(text).volumes == ("kolla_logs", "mariadb")
    assert seen(text).images == ("r/keystone:2025.1",)
    assert seen("@@volumes\n").volumes == ()
    assert seen("@@volumes\n@@failed volumes permission denied\n").volumes is None


def test_a_hostile_label_is_only_a_label() -> None:
    label = "\x1b[2J20.6.0\u2028@@containers\n@@failed engine gone\x07" + "x" * 5000
    line = json.dumps(
        {"name": "/a\x1b[31m", "image": "i", "labels": {"kolla_version": label}, "state": {}}, ensure_ascii=False
    )
    found = seen(line + "\n" + '{"name":"/b","image":"i"}\n')
    assert found.error == ""
    assert [one.name for one in found.containers] == ["a", "b"]
    ((_, kept),) = found.containers[0].labels
    assert "\x1b" not in kept
    assert "\x07" not in kept
    assert len(kept) <= 200
    deep = '{"name":' + "[" * 100_000
    assert seen(deep).containers == ()
