"""Keystone's keys out of a backup set, for the programs that want them; private, and gone with the workplace."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from upgrader.database.manifest import Manifest
from upgrader.durable import make_dir
from upgrader.graph.migrations import ServiceMigrations


@dataclass(frozen=True, slots=True)
class Keys:
    """Part of a set → one of its archives of keys. Empty: the source has no keys, as a dump alone."""

    archives: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def of(cls, folder: Path, manifest: Manifest, services: tuple[ServiceMigrations, ...]) -> Keys:
        """The archives of every part that a service wants; every host has the same keys, so one host's serve."""
        wanted = dict.fromkeys(item.part for service in services for item in service.keys)
        found = ((name, manifest.part(name)) for name in wanted)
        return cls(tuple((name, folder / part.files[0].path) for name, part in found if part and part.files))

    def unpacked(self, service: ServiceMigrations, folder: Path) -> tuple[tuple[str, str, str], ...]:
        """Unpack the keys the service wants below `folder` (0600); (section, option, folder) to be configured."""
        archives = dict(self.archives)
        options = []
        for item in service.keys:
            if item.part in archives:
                place = folder / item.part
                make_dir(place)
                _unpack(archives[item.part], place)
                options.append((item.section, item.option, str(place)))
        return tuple(options)


NO_KEYS = Keys()


def _unpack(archive: Path, folder: Path) -> None:
    """Only files whose names are numbers, as keys are called, and never outside the folder."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member) if member.isfile() and name.isdigit() else None
            if content is not None:
                path = folder / name
                path.touch(mode=0o600)
                path.write_bytes(content.read())
