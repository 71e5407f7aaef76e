"""Ansible Vault through the toolchain's own programs: the only ones that surely read what the operator's wrote.

Plain text goes through pipes, never through a file and never through an argument. The vault password is given to
Ansible as the operator's file (or program), or as a file in memory where `[secrets]` takes it from elsewhere. Files
that are encrypted with SOPS are opened and closed here as well, by its own program.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upgrader.errors import ConfigError, EnvironmentMissingError
from upgrader.kolla.toolchain import PLAIN_CONFIG, Toolchain, environment
from upgrader.kolla.yaml_text import VAULT_HEADER, parse, value_of
from upgrader.secret_sources import sops
from upgrader.secret_sources.identities import identities, named, offered, rules_of, vault_words

_OPEN_VAULT = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, get_file_vault_secret
pairs = []
for item in sys.argv[2:]:
    label, _, file = item.partition("@")
    secret = get_file_vault_secret(filename=file, vault_id=label, loader=DataLoader())
    secret.load()
    pairs.append((label, secret))
vault = VaultLib(secrets=pairs)
"""
_DECRYPT_VALUES = "print(json.dumps([vault.decrypt(text.encode()).decode() for text in json.load(sys.stdin)]))"
_ENCRYPT_VALUES = """
label = sys.argv[1]
secret = dict(reversed(pairs)).get(label, pairs[0][1])
print(json.dumps([vault.encrypt(text, secret, vault_id=label or None).decode() for text in json.load(sys.stdin)]))
"""


@dataclass(frozen=True, slots=True)
class Vault:
    """The key to encrypted files: whose programs, and the operator's vault password file."""

    toolchain: Toolchain
    password_file: Path


def encrypted(data: bytes) -> bool:
    """Whether a file is encrypted as a whole, with Ansible Vault or with SOPS."""
    return data.startswith(VAULT_HEADER) or sops.is_sops(data)


def decrypt(data: bytes, path: Path, vault: Vault | None) -> bytes:
    """Plain content of the encrypted file `path`. Raises ConfigError without a password or with a wrong one."""
    if sops.is_sops(data):
        return sops.decrypt(data, path, rules_of(vault.password_file if vault else None))
    key = _key(vault, path)
    with vault_words(key.password_file) as words:
        return _run(key, [str(key.toolchain.ansible_vault), "decrypt", *words, "--output", "-", "-"], data, path)


def encrypt(plain: bytes, like: bytes, path: Path, vault: Vault | None) -> bytes:
    """`plain` encrypted as `like`, the file as it was: with the vault id in its header, or for SOPS's same keys."""
    if sops.is_sops(like):
        own = parse(like, path).get("sops")
        found = value_of(own.tree) if own is not None else None
        if not isinstance(found, dict):
            raise ConfigError(f"{path} is not a whole file of SOPS.", reason="sops-damaged")
        return sops.encrypt(plain, found, path, rules_of(vault.password_file if vault else None))
    key = _key(vault, path)
    label = _label(like)
    with offered(key.password_file) as found_ids:
        first = found_ids[0].partition("@")[2]
        file = next((item.partition("@")[2] for item in found_ids if item.partition("@")[0] == label), first)
        words = ["--vault-password-file", file]
        if label:
            words = ["--vault-id", f"{label}@{file}", "--encrypt-vault-id", label]
        return _run(key, [str(key.toolchain.ansible_vault), "encrypt", *words, "--output", "-", "-"], plain, path)


def _label(cipher: bytes) -> str:
    """The vault id in a header; empty for the older form without one."""
    header = cipher.strip().split(b"\n", 1)[0].strip().split(b";")
    return header[3].decode() if len(header) > 3 else ""


def same_content(one: bytes, other: bytes, like: bytes, path: Path) -> bool:
    """Whether two plain texts say the same; SOPS writes YAML anew, so that only what it means can be compared."""
    if not sops.is_sops(like):
        return one == other
    trees = [{entry.key: entry.tree for entry in parse(text, path).entries} for text in (one, other)]
    return trees[0] == trees[1]


def encrypt_values(values: Sequence[str], path: Path, vault: Vault | None, like: str = "") -> list[str]:
    """Cipher texts (`$ANSIBLE_VAULT;…` lines) for values that are encrypted one by one, in order.

    They get the vault id of `like`, a value of the same file.
    """
    return _script(_ENCRYPT_VALUES, values, path, vault, _label(like.encode()))


def decrypt_values(texts: Sequence[str], path: Path, vault: Vault | None) -> list[str]:
    """Plain values of `!vault` entries of the file `path`, in order."""
    return _script(_DECRYPT_VALUES, [text.strip() + "\n" for text in texts], path, vault)


def _script(script: str, texts: Sequence[str], path: Path, vault: Vault | None, label: str = "") -> list[str]:
    """One process for all values: `ansible-vault` would be started once for each of a hundred."""
    if not texts:
        return []
    key = _key(vault, path)
    with offered(key.password_file) as files:
        command = [str(key.toolchain.python), "-I", "-c", _OPEN_VAULT + script, label, *files]
        found: list[str] = json.loads(_run(key, command, json.dumps(texts).encode(), path))
    return found


def _key(vault: Vault | None, path: Path) -> Vault:
    if vault is None:
        raise ConfigError(
            f"{path} is encrypted with Ansible Vault, and no vault password file is named "
            "(upgrader.toml: secrets.vault_password_file).",
            reason="vault-password-missing",
        )
    if not identities(vault.password_file):
        raise ConfigError(
            f"{path} is encrypted with Ansible Vault, and [secrets] names no vault password "
            "(upgrader.toml: secrets.vault_password_file, _env, _command or _kv).",
            reason="vault-password-missing",
        )
    return vault


def _run(key: Vault, command: Sequence[str], data: bytes, path: Path) -> bytes:
    try:
        run = subprocess.run(
            command,
            input=data,
            capture_output=True,
            check=False,
            cwd="/",
            env=environment(key.toolchain, ANSIBLE_CONFIG=str(PLAIN_CONFIG)),
        )
    except OSError as error:
        raise EnvironmentMissingError(
            f"{command[0]} cannot be started: {error.strerror}.",
            next_command=f"upgrader toolchain build {key.toolchain.release}",
        ) from None
    if run.returncode:
        raise _refusal(run.stderr.decode(errors="replace"), path, key)
    return run.stdout


def _refusal(words: str, path: Path, key: Vault) -> ConfigError:
    if "ecryption failed" in words or "no vault secrets" in words or "AnsibleVaultError" in words:
        return ConfigError(
            f"wrong vault password for {path}: {named(key.password_file)} does not open it.",
            reason="wrong-vault-password",
        )
    said = re.findall(r"(?:\[ERROR\]:|ERROR!)\s*(.*)", words) or words.strip().splitlines()[-1:] or ["no reason given"]
    return ConfigError(f"Ansible Vault cannot handle {path}: {said[-1]}", reason="vault-failed")
