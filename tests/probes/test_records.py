"""What the records of Nova, Neutron, Cinder and Ironic, clocks and leftovers of Galera mean for health."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cloud_kit.facts import SYNCED, cloud, container, host
from upgrader.model import CloudFacts, Code, Finding
from upgrader.observed import (
    CinderFacts,
    ClockFacts,
    DatabaseFacts,
    IronicFacts,
    NeutronFacts,
    NovaFacts,
    Observed,
)  # fmt: skip
from upgrader.probes.cinder import cinder
from upgrader.probes.clock import clock
from upgrader.probes.galera import galera
from upgrader.probes.ironic import ironic
from upgrader.probes.neutron import neutron
from upgrader.probes.nova import MANY_ROWS, nova

NOVA = NovaFacts(
    services_down=(), services_disabled=(), computes=("cmp1",), hypervisors=("qemu",), oldest_service_version=67,
    unmigrated=(), soft_deleted=0, vif_types=("ovs",),
)  # fmt: skip
CINDER = CinderFacts(services_down=(), backends=("lvm-1",), unmigrated=())
APIS = ("nova_api", "neutron_server", "cinder_api", "ironic_api")


def seen(engine: str = "docker", **observed: object) -> CloudFacts:
    control = host("ctl1", *(container(name) for name in APIS), engine=engine)
    return cloud(control).model_copy(update={"observed": Observed(**observed)})


def codes(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.id: finding.code.value for finding in findings}


HEALTHY = [
    (nova, "nova", NOVA),
    (neutron, "neutron", NeutronFacts(agents_down=(), agent_types=())),
    (cinder, "cinder", CINDER),
    (ironic, "ironic", IronicFacts(nodes=2, waiting=())),
]


@pytest.mark.parametrize(("probe", "name", "healthy"), HEALTHY)
def test_healthy_unread_and_absent(
    probe: Callable[[CloudFacts], tuple[Finding, ...]], name: str, healthy: object
) -> None:
    assert codes(probe(seen(**{name: healthy}))) == {name: "success"}
    (unread,) = probe(seen())
    assert unread.unknown
    assert unread.code is not Code.SUCCESS
    half = type(healthy)(error="ERROR 1969: interrupted")  # type: ignore[call-arg]
    (partly,) = probe(seen(**{name: half}))
    assert partly.unknown
    assert partly.evidence == "ERROR 1969: interrupted"
    assert probe(cloud(host("ctl1", container("keystone")))) == ()


def test_nova_that_is_not_well() -> None:
    bad = NOVA.model_copy(
        update={
            "services_down": ("cmp2: nova-compute", "cmp2: nova-conductor"),
            "services_disabled": ("cmp3: nova-compute",),
            "unmigrated": ("instances.compute_id: 4",), "soft_deleted": MANY_ROWS,
        }
    )  # fmt: skip
    found = {finding.id: finding for finding in nova(seen("podman", nova=bad))}
    assert set(found) == {"nova-service-down", "nova-service-disabled", "nova-unmigrated", "nova-deleted-rows"}
    down = found["nova-service-down"]
    assert (down.host, down.message) == ("cmp2", "2 Nova services are silent for over a minute")
    assert down.evidence == "cmp2: nova-compute; cmp2: nova-conductor"
    assert found["nova-unmigrated"].fix == ("podman exec nova_conductor nova-manage db online_data_migrations",)
    assert all(finding.why and finding.fix for finding in found.values())
    few = NOVA.model_copy(update={"soft_deleted": MANY_ROWS - 1})
    assert codes(nova(seen(nova=few))) == {"nova": "success"}


def test_agents_volumes_and_nodes_that_are_not_well() -> None:
    (agent,) = neutron(seen(neutron=NeutronFacts(agents_down=("ctl1: neutron-l3-agent",), agent_types=())))
    assert (agent.code, agent.host) == (Code.WARNING, "ctl1")
    bad = CINDER.model_copy(
        update={"services_down": ("sto1@lvm-1: cinder-volume",), "unmigrated": ("volumes.use_quota: 1",)}
    )
    down, unmigrated = cinder(seen(cinder=bad))
    assert (down.host, unmigrated.evidence) == ("sto1", "volumes.use_quota: 1")
    (waiting,) = ironic(seen(ironic=IronicFacts(nodes=1, waiting=("n1: clean wait",))))
    assert (waiting.id, waiting.code, waiting.evidence) == ("ironic-waiting", Code.WARNING, "n1: clean wait")


def clocks(*offsets: float | None, synchronised: bool | None = True) -> CloudFacts:
    return cloud(
        *(
            host(f"h{number}", clock=ClockFacts(synchronised=synchronised, offset_seconds=offset))
            for number, offset in enumerate(offsets)
        )
    )


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (clocks(0.0, 0.0, 1.9), {"clock": "success"}),
        (clocks(0.0, 0.0, None), {"clock": "success"}),
        (clocks(0.0, 0.0, 2.1), {"clock-differs": "warning"}),
        (clocks(0.0, 0.0, -31.0), {"clock-differs": "failure"}),
        (clocks(40.0, 40.0, 40.0), {"clock-here": "warning"}),
        (clocks(0.0, synchronised=False), {"clock-unsynchronised": "warning"}),
        (clocks(0.0, synchronised=None), {"clock-unread": "warning"}),
        (cloud(host("a")), {"clock-unread": "warning"}),
        (cloud(host("a", reachable=False)), {}),
    ],
)
def test_clocks(facts: CloudFacts, found: dict[str, str]) -> None:
    assert codes(clock(facts)) == found


def test_an_odd_clock_is_named() -> None:
    (finding,) = clock(clocks(0.0, 0.0, 0.0, -600.0))
    assert (finding.host, finding.evidence) == ("h3", "h3: -600.0 s")
    odd, here = clock(clocks(40.0, 40.0, 40.0, 0.0))
    assert (odd.host, odd.evidence) == ("h3", "h3: -40.0 s"), "most hosts agree: this machine and one host are off"
    assert here.id == "clock-here"
    (unread,) = clock(cloud(host("a")))
    assert unread.unknown


def database(**changes: object) -> CloudFacts:
    servers = [host(f"s{number}", groups=("mariadb",), galera=SYNCED) for number in range(3)]
    whole = DatabaseFacts(expected=3, size=3, synced=3, flow_control_paused=0.0, lost_settings=())
    return cloud(*servers).model_copy(update={"observed": Observed(database=whole.model_copy(update=changes))})


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {"galera": "success"}),
        ({"flow_control_paused": 0.09}, {"galera": "success"}),
        ({"flow_control_paused": 0.1}, {"galera-flow-control": "warning"}),
        ({"lost_settings": ("s1: read_only=ON",)}, {"galera-lost-setting": "failure"}),
        ({"lost_settings": ("s1: wsrep_sst_method=rsync",)}, {"galera-lost-setting": "warning"}),
        ({"lost_settings": ("s1: wsrep_new_cluster=ON",)}, {"galera-lost-setting": "failure"}),
    ],
)
def test_what_is_left_over_in_the_database(changes: dict[str, object], found: dict[str, str]) -> None:
    findings = galera(database(**changes))
    assert codes(findings) == found
    assert all(finding.why and finding.fix for finding in findings if finding.code is not Code.SUCCESS)
