"""`[secrets]` of upgrader.toml: where the vault password and the passwords come from. Holds no secret.

[secrets]
vault_password_file = "vault-client"        a file or a program, as Ansible takes it; or one of the next three
vault_password_env = "KOLLA_VAULT_PASSWORD" a variable of the operator's shell
vault_password_command = ["pass", "show", "kolla"]
vault_password_kv = "kv/kolla/ansible#password"   HashiCorp Vault or OpenBao: mount/path#field
vault_id = "prod"                           label of that password; programs named …-client are asked for it
vault_ids = ["dev@dev-client", "old@/root/old"]   further ones
passwords_kv = "kv/kolla_passwords/"        passwords, one secret each (as kolla-writepwd); no "/": one for all
passwords_env = "KOLLA_PASSWORD_"           passwords from variables: this prefix and the name
lookups = true                              passwords.yml takes values by Ansible's lookups
kv_program = "bao"
kv_address = "https://vault.example.net:8200"
kv_namespace = "cloud"
age_key_file = "keys.txt"                   for a passwords.yml encrypted with SOPS
environment = ["AWS_PROFILE"]               more variables that the programs above need, client scripts too
timeout = "60s"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from upgrader.config_table import Table

SECTION = "secrets"
PROGRAMS = ("vault", "bao")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_LABEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
_SECRET = re.compile(r"^[^/#\s]+(/[^/#\s]+)+$")
_SECONDS = {"s": 1, "min": 60}


@dataclass(frozen=True, slots=True)
class SecretRules:
    """As the site file says it. What is empty is not used."""

    password_file: Path | None = None
    password_env: str = ""
    password_command: tuple[str, ...] = ()
    password_kv: tuple[str, str, str] | None = None
    """(mount, path, field)."""
    label: str = ""
    """Vault id of the password above."""
    more_ids: tuple[tuple[str, Path], ...] = ()
    """(vault id, file or program)."""
    passwords_kv: tuple[str, str] | None = None
    """(mount, path); a path with "/" at its end holds one secret per password."""
    passwords_env: str = ""
    lookups: bool = False
    kv_program: str = "vault"
    kv_address: str = ""
    kv_namespace: str = ""
    age_key_file: Path | None = None
    environment: tuple[str, ...] = ()
    timeout_seconds: int = 60

    @property
    def plain(self) -> bool:
        """Nothing but a file or program that Ansible itself can be given, if that."""
        return self == SecretRules(password_file=self.password_file)


def secret_rules(table: Table) -> SecretRules:
    """The section's values; faults go to the table."""
    rules = SecretRules(
        password_file=table.path(SECTION, "vault_password_file", None),
        password_env=_variable(table, "vault_password_env", table.text(SECTION, "vault_password_env", "")),
        password_command=table.texts(SECTION, "vault_password_command"),
        password_kv=_kv_field(table),
        label=_label(table, table.text(SECTION, "vault_id", "")),
        more_ids=_more_ids(table),
        passwords_kv=_kv_passwords(table),
        passwords_env=_variable(table, "passwords_env", table.text(SECTION, "passwords_env", "")),
        lookups=table.flag(SECTION, "lookups", False),
        kv_program=_program(table),
        kv_address=table.text(SECTION, "kv_address", ""),
        kv_namespace=table.text(SECTION, "kv_namespace", ""),
        age_key_file=table.path(SECTION, "age_key_file", None),
        environment=tuple(_variable(table, "environment", name) for name in table.texts(SECTION, "environment")),
        timeout_seconds=table.parsed(SECTION, "timeout", _seconds, 60, 'a duration such as "60s"'),
    )
    _agree(table, rules)
    return rules


def _agree(table: Table, rules: SecretRules) -> None:
    """Faults of keys that are right each by itself."""
    ways = {
        "vault_password_file": rules.password_file,
        "vault_password_env": rules.password_env,
        "vault_password_command": rules.password_command,
        "vault_password_kv": rules.password_kv,
    }
    said = [name for name, value in ways.items() if value]
    if len(said) > 1:
        table.faults.append(f"[{SECTION}] {' and '.join(said)}: one of them, the vault has one password")
    if rules.label and not said:
        table.faults.append(f"[{SECTION}] vault_id: names a password, and none of {', '.join(ways)} is set")
    labels = [rules.label, *(label for label, _ in rules.more_ids)]
    twice = sorted({label for label in labels if label and labels.count(label) > 1})
    if twice:
        table.faults.append(f"[{SECTION}] vault_ids: {', '.join(twice)} is there twice")
    wheres = {
        "passwords_kv": rules.passwords_kv,
        "passwords_env": rules.passwords_env,
        "lookups": rules.lookups,
    }
    said = [name for name, value in wheres.items() if value]
    if len(said) > 1:
        table.faults.append(f"[{SECTION}] {' and '.join(said)}: one of them, passwords have one source")
    if rules.timeout_seconds < 1:
        table.faults.append(f"[{SECTION}] timeout: at least one second")


def _variable(table: Table, key: str, name: str) -> str:
    if name and not _VARIABLE.match(name):
        # the value is not repeated: somebody may have put the password itself there
        table.faults.append(f"[{SECTION}] {key}: wants the name of a variable (letters, digits and _), never a value")
        return ""
    return name


def _label(table: Table, text: str) -> str:
    if text and not _LABEL.match(text):
        table.faults.append(f"[{SECTION}] vault_id: {text!r} has characters other than letters, digits, . _ -")
        return ""
    return text


def _more_ids(table: Table) -> tuple[tuple[str, Path], ...]:
    found = []
    for item in table.texts(SECTION, "vault_ids"):
        label, at, path = item.partition("@")
        if not (at and path and _LABEL.match(label)):
            table.faults.append(f"[{SECTION}] vault_ids: {item!r} is not LABEL@FILE")
        elif path in ("prompt", "prompt_ask_vault_pass"):
            table.faults.append(f"[{SECTION}] vault_ids: {item!r}: nobody is there to be asked; name a file or program")
        else:
            found.append((label, table.absolute(path)))
    return tuple(found)


def _kv_field(table: Table) -> tuple[str, str, str] | None:
    text = table.text(SECTION, "vault_password_kv", "")
    where, _, field = text.partition("#")
    if text and not (field and _SECRET.match(where)):
        table.faults.append(f"[{SECTION}] vault_password_kv: {text!r} is not MOUNT/PATH#FIELD")
        return None
    mount, _, path = where.partition("/")
    return (mount, path, field) if text else None


def _kv_passwords(table: Table) -> tuple[str, str] | None:
    text = table.text(SECTION, "passwords_kv", "")
    if text and not _SECRET.match(text.removesuffix("/")):
        table.faults.append(f"[{SECTION}] passwords_kv: {text!r} is not MOUNT/PATH or MOUNT/PATH/")
        return None
    mount, _, path = text.partition("/")
    return (mount, path) if text else None


def _program(table: Table) -> str:
    """`vault`, `bao`, or a path to one of them."""
    text = table.text(SECTION, "kv_program", "vault")
    if text and "/" not in text and text not in PROGRAMS:
        table.faults.append(f"[{SECTION}] kv_program: {text!r} is none of {', '.join(PROGRAMS)}, and no path")
        return PROGRAMS[0]
    return str(table.absolute(text)) if "/" in text else text or PROGRAMS[0]


def _seconds(value: str | int) -> int:
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(\d+)\s*(s|min)", value.strip())
    if not match:
        raise ValueError(value)
    return int(match[1]) * _SECONDS[match[2]]
