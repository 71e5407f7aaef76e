"""Which containers stop while databases are replaced."""

from __future__ import annotations

import pytest

from tests.cloud_kit.facts import cloud, container, host, names
from upgrader.database.services import database_users

STOP = [
    "keystone", "keystone_fernet", "glance_api", "placement_api", "nova_api", "nova_scheduler", "nova_conductor",
    "nova_novncproxy", "nova_metadata", "neutron_server", "neutron_rpc_server", "neutron_periodic_worker",
    "cinder_api", "cinder_scheduler", "cinder_volume", "heat_engine", "barbican_api", "octavia_worker", "horizon",
    "magnum_conductor", "ironic_conductor", "grafana",
]  # fmt: skip
STAY = [
    "mariadb", "mariadb_clustercheck", "proxysql", "haproxy", "keepalived", "rabbitmq", "memcached", "valkey_sentinel",
    "redis", "etcd", "fluentd", "cron", "kolla_toolbox", "prometheus_node_exporter", "openvswitch_db", "ovn_nb_db",
    "ovn_controller", "nova_libvirt", "nova_compute", "neutron_l3_agent", "neutron_ovn_metadata_agent", "iscsid",
]  # fmt: skip


@pytest.mark.parametrize("name", STOP)
def test_users_of_databases_stop(name: str) -> None:
    assert database_users(cloud(host("ctl1", container(name))), names()) == {"ctl1": (name,)}


@pytest.mark.parametrize("name", STAY)
def test_stores_agents_and_the_data_plane_stay(name: str) -> None:
    assert database_users(cloud(host("ctl1", container(name))), names()) == {}


def test_strangers_are_left_alone() -> None:
    stranger = container("portainer", image="docker.io/portainer/agent:2", label="")
    found = database_users(cloud(host("b", container("heat_api"), stranger), host("a", container("keystone"))), names())
    assert list(found.items()) == [("a", ("keystone",)), ("b", ("heat_api",))]
