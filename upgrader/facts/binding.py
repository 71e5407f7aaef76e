"""What a plan was made from, as hashes and names, and how the cloud differs from it now.

Owns the Binding and the differences between two of them. Passwords enter only as a keyed hash, so that a plan
says nothing about them, not even whether two sites share one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from upgrader.config import Site
from upgrader.errors import ConfigError
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.reading import is_kolla
from upgrader.model import Binding, CloudFacts
from upgrader.secret_sources import values

_NEVER_BOUND = (".retry", ".swp", "~")
"""Leftovers of Ansible and editors: they change without anybody changing the configuration."""


def bind(site: Site, facts: CloudFacts, inventory_sha256: str, hmac_key: bytes, names: ReleaseNames) -> Binding:
    """Everything a plan depends on, as it is now. Raises ConfigError naming a file that cannot be read."""
    return Binding(
        config_sha256=config_sha256(site),
        inventory_sha256=inventory_sha256,
        passwords_hmac=hmac.new(hmac_key, _passwords(site), hashlib.sha256).hexdigest(),
        running=facts.reading.release,
        images=tuple(
            sorted(
                (host.name, container.name, container.image)
                for host in facts.hosts
                for container in host.containers
                if is_kolla(container, names)
            )
        ),
        heads=tuple(sorted(facts.heads, key=lambda row: row.database)),
    )


def config_sha256(site: Site) -> str:
    """Over names and content of the configuration folder's files and the extra variable files, in canonical order.

    Left out: the passwords (they are bound by a keyed hash), the inventory (bound on its own) and the site's own
    state and backups, wherever these lie inside the folder.
    """
    folder = site.config_dir.resolve()
    left_out = {path.resolve() for path in (site.passwords, site.inventory, site.state_dir, site.backup_dir)}
    left_out.add(site.toolchains_dir.resolve())
    found = hashlib.sha256()
    for path in sorted(_files(folder, left_out), key=lambda path: path.relative_to(folder).as_posix()):
        _add(found, path.relative_to(folder).as_posix(), _read(path))
    for path in site.extra_vars:
        _add(found, f"extra:{path.name}", _read(path))
    return found.hexdigest()


def _files(folder: Path, left_out: set[Path]) -> Iterable[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.resolve() in left_out or path.name.endswith(_NEVER_BOUND):
            continue
        if path.is_dir() and not path.is_symlink() and path.name != ".git":
            yield from _files(path, left_out)
        elif path.is_file():
            yield path


def _add(found: hashlib._Hash, name: str, content: bytes) -> None:
    # lengths, so that no two different folders can be written one after the other to the same bytes
    found.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
    found.update(content)


def _passwords(site: Site) -> bytes:
    """The file, and what stands over it from elsewhere."""
    outside = json.dumps(values.fetched(site), sort_keys=True) if values.elsewhere(site) else ""
    return _read(site.passwords) + outside.encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", cloud="Nothing was changed.", reason="unreadable-file"
        ) from None


def drift(before: Binding, now: Binding) -> tuple[str, ...]:
    """What is different now from what the plan was made from, one line each; empty when nothing is."""
    found = []
    if before.config_sha256 != now.config_sha256:
        found.append("the configuration folder has changed")
    if before.inventory_sha256 != now.inventory_sha256:
        found.append("the inventory has changed")
    if before.passwords_hmac != now.passwords_hmac:
        found.append("passwords.yml has changed")
    if before.running != now.running:
        found.append(f"running release: was {before.running or 'not known'}, is {now.running or 'not known'}")
    found.extend(_image_drift(before, now))
    found.extend(_head_drift(before, now))
    return tuple(found)


def _image_drift(before: Binding, now: Binding) -> Iterable[str]:
    was = {(host, name): image for host, name, image in before.images}
    is_now = {(host, name): image for host, name, image in now.images}
    for host, name in sorted(was.keys() | is_now.keys()):
        old, new = was.get((host, name)), is_now.get((host, name))
        if old == new:
            continue
        if new is None:
            yield f"{host}: container {name} is gone (was {old})"
        elif old is None:
            yield f"{host}: container {name} is new ({new})"
        else:
            yield f"{host}: container {name} runs {new}, was {old}"


def _head_drift(before: Binding, now: Binding) -> Iterable[str]:
    was: Mapping[str, tuple[str, ...]] = {row.database: row.heads for row in before.heads}
    is_now: Mapping[str, tuple[str, ...]] = {row.database: row.heads for row in now.heads}
    for database in sorted(was.keys() | is_now.keys()):
        old, new = was.get(database), is_now.get(database)
        if old != new:
            said = [" + ".join(heads) or "no head" if heads is not None else "not there" for heads in (old, new)]
            yield f"schema of {database}: was {said[0]}, is {said[1]}"
