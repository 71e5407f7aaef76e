"""One question to a release's own Ansible: a folder for it, and the play that asks.

The playbook lies beside links to the release's group_vars and filters, so that Ansible finds them exactly as it
does for kolla-ansible's own playbooks. It runs on this machine alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from upgrader.config import Site
from upgrader.durable import make_dir, write_json
from upgrader.effective.own_files import OwnFiles, secret_names
from upgrader.effective.released import Released
from upgrader.model import HostFacts
from upgrader.runner.base import Play

TASK = "Compute variables"
_WORD = re.compile(r"[\w.:-]+")
PLUGINS = Path(__file__).parent / "plugins"
_LINKED = ("group_vars", "host_vars", "filter_plugins", "test_plugins", "lookup_plugins", "module_utils")
_SYSTEMS = {
    "ubuntu": ("Debian", "Ubuntu"),
    "debian": ("Debian", "Debian"),
    "rocky": ("RedHat", "Rocky"),
    "centos": ("RedHat", "CentOS"),
    "almalinux": ("RedHat", "AlmaLinux"),
    "rhel": ("RedHat", "RedHat"),
    "openeuler": ("RedHat", "openEuler"),
}
"""First word of a host system's name → Ansible's (os_family, distribution)."""


def request_of(
    names: Iterable[str],
    hosts: Sequence[str],
    released: Released,
    own: OwnFiles,
    facts: Mapping[str, Mapping[str, Any]],
    *,
    without: Iterable[Path] = (),
) -> dict[str, Any]:
    """What the plug-in is told. Holds names and paths only. `without`: files Ansible cannot open."""
    closed = set(without)
    return {
        "names": sorted(names),
        "hosts": list(hosts),
        "roles": {role: str(path) for role, path in released.roles.items()},
        "released": sorted(released.names),
        "playbooks": str(released.folder),
        "secret": sorted(secret_names(own) | released.example_passwords),
        "encrypted": [str(file.path) for file in own.encrypted if file.path not in closed],
        "facts": {host: dict(found) for host, found in facts.items()},
    }


def facts_for_ansible(
    hosts: Iterable[HostFacts], interfaces: str, virtual: frozenset[str] = frozenset()
) -> dict[str, dict[str, Any]]:
    """What was observed of hosts, in the words of Ansible's own facts: the system and the interfaces' addresses.

    Only interfaces that are named somewhere in the text `interfaces`. `virtual` addresses belong to no host; an
    interface that has several others is left out. Nothing is guessed: a template that needs more stays unknown.
    """
    words = set(_WORD.findall(interfaces))
    found: dict[str, dict[str, Any]] = {}
    for host in hosts:
        said: dict[str, Any] = {}
        system = host.os.split("-")[0].lower()
        if system in _SYSTEMS:
            said["ansible_os_family"], said["ansible_distribution"] = _SYSTEMS[system]
        for interface in sorted({name for name, _ in host.addresses or ()} & words):
            own = [text for name, text in host.addresses or () if name == interface and text not in virtual]
            if fact := _interface(own):
                said[f"ansible_{interface.replace('-', '_')}"] = fact
        if said:
            found[host.name] = said
    return found


def _interface(addresses: Sequence[str]) -> dict[str, Any]:
    old = [text for text in addresses if ":" not in text]
    new = [text for text in addresses if ":" in text and not text.lower().startswith("fe80")]
    said: dict[str, Any] = {}
    if len(old) == 1:
        said["ipv4"] = {"address": old[0]}
    if len(new) == 1:
        said["ipv6"] = [{"address": new[0], "scope": "global", "prefix": "64"}]
    return said


def prepare(folder: Path, released: Released, request: Mapping[str, Any]) -> Path:
    """Make the folder of the question. Returns the playbook's path."""
    make_dir(folder)
    for name in _LINKED:
        target = released.folder / name
        if target.is_dir():
            (folder / name).symlink_to(target.resolve())
    actions = folder / "action_plugins"
    actions.mkdir(mode=0o700)
    source = PLUGINS / "upgrader_effective.py"
    (actions / source.name).write_bytes(source.read_bytes())
    write_json(folder / "request.json", request)
    playbook = folder / "effective.yml"
    playbook.write_bytes((PLUGINS / "effective.yml").read_bytes())
    return playbook


def play_of(site: Site, released: Released, own: OwnFiles, playbook: Path, *, without: Iterable[Path] = ()) -> Play:
    """The play that asks, with the site's variables in kolla-ansible's own order."""
    settings = site.config_dir / "ansible.cfg"
    closed = set(without)
    return Play(
        name=f"effective-{released.toolchain.release}",
        toolchain=released.toolchain.dir,
        playbook=playbook,
        inventory=(site.inventory,),
        extra_vars=(("CONFIG_DIR", str(site.config_dir)), ("kolla_action", "upgrade")),
        extra_vars_files=tuple(file.path for file in own.given if file.path not in closed),
        vault_password_file=site.vault_password_file,
        forks=1,
        expected_hosts=("localhost",),
        collect=(TASK,),
        env=(
            ("ANSIBLE_CACHE_PLUGIN", "memory"),  # observed facts must not get into an operator's fact cache
            ("ANSIBLE_STRATEGY", "linear"),
            *((("ANSIBLE_CONFIG", str(settings)),) if settings.is_file() else ()),
        ),
    )
