"""The sandbox's stand-ins for kolla-ansible environments: the same folders, with the ansible-core beside this Python.

Layout as a built toolchain has it, so that nothing outside the sandbox asks which kind it has before it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from upgrader.errors import EnvironmentMissingError
from upgrader.sandbox import inventory, secrets
from upgrader.sandbox.blueprint import Blueprint, blueprint, defaults, heads, queue_users, releases
from upgrader.sandbox.playbooks import files_of

_PROGRAMS = ("ansible", "ansible-config", "ansible-doc", "ansible-inventory", "ansible-playbook", "ansible-vault")


def package_parent() -> Path:
    """Folder from which the running `upgrader` is imported."""
    import upgrader

    return Path(upgrader.__file__).resolve().parent.parent


def ansible_folder() -> Path:
    """Folder of the ansible-core programs beside this Python. Raises EnvironmentMissingError when there are none."""
    for folder in (Path(sys.executable).parent, Path(sys.prefix) / "bin"):
        if (folder / "ansible-playbook").exists():
            return folder
    raise EnvironmentMissingError(
        f"The sandbox drives a real ansible-core, and there is none beside {sys.executable}.",
        cloud="Nothing was created.",
        next_command="pip install 'upgrader[sandbox]'",
        reason="sandbox-without-ansible",
    )


def write_toolchains(root: Path, first: str) -> None:
    """Toolchains of `first` and every later release whose kolla-ansible is published, below `root`/toolchains."""
    for release in releases():
        if release >= first:
            _write_toolchain(root / "toolchains" / release, blueprint(release))


def _write_toolchain(folder: Path, plan: Blueprint) -> None:
    playbooks = folder / "share" / "kolla-ansible" / "ansible"
    _programs(folder / "bin", plan)
    for name, text in files_of(plan):
        _text(playbooks / name, text)
    _text(playbooks / "sandbox.json", json.dumps(_cloud(plan), indent=1) + "\n")
    # one file until 2025.1, a folder from 2025.2 on
    # openstack/kolla-ansible@20.6.0:ansible/group_vars, @21.3.0:ansible/group_vars
    name = "group_vars/all/common.yml" if plan.release >= "2025.2" else "group_vars/all.yml"
    own = _group_vars(plan)
    shared, roles = _published(plan.release)
    _text(playbooks / name, own + _lines(shared, without=own))
    for role, values in roles.items():
        _text(playbooks / "roles" / role / "defaults" / "main.yml", f"---\n{_lines(values)}")
    _text(playbooks / "inventory" / "multinode", inventory.multinode(plan.release))
    examples = folder / "share" / "kolla-ansible" / "etc_examples" / "kolla"
    _text(examples / "passwords.yml", secrets.example(plan.release))
    _text(examples / "globals.yml", "---\n# A sandbox has no more settings than those in the site's own globals.yml.\n")
    _plugin("kolla_sandbox.py", playbooks / "action_plugins" / "kolla_sandbox.py")
    collection = folder / "collections" / "ansible_collections" / "upgrader" / "sandbox"
    _plugin("node.py", collection / "plugins" / "connection" / "node.py")


def _programs(folder: Path, plan: Blueprint) -> None:
    ansible = ansible_folder()
    python = shlex.quote(sys.executable)
    # small launchers instead of links: a linked Python would look for its packages beside the link
    commands = {name: f"{python} {shlex.quote(str(ansible / name))}" for name in _PROGRAMS}
    commands["python"] = python
    for name in ("kolla-genpwd", "kolla-mergepwd"):
        commands[name] = f"{python} -m upgrader.sandbox.{name.replace('kolla-', '')}"
    parent = shlex.quote(str(package_parent()))
    for name, command in commands.items():
        lines = ["#!/bin/sh", f'exec {command} "$@"', ""]
        if name.startswith("kolla-"):
            lines.insert(1, f"PYTHONPATH={parent} export PYTHONPATH")
        _text(folder / name, "\n".join(lines), mode=0o755)
    # the program kolla-ansible itself is not imitated: the tool drives playbooks
    script = f"#!/bin/sh\necho 'the sandbox has no kolla-ansible {plan.kolla}; run its playbooks' >&2\nexit 1\n"
    _text(folder / "kolla-ansible", script, mode=0o755)


def _cloud(plan: Blueprint) -> dict[str, Any]:
    """What the action plugin has to know of its release, and of every release whose images may be named."""
    return {
        "release": plan.release,
        "package": str(package_parent()),
        "containers": {
            item.name: {"key": item.key, "role": item.role, "image": item.image, "groups": list(item.groups)}
            for item in plan.containers
        },
        "heads": heads(),
        "queue_users": list(queue_users()),
        "versions": {
            known: {name: getattr(blueprint(known), name) for name in ("kolla", "mariadb", "rabbitmq")}
            for known in releases()
        },
    }


def _group_vars(plan: Blueprint) -> str:
    enabled = sorted({role.replace("-", "_") for role in plan.roles} | {"nova"})
    services = "".join(f'enable_{name}: "yes"\n' for name in enabled)
    return f"""---
# Defaults of the release; globals.yml overrides them.
node_config: "{{{{ CONFIG_DIR | default('/etc/kolla') }}}}"
kolla_base_distro: "debian"
kolla_base_distro_version: "bookworm"
docker_registry: "quay.io"
docker_namespace: "openstack.kolla"
docker_image_name_prefix: ""
docker_image_url: >-
  {{{{ (docker_registry ~ '/' if docker_registry else '') ~ docker_namespace ~ '/' ~ docker_image_name_prefix }}}}
openstack_release: "{plan.release}"
openstack_tag_suffix: ""
openstack_tag: >-
  {{{{ openstack_release ~ '-' ~ kolla_base_distro ~ '-' ~ kolla_base_distro_version ~ openstack_tag_suffix }}}}
kolla_container_engine: "docker"
kolla_internal_vip_address: "10.20.0.250"
kolla_internal_fqdn: "{{{{ kolla_internal_vip_address }}}}"
kolla_external_vip_address: "{{{{ kolla_internal_vip_address }}}}"
kolla_same_external_internal_vip: "{{{{ kolla_external_vip_address == kolla_internal_vip_address }}}}"
network_interface: "eth0"
api_interface: "{{{{ network_interface }}}}"
fernet_key_rotation_interval: 259200
enable_central_logging: "no"
enable_prometheus: "no"
libvirt_tls: "no"
internal_protocol: "http"
keystone_public_port: 5000
keystone_admin_user: "admin"
keystone_admin_project: "admin"
keystone_internal_url: "{{{{ internal_protocol }}}}://{{{{ kolla_internal_fqdn }}}}:{{{{ keystone_public_port }}}}"
database_user: "root"
mariadb_backup_type: "full"
enable_mariabackup: "no"
{_messaging(plan.release)}{services}"""


def _messaging(release: str) -> str:
    if release >= "2025.1":
        return 'om_enable_rabbitmq_stream_fanout: "yes"\n'
    both = "om_enable_rabbitmq_quorum_queues | bool and"
    return f"""om_enable_rabbitmq_high_availability: "no"
om_enable_rabbitmq_quorum_queues: "yes"
om_enable_queue_manager: "no"
om_enable_rabbitmq_transient_quorum_queue: "{{{{ {both} om_enable_queue_manager | bool }}}}"
om_enable_rabbitmq_stream_fanout: "{{{{ {both} om_enable_rabbitmq_transient_quorum_queue | bool }}}}"
"""


def _published(release: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """(defaults of every group_vars file, role → its defaults) that the release graph keeps: name → JSON text."""
    shared: dict[str, str] = {}
    roles: dict[str, dict[str, str]] = {}
    for file in defaults(release):
        path = file["path"].split("/")
        if path[1] == "roles":
            roles[path[2]] = file["values"]
        else:
            shared |= file["values"]
    return shared, roles


def _lines(values: dict[str, str], *, without: str = "") -> str:
    """The values as YAML, which JSON is; names that `without` sets already are left out."""
    known = {line.split(":")[0] for line in without.splitlines() if line[:1].isalpha()}
    return "".join(f"{name}: {value}\n" for name, value in sorted(values.items()) if name not in known)


def _plugin(name: str, target: Path) -> None:
    _text(target, files("upgrader.sandbox").joinpath("plugins", name).read_text(encoding="utf-8"))


def _text(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.chmod(path, mode)  # noqa: PTH101 - one call less than going through a Path for several hundred files
