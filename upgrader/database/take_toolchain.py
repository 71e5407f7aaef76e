"""The toolchain's lock as part of a set: which programs, in which versions, drove the release that was backed up."""

from __future__ import annotations

import importlib.metadata

from upgrader import durable
from upgrader.database.manifest import TOOLCHAIN, BackupSet
from upgrader.kolla.toolchain import LOCK, MANIFEST, Toolchain

_SEEN = "# not built by upgrader: what was found installed\n"


def save_toolchain(toolchain: Toolchain, backup_set: BackupSet) -> None:
    """Record lock and description of the environment; of one that others built, the packages found in it.

    Raises OSError.
    """
    folder = backup_set.folder / TOOLCHAIN
    durable.make_dir(folder, exist_ok=True)
    kept = []
    for name in (LOCK, MANIFEST):
        if (toolchain.dir / name).is_file():
            durable.write_atomic(folder / name, (toolchain.dir / name).read_bytes())
            kept.append(folder / name)
    if folder / LOCK not in kept:
        durable.write_atomic(folder / LOCK, _SEEN + "".join(f"{line}\n" for line in _installed(toolchain)))
        kept.append(folder / LOCK)
    backup_set.demand(TOOLCHAIN)
    backup_set.record(TOOLCHAIN, kept, {"release": toolchain.release, "lock_sha256": toolchain.lock_sha256})


def _installed(toolchain: Toolchain) -> list[str]:
    places = [str(path) for path in toolchain.dir.glob("lib/python*/site-packages")]
    found = {(one.metadata["Name"] or "", one.version) for one in importlib.metadata.distributions(path=places)}
    return sorted(f"{name}=={version}" for name, version in found if name)
