"""Stop and start the containers that use the databases, while these are put back.

Owns which ones: everything of the cloud's that talks to a database, nothing that carries it, carries traffic or
runs instances. Stopping goes through systemd where Kolla made a unit, else the unit would start it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from upgrader.config import Site
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.plays import own_play
from upgrader.facts.reading import is_kolla
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.runner.base import Cancelled, EventSink, PlayResult, Runner

TASK = "Stop or start the containers"
_PLAYBOOK = Path(__file__).parent / "services.yml"

_STAYS = re.compile(
    r"^(mariadb|mariadb_.*|proxysql|haproxy|haproxy_.*|keepalived|hacluster_.*|letsencrypt_.*"
    r"|rabbitmq|memcached|redis|redis_.*|valkey|valkey_.*|etcd|opensearch|opensearch_.*|influxdb"
    r"|fluentd|cron|kolla_toolbox|telegraf|collectd|prometheus|prometheus_.*"
    r"|openvswitch_.*|ovsdpdk_.*|ovn_.*|frr|multipathd|iscsid|tgtd"
    r"|nova_libvirt|nova_ssh|nova_compute|nova_compute_ironic.*|neutron_.*_agent|neutron_ovn_.*agent"
    r"|ironic_(pxe|tftp|http|dnsmasq)|ironic_neutron_agent|zun_.*|kuryr)$"
)
"""Containers that stay: data stores and what leads to them, logs and metrics, the data plane, and agents, which
reach a database only through the services that are stopped (container names: roles/*/defaults/main.yml)."""


def database_users(facts: CloudFacts, names: ReleaseNames) -> dict[str, tuple[str, ...]]:
    """Host → the cloud's containers to stop before databases are replaced, in order; hosts without any left out."""
    chosen = {
        host.name: tuple(
            sorted(
                container.name
                for container in host.containers
                if is_kolla(container, names) and not _STAYS.match(container.name)
            )
        )
        for host in facts.hosts
    }
    return {host: found for host, found in sorted(chosen.items()) if found}


def switch(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    containers: Mapping[str, tuple[str, ...]],
    *,
    start: bool,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> PlayResult:
    """Stop (or start) these containers of each host; ones that are so already count as done. Look at the verdict."""
    play = own_play(
        site,
        toolchain,
        "start-services" if start else "stop-services",
        _PLAYBOOK,
        tuple(containers),
        values=(
            ("upgrader_action", "start" if start else "stop"),
            ("upgrader_containers", {host: list(names) for host, names in containers.items()}),
        ),
        expected=tuple(containers),
        variables=False,
    )
    return runner.run(play, folder, on_event=on_event, cancelled=cancelled)
