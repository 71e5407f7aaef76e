"""The one thin layer that all writes go through which must survive a crash or a loss of power.

Owns the order write → fsync → rename → fsync of the folder, and the two seams tests need: a recorder that sees
(and may refuse) every operation, and failpoints that end the process on the spot. Knows nothing of what it writes.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FAILPOINT = "UPGRADER_FAILPOINT"
FAILPOINT_LOG = "UPGRADER_FAILPOINT_LOG"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step on the way to the disk. `fsync` makes the bytes of a file safe, `fsync_dir` the names in a folder."""

    kind: Literal["mkdir", "create", "write", "fsync", "rename", "unlink", "fsync_dir"]
    path: Path
    data: bytes = b""
    target: Path | None = None
    append: bool = False


Recorder = Callable[[Operation], None]
_recorder: Recorder | None = None
_failpoint_hook: Callable[[str], None] | None = None
_hits: dict[str, int] = {}
_serial = itertools.count()


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Tests: `recorder` is told of every operation before it is done; raising OSError there refuses it."""
    global _recorder  # noqa: PLW0603 - the seam is the whole process
    before, _recorder = _recorder, recorder
    try:
        yield
    finally:
        _recorder = before


@contextmanager
def failpoints(hook: Callable[[str], None]) -> Iterator[None]:
    """Tests: `hook` is called at every failpoint of this process, and may raise to leave there."""
    global _failpoint_hook  # noqa: PLW0603
    before, _failpoint_hook = _failpoint_hook, hook
    try:
        yield
    finally:
        _failpoint_hook = before


def failpoint(name: str) -> None:
    """Place where a crash is interesting.

    `UPGRADER_FAILPOINT=name` ends the process there with SIGKILL, `name:3` at the third passing, several are
    separated by commas. `UPGRADER_FAILPOINT_LOG=file` notes every passing, so that a test can list them all.
    """
    if _failpoint_hook is not None:
        _failpoint_hook(name)
    wanted = os.environ.get(FAILPOINT)
    log = os.environ.get(FAILPOINT_LOG)
    if not wanted and not log:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if log:
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(f"{name}:{_hits[name]}\n")
    for point in (wanted or "").split(","):
        # the count is after the last colon, so names may hold colons themselves
        target, _, count = point.rpartition(":")
        if not target or not count.isdigit():
            target, count = point, "1"
        if target == name and _hits[name] == int(count):
            os.kill(os.getpid(), signal.SIGKILL)


def _note(operation: Operation) -> None:
    if _recorder is not None:
        _recorder(operation)


def sync_dir(folder: Path) -> None:
    """Make the names in `folder` safe against a loss of power."""
    _note(Operation("fsync_dir", folder))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_dir(folder: Path, *, mode: int = 0o700, exist_ok: bool = False) -> None:
    """Create `folder` (and missing parents) durably. Raises FileExistsError unless `exist_ok`."""
    if not folder.parent.is_dir():
        make_dir(folder.parent, mode=mode, exist_ok=True)
    if exist_ok and folder.is_dir():
        return
    _note(Operation("mkdir", folder))
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        if not (exist_ok and folder.is_dir()):
            raise
    sync_dir(folder.parent)


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        error.filename = str(path)  # a full disk alone does not say which
        raise


def _resemble(descriptor: int, like: os.stat_result) -> None:
    try:
        os.fchown(descriptor, like.st_uid, like.st_gid)
    except PermissionError:  # not root: the group alone is often allowed, and readers depend on it
        with suppress(PermissionError):
            os.fchown(descriptor, -1, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600, like: os.stat_result | None = None) -> None:
    """Replace `path` so that a reader, now or after a crash, finds the old content or the new, never a part.

    When it returns, the new content survives a loss of power. Raises OSError; then there is the old content, or the
    whole of the new.
    `like` gives the file the owner, group and mode seen there instead of `mode`, as far as this user may.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_serial)}.tmp")
    try:
        _note(Operation("create", temporary))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _note(Operation("write", temporary, content))
            _write_all(descriptor, content, path)
            if like is not None:
                _resemble(descriptor, like)
            _note(Operation("fsync", temporary))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _note(Operation("rename", temporary, target=path))
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_dir(path.parent)


def write_json(path: Path, document: Mapping[str, Any], *, mode: int = 0o600) -> None:
    """`write_atomic` of a JSON object, readable by people, closed with a newline."""
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text + "\n", mode=mode)


def append_line(path: Path, line: str | Mapping[str, Any], *, fsync: bool = False, mode: int = 0o600) -> None:
    """Add one line, in one write, so that lines of several processes do not mix.

    A mapping becomes one line of JSON. Without `fsync` the last lines may be missing after a loss of power; a
    crash of the process alone loses nothing that was returned from here.
    """
    text = line if isinstance(line, str) else json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    data = (text.replace("\n", " ") + "\n").encode()
    fresh = not path.exists()
    if fresh:
        _note(Operation("create", path, append=True))
    _note(Operation("write", path, data, append=True))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        _write_all(descriptor, data, path)
        if fsync:
            _note(Operation("fsync", path))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if fresh:
        # even without fsync: a later line that is made safe needs the name to be safe too
        sync_dir(path.parent)


def locked(path: Path) -> bool:
    """Whether a process holds the file's lock (flock) for itself alone. Asks for a share of it, for an instant.

    Raises OSError where the file cannot be opened to read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(path: Path) -> None:
    """Delete a file durably; nothing happens when it is not there."""
    _note(Operation("unlink", path))
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_dir(path.parent)


@dataclass(frozen=True, slots=True)
class JsonReading:
    """What a JSON file held. `torn`: there is something, but not one whole JSON object."""

    state: Literal["whole", "missing", "torn"]
    document: Mapping[str, Any] | None = None


def read_json(path: Path) -> JsonReading:
    """Read a JSON object, without raising for what a crash can leave behind.

    An empty, cut, doubled or overwritten file is `torn`. Raises OSError other than a missing file.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return JsonReading("missing")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return JsonReading("torn")
    return JsonReading("whole", document) if isinstance(document, dict) else JsonReading("torn")
