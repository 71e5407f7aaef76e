"""What the sandbox's cloud is made of at each release: roles in order, containers, images, schemas, tasks.

Everything that upstream decides comes from the release graph's data; this file only chooses the services a small
cloud has and says where the data speaks of hosts in words.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

CORE = ("loadbalancer", "mariadb", "memcached", "rabbitmq", "keystone")
"""Roles every sandbox has, besides cron, fluentd and the toolbox."""
OPTIONAL = ("glance", "cinder", "placement", "openvswitch", "nova", "neutron", "heat", "horizon")
COMMON = ("common", "logs", "cron", "fluentd", "kolla_toolbox")

CONTAINERS = (
    "kolla_toolbox", "cron", "fluentd", "haproxy", "proxysql", "keepalived", "mariadb", "memcached", "rabbitmq",
    "keystone_ssh", "keystone_fernet", "keystone", "keystone_httpd", "glance_api", "cinder_api", "cinder_scheduler",
    "cinder_volume", "cinder_backup", "placement_api", "openvswitch_db", "openvswitch_vswitchd", "nova_scheduler",
    "nova_api", "nova_metadata", "nova_conductor", "nova_novncproxy", "nova_ssh", "nova_libvirt", "nova_compute",
    "neutron_server", "neutron_rpc_server", "neutron_periodic_worker", "neutron_openvswitch_agent",
    "neutron_dhcp_agent", "neutron_l3_agent", "neutron_metadata_agent", "heat_api", "heat_api_cfn", "heat_engine",
    "horizon",
)  # fmt: skip
"""In the order in which the roles' handlers restart them."""

_GROUPS = {
    # the data names these in words ("chosen by the role") or with groups that only some releases have
    "cinder_backup": ("cinder-backup",),
    "cinder_volume": ("cinder-volume",),
    "neutron_openvswitch_agent": ("compute", "neutron-dhcp-agent", "neutron-l3-agent"),
    "neutron_l3_agent": ("neutron-l3-agent",),
    "neutron_metadata_agent": ("neutron-metadata-agent",),
}
_KEYS = {"openvswitch_db": "openvswitch-db-server"}
_PATCH = {
    "10.6": "10.6.22", "10.11": "10.11.13", "11.4": "11.4.8",
    "3.12": "3.12.14", "3.13": "3.13.7", "4.0": "4.0.9", "4.1": "4.1.8", "4.2": "4.2.4",
}  # fmt: skip
"""Full version for the series in an image; the data names the series only."""


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    key: str
    """Name of the service in its role, as handlers use it."""
    role: str
    image: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemaTask:
    """A task that starts a schema change (`schema`) or moves rows while services run (`online`)."""

    role: str
    task: str
    kind: str
    part: str
    databases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The sandbox's cloud at one release."""

    release: str
    kolla: str
    """Version of kolla-ansible that deploys it, also the `kolla_version` label of its images."""
    mariadb: str
    rabbitmq: str
    roles: tuple[str, ...]
    """Roles in the order of their plays; nova-cell is part of nova."""
    containers: tuple[Container, ...]
    schema_tasks: tuple[SchemaTask, ...]

    def of_role(self, role: str) -> tuple[Container, ...]:
        return tuple(item for item in self.containers if item.role == role)


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files("release_graph").joinpath(name).read_text(encoding="utf-8"))


@cache
def releases() -> tuple[str, ...]:
    """Releases a sandbox can run, oldest first: those whose kolla-ansible is published."""
    found = sorted(
        entry.name.removesuffix(".toml")
        for entry in files("release_graph").joinpath("releases").iterdir()
        if entry.name.endswith(".toml")
    )
    return tuple(name for name in found if _data(f"releases/{name}.toml")["kolla_ansible"].get("newest"))


@cache
def queue_users() -> tuple[str, ...]:
    """Roles whose services declare queues."""
    return tuple(_data("risks/rabbitmq.toml")["users"]["tags"])


@cache
def heads() -> dict[str, dict[str, list[str]]]:
    """Release → database → rows of its version table, for every release of the graph."""
    table: dict[str, dict[str, list[str]]] = {}
    for database in _data("schema_heads.toml")["databases"]:
        for release, rows in database["heads"].items():
            for name in (database["database"], *database.get("also", ())):
                table.setdefault(release, {})[name] = list(rows)
    return table


def defaults(release: str) -> list[dict[str, Any]]:
    """Files of the release's own defaults, as far as the release graph keeps them: `path` and `values` each."""
    found: list[dict[str, Any]] = _data(f"defaults/{release}.toml")["files"]
    return found


@cache
def blueprint(release: str) -> Blueprint:
    """Raises KeyError or FileNotFoundError for a release that the graph does not know."""
    node = _data(f"releases/{release}.toml")
    order = [role["name"] for role in _data(f"service_order/{release}.toml")["roles"]]
    parts = _data(f"components/{release}.toml")["components"]
    series = {name: parts[name].split()[0] for name in ("mariadb", "rabbitmq")}
    known = {item["name"]: item for item in _data("containers.toml")["containers"]}
    containers = [_container(known[name], order) for name in CONTAINERS if _in(known[name], release)]
    wanted = {item.role for item in containers} | {"nova"}
    return Blueprint(
        release=release,
        kolla=node["kolla_ansible"]["newest"],
        mariadb=_PATCH.get(series["mariadb"], f"{series['mariadb']}.1"),
        rabbitmq=_PATCH.get(series["rabbitmq"], f"{series['rabbitmq']}.1"),
        roles=tuple(role for role in order if role in wanted),
        containers=tuple(containers),
        schema_tasks=tuple(
            SchemaTask(item["role"], item["task"], item["kind"], item.get("part", ""), tuple(item["databases"]))
            for item in _data("schema_tasks.toml")["tasks"]
            if item["kind"] in ("schema", "online") and _in(item, release)
        ),
    )


def _in(item: dict[str, Any], release: str) -> bool:
    return bool(item.get("first", "") <= release <= item.get("last", "9999"))


def _container(item: dict[str, Any], order: list[str]) -> Container:
    name, role = item["name"], item["role"]
    if role in COMMON and role not in order:
        role = "common"
    return Container(
        name=name,
        key=_KEYS.get(name, name.replace("_", "-")),
        role=role,
        image=item["image"],
        groups=_groups(item, order),
    )


def _groups(item: dict[str, Any], order: list[str]) -> tuple[str, ...]:
    if item["name"] == "kolla_toolbox" and "kolla_toolbox" not in order:
        # the group got its underscore together with a role of its own
        # openstack/kolla-ansible@21.3.0:ansible/inventory/multinode, @22.2.0:ansible/inventory/multinode
        return ("kolla-toolbox",)
    return _GROUPS.get(item["name"], (item["group"],))
