"""The site's own files as parts of a backup set: configuration folder, inventory, passwords.

Owns which files belong to which part. They are kept as tar files, because modes and owners are part of them.
"""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from upgrader.config import Site
from upgrader.database.manifest import CONFIGURATION, INVENTORY, PASSWORDS, BackupSet
from upgrader.errors import ConfigError


def save_configuration(site: Site, backup_set: BackupSet) -> None:
    """Record the three parts of the site's own files. Raises ConfigError naming a file that cannot be read."""
    left_out = {path.resolve() for path in (site.state_dir, site.backup_dir, site.toolchains_dir)}
    left_out |= {site.passwords.resolve(), site.inventory.resolve()}
    configuration = [site.config_dir, site.file, *site.extra_vars]
    for name, paths in (
        (CONFIGURATION, configuration),
        (INVENTORY, [site.inventory]),
        (PASSWORDS, [site.passwords]),
    ):
        target = backup_set.folder / f"{name}.tar"
        skipped = left_out if name == CONFIGURATION else set()
        _tar(target, paths, skipped)
        backup_set.record(name, [target], {"from": ", ".join(str(path) for path in paths)})


def _tar(target: Path, paths: Iterable[Path], left_out: set[Path]) -> None:
    """Absolute paths without their leading slash, as tar keeps them. Written as it is read, private from the start."""

    def wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if Path("/", info.name).resolve() in left_out else info

    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w", dereference=False) as tar:
        for path in paths:
            try:
                tar.add(path.absolute(), arcname=str(path.absolute()).lstrip("/"), filter=wanted)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or error.filename is None:
                    error.filename = error.filename or str(target)
                    raise
                raise ConfigError(
                    f"{error.filename} cannot be saved: {error.strerror}.",
                    cloud="No backup was taken; nothing was changed.",
                    reason="unreadable-file",
                ) from None
