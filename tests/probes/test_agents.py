"""Services after a hop: who reports, at which version, and which hosts are meant to stay behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cloud_kit.facts import cloud, container, host, names
from upgrader.model import CloudFacts, Code
from upgrader.observed import CinderFacts, ClockFacts, NeutronFacts, NovaFacts, Observed
from upgrader.probes.agents import Expected, agents
from upgrader.probes.containers import containers, missing, restarted

NEW, OLD = 68, 67
NOVA = NovaFacts(silence=(), left_disabled=(), versions=(f"cmp1: nova-compute: {NEW}", f"ctl1: nova-scheduler: {NEW}"))
HOP = Expected("2025.1", service_version=NEW, oldest=OLD, since=900.0)


def seen(*apis: str, **observed: object) -> CloudFacts:
    control = host("ctl1", *(container(name) for name in apis or ("nova_api",)))
    return cloud(control).model_copy(update={"observed": Observed(**observed)})


def told(facts: CloudFacts, expected: Expected = HOP) -> dict[str, tuple[Code, str]]:
    return {finding.id: (finding.code, finding.message) for finding in agents(facts, expected)}


def nova(**changes: Any) -> NovaFacts:
    return NOVA.model_copy(update=changes)


def test_everybody_reports() -> None:
    everything = seen(
        "nova_api", "neutron_server", "cinder_api",
        nova=NOVA, neutron=NeutronFacts(silence=()), cinder=CinderFacts(silence=()),
    )  # fmt: skip
    words = "every service of nova, neutron, cinder that should report does"
    assert told(everything) == {"agents": (Code.SUCCESS, words)}
    assert agents(seen("keystone"), HOP) == ()


def test_silent_since_the_hop_or_before_it() -> None:
    rows = ("cmp1: nova-compute: 120", "cmp2: nova-compute: 86400")
    found = told(seen(nova=nova(silence=rows)))
    assert found["service-silent"] == (
        Code.FAILURE, "1 nova service is silent since the hop: nova-compute on cmp1",
    )  # fmt: skip
    assert found["nova-silent-before"][0] is Code.WARNING
    assert "agents" not in found
    unknown = Expected("2025.1", NEW, OLD, None)
    assert "2 nova services are" in told(seen(nova=nova(silence=rows)), unknown)["service-silent"][1]


def test_an_agent_and_a_volume_service() -> None:
    facts = seen(
        "neutron_server", "cinder_api",
        neutron=NeutronFacts(silence=("net1: neutron-l3-agent: 80",)),
        cinder=CinderFacts(silence=("sto1@lvm-1: cinder-volume: 80",)),
    )  # fmt: skip
    first, second = agents(facts, HOP)
    assert (first.code, first.host) == (Code.FAILURE, "net1")
    assert (second.code, second.host) == (Code.FAILURE, "sto1")


@pytest.mark.parametrize("part", [None, NovaFacts(error="ERROR 1969"), NovaFacts(silence=(), error="no versions")])
def test_what_was_not_read_is_unknown(part: NovaFacts | None) -> None:
    found = agents(seen(nova=part), HOP)
    assert {(finding.id, finding.code, finding.unknown) for finding in found} == {("agents-unread", Code.FAILURE, True)}


def test_a_service_of_the_old_release() -> None:
    old = nova(versions=(f"cmp1: nova-compute: {OLD}", f"ctl1: nova-scheduler: {NEW}"))
    (finding,) = agents(seen(nova=old), HOP)
    assert (finding.id, finding.code, finding.host) == ("nova-service-version", Code.FAILURE, "cmp1")
    assert finding.evidence == "cmp1: nova-compute: version 67; 2025.1 has 68"


def test_a_host_that_is_meant_to_stay_behind() -> None:
    behind = Expected("2025.1", NEW, OLD, 900.0, {"cmp1": "2024.2"})
    named = nova(versions=(f"cmp1.example.org: nova-compute: {OLD}",))
    assert told(seen(nova=named), behind)["nova-service-version"] == (
        Code.WARNING, "1 Nova service is left behind: nova-compute on cmp1.example.org",
    )  # fmt: skip
    too_old = nova(versions=("cmp1: nova-compute: 66",))
    assert told(seen(nova=too_old), behind)["nova-service-version"][0] is Code.FAILURE
    silent = nova(silence=("cmp1: nova-compute: 100",), versions=("cmp1: nova-compute: 66",))
    assert told(seen(nova=silent), behind)["service-silent"][0] is Code.WARNING


def test_what_this_tool_left_disabled() -> None:
    (finding,) = agents(seen(nova=nova(left_disabled=("cmp1: nova-compute",))), HOP)
    assert (finding.id, finding.code) == ("nova-left-disabled", Code.FAILURE)
    assert finding.fix == ("openstack compute service set --enable cmp1 nova-compute",)


# ---------------------------------------------------------------- containers


def test_containers_of_a_host_left_behind() -> None:
    facts = cloud(
        host("ctl1", container("keystone")),
        host("cmp1", container("nova_compute", "2024.2"), container("nova_libvirt", "2024.2")),
    )
    assert [one.id for one in containers(facts, names(), "2025.1")] == ["container-release"] * 2
    (finding,) = containers(facts, names(), "2025.1", {"cmp1": "2024.2"})
    assert (finding.id, finding.code) == ("host-left-behind", Code.WARNING)
    assert finding.message == "cmp1: 2 containers of 2024.2, as this host was left behind"
    (other,) = containers(facts, names(), "2025.1", {"cmp1": "2024.1"})[:1]
    assert other.code is Code.FAILURE


def test_a_host_left_behind_may_be_away_and_may_be_upgraded() -> None:
    facts = cloud(host("ctl1", container("keystone")), host("cmp1", reachable=False, error="timed out"))
    (finding,) = containers(facts, names(), "2025.1", {"cmp1": "2024.2"})
    assert (finding.code, finding.unknown) == (Code.WARNING, True)
    done = cloud(host("ctl1", container("keystone")), host("cmp1", container("nova_compute")))
    assert [one.code for one in containers(done, names(), "2025.1", {"cmp1": "2024.2"})] == [Code.SUCCESS]


def test_containers_that_are_gone() -> None:
    before = [("ctl1", "keystone"), ("ctl1", "nova_api"), ("ctl1", "nova_old"), ("ctl9", "nova_api")]
    facts = cloud(host("ctl1", container("keystone")), host("ctl9", reachable=False))
    (finding,) = missing(facts, before, lambda name, _: name != "nova_old", "2025.1")
    assert (finding.code, finding.message) == (Code.FAILURE, "ctl1: nova_api ran before the hop and is gone")


def test_containers_that_started_again() -> None:
    ended = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

    def at(stamp: str, offset: float = 0.0, **changes: str) -> tuple[str, ...]:
        one = container("keystone", **changes).model_copy(update={"started_at": stamp})
        facts = cloud(host("ctl1", one, clock=ClockFacts(offset_seconds=offset)))
        return tuple(finding.evidence for finding in restarted(facts, names(), ended))

    assert at("2026-11-22T12:00:30.123456789Z") == ()
    assert at("2026-11-22T12:05:00.123456789Z") == ("ctl1: keystone at 2026-11-22T12:05:00",)
    assert at("2026-11-22T13:05:00+01:00", offset=290.0) == (), "the host's clock is ahead"
    assert at("2026-11-22T12:05:00Z", state="exited") == ()
    assert at("") == at("0001-01-01T00:00:00Z") == ()
