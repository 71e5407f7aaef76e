"""Ansible Vault through the toolchain's own programs: the only ones that surely read what the operator's wrote.

Plain text goes through pipes, never through a file and never through an argument. The vault password is given to
Ansible as the operator's file (or program), and is never read here.
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
from upgrader.kolla.yaml_text import VAULT_HEADER

_OPEN_VAULT = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, get_file_vault_secret
secret = get_file_vault_secret(filename=sys.argv[1], vault_id="default", loader=DataLoader())
secret.load()
vault = VaultLib(secrets=[("default", secret)])
"""
_DECRYPT_VALUES = "print(json.dumps([vault.decrypt(text.encode()).decode() for text in json.load(sys.stdin)]))"
_ENCRYPT_VALUES = "print(json.dumps([vault.encrypt(text, secret).decode() for text in json.load(sys.stdin)]))"


@dataclass(frozen=True, slots=True)
class Vault:
    """The key to encrypted files: whose programs, and the operator's vault password file."""

    toolchain: Toolchain
    password_file: Path


def encrypted(data: bytes) -> bool:
    """Whether a file is encrypted as a whole."""
    return data.startswith(VAULT_HEADER)


def decrypt(data: bytes, path: Path, vault: Vault | None) -> bytes:
    """Plain content of the encrypted file `path`. Raises ConfigError without a password or with a wrong one."""
    key = _key(vault, path)
    command = [
        str(key.toolchain.ansible_vault),
        "decrypt",
        "--vault-password-file",
        str(key.password_file),
        "--output",
        "-",
        "-",
    ]
    return _run(key, command, data, path)


def encrypt(plain: bytes, like: bytes, path: Path, vault: Vault | None) -> bytes:
    """`plain` encrypted with the vault id that `like`, the file as it was, has in its header."""
    key = _key(vault, path)
    header = like.split(b"\n", 1)[0].strip().split(b";")
    label = header[3].decode() if len(header) > 3 else ""
    choice = ["--vault-password-file", str(key.password_file)]
    if label:
        choice = ["--vault-id", f"{label}@{key.password_file}", "--encrypt-vault-id", label]
    command = [str(key.toolchain.ansible_vault), "encrypt", *choice, "--output", "-", "-"]
    return _run(key, command, plain, path)


def encrypt_values(values: Sequence[str], path: Path, vault: Vault | None) -> list[str]:
    """Cipher texts (`$ANSIBLE_VAULT;…` lines) for values that are encrypted one by one, in order."""
    return _script(_ENCRYPT_VALUES, values, path, vault)


def decrypt_values(texts: Sequence[str], path: Path, vault: Vault | None) -> list[str]:
    """Plain values of `!vault` entries of the file `path`, in order."""
    return _script(_DECRYPT_VALUES, [text.strip() + "\n" for text in texts], path, vault)


def _script(script: str, texts: Sequence[str], path: Path, vault: Vault | None) -> list[str]:
    """One process for all values: `ansible-vault` would be started once for each of a hundred."""
    if not texts:
        return []
    key = _key(vault, path)
    command = [str(key.toolchain.python), "-I", "-c", _OPEN_VAULT + script, str(key.password_file)]
    found: list[str] = json.loads(_run(key, command, json.dumps(texts).encode(), path))
    return found


def _key(vault: Vault | None, path: Path) -> Vault:
    if vault is None:
        raise ConfigError(
            f"{path} is encrypted with Ansible Vault, and no vault password file is named "
            "(upgrader.toml: secrets.vault_password_file).",
            reason="vault-password-missing",
        )
    if not vault.password_file.is_file():
        raise ConfigError(
            f"The vault password file {vault.password_file} does not exist "
            "(upgrader.toml: secrets.vault_password_file).",
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
            f"wrong vault password for {path}: {key.password_file} does not open it.", reason="wrong-vault-password"
        )
    said = re.findall(r"(?:\[ERROR\]:|ERROR!)\s*(.*)", words) or words.strip().splitlines()[-1:] or ["no reason given"]
    return ConfigError(f"Ansible Vault cannot handle {path}: {said[-1]}", reason="vault-failed")
