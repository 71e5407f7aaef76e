"""Observed clouds made by hand, as `facts.observe` would give them."""

from __future__ import annotations

from upgrader.facts.names import release_names
from upgrader.facts.reading import read_release
from upgrader.graph import ReleaseGraph
from upgrader.model import CloudFacts, ContainerFacts, HostFacts, SchemaHead
from upgrader.observed import BrokerFacts, Observed
from upgrader.policy.host_system import system_of

CONTROL = ("keystone", "glance_api", "nova_api", "neutron_server", "mariadb", "memcached", "rabbitmq")
COMPUTE = ("nova_compute", "nova_libvirt", "openvswitch_vswitchd")
DATABASES = ("keystone", "glance", "nova", "nova_api", "nova_cell0", "neutron")


BROKER = BrokerFacts(
    version="3.13.7", expected=2, nodes=("rabbit@ctl1", "rabbit@ctl2"), running=("rabbit@ctl1", "rabbit@ctl2"),
    partitions=(), alarms=(), maintenance=(), classic_queues=34, quorum_queues=26, stream_queues=0, mirrored_queues=0,
    non_quorum_queues=34, non_durable_queues=34, transient_queues=34, under_replicated_queues=0,
    non_default_exchanges=60, disabled_flags=(),
)  # fmt: skip
"""As a release before 2025.1 has it by default: replies and fanouts are classic queues."""


def a_cloud(
    graph: ReleaseGraph,
    release: str = "2024.1",
    *,
    newer: dict[str, str] | None = None,
    tag: str = "{}-debian-bookworm",
    heads_of: str = "",
    os: str = "debian-12",
    away: str = "",
) -> CloudFacts:
    """Two control nodes and a compute node. `newer`: container → release where it differs; `away`: a host not read."""
    hosts = []
    for host, group, names in (
        ("ctl1", "control", CONTROL),
        ("ctl2", "control", CONTROL),
        ("cmp1", "compute", COMPUTE),
    ):
        if host == away:
            hosts.append(HostFacts(name=host, groups=(group,), reachable=False, error="ssh: connect timed out"))
            continue
        containers = tuple(
            ContainerFacts(
                name=name,
                image=f"registry:4000/kolla/{name.replace('_', '-')}:{tag.format((newer or {}).get(name, release))}",
            )
            for name in names
        )
        hosts.append(HostFacts(name=host, groups=(group,), containers=containers, os=os, engine="docker"))
    known = {} if heads_of == "none" else graph.heads(heads_of or release)
    heads = tuple(SchemaHead(database=name, heads=known[name]) for name in DATABASES if name in known)
    reading = read_release(hosts, heads, release_names(graph))
    system = system_of(os)
    observed = Observed(
        host_systems=None if away or system is None else (system.id,),
        containers=None if away else tuple(sorted({*CONTROL, *COMPUTE})),
        rabbitmq=BROKER,
    )
    return CloudFacts(
        site="prod",
        observed_at="2026-11-22T14:00:00Z",
        hosts=tuple(hosts),
        heads=heads,
        reading=reading,
        observed=observed,
    )
