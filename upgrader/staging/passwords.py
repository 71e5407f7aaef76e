"""Which passwords a staging cloud shares with production, and its passwords file.

Decided here: production's data bring accounts and ciphers with them, so the passwords that these rows stand for are
production's on staging too; without them no service could log in after a load. Everything that opens a door and is
not in the data (the database's root, the message bus, SSH keys, VRRP, dashboards) is staging's own, always.
Nothing here prints a value.
"""

from __future__ import annotations

import re
from pathlib import Path

from upgrader import durable
from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.kolla.passwords import kept_elsewhere, open_passwords, plan_merge
from upgrader.kolla.toolchain import Toolchain
from upgrader.kolla.vault import Vault, decrypt_values, encrypt, encrypted
from upgrader.kolla.yaml_text import YamlText, scalars_below

_IN_THE_DATA = re.compile(
    r"^([a-z0-9_]+_database_password"  # accounts: their hashes come with the grants
    r"|mariadb_(backup_database|monitor)_password"
    r"|[a-z0-9_]+_keystone_password|keystone_admin_password|heat_domain_admin_password"  # users in Keystone's tables
    r"|barbican_crypto_key|barbican_p11_password"  # what rows are encrypted with
    r"|designate_pool_id|gnocchi_(project|resource|user)_id)$"  # ids that rows refer to
)
"""Names of kolla-ansible's etc/kolla/passwords.yml. `database_password` (root) is not among them: accounts of the
server's own are in no backup set. Keystone's Fernet keys for tokens are never taken to staging (see copy.py)."""


def in_the_data(name: str) -> bool:
    """Whether production's data stand for this password, so that staging needs production's."""
    return bool(_IN_THE_DATA.match(name))


def write_passwords(
    target: Path, production: Site, toolchain: Toolchain, own: Path | None, vault_password_file: Path | None
) -> tuple[str, ...]:
    """Write staging's passwords file: production's for what is in the data, `own` for the rest, fresh values for what
    neither has. Encrypted as production's is. Returns the names that are production's.

    Raises ConfigError (unreadable, wrong vault password), EnvironmentMissingError without kolla-genpwd.
    """
    vault = Vault(toolchain, vault_password_file) if vault_password_file else None
    ours_vault = Vault(toolchain, production.vault_password_file) if production.vault_password_file else None
    data, ours = open_passwords(production.passwords, ours_vault)
    if not encrypted(data) and not production.secrets.plain and kept_elsewhere(production.passwords, data, ours_vault):
        raise ConfigError(
            f"Production's passwords are not in {production.passwords.name} but in "
            f"{kept_elsewhere(production.passwords, data, ours_vault)}, and are never written in the clear; "
            "say in staging's [secrets] where staging's are.",
            next_command="upgrader staging check",
            reason="passwords-elsewhere",
        )
    theirs = open_passwords(own, vault)[1] if own is not None else None
    plain = combined(ours, theirs).encode()
    content = encrypt(plain, data, target, vault) if encrypted(data) else plain
    scratch = target.with_name(f".{target.name}.making")
    durable.write_atomic(scratch, content, mode=0o600)
    try:
        content = plan_merge(scratch, toolchain, vault_password_file).after
    finally:
        scratch.unlink(missing_ok=True)
    durable.write_atomic(target, content, mode=0o600)
    return tuple(entry.key for entry in ours.entries if in_the_data(entry.key))


def combined(production: YamlText, own: YamlText | None) -> str:
    """The plain text: production's entries that are in the data, then every other entry of `own`."""
    lines = [production.lines_of(entry).rstrip() for entry in production.entries if in_the_data(entry.key)]
    taken = {entry.key for entry in production.entries if in_the_data(entry.key)}
    if own is not None:
        lines += [own.lines_of(entry).rstrip() for entry in own.entries if entry.key not in taken]
    head = "---\n# Staging's passwords. Those that production's data stand for are production's.\n"
    return head + "".join(f"{line}\n" for line in lines)


def not_production(production: Site, staging: Site, toolchain: Toolchain) -> tuple[str, ...]:
    """Names of passwords that production's data stand for and that are not production's on staging."""
    values = [_values(site, toolchain) for site in (production, staging)]
    return tuple(sorted(name for name, value in values[0].items() if value and values[1].get(name) != value))


def _values(site: Site, toolchain: Toolchain) -> dict[str, str]:
    vault = Vault(toolchain, site.vault_password_file) if site.vault_password_file else None
    text = open_passwords(site.passwords, vault)[1]
    plain: dict[str, str] = {}
    sealed: dict[str, str] = {}
    for entry in text.entries:
        if in_the_data(entry.key):
            for _key, tag, value in scalars_below(entry.tree, entry.key):
                (sealed if tag == "!vault" else plain)[entry.key] = value
    opened = decrypt_values(list(sealed.values()), site.passwords, vault) if sealed else []
    return {**plain, **dict(zip(sealed, opened, strict=True))}
