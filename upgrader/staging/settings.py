"""The settings a hop was rehearsed with, as digests that can be kept in a journal, and where two sites' differ.

Owns which settings may differ between a staging cloud and production: those that say where a cloud is. Values are kept
as digests only, settings that sound like secrets not at all. Production's addresses in a value are read as staging's
before the two are compared, so that a setting copied for staging counts as the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from upgrader.config import Site
from upgrader.kolla.settings import site_settings

ADDRESSES = (
    "kolla_internal_vip_address", "kolla_external_vip_address", "kolla_internal_fqdn", "kolla_external_fqdn",
)  # fmt: skip
"""Settings that say where a cloud answers (ansible/group_vars/all.yml of kolla-ansible)."""
_PLACE = re.compile(
    r"^(kolla_(internal|external)_(vip_address|fqdn)|.*interface|.*_bridge_name|.*_bridge_mappings|keepalived_.*"
    r"|docker_registry.*|docker_namespace|.*_cidr|.*_ip_address|api_address_family|enable_host_ntp"
    r"|haproxy_.*_certificate.*|kolla_(internal|external)_fqdn_c(a)?(e)?rt.*|kolla_verify_tls_backend"
    r"|.*_physical_network|octavia_amp_network.*|.*_workers?)$"
)
_SECRET = re.compile(r"(password|secret|token|private_key|passphrase|credential)", re.IGNORECASE)
_RELEASE = "openstack_release"
_SHORT = 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Setting or file → digest of what it says."""

    settings: Mapping[str, str]
    files: Mapping[str, str]

    def text(self) -> str:
        """As it is kept among a hop's facts."""
        return json.dumps({"settings": dict(self.settings), "files": dict(self.files)}, sort_keys=True)


def parse(text: str) -> Fingerprint | None:
    """What `text` made; None when it is none."""
    try:
        found = json.loads(text)
        return Fingerprint(dict(found["settings"]), dict(found["files"]))
    except (ValueError, KeyError, TypeError):
        return None


def fingerprint(site: Site, *, read_as: Mapping[str, str] | None = None) -> Fingerprint:
    """The site's settings and configuration files now. `read_as`: address → the one it is read as.

    Raises ConfigError as reading settings does.
    """
    pairs = read_as or {}
    said = site_settings(site)
    settings = {
        key: _digest(moved(value, pairs).encode())
        for key, value in said.values.items()
        if not differs_by_nature(key) and not _SECRET.search(key)
    }
    files = {}
    for path in own_files(site):
        name = path.relative_to(site.config_dir).as_posix()
        files[name] = _digest(moved_bytes(path.read_bytes(), pairs))
    return Fingerprint(settings, files)


def own_files(site: Site) -> tuple[Path, ...]:
    """Files of the operator's own that go into containers: everything below `config` of the configuration folder."""
    folder = site.config_dir / "config"
    if not folder.is_dir():
        return ()
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".git" not in path.parts)
    return tuple(path for path in found if not path.name.endswith(("~", ".swp", ".retry")))


def differs_by_nature(key: str) -> bool:
    """A setting that says where a cloud is or which release it runs, or a secret that is each cloud's own."""
    return key == _RELEASE or bool(_PLACE.match(key))


def addresses_of(production: Mapping[str, str], staging: Mapping[str, str]) -> dict[str, str]:
    """Production's address or name → staging's, for every place where a cloud answers."""
    found = {}
    for key in ADDRESSES:
        ours, theirs = production.get(key, ""), staging.get(key, "")
        if ours and theirs and ours != theirs and "{{" not in ours + theirs:
            found[ours] = theirs
    return found


def moved(text: str, pairs: Mapping[str, str]) -> str:
    """The text with every whole address of `pairs` replaced by what it is read as, all at once."""
    if not pairs:
        return text
    names = "|".join(re.escape(name) for name in sorted(pairs, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])({names})(?![\w-]|\.\w)", lambda match: pairs[match[1]], text)


def moved_bytes(data: bytes, pairs: Mapping[str, str]) -> bytes:
    """As `moved`, of a file; one that is not text stays as it is."""
    try:
        return moved(data.decode(), pairs).encode()
    except UnicodeDecodeError:
        return data


def named(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of the names stand in the text as whole words, sorted."""
    return tuple(sorted(name for name in set(names) if moved(text, {name: "\0"}) != text))


def differences(here: Fingerprint, there: Fingerprint, overrides: Iterable[str]) -> tuple[str, ...]:
    """One line for each setting and file that is not the same; overridden settings are meant to differ."""
    left_out = set(overrides)
    lines = []
    for what, ours, theirs in (("setting", here.settings, there.settings), ("file", here.files, there.files)):
        for name in sorted(ours.keys() | theirs.keys()):
            if name in left_out or ours.get(name) == theirs.get(name):
                continue
            where = "not set on staging" if name not in theirs else "only set on staging" if name not in ours else ""
            where = where.replace("set", "there") if what == "file" else where
            lines.append(f"{what} {name}: {where or 'staging says something else'}")
    return tuple(lines)


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:_SHORT]
