"""Copies of backup sets in a place that outlives this machine. A copy counts once every byte of it was read back.

Owns what a copy is: one restic snapshot of the set's folder, marked with site, set, manifest and state, and marked
`verified` after it was re-read. What is read back streams through a checksum; no plain copy of it touches a disk.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from upgrader.config import Offbox, Site
from upgrader.database.manifest import MANIFEST, Manifest, check, read_manifest, sha256_of
from upgrader.database.restic import Restic, moment
from upgrader.errors import ConfigError, RefusedError, UpgraderError
from upgrader.model import Code, Finding

OURS, VERIFIED = "upgrader", "verified"
Say = Callable[[str], None]
Cancelled = Callable[[], bool]
_CHUNK = 1 << 18
_NAMED = 5


class Copy(NamedTuple):
    """One snapshot as the repository lists it."""

    id: str
    set_name: str
    site: str
    made_at: str
    """When the set was begun, by its manifest."""
    state: str
    """The set's state when it was copied."""
    manifest_sha256: str
    verified: bool
    copied_at: datetime
    original: str

    @property
    def short(self) -> str:
        return self.id[:8]


class Copied(NamedTuple):
    """What became of a copy: findings for people, facts for the journal (`offbox_…`)."""

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = {}


def _silent(_line: str) -> None:
    return None


def repository(site: Site) -> Restic:
    """The site's repository. Raises ConfigError without [backup.offbox], and what `Restic` raises."""
    if site.offbox is None:
        raise ConfigError(
            f"{site.file} names no place for copies off this machine.",
            cloud="Nothing was copied.",
            next_command="add [backup.offbox] with repository and password_file",
            reason="no-offbox",
        )
    return Restic(site.offbox, site.state_dir / "offbox-cache")


def start_repository(site: Site) -> str:
    """Make the repository where there is none, and say its name. Raises RefusedError when there is one already."""
    there = repository(site)
    there.run("init", seconds=there.offbox.timeout_seconds)
    there.find()
    return there.shown


def copies(there: Restic, site: str = "") -> tuple[Copy, ...]:
    """Copies that this tool made, oldest set first; of one site where given."""
    found = there.documents("snapshots", "--no-lock", "--tag", OURS) or []
    mine = [copy for document in found if (copy := _copy(document)) is not None and site in ("", copy.site)]
    return tuple(sorted(mine, key=lambda copy: (copy.made_at, copy.copied_at, copy.id)))


def _copy(document: Mapping[str, Any]) -> Copy | None:
    tags = document.get("tags") or []
    marks = {key: value for key, _, value in (str(tag).partition(":") for tag in tags)}
    at = moment(str(document.get("time", "")))
    if OURS not in marks or not marks.get("set") or at is None:
        return None
    return Copy(
        id=str(document["id"]), set_name=marks["set"], site=marks.get("site", ""), made_at=marks.get("made", ""),
        state=marks.get("state", ""), manifest_sha256=marks.get("manifest", ""), verified=VERIFIED in marks,
        copied_at=at.astimezone(UTC), original=str(document.get("original", "")),
    )  # fmt: skip


# ---------------------------------------------------------------- copying


def copy_set(site: Site, folder: Path, say: Say = _silent, *, cancelled: Cancelled | None = None) -> Copied:
    """Copy a finished set off this machine and read it back; asked again, it goes on where it was interrupted.

    Never raises for what is wrong elsewhere: that is a failure among the findings, and the set here stays as good as
    it is. Without restic it is a warning (a failure where `required`). Raises CancelledError, ConfigError for the set.
    """
    if site.offbox is None:
        return Copied()
    manifest = read_manifest(folder)
    if manifest.state in ("in-progress", "incomplete"):
        raise RefusedError(
            f"Backup set {folder.name} is {manifest.state}, so it is not copied off this machine.",
            cloud="Nothing was copied.",
            reason="backup-not-whole",
        )
    try:
        return _copy_set(repository(site), folder, manifest, say, cancelled)
    except UpgraderError as error:
        if error.reason == "offbox-cancelled":
            raise
        return Copied((_failed(error, site.offbox),), {"offbox_verified": "no"})


def _copy_set(there: Restic, folder: Path, manifest: Manifest, say: Say, cancelled: Cancelled | None) -> Copied:
    there.find()
    wanted = expected_files(folder, manifest)
    digest = sha256_of(folder / MANIFEST)
    copy = _already(there, manifest.site, folder.name, digest)
    if copy is None:
        say(f"copying {folder.name} to {there.shown}")
        _upload(there, folder, manifest, digest, say, cancelled)
        copy = _already(there, manifest.site, folder.name, digest)
    if copy is None:
        raise UpgraderError("restic made a copy that it does not list.", reason="offbox-failed")
    facts = {"offbox_snapshot": copy.id, "offbox_repository": there.shown, "offbox_verified": "no"}
    if not copy.verified:
        if not there.offbox.reread:
            return Copied((*there.open_rights(), _not_read(there, copy)), facts)
        say(f"reading back copy {copy.short}")
        faults = differences(there, copy.id, wanted, cancelled)
        if faults:
            here = [finding.message for finding in check(folder, manifest) if finding.code is Code.FAILURE]
            return Copied((*there.open_rights(), _not_the_same(there, copy, faults, here)), facts)
        copy = _mark(there, copy)
    facts = {**facts, "offbox_snapshot": copy.id, "offbox_verified": "yes"}
    return Copied((*there.open_rights(), _good(there, copy, folder, len(wanted))), facts)


def _already(there: Restic, site: str, name: str, digest: str) -> Copy | None:
    """The copy of exactly this set, the verified one first."""
    same = [copy for copy in copies(there, site) if (copy.set_name, copy.manifest_sha256) == (name, digest)]
    return max(same, key=lambda copy: (copy.verified, copy.copied_at), default=None)


def _upload(
    there: Restic, folder: Path, manifest: Manifest, digest: str, say: Say, cancelled: Cancelled | None
) -> None:
    marks = [
        OURS, f"site:{manifest.site}", f"set:{folder.name}", f"made:{manifest.made_at}", f"state:{manifest.state}",
        f"manifest:{digest}",
    ]  # fmt: skip

    def once() -> None:
        # every byte is read anew: what a folder looks like says nothing about what is in its files
        words = ("backup", "--json", "--force", "--host", manifest.site, "--tag", ",".join(marks), ".")
        with there.reading(*words, cwd=folder, cancelled=cancelled) as stream:
            _narrate(stream, say)

    there.patiently(once)


def _narrate(stream: IO[bytes], say: Say) -> None:
    said = 0
    for line in stream:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        done = int(float(document.get("percent_done") or 0) * 10) if isinstance(document, dict) else 0
        if said < done < 10:
            say(f"{done * 10} % copied")
            said = done


def _mark(there: Restic, copy: Copy) -> Copy:
    """Note in the repository that the copy was read back; the note gives it a new name."""
    there.run("tag", "--add", VERIFIED, copy.id)
    names = {copy.id, copy.original} - {""}
    return next((one for one in copies(there) if one.verified and names & {one.id, one.original}), copy)


# ---------------------------------------------------------------- reading back


def expected_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Path → SHA-256 of every file of a set: by its manifest, and what lies beside (the manifest itself)."""
    found = {entry.path: entry.sha256 for part in manifest.parts for entry in part.files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise RefusedError(f"{name} in backup set {folder.name} is neither a file nor a folder.")
        if path.is_file() and name not in found:
            found[name] = sha256_of(path)
    return found


@contextmanager
def files_of(
    there: Restic, copy: str, cancelled: Cancelled | None = None
) -> Iterator[Iterator[tuple[str, IO[bytes] | None]]]:
    """(path, content) of everything in a copy but folders, in one pass; no content: it is no ordinary file."""
    with there.reading("dump", "--no-cache", copy, "/", cancelled=cancelled) as stream:
        yield _members(stream)


def _members(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not member.isdir():
                    yield member.name.lstrip("/"), archive.extractfile(member) if member.isreg() else None
    except (tarfile.TarError, EOFError):
        # restic ended in the middle; why, is asked of it once its output is at its end
        while stream.read(_CHUNK):
            pass


def differences(
    there: Restic, copy: str, wanted: Mapping[str, str], cancelled: Cancelled | None = None
) -> tuple[str, ...]:
    """What of a copy, read back whole, is not as it should be; empty: every byte is."""
    return there.patiently(lambda: _differences(there, copy, wanted, cancelled))


def _differences(there: Restic, copy: str, wanted: Mapping[str, str], cancelled: Cancelled | None) -> tuple[str, ...]:
    faults, missing = [], dict(wanted)
    with files_of(there, copy, cancelled) as files:
        for name, content in files:
            digest = missing.pop(name, None)
            if digest is None:
                faults.append(f"{name} does not belong to the set")
            elif content is None or sha256_of_stream(content) != digest:
                faults.append(f"{name} is not what the manifest says")
    return (*faults, *(f"{name} is missing" for name in missing))


def sha256_of_stream(stream: IO[bytes], write: Callable[[bytes], object] | None = None) -> str:
    found = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
        if write is not None:
            write(chunk)
    return found.hexdigest()


# ---------------------------------------------------------------- findings


def _good(there: Restic, copy: Copy, folder: Path, files: int) -> Finding:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Finding(
        id="offbox-verified",
        code=Code.SUCCESS,
        message=f"copied to {there.shown} and read back whole: {files} files, {size} bytes, copy {copy.short}",
    )


def _not_read(there: Restic, copy: Copy) -> Finding:
    return Finding(
        id="offbox-not-verified",
        code=Code.WARNING,
        message=f"copy {copy.short} in {there.shown} was not read back, so it does not count",
        next='set verify = "reread" in [backup.offbox]',
    )


def _not_the_same(there: Restic, copy: Copy, faults: Sequence[str], here: Sequence[str]) -> Finding:
    more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    if here:
        message = f"the set was damaged before it was copied to {there.shown}: {here[0]}"
    else:
        message = f"copy {copy.short} in {there.shown} is not the set that was copied, so it does not count"
    return Finding(
        id="offbox-not-verified",
        code=Code.FAILURE,
        severity="blocker",
        overridable=not here,
        message=message,
        evidence="; ".join(faults[:_NAMED]) + more,
        next="take a new set: upgrader backup" if here else "restic check --read-data, then again: upgrader backup",
    )


def _failed(error: UpgraderError, offbox: Offbox) -> Finding:
    absent = error.reason == "restic-missing" and not offbox.required
    return Finding(
        id=error.reason or "offbox-failed",
        code=Code.WARNING if absent else Code.FAILURE,
        severity="advised" if absent else "blocker",
        overridable=not absent,
        message=error.message.rstrip("."),
        evidence="; ".join(error.details),
        next=error.next_command,
        why="A set that lies on this machine alone is lost with it.",
    )
