"""What stands in a sandbox's files at first: settings, site file, rows of the API tables."""

from __future__ import annotations

from typing import Any

DATABASES = {
    # role → schemas, as kolla-ansible names them
    "keystone": ("keystone",),
    "glance": ("glance",),
    "cinder": ("cinder",),
    "placement": ("placement",),
    "nova": ("nova_api", "nova_cell0", "nova"),
    "neutron": ("neutron",),
    "heat": ("heat",),
}
NETWORK = 20
"""Second byte of every address of a sandbox, unless another is asked for."""
OS_RELEASE = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""


SYSTEM = "system"
"""File of a host's folder with the sections that facts/observe.sh would print of the host itself."""


def vip(network: int = NETWORK) -> str:
    """Where a sandbox's APIs answer."""
    return f"10.{network}.0.250"


def prefix(network: int = NETWORK) -> str:
    """What the names of a sandbox's hosts begin with: two clouds in different networks share no name."""
    return "" if network == NETWORK else f"net{network}-"


def system(address: str, *more: str) -> dict[str, list[str]]:
    """Section → lines of a host in good order; `more` are addresses it holds besides its own."""
    held = [
        "1: lo    inet 127.0.0.1/8 scope host lo",
        f"2: eth0    inet {address}/24 brd {address.rpartition('.')[0]}.255 scope global eth0",
        *(f"2: eth0    inet {one}/32 scope global eth0" for one in more),
    ]
    return {
        "kernel": ["6.1.0-40-amd64"],
        "sdk": ["docker\t7.1.0"],
        "addresses": held,
        "iptables": ["0"],
        "clock": ["synchronised\tyes"],
    }


def globals_yml(release: str, *, durable: bool = True, network: int = NETWORK) -> str:
    """The operator's settings. `durable`: the switches for durable queues are on, where the release has them."""
    manager = 'om_enable_queue_manager: "yes"  # replies and fanouts are durable, as 2025.1 wants them\n'
    messaging = f"\n###########\n# Messaging\n###########\n{manager}" if durable and release < "2025.1" else ""
    return f"""---
# Kolla-Ansible settings of the sandbox. Comments and order are the operator's: whoever edits this keeps them.

###############
# Kolla options
###############
kolla_base_distro: "debian"

# Release the cloud runs; quoted, or YAML reads a number
openstack_release: "{release}"  # moved by the upgrade

docker_registry: ""
docker_namespace: "sandbox/kolla"

#################
# Network options
#################
kolla_internal_vip_address: "{vip(network)}"
network_interface: "eth0"   # every host has one
neutron_plugin_agent: "openvswitch"

##########
# Services
##########
enable_openstack_core: "yes"
enable_proxysql: "yes"
enable_mariabackup: "yes"
cinder_cluster_name: "sandbox"   # several cinder-volume hosts share the volumes
{messaging}"""


def globals_d(left_out: tuple[str, ...]) -> str:
    """Services of `services` that this cloud does not have."""
    lines = [f'enable_{role}: "no"\n' for role in left_out]
    return "---\n# Services this cloud goes without\n" + ("".join(lines) or "{}\n")


def upgrader_toml(name: str, engine_command: str) -> str:
    return f"""# Site file of a sandbox: a small cloud of files, made by `upgrader demo`.

[site]
name = "{name}"
engine = "docker"
engine_command = {engine_command}
sandbox = ".."

[kolla]
config_dir = "kolla"
inventory = "inventory"

[toolchains]
dir = "../toolchains"

[backup]
target = "../backups"
database = "logical"

[state]
dir = "../state"

[run]
min_free = "10G"
forks = 10

[rolling]
computes = "together"  # without this line: the control plane, a canary and batches, one after the other
gate_timeout = "1min"

[verify]
settle = "0s"  # files do not come right by themselves

[answers]
application_credentials = false
custom_service_users = false
hosts_managed_by_kolla = false
neutron_many_tags = false
newest_point_release = true
own_scripts = false
release_notes_read = "2026.1"
"""


def tables(database: str, release: str, network: int = NETWORK) -> dict[str, dict[str, Any]]:
    """API tables of a schema with a few rows, besides its version table."""
    if database == "keystone":
        return _keystone(vip(network))
    makers = {"nova": _nova, "neutron": _neutron, "cinder": _cinder, "heat": _heat}
    makers |= {"nova_api": _nova_api, "nova_cell0": _nova_cell0, "glance": _glance, "placement": _placement}
    found = makers[database]()
    if database == "heat" and release < "2024.1":
        # the row of the older migration tool stays
        found["migrate_version"] = _table(("repository_id", "version"), ["heat", 86])
    return found


def _table(columns: tuple[str, ...], *rows: list[Any]) -> dict[str, Any]:
    return {"columns": list(columns), "rows": [list(row) for row in rows]}


_SERVICES = {
    "keystone": 5000, "glance": 9292, "nova": 8774, "placement": 8780, "neutron": 9696, "cinderv3": 8776, "heat": 8004,
}  # fmt: skip


def _keystone(address: str) -> dict[str, dict[str, Any]]:
    users = ["admin", "glance", "nova", "placement", "neutron", "cinder", "heat", "alice", "bob"]
    endpoints = [
        [f"ep-{name}-{interface}", interface, name, f"http://{address}:{port}"]
        for name, port in _SERVICES.items()
        for interface in ("internal", "public")
    ]
    return {
        "user": _table(("id", "name", "password_hash"), *([f"user-{name}", name, ""] for name in users)),
        "project": _table(
            ("id", "name"), ["p-admin", "admin"], ["p-service", "service"], ["p-demo", "Ünïcode's \\demo"]
        ),
        "role": _table(("id", "name"), ["r-admin", "admin"], ["r-member", "member"], ["r-reader", "reader"]),
        "service": _table(("id", "type"), *([f"svc-{name}", name] for name in _SERVICES)),
        "endpoint": _table(("id", "interface", "service", "url"), *endpoints),
        "credential": _table(("id", "user_id", "type"), ["c-1", "user-alice", "ec2"]),
    }


def _numbered(prefix: str, count: int) -> list[list[Any]]:
    return [[f"{prefix}-{number:04d}", f"{prefix} {number}"] for number in range(1, count + 1)]


def _glance() -> dict[str, dict[str, Any]]:
    return {"images": _table(("id", "name"), *_numbered("image", 6))}


def _placement() -> dict[str, dict[str, Any]]:
    return {
        "resource_providers": _table(("id", "name"), *_numbered("provider", 3)),
        "allocations": _table(("id", "name"), *_numbered("allocation", 12)),
    }


def _nova() -> dict[str, dict[str, Any]]:
    return {
        "instances": _table(("id", "name"), *_numbered("instance", 12)),
        "compute_nodes": _table(("id", "name"), *_numbered("node", 3)),
        "services": _table(("id", "name"), *_numbered("service", 9)),
    }


def _nova_api() -> dict[str, dict[str, Any]]:
    cells = [["cell0", "none:///"], ["cell1", "rabbit://"]]
    return {
        "flavors": _table(("id", "name"), *_numbered("flavor", 5)),
        "instance_mappings": _table(("id", "name"), *_numbered("instance", 12)),
        "cell_mappings": _table(("name", "transport_url"), *cells),
    }


def _nova_cell0() -> dict[str, dict[str, Any]]:
    return {"instances": _table(("id", "name"), *_numbered("failed", 1))}


def _neutron() -> dict[str, dict[str, Any]]:
    return {
        "networks": _table(("id", "name"), *_numbered("net", 4)),
        "subnets": _table(("id", "name"), *_numbered("subnet", 4)),
        "ports": _table(("id", "name"), *_numbered("port", 21)),
        "routers": _table(("id", "name"), *_numbered("router", 2)),
    }


def _cinder() -> dict[str, dict[str, Any]]:
    return {"volumes": _table(("id", "name"), *_numbered("volume", 7))}


def _heat() -> dict[str, dict[str, Any]]:
    return {
        "stack": _table(("id", "name"), *_numbered("stack", 2)),
        "resource": _table(("id", "name"), *_numbered("res", 8)),
    }
