"""Keystone's keys out of a backup set, for the programs that want them; private, and gone with the workplace."""

from __future__ import annotations

import base64
import secrets
import tarfile
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.manifest import Manifest
from upgrader.durable import make_dir
from upgrader.graph.migrations import ServiceMigrations


@dataclass(frozen=True, slots=True)
class Keys:
    """Part of a set → one of its archives of keys. Empty: the source has none, as a dump alone.

    Where there are none, random ones are made: programs that only want to find keys when they start are content.
    """

    archives: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def of(cls, folder: Path, manifest: Manifest, services: tuple[ServiceMigrations, ...]) -> Keys:
        """The archives of every part that a service wants; every host has the same keys, so one host's serve."""
        wanted = dict.fromkeys(item.part for service in services for item in service.keys)
        found = ((name, manifest.part(name)) for name in wanted)
        return cls(tuple((name, folder / part.files[0].path) for name, part in found if part and part.files))

    def unpacked(self, service: ServiceMigrations, folder: Path) -> tuple[tuple[str, str, str], ...]:
        """The keys the service wants, below `folder` (0600); (section, option, folder) to be configured."""
        archives = dict(self.archives)
        for part in dict.fromkeys(item.part for item in service.keys):
            make_dir(folder / part)
            if part in archives:
                _unpack(archives[part], folder / part)
            else:
                _invent(folder / part)
        return tuple((item.section, item.option, str(folder / item.part)) for item in service.keys)


NO_KEYS = Keys()


def _unpack(archive: Path, folder: Path) -> None:
    """Only files whose names are numbers, as keys are called, and never outside the folder."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member) if member.isfile() and name.isdigit() else None
            if content is not None:
                _private(folder / name, content.read())


def _invent(folder: Path) -> None:
    for name in ("0", "1"):
        _private(folder / name, base64.urlsafe_b64encode(secrets.token_bytes(32)))


def _private(path: Path, key: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key)
