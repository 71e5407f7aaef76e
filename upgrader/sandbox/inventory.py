"""Inventories of the sandbox: the release's sample with its groups, and the site's own with its hosts."""

from __future__ import annotations

import shlex
import sys

from upgrader.sandbox.blueprint import blueprint

_PARENTS = {
    # placement of openstack/kolla-ansible:ansible/inventory/multinode for the groups a sandbox uses
    "loadbalancer": ("network",),
    "neutron": ("network",),
    "openvswitch": ("network", "compute"),
    "kolla_toolbox": ("common",),
    "kolla_logs": ("common",),
    "cron": ("common",),
    "fluentd": ("common",),
    "kolla-toolbox": ("common",),
    "kolla-logs": ("common",),
    "glance-api": ("glance",),
    "nova-api": ("nova",),
    "nova-conductor": ("nova",),
    "nova-scheduler": ("nova",),
    "nova-novncproxy": ("nova",),
    "nova-metadata": ("nova",),
    "neutron-dhcp-agent": ("neutron",),
    "neutron-l3-agent": ("neutron",),
    "neutron-metadata-agent": ("neutron",),
    "cinder-api": ("cinder",),
    "cinder-scheduler": ("cinder",),
    "cinder-backup": ("storage",),
    "cinder-volume": ("storage",),
    "heat-api": ("heat",),
    "heat-api-cfn": ("heat",),
    "heat-engine": ("heat",),
}
_KINDS = ("ctl", "cmp", "sto")
_TOP = ("control", "network", "compute", "monitoring", "storage")


def groups(release: str) -> dict[str, tuple[str, ...]]:
    """Group → parent groups, without the top-level ones, in the order of the file."""
    wanted: dict[str, tuple[str, ...]] = {"baremetal": _TOP, "common": _TOP}
    for role in ("loadbalancer", "mariadb", "rabbitmq", "memcached", "keystone", "glance", "nova", "neutron"):
        wanted[role] = _PARENTS.get(role, ("control",))
    for role in ("openvswitch", "cinder", "placement", "heat", "horizon"):
        wanted[role] = _PARENTS.get(role, ("control",))
    for item in blueprint(release).containers:
        for group in item.groups:
            if group not in _TOP:
                wanted.setdefault(group, _PARENTS.get(group, ("control",)))
    return wanted


def multinode(release: str) -> str:
    """The release's sample inventory, as far as a sandbox has services."""
    hosts = {"control": "control01", "network": "network01", "compute": "compute01"}
    hosts |= {"monitoring": "monitoring01", "storage": "storage01"}
    top = "".join(f"[{name}]\n{host}\n\n" for name, host in hosts.items())
    return f"# Sample inventory of {release} for several hosts.\n{top}{_children(release)}"


def site(release: str, counts: tuple[int, int, int], temporary: str, prefix: str = "") -> str:
    """The site's inventory: ranges for the hosts, and the same groups as the release's sample."""
    names = [f"{prefix}{kind}{_range(count)}" for kind, count in zip(_KINDS, counts, strict=True)]
    control, compute, storage = (f"{name}\n" if name[-1] != "-" else "" for name in names)
    return f"""# Inventory of the sandbox. Network and monitoring services run on the control hosts.

[control]
{control}
[network:children]
control

[compute]
{compute}
[monitoring:children]
control

[storage]
{storage}
{_children(release)}
[all:vars]
# every host is a folder of this machine; the connection plugin can pretend that one is out of reach
ansible_connection=upgrader.sandbox.node
ansible_python_interpreter={shlex.quote(sys.executable)}
ansible_pipelining=true
ansible_remote_tmp={shlex.quote(temporary)}
"""


def host_names(counts: tuple[int, int, int], prefix: str = "") -> tuple[str, ...]:
    pairs = zip(_KINDS, counts, strict=True)
    return tuple(f"{prefix}{kind}{number}" for kind, count in pairs for number in range(1, count + 1))


def members(release: str, counts: tuple[int, int, int], prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Group → hosts, as Ansible resolves the site's inventory."""
    kinds = dict(zip(_KINDS, counts, strict=True))
    of = {kind: tuple(f"{prefix}{kind}{number}" for number in range(1, count + 1)) for kind, count in kinds.items()}
    found = {"control": of["ctl"], "network": of["ctl"], "monitoring": of["ctl"]}
    found |= {"compute": of["cmp"], "storage": of["sto"]}
    tree = groups(release)

    def resolve(name: str) -> tuple[str, ...]:
        if name in found:
            return found[name]
        return tuple(dict.fromkeys(host for parent in tree[name] for host in resolve(parent)))

    return {**found, **{name: resolve(name) for name in tree}}


def _range(count: int) -> str:
    return "-" if count == 0 else "1" if count == 1 else f"[1:{count}]"


def _children(release: str) -> str:
    return "".join(f"[{name}:children]\n" + "\n".join(parents) + "\n\n" for name, parents in groups(release).items())
