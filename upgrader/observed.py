"""Frozen values of what was observed of a cloud's services: the `observed.*` that conditions of the graph may name.

Owns the shapes. Every field that could not be read is None, which conditions take as unknown; an empty tuple means
that it was read and there is none. `error` of a part says why it was not read; a part is None when the cloud has
no such service, or nobody was asked. Nothing here is a secret: keys appear as keyed hashes only.
"""

from __future__ import annotations

from upgrader.value import Value


class ClockFacts(Value):
    synchronised: bool | None = None
    offset_seconds: float | None = None
    """Difference to this machine's clock, as seen while asking; only more than a few seconds means something."""


class BrokerFacts(Value):
    """RabbitMQ, as its own tools tell it. Counts are over all virtual hosts."""

    error: str = ""
    version: str | None = None
    """The oldest version among the running nodes."""
    expected: int | None = None
    """Hosts of group rabbitmq."""
    nodes: tuple[str, ...] | None = None
    """Members of the cluster, running or not."""
    running: tuple[str, ...] | None = None
    partitions: tuple[str, ...] | None = None
    alarms: tuple[str, ...] | None = None
    maintenance: tuple[str, ...] | None = None
    """Nodes left in maintenance mode (drained)."""
    classic_queues: int | None = None
    quorum_queues: int | None = None
    stream_queues: int | None = None
    mirrored_queues: int | None = None
    non_quorum_queues: int | None = None
    """Queues that are neither quorum nor stream."""
    non_durable_queues: int | None = None
    transient_queues: int | None = None
    """Reply and fanout queues that are classic: `reply_…`, `…_fanout…`."""
    under_replicated_queues: int | None = None
    """Quorum queues and streams with fewer members than the cluster has nodes (streams) or than a majority needs."""
    non_default_exchanges: int | None = None
    disabled_flags: tuple[str, ...] | None = None
    """Stable feature flags that are not enabled."""


class GaleraFacts(Value):
    """`wsrep_*` of one database server; `size` 0 means it could not be read."""

    size: int = 0
    flow_control_paused: float | None = None
    status: str = ""
    """`Primary` is the healthy value."""
    state: str = ""
    """`Synced` is the healthy value."""
    ready: bool = False
    server_version: str = ""
    local_index: int | None = None
    """Place of this server in the cluster, from 0; None outside of one."""
    lost_settings: tuple[str, ...] | None = None
    """`variable=value` left over from an interrupted role, sorted; None: not asked."""


class DatabaseFacts(Value):
    """The Galera cluster as a whole, judged from every server's own answer."""

    error: str = ""
    version: str | None = None
    """Oldest server version."""
    expected: int | None = None
    """Hosts of group mariadb."""
    size: int | None = None
    """Smallest `wsrep_cluster_size` told."""
    synced: int | None = None
    """Servers that are Primary and Synced."""
    flow_control_paused: float | None = None
    """Largest `wsrep_flow_control_paused`, a share between 0 and 1."""
    lost_settings: tuple[str, ...] | None = None
    """`host: variable=value` of server variables left over from an interrupted role."""


class VipFacts(Value):
    error: str = ""
    address: str | None = None
    owners: tuple[str, ...] | None = None
    """Hosts that hold the address now."""
    host_address: bool | None = None
    """The address is some host's own and not a virtual one."""
    interfaces: tuple[str, ...] | None = None
    """`host: interface` where it is held."""
    answers: bool | None = None
    """Something that is none of our hosts answers at the address."""


class BackendFacts(Value):
    error: str = ""
    total: int | None = None
    down: tuple[str, ...] | None = None
    """`backend/server (hosts that say so)`."""
    dead: tuple[str, ...] | None = None
    """`backend (hosts that say so)` without any server that takes requests."""


class FernetFacts(Value):
    error: str = ""
    hosts: tuple[str, ...] | None = None
    same: bool | None = None
    """Every Keystone host holds the same keys (compared by keyed hash)."""
    odd: tuple[str, ...] | None = None
    """Hosts whose keys differ from the majority's, or that have none."""
    primary_age_hours: float | None = None
    rotation_hours: float | None = None
    """How often the site rotates them."""
    count: int | None = None


class CacheFacts(Value):
    """memcached, Redis or Valkey."""

    kind: str
    error: str = ""
    hosts: tuple[str, ...] | None = None
    down: tuple[str, ...] | None = None
    version: str | None = None
    master: tuple[str, ...] | None = None
    unlinked: tuple[str, ...] | None = None
    """Replicas whose link to the master is down."""


class OvnFacts(Value):
    error: str = ""
    nb: str | None = None
    """`healthy`, or what is wrong with the northbound database cluster."""
    sb: str | None = None
    version: str | None = None


class CephFacts(Value):
    error: str = ""
    health: str | None = None
    """`HEALTH_OK`, `HEALTH_WARN`, `HEALTH_ERR`."""
    noout: bool | None = None
    checks: tuple[str, ...] | None = None
    """`CHECK: message` of what stands behind the health."""


class NovaFacts(Value):
    error: str = ""
    services_down: tuple[str, ...] | None = None
    """`host: binary`, enabled services that were silent for over a minute."""
    services_disabled: tuple[str, ...] | None = None
    computes: tuple[str, ...] | None = None
    hypervisors: tuple[str, ...] | None = None
    """Distinct hypervisor types, lower case."""
    oldest_service_version: int | None = None
    unmigrated: tuple[str, ...] | None = None
    """`table: rows` of online data migrations that are not finished, counted in the data."""
    soft_deleted: int | None = None
    vif_types: tuple[str, ...] | None = None
    """Distinct vif types of bound ports."""
    silence: tuple[str, ...] | None = None
    """`host: binary: seconds` for each of `services_down`: how long it has been silent."""
    left_disabled: tuple[str, ...] | None = None
    """`host: binary` of services that this tool disabled for an upgrade, by the reason it gave."""
    versions: tuple[str, ...] | None = None
    """`host: binary: version` of every service that sends heartbeats: Nova's own number, not a release."""


class NeutronFacts(Value):
    error: str = ""
    agents_down: tuple[str, ...] | None = None
    agent_types: tuple[str, ...] | None = None
    silence: tuple[str, ...] | None = None
    """`host: binary: seconds` for each of `agents_down`."""


class CinderFacts(Value):
    error: str = ""
    services_down: tuple[str, ...] | None = None
    backends: tuple[str, ...] | None = None
    unmigrated: tuple[str, ...] | None = None
    silence: tuple[str, ...] | None = None
    """`host: binary: seconds` for each of `services_down`."""


class IronicFacts(Value):
    error: str = ""
    nodes: int | None = None
    waiting: tuple[str, ...] | None = None
    """`uuid: state` of nodes in a wait state."""
    drivers: tuple[str, ...] | None = None
    interfaces: tuple[str, ...] | None = None
    """Distinct `kind=name` of the interfaces in use."""


class HeatFacts(Value):
    error: str = ""
    busy: int | None = None
    """Stacks in progress."""


class OctaviaFacts(Value):
    error: str = ""
    providers: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    busy: int | None = None


class MagnumFacts(Value):
    error: str = ""
    drivers: tuple[str, ...] | None = None
    """Distinct `coe/driver` of clusters."""


class UpgradeCheck(Value):
    """What a service's own `status upgrade check` of the target release said."""

    service: str
    release: str
    code: int | None = None
    """0 fine, 1 warnings, 2 failures; None: it could not be run."""
    checks: tuple[tuple[str, str, str], ...] = ()
    """(check, result, details)."""
    error: str = ""


class Observed(Value):
    host_systems: tuple[str, ...] | None = None
    """Distinct systems of all hosts, named as in the release graph (`ubuntu-jammy`); None when a host was not read."""
    containers: tuple[str, ...] | None = None
    """Distinct container names on all hosts; None when a host was not read."""
    images: tuple[str, ...] | None = None
    volumes: tuple[str, ...] | None = None
    legacy_iptables: tuple[str, ...] | None = None
    """Hosts that hold rules in the legacy tables."""
    rabbitmq: BrokerFacts | None = None
    database: DatabaseFacts | None = None
    vip: VipFacts | None = None
    external_vip: VipFacts | None = None
    haproxy: BackendFacts | None = None
    proxysql: BackendFacts | None = None
    fernet: FernetFacts | None = None
    memcached: CacheFacts | None = None
    redis: CacheFacts | None = None
    valkey: CacheFacts | None = None
    ovn: OvnFacts | None = None
    ceph: CephFacts | None = None
    nova: NovaFacts | None = None
    neutron: NeutronFacts | None = None
    cinder: CinderFacts | None = None
    ironic: IronicFacts | None = None
    heat: HeatFacts | None = None
    octavia: OctaviaFacts | None = None
    magnum: MagnumFacts | None = None
    upgrade_checks: tuple[UpgradeCheck, ...] | None = None
