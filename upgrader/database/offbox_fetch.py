"""A set brought back from its off-box copy, for the day on which this machine's own sets are lost.

Owns choosing the copy and writing the set: privately, into a folder of its own that gets its name only when every
byte agrees with the set's manifest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from upgrader.config import Site
from upgrader.database.manifest import Manifest, check, read_manifest
from upgrader.database.offbox import files_of, sha256_of_stream
from upgrader.database.offbox_copies import Copy, copies, repository
from upgrader.database.restic import Restic
from upgrader.durable import make_dir, sync_dir
from upgrader.errors import EnvironmentMissingError, RefusedError, UpgraderError
from upgrader.model import Code

NEWEST = "latest"
_HALF = ".fetching-"


class Fetched(NamedTuple):
    folder: Path
    manifest: Manifest
    copy: Copy


def fetch_set(site: Site, wanted: str = NEWEST, say: Callable[[str], None] = lambda _line: None) -> Fetched:
    """Bring a set back into the site's backup folder. `wanted`: a copy's id, a set's name, or `latest`.

    The set is whole and agrees with its manifest when this returns. Raises RefusedError when there is no such copy,
    when it is of another site, or is not whole; EnvironmentMissingError without restic, a way there, or space.
    """
    there = repository(site)
    copy = _choose(there, site.name, wanted)
    folder = _free_name(site.backup_dir, copy)
    half = site.backup_dir / f"{_HALF}{copy.short}"
    make_dir(site.backup_dir, exist_ok=True)
    shutil.rmtree(half, ignore_errors=True)  # of a fetch that was interrupted
    say(f"fetching {copy.set_name} (copy {copy.short}) from {there.shown}")
    try:
        with _room_named(half):
            there.patiently(lambda: _write(there, copy, half))
        manifest = _whole(half, copy)
        half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    sync_dir(site.backup_dir)
    return Fetched(folder, manifest, copy)


def _choose(there: Restic, site: str, wanted: str) -> Copy:
    every = copies(there)
    mine = [copy for copy in every if copy.site == site]
    if wanted == NEWEST:
        found = [copy for copy in mine if copy.verified] or mine
    else:
        found = [copy for copy in mine if _named(copy, wanted)]
    if found:
        # of several copies of one set the verified one
        return max(found, key=lambda copy: (copy.made_at, copy.verified, copy.copied_at))
    foreign = next((copy for copy in every if wanted != NEWEST and _named(copy, wanted)), None)
    why = f"it is of the site {foreign.site!r}" if foreign else f"{len(mine)} copies of this site are there"
    what = "a copy" if wanted == NEWEST else f"the copy {wanted}"
    raise RefusedError(
        f"{there.shown} does not hold {what} of the site {site!r}: {why}.",
        cloud="Nothing was fetched.",
        details=[f"{copy.short}  {copy.set_name}  {'verified' if copy.verified else 'not verified'}" for copy in mine],
        next_command=f"upgrader backup --fetch {mine[-1].short}" if mine else "",
        reason="no-such-copy",
    )


def _named(copy: Copy, wanted: str) -> bool:
    by_id = len(wanted) >= 6 and (copy.id.startswith(wanted) or copy.original.startswith(wanted))
    return by_id or copy.set_name == wanted


def _free_name(parent: Path, copy: Copy) -> Path:
    """Sets are never overwritten: one that is there, damaged perhaps, keeps its name."""
    if PurePosixPath(copy.set_name).name != copy.set_name:
        raise RefusedError(f"Copy {copy.short} has no usable name: {copy.set_name!r}.", reason="no-such-copy")
    for name in (copy.set_name, f"{copy.set_name}-fetched-{copy.short}"):
        if not (parent / name).exists():
            return parent / name
    raise RefusedError(
        f"Copy {copy.short} was fetched already: {parent / f'{copy.set_name}-fetched-{copy.short}'}.",
        cloud="Nothing was fetched.",
        next_command=f"upgrader backup --check {copy.set_name}-fetched-{copy.short}",
        reason="set-there-already",
    )


def _write(there: Restic, copy: Copy, half: Path) -> None:
    shutil.rmtree(half, ignore_errors=True)
    make_dir(half)
    with files_of(there, copy.id) as files:
        for name, content in files:
            where = PurePosixPath(name)
            if content is None or where.is_absolute() or ".." in where.parts:
                raise RefusedError(f"Copy {copy.short} holds what no set holds: {name!r}.", reason="copy-not-whole")
            make_dir(half / where.parent, exist_ok=True)
            _write_file(half / where, content)
    for folder in (half, *(path for path in half.rglob("*") if path.is_dir())):
        sync_dir(folder)


def _write_file(path: Path, content: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        sha256_of_stream(content, stream.write)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _room_named(half: Path) -> Iterator[None]:
    try:
        yield
    except UpgraderError:
        raise
    except OSError as error:
        raise EnvironmentMissingError(
            f"The set cannot be written below {half.parent}: {error.strerror}.",
            cloud="Nothing was fetched; what was begun is removed.",
            next_command="free space, then again: upgrader backup --fetch",
            reason="fetch-no-room",
        ) from None


def _whole(half: Path, copy: Copy) -> Manifest:
    manifest = read_manifest(half)
    bad = [finding.message for finding in check(half, manifest) if finding.code is Code.FAILURE]
    if bad or manifest.site != copy.site:
        raise RefusedError(
            f"Copy {copy.short} is not a whole set: {bad[0] if bad else 'its manifest is of another site'}.",
            cloud="Nothing was fetched; what was begun is removed.",
            details=bad,
            next_command="fetch another copy",
            reason="copy-not-whole",
        )
    return manifest
