"""Files encrypted with SOPS, opened and written again through the program `sops`; plain text in pipes only.

Known by what SOPS leaves in a YAML file: a mapping `sops` at the top level with its own data, and values `ENC[…]`.
Encrypting again makes a new data key for the same master keys, with the same rules which values are encrypted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upgrader.errors import ConfigError
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import carried
from upgrader.secret_sources.programs import UNCHANGED, Said, run

PROGRAM = "sops"
KEY = "age_key_file"
_TYPES = ("--input-type", "yaml", "--output-type", "yaml")
_MARK, _VALUE = re.compile(rb"^sops:[ \t]*\r?$", re.MULTILINE), b"ENC[AES256_GCM,"
_MASTERS = {
    "age": ("--age", "recipient"),
    "pgp": ("--pgp", "fp"),
    "gcp_kms": ("--gcp-kms", "resource_id"),
}
"""Entry of the file's own data → option and field. Others need more than one field each, and are left to people."""
_OTHERS = ("kms", "azure_kv", "hc_vault", "hckms", "key_groups", "shamir_threshold")
_RULES = {
    "unencrypted_suffix": "--unencrypted-suffix",
    "encrypted_suffix": "--encrypted-suffix",
    "unencrypted_regex": "--unencrypted-regex",
    "encrypted_regex": "--encrypted-regex",
}
_STDIN = "/dev/stdin"
_MORE_KEYS = frozenset(
    {
        "SOPS_AGE_RECIPIENTS",
        "SOPS_PGP_FP",
        "SOPS_KMS_ARN",
        "SOPS_GCP_KMS_IDS",
        "SOPS_AZURE_KEYVAULT_URLS",
        "SOPS_VAULT_URIS",
    }
)
"""Variables that would add master keys to a file that is encrypted again (getsops.io, usage)."""


def is_sops(data: bytes) -> bool:
    """Whether SOPS wrote a YAML file."""
    return _VALUE in data and _MARK.search(data) is not None


def decrypt(data: bytes, path: Path, rules: SecretRules) -> bytes:
    """Plain content. Raises ConfigError (no key fits, damaged), EnvironmentMissingError without the program."""
    said = _run(("--decrypt", *_TYPES, _STDIN), data, rules)
    if said.code:
        raise _trouble(said, path)
    return said.output


def encrypt(plain: bytes, own: Mapping[str, Any], path: Path, rules: SecretRules) -> bytes:
    """`plain` for the master keys in `own`, the mapping `sops` of the file as it was.

    Raises ConfigError where it cannot be encrypted the same way.
    """
    said = _run(("--encrypt", *options(own, path), *_TYPES, _STDIN), plain, rules)
    if said.code:
        raise _trouble(said, path)
    if not is_sops(said.output):
        raise ConfigError(
            f"{path} could not be encrypted again with sops; it was left as it is.",
            cloud=UNCHANGED,
            next_command=f"sops {path}",
            reason="sops-failed",
        )
    return said.output


def options(own: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The command line that encrypts as the file is encrypted."""
    strange = [name for name in _OTHERS if own.get(name) not in (None, "", "0", [])]
    if strange or own.get("mac_only_encrypted") == "true":
        raise ConfigError(
            f"{path} is encrypted with {', '.join(strange) or 'mac_only_encrypted'}, "
            "which this tool cannot set up again as it is.",
            cloud=UNCHANGED,
            next_command=f"sops {path}",
            reason="sops-by-hand",
        )
    words: list[str] = []
    for name, (option, field) in _MASTERS.items():
        found = [str(entry[field]) for entry in own.get(name) or () if isinstance(entry, Mapping) and entry.get(field)]
        words += [option, ",".join(found)] if found else []
    if not words:
        raise ConfigError(f"{path} names no master key of SOPS.", cloud=UNCHANGED, reason="sops-damaged")
    for name, option in _RULES.items():
        if own.get(name):
            words += [option, str(own[name])]
    return tuple(words)


def _run(words: tuple[str, ...], data: bytes, rules: SecretRules) -> Said:
    more = carried.chosen({*rules.environment, *carried.SOPS_NAMES}, carried.SOPS_PREFIXES)
    more = {name: value for name, value in more.items() if name not in _MORE_KEYS}
    if rules.age_key_file is not None:
        if not rules.age_key_file.is_file():
            raise ConfigError(
                f"The age key file {rules.age_key_file} does not exist ([secrets] {KEY}).",
                cloud=UNCHANGED,
                next_command=f"ls -l {rules.age_key_file}",
                reason="age-key-missing",
            )
        more["SOPS_AGE_KEY_FILE"] = str(rules.age_key_file)
    return run((PROGRAM, *words), key=KEY, given=data, more=more, seconds=rules.timeout_seconds)


def _trouble(said: Said, path: Path) -> ConfigError:
    if "data key required to decrypt" in said.words:
        words, reason = "no key that is at hand opens it", "sops-key"
    elif "MAC mismatch" in said.words or "MAC" in said.words.split():
        words, reason = "it was changed without sops, or is damaged (its MAC does not fit)", "sops-damaged"
    else:
        words, reason = f"sops ended with {said.code}: {said.words}", "sops-failed"
    return ConfigError(
        f"{path}: {words}.", cloud=UNCHANGED, next_command=f"sops --decrypt {path} > /dev/null", reason=reason
    )
