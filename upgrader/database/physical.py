"""A physical copy of a database server made fit to run: unpacked and prepared by MariaDB's own programs."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from upgrader.database.load_client import must_have_space
from upgrader.database.unpacked import DumpDamaged, piped
from upgrader.errors import EnvironmentMissingError, UpgraderError

_LIMIT_SECONDS = 6 * 3600.0
_LOOK_SECONDS = 0.05
_KEPT = ("innodb_data_file_path", "innodb_page_size", "innodb_undo_tablespaces", "innodb_checksum_algorithm")
"""Settings a server needs to read another's files (the copy's backup-my.cnf)."""


def prepared(stream: Path, target: Path, programs_dir: Path | None, memory: str) -> None:
    """Unpack the stream of mariadb-backup into `target` and bring it to one moment.

    Raises EnvironmentMissingError when a program is missing or the disk runs full, UpgraderError for a stream that is
    cut off, foreign, or of a server whose files these programs do not read.
    """
    unpack, prepare = (program(name, programs_dir) for name in ("mbstream", "mariadb-backup"))
    target.mkdir(mode=0o700)
    try:
        with piped(stream, fast=True) as plain:
            _run([unpack, "-x", "-C", str(target)], target, stdin=plain)
    except DumpDamaged as damage:
        raise _not_prepared(str(damage)) from None
    if not (target / "xtrabackup_checkpoints").is_file() and not (target / "mariadb_backup_checkpoints").is_file():
        raise _not_prepared(f"{stream.name} is no whole stream of mariadb-backup")
    _run([prepare, "--prepare", f"--target-dir={target}", f"--use-memory={memory}"], target)


def settings(data: Path) -> tuple[str, ...]:
    """Options with which a server reads the files in `data`."""
    file = data / "backup-my.cnf"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in pairs if name in _KEPT)


def program(name: str, folder: Path | None) -> str:
    """Path of one of mariadb-backup's programs. Raises EnvironmentMissingError."""
    found = shutil.which(name, path=str(folder) if folder else None)
    if found is None:
        raise EnvironmentMissingError(
            f"{name} is not installed{f' in {folder}' if folder else ''}: a physical copy cannot be made to run.",
            cloud="Nothing was restored.",
            next_command="apt-get install --no-install-recommends mariadb-backup",
            reason="mariadb-backup-missing",
        )
    return found


def _run(argv: Sequence[str], target: Path, stdin: object = subprocess.DEVNULL) -> None:
    log = target.with_name(f"{target.name}.log")
    ends = time.monotonic() + _LIMIT_SECONDS
    with log.open("wb") as words:
        process = subprocess.Popen(argv, stdin=stdin, stdout=words, stderr=words)  # type: ignore[call-overload]
        try:
            while process.poll() is None:
                must_have_space(target)
                if time.monotonic() > ends:
                    raise _not_prepared(f"{Path(argv[0]).name} did not end within {_LIMIT_SECONDS / 3600:.0f} h")
                time.sleep(_LOOK_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line.upper()] or lines[-1:] or ["it said nothing"]
        raise _not_prepared(f"{Path(argv[0]).name}: {errors[-1]}", errors[-3:])


def _not_prepared(words: str, details: Sequence[str] = ()) -> UpgraderError:
    return UpgraderError(
        f"The physical copy cannot be made to run: {words}.",
        cloud="The cloud was not touched; the set stays as it was.",
        details=details,
        reason="physical-damaged",
    )
