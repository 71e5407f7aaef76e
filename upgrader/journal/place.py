"""Where the journal lies: which file systems it can be trusted to, how it is opened, what SQLite's words mean.

Plain opening and closing of the database's files would drop SQLite's own locks in this process, so nothing here
or elsewhere reads, hashes or copies them except through a connection.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from upgrader.durable import sync_dir
from upgrader.errors import EnvironmentMissingError, LockedError, UpgraderError
from upgrader.journal.errors import InvariantError, JournalError

DATABASE = "journal.db"
NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs",
    "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
})  # fmt: skip
BUSY_SECONDS = 10.0
LOCAL_DISK = "set dir of [state] in upgrader.toml to a folder on a local disk, then: upgrader status"


class Durability(NamedTuple):
    """How safe a commit is. Tests on a RAM disk may ask for less; nothing else may."""

    synchronous: str = "FULL"
    fsync: bool = True


FULL = Durability()
_LEVELS = {"OFF": 0, "NORMAL": 1, "FULL": 2}


def filesystem_of(path: Path, mounts: str) -> str:
    """Type of the file system that holds the absolute `path`; `mounts` is the text of /proc/self/mounts."""
    best, found, text = -1, "", f"{path}/"
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1]
        if "\\" in point:  # the kernel writes spaces and the like as octal numbers
            point = point.encode().decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace")
        point = point.rstrip("/") + "/"
        if text.startswith(point) and len(point) >= best:
            best, found = len(point), fields[2]
    return found


def refuse_network_filesystem(state_dir: Path) -> None:
    """Raise EnvironmentMissingError where locks and fsync cannot be trusted: two owners could be let in."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    kind = filesystem_of(state_dir.resolve(), mounts)
    if kind in NETWORK:
        raise EnvironmentMissingError(
            f"the journal cannot live in {state_dir}: {kind} is a network file system, where locks do not hold",
            cloud="nothing was changed",
            next_command=LOCAL_DISK,
            reason="journal-on-network-filesystem",
        )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say about the journal in `path` into this project's errors."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise UpgraderError(f"the journal refused a write: {error}", reason="journal-law") from error
    except sqlite3.OperationalError as error:
        raise _operational(error, path) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error


def _operational(error: sqlite3.OperationalError, path: Path) -> UpgraderError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return LockedError(
            f"another process is writing to the journal {path} and did not end in {BUSY_SECONDS:.0f} s",
            next_command="upgrader status",
            reason="journal-busy",
        )
    if "full" in text:
        return EnvironmentMissingError(
            f"the disk that holds the journal {path} is full; the last step is not recorded",
            cloud="as the journal's last event says",
            next_command="free some space, then upgrader resume",
            reason="disk-full",
        )
    if "unable to open" in text or "readonly" in text or "read-only" in text:
        return EnvironmentMissingError(
            f"the journal {path} cannot be opened here: {text}",
            next_command=f"check who owns {path.parent}, then: upgrader status",
            reason="journal-unreadable",
        )
    if "I/O" in text:
        return EnvironmentMissingError(
            f"the disk that holds the journal {path} does not answer as it should: {text}",
            cloud="as the journal's last event says",
            next_command="look at the disk, then upgrader resume",
            reason="disk-error",
        )
    if "transaction" in text or "syntax" in text:
        return InvariantError(f"the journal was used out of order: {text}", reason="journal-misused")
    return _damaged(path, text)


def _damaged(path: Path, text: str) -> JournalError:
    return JournalError(
        f"the journal {path} is damaged: {text}",
        cloud="not known from here; nothing was changed now",
        next_command=f"keep a copy of {path.parent}, put back its last backup, then: upgrader history --verify",
        reason="journal-damaged",
    )


def exists(state_dir: Path) -> bool:
    """Whether there is a journal in `state_dir`."""
    return (state_dir / DATABASE).exists()


def connect(path: Path, durability: Durability = FULL) -> sqlite3.Connection:
    """The writing connection; creates the (empty) file with mode 0600. Raises what `translated` says."""
    with translated(path):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            pass
        except OSError as error:
            raise EnvironmentMissingError(
                f"the journal {path} cannot be created: {error.strerror}",
                cloud="nothing was changed",
                next_command=f"check who owns {path.parent}, then: upgrader status",
                reason="journal-unwritable",
            ) from error
        else:
            os.close(descriptor)
            sync_dir(path.parent)
        connection = _open(path, "mode=rw")
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute(f"PRAGMA synchronous={durability.synchronous}")
            level = connection.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or level != _LEVELS[durability.synchronous]:
                raise EnvironmentMissingError(
                    f"SQLite does not keep its promises for {path}: journal mode {mode}, synchronous {level}",
                    cloud="nothing was changed",
                    next_command=LOCAL_DISK,
                    reason="journal-not-durable",
                )
        except BaseException:
            connection.close()
            raise
        return connection


def connect_readonly(path: Path) -> sqlite3.Connection:
    """A connection that never writes, also for somebody who may only read the folder."""
    with translated(path):
        connection = _open(path, "mode=ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if path.with_name(path.name + "-wal").exists():
                raise
            # nobody has it open, and we have no right to make SQLite's own files beside it
            connection = _open(path, "immutable=1")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection


def _open(path: Path, how: str) -> sqlite3.Connection:
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{name}?{how}", uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection
