"""Writes the lab as a site: upgrader.toml, globals, passwords and inventory, as an operator's folder would look."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from upgrader.errors import FailedCleanError
from upgrader.graph.broker import own_image_answer
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.lab.engine import Docker
from upgrader.lab.folder import LabFolder, LabRecord
from upgrader.lab.machine import has_sys_resource

BROKER = "3.10"
"""RabbitMQ of Debian 12, which every image of the lab is made of."""
PLACES = ("control", "network", "compute", "monitoring", "storage")
"""The groups of the release's multinode inventory that name hosts; all others are made of them."""


def upgrader_toml(folder: LabFolder, record: LabRecord) -> str:
    toolchains = Path(record.toolchains)
    shown = "../toolchains" if toolchains == folder.root / "toolchains" else str(toolchains)
    return f"""# The lab, written by `upgrader lab up`. Paths are relative to this file's folder.
[site]
name = "lab"
engine = "docker"

[kolla]
config_dir = "kolla"
inventory = "inventory"

[backup]
target = "../backups"
database = "logical"

[toolchains]
dir = "{shown}"

[state]
dir = "../state"

# What no probe can find out, and what is true of this lab.
[answers]
hosts_managed_by_kolla = false
newest_point_release = true
own_scripts = false
release_notes_read = "{record.also}"
{_own_broker(record)}"""


def _own_broker(record: LabRecord) -> str:
    """The images of both releases hold the RabbitMQ of Debian 12, not the version of Kolla's own images."""
    if record.controllers == 1 and not record.computes:
        return ""
    return "".join(f'{own_image_answer(name)} = "{BROKER}"\n' for name in (record.release, record.also))


INSTANCES = """enable_glance: "yes"
enable_placement: "yes"
enable_nova: "yes"
enable_neutron: "no"       # instances have no network
nova_console: "none"
enable_nova_ssh: "no"
enable_nova_libvirt_container: "no"
"""


def globals_yml(record: LabRecord) -> str:
    cluster = "yes" if record.controllers > 1 else "no"
    broker = "yes" if record.controllers > 1 or record.computes else "no"
    return f"""---
# The lab's cloud, as an operator would write it. globals.d/50-lab.yml holds what only a lab needs.

##############
# Kolla options
##############
# The release; upgrader edits this line and nothing else in this file.
openstack_release: "{record.release}"
kolla_base_distro: "debian"

################
# Container images
################
docker_registry: "{record.registry}"
docker_registry_insecure: "yes"
docker_namespace: "kolla"

##########
# Networking
##########
network_interface: "eth0"
kolla_internal_vip_address: "{record.vip}"

########
# Services
########
enable_openstack_core: "no"
enable_keystone: "yes"
enable_mariadb: "yes"
enable_memcached: "yes"
enable_haproxy: "{cluster}"
enable_rabbitmq: "{broker}"
enable_proxysql: "no"      # not packaged by Debian or PyPI
enable_fluentd: "no"
enable_mariabackup: "yes"
{INSTANCES if record.computes else ""}"""


def lab_yml(record: LabRecord, *, resource: bool) -> str:
    lines = ["---", "# What only the lab needs; read after globals.yml, so it wins."]
    lines += ['enable_mariadb_clustercheck: "no"   # its image is not built']
    lines += ['prechecks_enable_host_ntp_checks: "no"   # a node has the clock of this machine']
    if not resource:
        lines += ["default_container_dimensions: {}   # limits cannot be raised without CAP_SYS_RESOURCE"]
    if record.controllers > 1 or record.computes:
        lines += ["modules: []                        # roles would load ip_vs and others; a container cannot"]
    if record.computes:
        lines += ["openstack_service_workers: 1       # many services share this machine"]
    if record.controllers > 1:
        lines += ["haproxy_max_connections: 2000      # fits the file limit of a container"]
    return "\n".join(lines) + "\n"


def mariadb_cfg(record: LabRecord) -> str:
    """The database behind the load balancer, which Kolla's role has no part for from 2025.2 on but ProxySQL.

    The file stands in for the role's own part, in 2025.1 too. In haproxy/services.d the role of 2025.2 would write an
    empty one over it.
    """
    lines = ["# Neither Debian nor PyPI has ProxySQL; one server is used, the others stand by.", "listen mariadb"]
    lines += ["    mode tcp", "    option clitcpka", "    option srvtcpka", "    timeout client 3600s"]
    lines += ["    timeout server 3600s", f"    bind {record.vip}:3306"]
    for number, name in enumerate(record.control_nodes):
        backup = " backup" if number else ""
        lines += [f"    server {name} {record.node_address(number)}:3306 check inter 2000 rise 2 fall 5{backup}"]
    return "\n".join(lines) + "\n"


def nova_conf(record: LabRecord) -> str:
    """Settings of every Nova service: the lab has no Neutron, and something empty answers in its place."""
    return f"""# There is no Neutron; asked for the ports of an instance, this says that there are none.
[neutron]
endpoint_override = {record.no_network}
username = {{{{ nova_keystone_user }}}}
password = {{{{ nova_keystone_password }}}}
"""


NOVA_COMPUTE_CONF = """# A hypervisor that only pretends, one that stays the same node when it is started again.
[DEFAULT]
compute_driver = fake.FakeDriverWithoutFakeNodes
# started again it knows none of its instances; Nova is not to notice
sync_power_state_interval = -1
"""


def inventory(folder: LabFolder, record: LabRecord, docker: Docker, multinode: str) -> str:
    """The release's own multinode inventory with the lab's nodes in the groups that name hosts."""
    head = [
        "# The lab's nodes in the groups of the release's multinode inventory; spoken to through the lab's engine.",
        "[all:vars]",
        "ansible_connection=community.docker.docker",
        f"ansible_docker_extra_args=-H {folder.docker_host}",
        "ansible_user=root",
        "ansible_python_interpreter=/usr/bin/python3",
        "",
    ]
    # a lab without hosts for instances has its controllers in every group, as an inventory of one host does
    # (set_sysctl: the role would switch on the filtering of bridged packets, which a container cannot)
    computes = [f"{name} set_sysctl=no" for name in record.compute_nodes] or record.control_nodes
    for place in PLACES:
        head += [f"[{place}]", *(computes if place == "compute" else record.control_nodes), ""]
    head += [
        "[deployment]",
        "localhost ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}",
    ]
    kept: list[str] = []
    copying = False
    for line in multinode.splitlines():
        if line.startswith("["):
            copying = line.strip("[]") not in (*PLACES, "deployment")
        if copying and not line.startswith("#"):
            kept.append(line)
    return "\n".join([*head, "", *kept]).rstrip() + "\n"


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    spare = path.with_name(path.name + ".new")
    with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    spare.replace(path)


def write_site(folder: LabFolder, record: LabRecord, docker: Docker, toolchain: Toolchain) -> None:
    """Writes what is missing of the site. A file that is there is kept: runs of the tool may have changed it."""
    kolla = folder.site / "kolla"
    folder.site.mkdir(parents=True, exist_ok=True)
    texts = {
        folder.site / "upgrader.toml": upgrader_toml(folder, record),
        kolla / "globals.yml": globals_yml(record),
        kolla / "globals.d" / "50-lab.yml": lab_yml(record, resource=has_sys_resource()),
        folder.site / "inventory": inventory(folder, record, docker, toolchain.example_inventory.read_text()),
    }
    if record.controllers > 1:
        texts[kolla / "config/haproxy-config/mariadb.cfg"] = mariadb_cfg(record)
    if record.computes:
        texts[kolla / "config/nova.conf"] = nova_conf(record)
        texts[kolla / "config/nova/nova-compute.conf"] = NOVA_COMPUTE_CONF
    for path, text in texts.items():
        if not path.exists():
            _write(path, text)
    _write_passwords(kolla / "passwords.yml", toolchain)


def _write_passwords(path: Path, toolchain: Toolchain) -> None:
    if path.exists():
        return
    spare = path.with_name("passwords.new")
    _write(spare, toolchain.example_passwords.read_text(), mode=0o600)
    command = [str(toolchain.bin / "kolla-genpwd"), "--passwords", str(spare)]
    done = subprocess.run(command, env=environment(toolchain), capture_output=True, text=True, check=False)
    if done.returncode:
        spare.unlink()
        raise FailedCleanError(
            "kolla-genpwd failed", cloud="the lab is incomplete", details=done.stderr.splitlines()[-5:]
        )
    spare.chmod(0o600)
    spare.replace(path)


def password(folder: LabFolder, name: str) -> str:
    """One value of the lab's passwords.yml, which kolla-genpwd writes as flat lines."""
    for line in (folder.site / "kolla/passwords.yml").read_text().splitlines():
        key, colon, value = line.partition(":")
        if colon and key == name:
            return value.strip().strip("'\"")
    raise FailedCleanError(f"passwords.yml has no {name}", cloud="nothing was changed")
