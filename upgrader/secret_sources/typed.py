"""What people type where this program fetches secrets itself: the same sources, without it."""

from __future__ import annotations

import shlex

from upgrader.config import Site
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import sops, values

CLIENT = "./vault-password-client"
"""A program of two lines that the operator writes for the way by hand; Ansible takes it as a password file."""


def password_file(site: Site) -> str:
    """For `--vault-password-file`; empty without a vault password."""
    rules = site.secrets
    if rules.plain:
        return str(site.vault_password_file or "")
    if rules.password_file is not None:
        return str(rules.password_file)
    if _printing(rules):
        return CLIENT
    return str(rules.more_ids[0][1]) if rules.more_ids else ""


def notes(site: Site) -> tuple[str, ...]:
    """What has to be there before commands can be typed by hand, one line each."""
    rules = site.secrets
    found = []
    if rules.password_file is None and _printing(rules):
        found.append(f"{CLIENT} is an executable file of two lines: #!/bin/sh, and: {_printing(rules)}")
    where = values.elsewhere(site)
    if where:
        how = f"kolla-readpwd --passwords {site.passwords}" if rules.passwords_kv else "by hand"
        found.append(f"passwords are in {where}: they have to stand in {site.passwords} meanwhile ({how})")
    try:
        sealed = sops.is_sops(site.passwords.read_bytes())
    except OSError:
        sealed = False
    if sealed:
        found.append(
            f"{site.passwords} is encrypted with SOPS: type sops exec-file {shlex.quote(str(site.passwords))} COMMAND, "
            "with -e @{} at the end of each kolla-ansible command; edit it with sops"
        )
    return tuple(found)


def _printing(rules: SecretRules) -> str:
    """The shell line that prints the vault password."""
    if rules.password_env:
        return f"printf '%s\\n' \"${rules.password_env}\""
    if rules.password_command:
        return f"exec {shlex.join(rules.password_command)}"
    if rules.password_kv:
        mount, path, field = rules.password_kv
        address = f"VAULT_ADDR={shlex.quote(rules.kv_address)} " if rules.kv_address else ""
        return address + shlex.join((rules.kv_program, "kv", "get", f"-mount={mount}", f"-field={field}", path))
    return ""
