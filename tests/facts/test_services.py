"""What services say, host by host → one picture. Also what a host that does not answer, or half, costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cloud_kit.facts import container, host
from upgrader.facts.front import vip_facts
from upgrader.facts.inside import rabbitmq
from upgrader.facts.said import Said
from upgrader.facts.services import ANSWERS, DATABASE_ANSWER, service_values, services_of
from upgrader.facts.stores import ovn_facts
from upgrader.facts.upgrade_checks import RUN, check_table, chosen, pulled, read_checks
from upgrader.model import HostFacts
from upgrader.observed import Observed, UpgradeCheck
from upgrader.runner.base import PlayResult

SAMPLES = Path(__file__).parent / "samples" / "services"
CTL = ("ctl1", "ctl2", "ctl3")
ASKED = "@@settings\nvip\t10.0.0.250\nexternal_vip\t\nrotation\t\n"


class Inventory:
    def __init__(self, **hosts: Sequence[str]) -> None:
        self.hosts = hosts


GROUPS = ("baremetal", "mariadb", "rabbitmq", "keystone", "loadbalancer", "memcached", "redis")
CLOUD = Inventory(**dict.fromkeys(CTL, GROUPS))


def hosts(*names: str, **changes: Any) -> tuple[HostFacts, ...]:
    return tuple(host(name, *map(container, names), groups=GROUPS, **changes) for name in CTL)


def shown(*answers: dict[str, Any] | str | None, section: str, head: str = ASKED) -> PlayResult:
    """One answer for each controller: JSON, words of a refusal, or None for a host that said nothing."""
    told = {}
    for name, answer in zip(CTL, answers, strict=False):
        if answer is None:
            continue
        line = f"@@failed {section} {answer}" if isinstance(answer, str) else json.dumps(answer)
        told[name] = {"msg": {"stdout": f"@@galera\n{head}@@{section}\n{line}\n", "trouble": ""}}
    return PlayResult("observe", "successful", 0, collected={DATABASE_ANSWER: told})


def see(result: PlayResult, seen: tuple[HostFacts, ...]) -> Observed:
    return Observed(**services_of(result, seen, CLOUD))


def broker(name: str) -> dict[str, Any]:
    return rabbitmq.node(json.loads((SAMPLES / f"rabbitmq-3.10-{name}.json").read_text()))


WHOLE = broker("cluster_status")
COUNTED = WHOLE | {"counts": {"classic_queues": 1, "quorum_queues": 5}}


def test_who_is_asked() -> None:
    inventory = Inventory(
        ctl1=("baremetal", "mariadb", "rabbitmq"), net1=("baremetal", "loadbalancer"), cmp1=("baremetal", "compute"),
        deploy=("rabbitmq",),
    )  # fmt: skip
    assert dict(service_values(inventory)) == {"upgrader_service_hosts": "net1", "upgrader_ceph_host": "cmp1"}
    nobody = {"upgrader_service_hosts": "upgrader_none", "upgrader_ceph_host": ""}
    assert dict(service_values(inventory, asked=False)) == nobody
    assert dict(service_values(CLOUD)) == nobody


def test_a_broker_of_three() -> None:
    seen = see(shown(COUNTED, WHOLE, WHOLE, section="rabbitmq"), hosts("rabbitmq")).rabbitmq
    assert seen is not None
    assert (seen.error, seen.version, seen.expected, seen.partitions) == ("", "3.10.8", 3, ())
    assert seen.nodes == seen.running == ("rabbit@ctl1", "rabbit@ctl2", "rabbit@ctl3")
    assert (seen.classic_queues, seen.quorum_queues, seen.stream_queues) == (1, 5, None)


def test_a_split_broker_counts_nothing() -> None:
    views = [broker(f"partition-{name}") | {"counts": {"classic_queues": 1}} for name in CTL]
    seen = see(shown(*views, section="rabbitmq"), hosts("rabbitmq")).rabbitmq
    assert seen is not None
    assert seen.partitions is not None
    assert len(seen.partitions) == 3
    assert seen.running == seen.nodes
    assert seen.classic_queues is None
    # views that differ are a split, although nobody has noted one
    apart = WHOLE | {"running": ["rabbit@ctl1"]}
    seen = see(shown(COUNTED, apart, WHOLE, section="rabbitmq"), hosts("rabbitmq")).rabbitmq
    assert seen is not None
    assert seen.partitions
    assert "ctl2 sees rabbit@ctl1 run" in seen.partitions


def test_a_node_that_is_down_hides_its_queues() -> None:
    view = broker("down-and-alarm") | {"counts": {"classic_queues": 1}}
    seen = see(shown(view, "the rabbit app does not run", view, section="rabbitmq"), hosts("rabbitmq")).rabbitmq
    assert seen is not None
    assert (seen.running, seen.classic_queues) == (("rabbit@ctl1", "rabbit@ctl3"), None)
    assert seen.error == "ctl2: the rabbit app does not run"


def test_half_an_answer_costs_the_other_half() -> None:
    partial = WHOLE | {"error": "list_queues: no answer within 40 s"}
    seen = see(shown(partial, WHOLE, WHOLE, section="rabbitmq"), hosts("rabbitmq")).rabbitmq
    assert seen is not None
    assert seen.error == "ctl1: list_queues: no answer within 40 s"
    assert (seen.nodes, seen.classic_queues) == (seen.running, None)


def test_a_service_that_does_not_run_is_no_part() -> None:
    seen = see(shown(WHOLE, section="rabbitmq"), ())
    assert (seen.haproxy, seen.redis, seen.ovn, seen.ceph) == (None, None, None, None)
    assert services_of(PlayResult("observe", "failed", 2), hosts("rabbitmq"), CLOUD) == {}


def test_a_host_that_was_not_asked_or_read_is_named() -> None:
    up = {"version": "1.6.18"}
    seen = see(shown(up, None, None, section="memcached"), hosts("memcached")).memcached
    assert seen is not None
    assert (seen.down, seen.error) == (("ctl2", "ctl3"), "ctl2: it was not asked; ctl3: it was not asked")
    unread = (*hosts("memcached")[:2], host("ctl3", groups=GROUPS, reachable=False, error="timed out"))
    seen = see(shown(up, up, None, section="memcached"), unread).memcached
    assert seen is not None
    assert (seen.hosts, seen.down, seen.error) == (CTL, ("ctl3",), "ctl3: timed out")


def test_answers_of_hosts_without_a_database() -> None:
    told = {"ctl1": {"msg": {"stdout": f'{ASKED}@@memcached\n{{"version": "1.6"}}\n'}}}
    result = PlayResult("observe", "successful", 0, collected={ANSWERS[0]: told})
    seen = Observed(**services_of(result, hosts("memcached")[:1], CLOUD)).memcached
    assert seen is not None
    assert (seen.version, seen.down) == ("1.6", ())


def keys(*hashes: str, age: float = 5.0) -> dict[str, Any]:
    return {"keys": dict(zip("012", hashes, strict=False)), "primary_age_hours": age}


@pytest.mark.parametrize(
    ("answers", "same", "odd"),
    [
        ((keys("a", "b"), keys("a", "b"), keys("a", "b")), True, ()),
        ((keys("a", "b"), keys("a", "c"), keys("a", "b")), False, ("ctl2",)),
        ((keys("a", "b"), keys("a", "b"), {"keys": {}}), False, ("ctl3",)),
        ((keys("a", "b"), "not running", keys("a", "b")), None, ()),
        # two against each other: nobody can say which are right
        ((keys("a", "b"), "not running", keys("x", "y")), False, ("ctl1", "ctl3")),
    ],
)
def test_keys(answers: Sequence[Any], same: bool | None, odd: tuple[str, ...]) -> None:
    seen = see(shown(*answers, section="fernet"), hosts("keystone")).fernet
    assert seen is not None
    assert (seen.same, seen.odd, seen.count, seen.primary_age_hours) == (same, odd, 2, 5.0)


def test_the_sites_own_rotation() -> None:
    head = ASKED.replace("rotation\t", "rotation\t86400")
    seen = see(shown(keys("a"), section="fernet", head=head), hosts("keystone")[:1]).fernet
    assert seen is not None
    assert seen.rotation_hours == 24


def test_backends_name_who_says_so() -> None:
    bad = {"total": 5, "down": [["nova_back", "ctl2", "DOWN"], ["heat_back", "ctl1", "MAINT"]], "dead": ["heat_back"]}
    good = {"total": 5, "down": [["nova_back", "ctl2", "DOWN"]], "dead": []}
    seen = see(shown(bad, good, "no socket", section="haproxy"), hosts("haproxy")).haproxy
    assert seen is not None
    assert seen.down == ("heat_back/ctl1 (ctl1)", "nova_back/ctl2 (ctl1, ctl2)")
    assert (seen.total, seen.dead, seen.error) == (5, ("heat_back (ctl1)",), "ctl3: no socket")


VIP = "10.0.0.250"
OWN = {name: ["address " + VIP, f"mac 00:00:00:00:00:0{number}"] for number, name in enumerate(CTL, 1)}
HELD = OWN | {"ctl1": [*OWN["ctl1"], f"held eth0@if7 {VIP}/32"]}


def addressed(*holders: str) -> tuple[HostFacts, ...]:
    return tuple(
        host(name, groups=GROUPS, addresses=(("eth0", VIP),) if name in holders else (("eth0", "10.0.0.1"),))
        for name in CTL
    )


def test_one_owner() -> None:
    seen = vip_facts(VIP, addressed("ctl1"), HELD, CTL)
    assert seen is not None
    assert (seen.owners, seen.host_address, seen.interfaces, seen.answers) == (("ctl1",), False, ("ctl1: eth0",), None)
    assert vip_facts("", addressed(), OWN, CTL) is None


def test_owners_elsewhere_and_nowhere() -> None:
    seen = vip_facts(VIP, addressed("ctl1", "ctl3"), HELD, CTL)
    assert seen is not None
    assert seen.owners == ("ctl1", "ctl3")
    seen = vip_facts(VIP, addressed(), OWN, CTL)
    assert seen is not None
    assert seen.owners == ()
    # nobody holds it, but one that may was not read
    unread = (*addressed()[:2], host("ctl3", groups=GROUPS, reachable=False))
    seen = vip_facts(VIP, unread, {name: OWN[name] for name in CTL[:2]}, CTL)
    assert seen is not None
    assert (seen.owners, seen.error) == (None, "addresses were not read: ctl3")


def test_an_address_of_a_hosts_own_and_a_stranger() -> None:
    seen = vip_facts(VIP, addressed("ctl1"), OWN | {"ctl1": [f"held eth0 {VIP}/24"]}, CTL)
    assert seen is not None
    assert seen.host_address is True
    asked = HELD | {"ctl2": [*OWN["ctl2"], "answer 00:00:00:00:00:01", "asked arping"]}
    assert (found := vip_facts(VIP, addressed("ctl1"), asked, CTL)) and found.answers is False
    asked["ctl2"].append("answer 00:00:00:00:00:99")
    assert (found := vip_facts(VIP, addressed("ctl1"), asked, CTL)) and found.answers is True


def member(role: str, silent: int = 0, **changes: Any) -> dict[str, Any]:
    return {"status": "cluster member", "role": role, "leader": "x", "servers": 3, "silent_ms": silent} | changes


def test_databases_of_ovn() -> None:
    good = Said(
        {"ctl1": member("leader", 16, version="24.03.2"), "ctl2": member("follower"), "ctl3": member("follower")}
    )
    seen = ovn_facts(good, Said())
    assert seen is not None
    assert (seen.nb, seen.sb, seen.version) == ("healthy", None, "24.03.2")
    for change, words in (
        ({"silent_ms": 30_000}, "last heard 30 s ago"),
        ({"leader": "unknown"}, "knows no leader"),
        ({"status": "leaving cluster"}, "status leaving cluster"),
        ({"servers": 2}, "has 2 of 3 members"),
    ):
        seen = ovn_facts(Said(good.answers | {"ctl1": member("leader") | change}), Said())
        assert seen is not None
        assert words in (seen.nb or "")
    seen = ovn_facts(Said({"ctl1": member("leader")}, {"ctl2": "no answer"}), Said({}, {"ctl1": "x"}))
    assert seen is not None
    assert "ctl2: no answer" in (seen.nb or "")
    assert seen.sb is None


def test_no_health_of_ceph_is_no_bad_news() -> None:
    assert see(shown({"absent": True}, section="ceph"), hosts("cinder_volume")).ceph is None
    seen = see(shown({"absent": True}, {"error": "EACCES"}, section="ceph"), hosts("cinder_volume")).ceph
    assert seen is not None
    assert (seen.health, seen.error) == (None, "ctl2: EACCES")


@given(
    st.text(alphabet=st.sampled_from('@{}[]":,\t\n ab1'), max_size=120),
    st.sampled_from(["rabbitmq", "haproxy", "fernet", "ovn-nb", "vip-internal", "settings"]),
)
def test_no_answer_breaks_the_reading(words: str, section: str) -> None:
    told = {"ctl1": {"msg": {"stdout": f"{ASKED}@@{section}\n{words}"}}}
    result = PlayResult("observe", "successful", 0, collected={DATABASE_ANSWER: told})
    Observed(**services_of(result, hosts("rabbitmq", "haproxy", "keystone"), CLOUD))


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "running"]), inner, max_size=2),
    max_leaves=5,
)
FIELDS = (
    "nodes", "running", "versions", "partitions", "alarms", "counts", "error", "down", "dead", "total", "keys",
    "primary_age_hours", "version", "role", "status", "health", "noout", "checks", "servers", "silent_ms",
)  # fmt: skip


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=5),
    st.sampled_from(["rabbitmq", "haproxy", "fernet", "redis", "ovn-nb", "ceph"]),
)
def test_no_shape_breaks_the_reading(answer: dict[str, Any], section: str) -> None:
    see(shown(answer, answer, section=section), hosts("rabbitmq", "haproxy", "keystone", "redis", "ovn_nb_db"))


TABLE = (SAMPLES / "upgrade-check.txt").read_text()


def test_a_table_of_upgrade_checks() -> None:
    assert check_table(TABLE.splitlines()) == (
        ("Policy File JSON to YAML Migration", "Success", ""),
        (
            "Placement | Records",
            "Warning",
            "There are 3 records in the placement_db to be moved, and this is a long explanation that the table has to "
            "wrap over more than one line.",
        ),
        ("Older than N-1 computes", "Failure", "Hosts with old services: cmp1"),
    )
    assert check_table(["|", "| x |", "+--+"]) == ()


def test_upgrade_checks_that_ran_and_that_did_not() -> None:
    stdout = f"@@nova\n{TABLE}code 2\n@@keystone\n@@failed keystone no image of 2025.2 was pulled\n"
    stdout += "@@cinder\ncode 255\n@@heat\noops\ncode 1\n"
    places = {"keystone": "ctl1", "nova": "ctl1", "cinder": "ctl1", "heat": "ctl1", "neutron": "ctl2"}
    result = PlayResult("upgrade-checks", "successful", 0, collected={RUN: {"ctl1": {"stdout": stdout}}})
    keystone, nova, cinder, heat, neutron = read_checks(result, places, "2025.2")
    assert keystone == UpgradeCheck(service="keystone", release="2025.2", error="ctl1: no image of 2025.2 was pulled")
    assert (nova.code, len(nova.checks), nova.error) == (2, 3, "")
    assert (cinder.code, cinder.error) == (None, "ctl1: it told no result")
    assert (heat.code, heat.error) == (None, "ctl1: it told no result"), "code 1 is also that of a program that broke"
    assert neutron.code is None
    assert neutron.error.startswith("ctl2: ")


def test_upgrade_checks_run_where_the_api_runs() -> None:
    from tests.cloud_kit.facts import cloud

    stopped = host("ctl1", container("nova_api", state="exited"), container("keystone"))
    assert chosen(cloud(stopped, host("ctl2", container("nova_api")))) == {"keystone": "ctl1", "nova": "ctl2"}


@pytest.mark.parametrize(
    ("image", "there"),
    [
        ("reg:4000/kolla/nova-api:2025.2-debian-bookworm", True),
        ("reg:4000/kolla/nova-api:2025.1-debian-bookworm", False),
        ("reg:4000/kolla/nova-api-other:2025.2", False),
        ("kolla/nova-api:2025.2", False),
    ],
)
@pytest.mark.parametrize("tag", [":2025.1-debian-bookworm", f"@sha256:{'0' * 64}", ""])
def test_images_of_the_target_are_told_by_their_reference(image: str, there: bool, tag: str) -> None:
    from tests.cloud_kit.facts import cloud

    own = container("nova_api", image=f"reg:4000/kolla/nova-api{tag}")
    assert pulled(cloud(host("ctl1", own, images=("x:1", image))), "2025.2") is there
    # on another host than the one that would run it, they are of no use
    assert not pulled(cloud(host("ctl1", own), host("ctl2", images=(image,))), "2025.2")
