"""HashiCorp Vault and OpenBao through their own program: `kv get` and `kv list` of a mount of version 2.

The address may come from the site file, the token from the program's own variables, helper or agent. Exit codes:
0 well, 1 a wrong command line, 2 whatever the server refused (developer.hashicorp.com/vault/docs/commands).
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from upgrader.errors import ConfigError, EnvironmentMissingError, UpgraderError
from upgrader.secret_rules import SecretRules
from upgrader.secret_sources import carried
from upgrader.secret_sources.programs import UNCHANGED, Said, run

Value = str | dict[str, str]
_ABSENT = re.compile(r"no value found at|no secret exists at|code: 404", re.IGNORECASE)
_TROUBLES = (
    (re.compile(r"vault is sealed|is sealed|code: 503", re.I), "is sealed", "{program} operator unseal", "kv-sealed"),
    (
        re.compile(r"missing client token", re.I),
        "got no token: none is set, and none was kept by a login",
        "{program} login",
        "kv-token",
    ),
    (
        re.compile(r"permission denied|invalid token|bad token|token.*expired|code: 403", re.I),
        "refuses: the token has expired, or may not read it",
        "{program} token lookup",
        "kv-token",
    ),
    (re.compile(r"x509|certificate", re.I), "is not trusted: its certificate", "{program} status", "kv-untrusted"),
    (
        re.compile(r"connection refused|no such host|i/o timeout|deadline exceeded|dial tcp|no route", re.I),
        "cannot be reached",
        "{program} status",
        "kv-unreachable",
    ),
)


def secret(rules: SecretRules, mount: str, path: str, key: str) -> dict[str, Any]:
    """The fields of one secret. Raises ConfigError (path, token), EnvironmentMissingError (program, server, seal)."""
    said = _asked(rules, ("kv", "get", "-format=json", f"-mount={mount}", path), key)
    if said.code:
        raise _trouble(rules, said, mount, path, key)
    document = _document(said, rules, key)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict) or "data" not in data or not isinstance(data.get("metadata"), dict):
        raise ConfigError(
            f"{mount} is no KV mount of version 2 ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command=f"{_typed(rules)} secrets list -detailed",
            reason="kv-version",
        )
    if not isinstance(data["data"], dict):
        raise ConfigError(
            f"{mount}/{path} was deleted, its newest version is empty ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command=f"{_typed(rules)} kv metadata get -mount={shlex.quote(mount)} {shlex.quote(path)}",
            reason="kv-path",
        )
    return dict(data["data"])


def field(rules: SecretRules) -> str:
    """The one field that holds the vault password."""
    mount, path, name = rules.password_kv or ("", "", "")
    found = secret(rules, mount, path, "vault_password_kv")
    if not isinstance(found.get(name), str) or not found[name].strip():
        raise ConfigError(
            f"{mount}/{path} has no field {name!r} with a text ([secrets] vault_password_kv); "
            f"it has: {', '.join(sorted(found)) or 'nothing'}.",
            cloud=UNCHANGED,
            next_command=f"{_typed(rules)} kv get -mount={shlex.quote(mount)} -field={shlex.quote(name)} "
            f"{shlex.quote(path)} > /dev/null",
            reason="kv-field",
        )
    return str(found[name])


def passwords(rules: SecretRules) -> dict[str, Value]:
    """Name → value of every password: fields of one secret, or one secret each, as kolla-writepwd writes them."""
    mount, path = rules.passwords_kv or ("", "")
    if not path.endswith("/"):
        fields = secret(rules, mount, path, "passwords_kv")
        return {name: as_value(value) for name, value in fields.items()}
    said = _asked(rules, ("kv", "list", "-format=json", f"-mount={mount}", path.rstrip("/")), "passwords_kv")
    if said.code:
        raise _trouble(rules, said, mount, path, "passwords_kv")
    names = _document(said, rules, "passwords_kv")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _unread(rules, "passwords_kv")
    found: dict[str, Value] = {}
    for name in names:
        if not name.endswith("/"):
            fields = secret(rules, mount, f"{path}{name}", "passwords_kv")
            only = fields.get("password") if set(fields) == {"password"} else None
            found[name] = as_value(fields if only is None else only)
    return found


def as_value(value: Any) -> Value:
    if isinstance(value, dict):
        return {str(name): str(item) for name, item in value.items()}
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if text.startswith("{"):  # a pair of SSH keys in one field
        try:
            inner = json.loads(text)
        except ValueError:
            return text
        if isinstance(inner, dict):
            return {str(name): str(item) for name, item in inner.items()}
    return text


def _asked(rules: SecretRules, words: tuple[str, ...], key: str) -> Said:
    more = carried.chosen(set(rules.environment), carried.KV_PREFIXES)
    more |= _settings(rules)
    return run((rules.kv_program, *words), key=key, more=more, seconds=rules.timeout_seconds)


def _settings(rules: SecretRules) -> dict[str, str]:
    """OpenBao reads its own names and Vault's."""
    pairs = (("ADDR", rules.kv_address), ("NAMESPACE", rules.kv_namespace))
    return {f"{prefix}{name}": value for prefix in carried.KV_PREFIXES for name, value in pairs if value}


def _document(said: Said, rules: SecretRules, key: str) -> Any:
    try:
        return json.loads(said.output)
    except (ValueError, RecursionError):
        raise _unread(rules, key) from None


def _unread(rules: SecretRules, key: str) -> ConfigError:
    return ConfigError(
        f"The answer of {rules.kv_program} is not what `kv` answers with -format=json ([secrets] {key}).",
        cloud=UNCHANGED,
        next_command=f"{_typed(rules)} version",
        reason="kv-answer",
    )


def _trouble(rules: SecretRules, said: Said, mount: str, path: str, key: str) -> UpgraderError:
    program = _typed(rules)
    for pattern, words, command, reason in _TROUBLES:
        if pattern.search(said.words):
            kind = ConfigError if reason == "kv-token" else EnvironmentMissingError
            return kind(
                f"{rules.kv_program}, asked for {mount}/{path}, {words} ([secrets] {key})."
                if reason == "kv-token"
                else f"The server that {rules.kv_program} asks for {mount}/{path} {words} ([secrets] {key}).",
                cloud=UNCHANGED,
                next_command=command.format(program=program),
                reason=reason,
            )
    if _ABSENT.search(said.words):
        above = path.rstrip("/").rpartition("/")[0]
        return ConfigError(
            f"There is nothing at {mount}/{path} ([secrets] {key}).",
            cloud=UNCHANGED,
            next_command=f"{program} kv list -mount={shlex.quote(mount)} {shlex.quote(above)}".rstrip(" '"),
            reason="kv-path",
        )
    return ConfigError(
        f"{rules.kv_program} ended with {said.code}, asked for {mount}/{path} ([secrets] {key}): {said.words}",
        cloud=UNCHANGED,
        next_command=f"{program} status",
        reason="kv-failed",
    )


def _typed(rules: SecretRules) -> str:
    """The program as a person types it, with the address it is asked at."""
    prefix = f"VAULT_ADDR={shlex.quote(rules.kv_address)} " if rules.kv_address else ""
    return prefix + shlex.quote(rules.kv_program)
