"""Whether a site's secrets can be had at all, asked before anything begins that would need them half-way."""

from __future__ import annotations

from pathlib import Path

from upgrader.config import Site
from upgrader.secret_sources import carried, sops, values
from upgrader.secret_sources.identities import identities


def at_hand(site: Site) -> dict[str, str]:
    """Variables of this shell that a detached process needs to fetch the secrets; fetches them once, as proof.

    Raises ConfigError or EnvironmentMissingError naming the setting and what to type, when they cannot be had. A
    plain password file is left to Ansible, which says so itself.
    """
    sealed = _sops(site.passwords)
    if site.secrets.plain:
        return carried.wanted(site.secrets, sops=True) if sealed else {}
    identities(site.vault_password_file)
    if values.elsewhere(site):
        values.fetched(site)
    if sealed:
        sops.decrypt(site.passwords.read_bytes(), site.passwords, site.secrets)
    return carried.wanted(site.secrets, sops=sealed)


def _sops(path: Path) -> bool:
    try:
        return sops.is_sops(path.read_bytes())
    except OSError:
        return False
