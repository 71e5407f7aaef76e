"""A staging cloud shares nothing with production: no journal, no host, no address. What it shares is refused by name.

Judges what inventories, settings and the last looks say. A host is known by the address Ansible reaches it at, or by
its name where the inventory gives no address.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from upgrader.config import Site
from upgrader.errors import ConfigError, EnvironmentMissingError, RefusedError
from upgrader.kolla.toolchain import Toolchain, environment
from upgrader.model import CloudFacts
from upgrader.secret_sources.identities import vault_words
from upgrader.staging.settings import ADDRESSES

UNTOUCHED = "Nothing was changed, neither here nor on staging."
_OWN_NAME = re.compile(r"\{\{\s*inventory_hostname(_short)?\s*\}\}")
_LOOPBACK = ("127.", "::1", "0.0.0.0", "169.254.", "fe80:")  # noqa: S104 - a prefix to leave out
_TIMEOUT = 120


def same_site(production: Site, staging: Site) -> tuple[str, ...]:
    """What of the two site files is one and the same thing."""
    found = []
    if production.file.resolve() == staging.file.resolve():
        return (f"the site file {staging.file} is production's own",)
    if production.name == staging.name:
        found.append(f"both sites are named {staging.name}")
    pairs = {
        "journal ([state] dir)": (production.state_dir, staging.state_dir),
        "configuration folder ([kolla] config_dir)": (production.config_dir, staging.config_dir),
        "inventory ([kolla] inventory)": (production.inventory, staging.inventory),
        "passwords file ([kolla] passwords)": (production.passwords, staging.passwords),
        "backup folder ([backup] target)": (production.backup_dir, staging.backup_dir),
    }
    for what, (ours, theirs) in pairs.items():
        if ours.resolve() == theirs.resolve():
            found.append(f"both have the {what} {theirs}")
    if production.sandbox and staging.sandbox and production.sandbox.resolve() == staging.sandbox.resolve():
        found.append(f"both are the sandbox {staging.sandbox}")
    return tuple(found)


def same_addresses(production: Mapping[str, str], staging: Mapping[str, str]) -> tuple[str, ...]:
    """Where both settings say the same address or name of the cloud."""
    found = []
    ours = {production.get(key, ""): key for key in ADDRESSES}
    for key in ADDRESSES:
        value = staging.get(key, "")
        if value and "{{" not in value and value in ours:
            other = "" if ours[value] == key else f" (production's {ours[value]})"
            found.append(f"{key} is {value} on both{other}")
    if not staging.get(ADDRESSES[0]):
        found.append(f"{ADDRESSES[0]} is not set on staging")
    return tuple(found)


def same_hosts(production: Mapping[str, str], staging: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts that both inventories reach; name → address of each side."""
    ours: dict[str, list[str]] = {}
    for name, address in production.items():
        ours.setdefault(address, []).append(name)
    found = []
    for name, address in sorted(staging.items()):
        if address in ours:
            theirs = ", ".join(sorted(ours[address]))
            reached = "" if address == name == theirs else f" ({address}, which is {theirs} here)"
            found.append(f"host {name} is in both inventories{reached}")
    return tuple(found)


def same_interfaces(production: CloudFacts | None, staging: CloudFacts | None) -> tuple[str, ...]:
    """Addresses that hosts of both clouds hold, as both were last looked at."""
    ours = _held(production)
    return tuple(
        f"address {address} is held by {where} and by production's {ours[address]}"
        for address, where in sorted(_held(staging).items())
        if address in ours
    )


def _held(facts: CloudFacts | None) -> dict[str, str]:
    """Address → host and interface; addresses that every machine may have are left out."""
    found = {}
    for host in facts.hosts if facts else ():
        for interface, address in host.addresses or ():
            container_net = interface.startswith(("docker", "br-", "virbr", "podman", "cni"))
            if not address.startswith(_LOOPBACK) and not container_net:
                found[address] = f"{host.name} ({interface})"
    return found


def refuse_shared(shared: Iterable[str]) -> None:
    """Raises RefusedError naming everything in `shared`."""
    told = tuple(shared)
    if told:
        raise RefusedError(
            f"The staging cloud is not apart from production: {told[0]}.",
            cloud=UNTOUCHED,
            details=told,
            next_command="upgrader staging check",
            reason="staging-shared",
        )


def reached(toolchain: Toolchain, inventory: Path, vault_password_file: Path | None) -> dict[str, str]:
    """Host → the address Ansible reaches it at (its name where the inventory gives none), read by Ansible.

    Raises ConfigError when the inventory cannot be read, EnvironmentMissingError without the program.
    """
    command = [str(toolchain.ansible_inventory), "--inventory", str(inventory), "--list"]
    variables = environment(toolchain, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1")
    try:
        with vault_words(vault_password_file) as words:
            run = subprocess.run(
                [*command, *words], env=variables, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=_TIMEOUT,
            )  # fmt: skip
        listed = json.loads(run.stdout) if not run.returncode else None
    except (subprocess.TimeoutExpired, ValueError):
        listed = None
    except OSError as error:
        raise EnvironmentMissingError(
            f"{toolchain.ansible_inventory} cannot be started: {error.strerror}.",
            next_command=f"upgrader toolchain build {toolchain.release}",
        ) from None
    if listed is None:
        raise ConfigError(f"The inventory {inventory} cannot be read.", cloud=UNTOUCHED, reason="broken-inventory")
    return _addresses(listed)


def _addresses(listed: Mapping[str, object]) -> dict[str, str]:
    meta = listed.get("_meta")
    variables = meta.get("hostvars", {}) if isinstance(meta, dict) else {}
    names = set(variables)
    for group in listed.values():
        if isinstance(group, dict):
            names |= set(group.get("hosts", ()))
    names.discard("localhost")
    return {name: _OWN_NAME.sub(name, str(variables.get(name, {}).get("ansible_host") or name)) for name in names}
