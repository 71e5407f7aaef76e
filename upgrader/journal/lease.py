"""One owner per cloud: a lock that dies with its process, and a card that says who holds it.

The lock is `flock` on a file of its own that is never unlinked: with `lockf`, closing any other descriptor of the
file would drop it, and a recreated file would let a second owner in. Only mutating commands take it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from upgrader import durable
from upgrader.errors import EnvironmentMissingError, LockedError
from upgrader.journal.place import refuse_network_filesystem

LOCK, CARD = "lock", "lock.json"


class Card(NamedTuple):
    """Who holds, or held, the lease."""

    id: str
    who: str
    host: str
    pid: int
    boot: str
    operation: str
    since: str

    def __str__(self) -> str:
        return f"{self.operation} by {self.who} on {self.host} (pid {self.pid}) since {self.since}"


@cache
def boot_id() -> str:
    """This boot of this machine; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def operator() -> str:
    """Name of the person at the keyboard, as well as the system knows it; behind sudo, the one who called it."""
    for variable in ("SUDO_USER", "LOGNAME", "USER"):
        if name := os.environ.get(variable):
            return name
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return f"uid {os.getuid()}"


def read_card(state_dir: Path) -> Card | None:
    """The card that lies in `state_dir`, also one of a dead owner; None when there is none or it is torn."""
    reading = durable.read_json(state_dir / CARD)
    return _card(reading.document) if reading.document is not None else None


def _card(document: Any) -> Card | None:
    try:
        values = {name: document[name] for name in Card._fields}
    except (KeyError, TypeError):
        return None
    return Card(**values) if isinstance(values["pid"], int) else None


class Lease:
    """The held lease. `previous` is the card of an owner that died without giving it back.

    A context manager; leaving it gives the lease back. Dying gives it back too, and leaves the card.
    """

    def __init__(self, state_dir: Path, descriptor: int, card: Card, previous: Card | None) -> None:
        self.state_dir = state_dir
        self.card = card
        self.previous = previous
        self._descriptor = descriptor

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        """Give the lease back; nothing happens when it was given back already."""
        if self._descriptor < 0:
            return
        durable.failpoint("lease.release")
        with suppress(OSError):
            durable.remove(self.state_dir / CARD)
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def acquire(state_dir: Path, operation: str, *, takeover: bool = False) -> Lease:
    """Become the owner of the cloud whose journal is in `state_dir`; creates the folder.

    Raises LockedError, naming the holder, while another process owns it. A card that a dead owner of this machine
    left is taken over and kept in `Lease.previous`; one of another machine is taken over only with `takeover`,
    because nobody here can see whether that owner lives. EnvironmentMissingError: network file system, no rights.
    """
    try:
        durable.make_dir(state_dir, exist_ok=True)
        refuse_network_filesystem(state_dir)
        descriptor = _lock(state_dir)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    try:
        durable.failpoint("lease.locked")
        previous = read_card(state_dir)
        if previous and previous.host != os.uname().nodename and not takeover:
            raise LockedError(
                f"the lease was left by {previous}, on another machine than this one",
                cloud="as that owner left it; nothing was changed now",
                next_command="make sure that nothing runs there, then repeat with --takeover",
                reason="lease-of-another-host",
            )
        since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        host = os.uname().nodename
        card = Card(os.urandom(16).hex(), operator(), host, os.getpid(), boot_id(), operation, since)
        durable.write_json(state_dir / CARD, card._asdict())
        durable.failpoint("lease.card")
    except OSError as error:
        os.close(descriptor)
        raise _unusable(state_dir, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return Lease(state_dir, descriptor, card, previous)


def _unusable(state_dir: Path, error: OSError) -> EnvironmentMissingError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "free some space" if full else f"check who owns {state_dir}"
    return EnvironmentMissingError(
        f"the journal's folder {state_dir} cannot be used: {error.strerror}",
        cloud="not touched by this command; nothing was changed",
        next_command=f"{what}, then: upgrader status",
        reason="disk-full" if full else "state-dir-unwritable",
    )


def _lock(state_dir: Path) -> int:
    path = state_dir / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _locked(state_dir) from None
        except BaseException:
            os.close(descriptor)
            raise
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        # somebody deleted the file between our two looks: this lock would guard nothing
        os.close(descriptor)


def _locked(state_dir: Path) -> LockedError:
    holder = read_card(state_dir)
    return LockedError(
        f"another upgrader is at work: {holder}" if holder else "another upgrader is at work; it left no card yet",
        cloud="being worked on by the other one; nothing was changed by this command",
        next_command="upgrader status",
        reason="locked",
    )
