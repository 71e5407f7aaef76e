"""Keystone's public address as the cloud's own database has it, and the account that asks. Secrets stay in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from upgrader.availability.keystone import Account
from upgrader.availability_rules import fault_of
from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.facts.parse import sections
from upgrader.facts.plays import HasHosts, group_hosts, own_play, shown
from upgrader.kolla.passwords import open_passwords
from upgrader.kolla.settings import site_key
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import decrypt_values
from upgrader.runner.base import Runner

ANSWER = "Public address of Keystone"
_PLAYBOOK = Path(__file__).parent / "keystone.yml"
_PASSWORD = "keystone_admin_password"  # noqa: S105 - the name of it


def keystone_address(
    site: Site, toolchain: Toolchain, runner: Runner, folder: Path, inventory: HasHosts, region: str
) -> str:
    """Keystone's public address, of the wanted region where there are several; empty when no database says it."""
    servers = group_hosts(inventory, "mariadb")
    if not servers:
        return ""
    play = own_play(site, toolchain, "keystone address", _PLAYBOOK, servers, collect=(ANSWER,))
    result = runner.run(play, folder)
    for host in sorted(result.collected.get(ANSWER, {})):
        if found := address_in(str(shown(result, ANSWER, host).get("stdout", "")), region):
            return found
    return ""


def address_in(printed: str, region: str) -> str:
    """The address out of a server's answer; of several regions the wanted one's, else the first."""
    rows = [line.split("\t") for line in sections(printed).lines.get("keystone-public", ())]
    usable = [(row[0], row[1].strip()) for row in rows if len(row) == 2 and not fault_of(row[1].strip())]
    wanted = [url for where, url in usable if where == region]
    return next(iter(wanted or [url for _, url in usable]), "")


def account(site: Site, settings: Mapping[str, str]) -> Account | None:
    """The site's administrator; None where passwords.yml has no password for it.

    Raises ConfigError when the file cannot be read or its vault not be opened, EnvironmentMissingError without a
    toolchain to open it with.
    """
    vault = site_key(site)() if site.vault_password_file else None
    _, text = open_passwords(site.passwords, vault)
    entry = text.get(_PASSWORD)
    if entry is None or entry.kind != "scalar" or entry.empty:
        return None
    secret = decrypt_values([entry.text], site.passwords, vault)[0] if entry.encrypted else entry.text
    if not secret.strip():
        return None
    return Account(
        settings.get("keystone_admin_user") or "admin",
        settings.get("keystone_admin_project") or "admin",
        secret.rstrip("\n") if entry.encrypted else secret,
    )


def authorities(site: Site) -> tuple[str, ...]:
    """Files with the certificate authorities that answer for the site's addresses, besides the system's own.

    Without one of the operator's: those that kolla-ansible gives its containers
    (`certificates/ca/*.crt` of the configuration folder, kolla_copy_ca_into_containers).
    Raises ConfigError when the operator's is not there.
    """
    if site.availability.ca_file is not None:
        if not site.availability.ca_file.is_file():
            raise ConfigError(f"{site.availability.ca_file} does not exist ([availability] ca_file).")
        return (str(site.availability.ca_file),)
    return tuple(str(path) for path in sorted((site.config_dir / "certificates" / "ca").glob("*.crt")))
