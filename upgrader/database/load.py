"""A backup set as a running server, whatever its format: loaded fast, or started on the files of a physical copy.

Owns what is refused before and how much memory the server gets; how rows, keys and the rest go in is in load_tables.py.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upgrader.database import manifest as parts
from upgrader.database.contents import MYDUMPER
from upgrader.database.load_client import must_have_space
from upgrader.database.load_tables import Load, Loaded
from upgrader.database.manifest import Manifest, read_manifest
from upgrader.database.physical import prepared, settings
from upgrader.database.throwaway import PREFIX, Server, held, programs, sweep, throwaway
from upgrader.database.unpacked import DumpDamaged
from upgrader.durable import make_dir
from upgrader.errors import UpgraderError

__all__ = ["Copy", "Loaded", "copied", "load_files", "load_set", "open_copy"]

_WORKERS = 8
_MIB = 1024 * 1024
_POOL = (128, 4096)
_REDO = (64, 1024)
LOADING = ("--innodb-sort-buffer-size=16M", "--innodb-stats-auto-recalc=OFF")
"""Options of a server that is loaded. Statistics are made once when a table is whole, instead of after every tenth
more rows: a quarter of the server's work (measured)."""


def load_set(server: Server, folder: Path, manifest: Manifest, *, workers: int = 0) -> Loaded:
    """Load a set's schemas into a running throwaway server; schemas of the same names are replaced.

    `workers` 0: one for each processor, eight at most. Raises UpgraderError with the server's words when a statement
    fails or a dump is cut off or foreign, EnvironmentMissingError when the disk runs full or a program is missing.
    What was loaded so far stays in the throwaway server, which the caller ends.
    """
    if manifest.dump_format == "mariabackup":
        raise UpgraderError(
            f"{folder.name} is a physical copy: a server is started on it, nothing is loaded.", reason="physical-set"
        )
    part = manifest.part(parts.DATABASES)
    files = [folder / entry.path for entry in part.files] if part else []
    return load_files(server, files, mydumper=manifest.dump_format == MYDUMPER, workers=workers)


def load_files(server: Server, files: list[Path], *, mydumper: bool = False, workers: int = 0) -> Loaded:
    """Load dump files: of mariadb-dump, one schema or more in each, or those of a mydumper folder. See `load_set`."""
    if not files:
        raise _refused("The dump holds no schema.", "dump-empty")
    must_have_space(server.folder)
    began = time.monotonic()
    load = Load(server, workers or max(1, min(_WORKERS, os.cpu_count() or 1)))
    try:
        load.mydumper(files) if mydumper else load.mariadb_dump(files)
    except DumpDamaged as damage:
        raise _refused(f"{damage}.", "dump-damaged") from None
    if not load.definitions:
        raise _refused("The dump holds no table.", "dump-empty")
    texts = {name: found.hexdigest() for name, found in load.texts.items()}
    seconds = time.monotonic() - began
    return Loaded(len(load.definitions), load.bytes, seconds, load.workers, texts, load.definitions)


def _refused(message: str, reason: str) -> UpgraderError:
    return UpgraderError(
        message,
        cloud="The cloud was not touched; the set stays as it was.",
        next_command="upgrader backup",
        reason=reason,
    )


@dataclass(frozen=True)
class Copy:
    server: Server
    loaded: Loaded | None
    """None for a physical copy, into which nothing is loaded."""


@contextmanager
def open_copy(
    folder: Path, parent: Path, *, programs_dir: Path | None = None, workers: int = 0, options: Sequence[str] = ()
) -> Iterator[Server]:
    """A throwaway server below `parent` that holds the set in `folder`; gone afterwards.

    Raises what `copied` raises.
    """
    with copied(
        folder, parent, read_manifest(folder), programs_dir=programs_dir, workers=workers, options=options
    ) as it:
        yield it.server


@contextmanager
def copied(
    folder: Path,
    parent: Path,
    manifest: Manifest,
    *,
    programs_dir: Path | None = None,
    workers: int = 0,
    options: Sequence[str] = (),
) -> Iterator[Copy]:
    """See `open_copy`. What interrupted restores left below `parent` is removed first.

    Raises EnvironmentMissingError when MariaDB is missing or of another series than the cloud's, or when the disk
    runs full; UpgraderError when the dump is cut off, foreign or empty, or the server refuses it. Checks no checksum:
    that is `must_be_whole`.
    """
    found = programs(programs_dir, like=manifest.server_version)
    make_dir(parent, exist_ok=True)
    sweep(parent)
    must_have_space(parent)
    pool, redo = _memory(manifest)
    if manifest.dump_format != "mariabackup":
        with throwaway(parent, found, pool=pool, redo=redo, options=(*LOADING, *options)) as server:
            loaded = load_set(server, folder, manifest, workers=workers)
            server.sql("SET GLOBAL innodb_stats_auto_recalc = ON")
            yield Copy(server, loaded)
        return
    part = manifest.part(parts.MARIABACKUP)
    files = [folder / entry.path for entry in part.files] if part else []
    if len(files) != 1:
        raise UpgraderError(
            f"The physical copy of {folder.name} is not in the set: it stayed on the database host.",
            cloud="Nothing was restored.",
            reason="physical-elsewhere",
        )
    unpacked = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = held(unpacked)
    try:
        data = unpacked / "data"
        prepared(files[0], data, programs_dir, pool)
        # its accounts are production's: who can enter the folder of the socket may do everything
        chosen = ("--skip-grant-tables", *settings(data), *options)
        with throwaway(parent, found, pool=pool, redo=redo, options=chosen, data=data) as server:
            yield Copy(server, None)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        os.close(lock)


def _memory(manifest: Manifest) -> tuple[str, str]:
    """Sizes of pool and redo log: a quarter of what is free at most, and no more than the dump may need."""
    needed = manifest.bytes * 20 // _MIB
    pool = max(_POOL[0], min(_POOL[1], _free() // _MIB // 4, needed))
    redo = max(_REDO[0], min(_REDO[1], pool // 2))
    return f"{pool}M", f"{redo}M"


def _free() -> int:
    """Bytes of memory that can be had now; none where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), "0")
    return int(found) * 1024
