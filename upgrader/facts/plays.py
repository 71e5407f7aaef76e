"""Plays of this tool's own: which hosts, which variables, which files go with them.

Owns what every read or change of ours on a host has in common, so that a question in facts, a probe and a
restore reach the hosts the same way. Holds no secret: passwords.yml is named by its path and read by Ansible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from upgrader.config import Site
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.base import Play, PlayResult

CLOUD_GROUP = "baremetal"
"""Group that holds every host of the cloud in kolla-ansible's own inventories
(`ansible/inventory/multinode`, `all-in-one`); `localhost` of group `deployment` is not in it."""
_FALLBACK_GROUPS = frozenset({"control", "network", "compute", "storage", "monitoring", "mariadb", "keystone"})
_VARIABLE_SUFFIXES = frozenset({".yml", ".yaml", ".json"})


class HasHosts(Protocol):
    """What is needed of an inventory here."""

    @property
    def hosts(self) -> Mapping[str, Sequence[str]]:
        """Host → its groups."""
        ...


def cloud_hosts(inventory: HasHosts) -> tuple[str, ...]:
    """Hosts that run containers of the cloud, sorted; a deployment host that runs none is left out."""
    for wanted in (frozenset({CLOUD_GROUP}), _FALLBACK_GROUPS):
        chosen = [host for host, groups in inventory.hosts.items() if wanted & set(groups)]
        if chosen:
            return tuple(sorted(chosen))
    return tuple(sorted(inventory.hosts))


def group_hosts(inventory: HasHosts, group: str) -> tuple[str, ...]:
    """Hosts of one group, sorted."""
    return tuple(sorted(host for host, groups in inventory.hosts.items() if group in groups))


def host_vars(site: Site) -> tuple[tuple[str, Any], ...]:
    """Extra variables our own plays need on every host.

    A sandbox's hosts are folders of this machine: its own systemd, disks and rights must not be touched, so
    their root is a folder and nothing is done with raised rights there.
    """
    values: list[tuple[str, Any]] = [("upgrader_engine", site.engine_command), ("upgrader_host_root", "")]
    if site.sandbox is not None:
        values[1] = ("upgrader_host_root", f"{site.sandbox}/hosts/{{{{ inventory_hostname }}}}")
        values.append(("ansible_become", False))
    return tuple(values)


def variable_files(site: Site) -> tuple[Path, ...]:
    """The site's variables in the order kolla-ansible gives them, later ones win.

    Source: `build_args` and `_get_vars_files` of kolla_ansible/ansible.py, 20.6.0 and 21.3.0.
    """
    folder = site.config_dir / "globals.d"
    more = sorted(file for file in folder.iterdir() if file.suffix in _VARIABLE_SUFFIXES) if folder.is_dir() else []
    files = [site.globals_file, site.passwords, *more, *site.extra_vars]
    return tuple(file for file in files if file.is_file())


def work_folder(site: Site, purpose: str) -> str:
    """Folder on a host for files on their way; the same every time, so that a killed play's rest is removed."""
    return f"{{{{ upgrader_host_root }}}}/var/tmp/upgrader-{site.name}-{purpose}"


def own_play(
    site: Site,
    toolchain: Toolchain,
    name: str,
    playbook: Path,
    hosts: Sequence[str],
    *,
    values: Iterable[tuple[str, Any]] = (),
    collect: tuple[str, ...] = (),
    expected: Sequence[str] = (),
    variables: bool = True,
) -> Play:
    """A play of one of our own playbooks on `hosts`; its scripts lie beside it. `variables`: needs the site's own."""
    extra = (
        ("upgrader_hosts", ",".join(hosts)),
        ("upgrader_facts", str(Path(__file__).parent)),
        ("upgrader_scripts", str(playbook.parent)),
        ("CONFIG_DIR", str(site.config_dir)),
        *host_vars(site),
        *values,
    )
    return Play(
        name=name,
        toolchain=toolchain.dir,
        playbook=playbook,
        inventory=(site.inventory,),
        extra_vars=extra,
        extra_vars_files=variable_files(site) if variables else (),
        vault_password_file=site.vault_password_file,
        forks=site.forks,
        expected_hosts=tuple(expected),
        collect=collect,
    )


def shown(result: PlayResult, task: str, host: str) -> Mapping[str, Any]:
    """What a debug task of ours showed for a host; empty when it never came to it."""
    said = result.collected.get(task, {}).get(host, {}).get("msg")
    return said if isinstance(said, Mapping) else {}
