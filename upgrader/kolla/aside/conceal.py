"""What of a rendered file may be shown: values that are secrets whatever their origin become marks.

The values of passwords.yml never get this far (`placeholders`); what is left are secrets an operator keeps elsewhere:
Ceph keyrings, private keys, passwords in files of their own. Equal values get equal marks, so that a difference stays
visible. Pure.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from upgrader.errors import ConfigError
from upgrader.kolla.vault import Vault, decrypt, encrypted
from upgrader.kolla.yaml_text import Entry, Tree, parse, quoted, read_bytes

FRONT = "PASSWORD_"
"""Placeholders are `PASSWORD_nova_ssh_key_private_key`: letters that need no quoting in URLs, INI, YAML or JSON."""
_SALT = "." * 22
"""A bcrypt salt has to be one; this stands for every salt (`prometheus_bcrypt_salt`)."""
_HIDDEN = (
    "*.key",
    "*.pem",
    "*.p12",
    "*.jks",
    "*.base64",
    "*keyring*",
    "*id_rsa*",
    "*id_ed25519*",
    "*passwd*",
    "*authkey*",
    "*.secret",
)
_BIGGEST = 1_000_000
_NAME = r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential|api_?key|access_?key|auth_?key|_key|salt|psk)"
_SETTING = re.compile(
    rf"""^([-\t ]*["']?(?:{_NAME}|key)["']?[ \t]*[:=][ \t]*["']?)([^"'\n]*?)(["']?,?[ \t\r]*)$""", re.I | re.M
)
_LOGIN = re.compile(r"((?:://|,)[^/\s:@,]*:)([^/\s@,]+)(?=@)")
_WORDS = re.compile(
    r"((?:requirepass|masterauth|auth[_-]pass(?:[ \t]+\S+(?=[ \t]+\S))?)[ \t]+|stats[ \t]+auth[ \t]+[^\s:]+:"
    r"|^[ \t]*password[ \t]+(?![=:]))(\S+)",
    re.I | re.M,
)
_KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S)
_PLAIN = re.compile(r"(?:true|false|yes|no|none|null|\d{1,6}|<[^>]*>|/[\w./{}-]*|[\w.-]*\$\{?\w+\}?|)$", re.I)

Mark = Callable[[bytes], str]


def marker(key: bytes) -> Mark:
    """Marks under one key: equal values get equal marks, and a mark says nothing about its value."""
    return lambda value: f"HIDDEN-{hmac.new(key, value, sha256).hexdigest()[:10]}"


def placeholders(path: Path, example: Path, vault: Vault | None = None) -> str:
    """A passwords file with the operator's keys and the release's, every value replaced by its own name.

    A value that is empty stays empty: templates look at that. Raises ConfigError as reading passwords.yml does.
    """
    data = read_bytes(path)
    own = parse(decrypt(data, path, vault) if encrypted(data) else data, path)
    known = {entry.key for entry in own.entries}
    lines = [_line(entry.key, entry.tree, empty=entry.empty) for entry in own.entries]
    lines += [_line(entry.key, entry.tree, empty=False) for entry in _examples(example) if entry.key not in known]
    return "".join(lines) or "{}\n"


def _examples(path: Path) -> tuple[Entry, ...]:
    try:
        return parse(path.read_bytes(), path).entries
    except (OSError, ConfigError):
        return ()


def _line(key: str, tree: Tree, *, empty: bool) -> str:
    if tree[:1] == ("mapping",):
        pairs: tuple[tuple[Tree, Tree], ...] = tree[1:]
        below = "".join(f"  {quoted(str(name[1]))}: {_value(f'{key}_{name[1]}')}\n" for name, _ in pairs)
        return f"{quoted(key)}:\n{below}"
    return f"{quoted(key)}: {quoted('') if empty else _value(key)}\n"


def _value(name: str) -> str:
    return quoted(_SALT if "salt" in name else FRONT + re.sub(r"\W", "_", name))


def shown(name: str, data: bytes, mark: Mark, *, secret: bool = False) -> str:
    """The text of a file as it may be shown. `secret`: nothing of it may, whatever it looks like."""
    if secret or len(data) > _BIGGEST or any(fnmatch(Path(name).name.lower(), form) for form in _HIDDEN):
        return f"{mark(data)} ({len(data)} bytes, not shown)\n"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"{mark(data)} ({len(data)} bytes, not text)\n"
    if "\0" in text:
        return f"{mark(data)} ({len(data)} bytes, not text)\n"
    text = _KEYS.sub(lambda found: mark(found[0].encode()), text)
    text = _LOGIN.sub(lambda found: found[1] + _hidden(found[2], mark), text)
    text = _SETTING.sub(lambda found: found[1] + _hidden(found[2], mark) + found[3], text)
    return _WORDS.sub(lambda found: found[1] + _hidden(found[2], mark), text)


def _hidden(value: str, mark: Mark) -> str:
    if FRONT in value or value.startswith("HIDDEN-") or _PLAIN.match(value.strip()):
        return value
    return mark(value.encode())
