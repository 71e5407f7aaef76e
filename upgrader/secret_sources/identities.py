"""The vault passwords of a site, each with its vault id: files and programs for Ansible itself, values for the rest."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from upgrader.config import Site, load_site
from upgrader.errors import ConfigError
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import carried, kv
from upgrader.secret_sources.memory import held
from upgrader.secret_sources.programs import UNCHANGED, run

DEFAULT = "default"
"""Ansible's own name for a password without a vault id."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One vault password: a file or program that Ansible reads, or the password itself, which is not shown."""

    label: str
    file: Path | None = None
    password: str = field(default="", repr=False)


def site_of(key: Path | None) -> Site | None:
    """The site that a key is the site file of; None for a password file or program of the operator's.

    Raises ConfigError when the site file is broken.
    """
    if key is None or key.suffix != ".toml":
        return None
    try:
        return _loaded(key, key.stat().st_mtime_ns)
    except OSError:
        return None
    except ConfigError:
        if b"[site]" in key.read_bytes():
            raise
        return None


@lru_cache(maxsize=8)
def _loaded(key: Path, _changed: int) -> Site:
    return load_site(key)


def rules_of(key: Path | None) -> SecretRules:
    """The rules behind a key; those of a plain password file where it is one."""
    site = site_of(key)
    return SecretRules(password_file=key) if site is None else site.secrets


def identities(key: Path | None) -> tuple[Identity, ...]:
    """Every vault password, the main one first; fetched once by each process.

    Raises ConfigError for a file, variable, field or program that gives none, EnvironmentMissingError for a missing
    program and a server that is sealed or out of reach.
    """
    if key is None:
        return ()
    site = site_of(key)
    if site is None:
        return (Identity(DEFAULT, _present(key)),)
    rules = site.secrets
    found = [_main(rules)] if _has_main(rules) else []
    found += [_identity(label, path, rules) for label, path in rules.more_ids]
    return tuple(found)


def _has_main(rules: SecretRules) -> bool:
    return bool(rules.password_file or rules.password_env or rules.password_command or rules.password_kv)


def _main(rules: SecretRules) -> Identity:
    label = rules.label or DEFAULT
    if rules.password_file is not None:
        return _identity(label, rules.password_file, rules)
    return Identity(label, password=_password(rules))


def _identity(label: str, path: Path, rules: SecretRules) -> Identity:
    """A file or program. A program that needs variables of the shell is started here: Ansible has none of them."""
    if not (rules.environment and os.access(_present(path), os.X_OK)):
        return Identity(label, _present(path))
    words = (str(path), "--vault-id", label) if path.stem.endswith("-client") else (str(path),)
    if words not in _said:
        _said[words] = _from_command(words, rules, "vault_password_file")
    return Identity(label, password=_said[words])


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(
            f"The vault password file {path} does not exist (upgrader.toml: secrets.vault_password_file).",
            cloud=UNCHANGED,
            next_command=f"ls -l {path}",
            reason="vault-password-missing",
        )
    return path


_fetched: dict[SecretRules, str] = {}
_said: dict[tuple[str, ...], str] = {}
"""What programs of the operator's gave, by their command line."""


def _password(rules: SecretRules) -> str:
    if rules.password_env:
        return _from_variable(rules.password_env)
    if rules not in _fetched:
        ask = rules.password_command
        _fetched[rules] = (
            kv.field(rules).strip() if rules.password_kv else _from_command(ask, rules, "vault_password_command")
        )
    return _fetched[rules]


def _from_variable(name: str) -> str:
    value = carried.environ().get(name, "").strip()
    if not value:
        raise ConfigError(
            f"The variable {name} is not set in this shell, and the vault password is to come from it "
            "([secrets] vault_password_env). It is not kept anywhere: set it again in the shell that continues a run.",
            cloud=UNCHANGED,
            next_command=f"read -rs {name} && export {name}",
            reason="vault-password-missing",
        )
    return value


def _from_command(words: tuple[str, ...], rules: SecretRules, key: str) -> str:
    more = carried.chosen(set(rules.environment), carried.KV_PREFIXES)
    said = run(words, key=key, more=more, seconds=rules.timeout_seconds)
    if said.code:
        raise ConfigError(
            f"{words[0]} ended with {said.code} instead of giving the vault password "
            f"([secrets] {key}): {said.words or 'it said nothing'}",
            cloud=UNCHANGED,
            next_command=f"{shlex.join(words)} > /dev/null",
            reason="vault-password-missing",
        )
    try:
        value = said.output.decode().strip()
    except UnicodeDecodeError:
        value = ""
    if not value or "\0" in value:
        raise ConfigError(
            f"{words[0]} gave {'no' if not said.output.strip() else 'an unreadable'} vault password ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command=f"{shlex.join(words)} | wc -c",
            reason="vault-password-missing",
        )
    return value


@contextmanager
def offered(key: Path | None) -> Iterator[list[str]]:
    """`LABEL@FILE` of every vault password, main one first, with files in memory where there are none."""
    with ExitStack() as stack:
        yield [f"{one.label}@{one.file or stack.enter_context(held(one.password.encode()))}" for one in identities(key)]


@contextmanager
def vault_words(key: Path | None) -> Iterator[list[str]]:
    """Options of Ansible's programs that open what the key opens, for as long as the block runs. No secret in them."""
    if key is None:
        yield []
        return
    if site_of(key) is None:
        yield ["--vault-password-file", str(key)]
        return
    with offered(key) as found:
        yield [word for item in found for word in ("--vault-id", item)]


def named(key: Path | None) -> str:
    """The key in words for messages: a file's path, or what `[secrets]` names in its place."""
    site = site_of(key)
    if site is None:
        return str(key)
    rules = site.secrets
    if rules.password_file is not None:
        return str(rules.password_file)
    ways = {
        "vault_password_env": rules.password_env,
        "vault_password_command": rules.password_command[:1],
        "vault_password_kv": rules.password_kv and "/".join(rules.password_kv[:2]),
    }
    for name, value in ways.items():
        if value:
            return f"{name} ({value if isinstance(value, str) else value[0]})"
    return ", ".join(str(path) for _, path in rules.more_ids) or "[secrets]"
