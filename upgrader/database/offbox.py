"""Copies of backup sets in a place that outlives this machine. A copy counts once every byte of it was read back.

Owns the order: copy, read back, mark; asked again, it goes on with what is not done. What is read back streams
through a checksum; no plain copy of it touches a disk.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from upgrader.config import Site
from upgrader.database import offbox_findings
from upgrader.database.manifest import MANIFEST, Manifest, check, read_manifest, sha256_of
from upgrader.database.offbox_copies import VERIFIED, Copy, copies, repository
from upgrader.database.restic import Restic
from upgrader.durable import failpoint
from upgrader.errors import RefusedError, UpgraderError
from upgrader.model import Code, Finding

Say = Callable[[str], None]
Cancelled = Callable[[], bool]
_CHUNK = 1 << 18


class Copied(NamedTuple):
    """What became of a copy: findings for people, facts for the journal (`offbox_…`)."""

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = {}


def _silent(_line: str) -> None:
    return None


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
        return Copied((offbox_findings.failed(error, site.offbox),), {"offbox_verified": "no"})
    except OSError as error:
        words = f"{folder.name} cannot be read: {error.strerror or error}"
        found = offbox_findings.failed(RefusedError(words, reason="backup-unreadable"), site.offbox)
        return Copied((found,), {"offbox_verified": "no"})


def _copy_set(there: Restic, folder: Path, manifest: Manifest, say: Say, cancelled: Cancelled | None) -> Copied:
    digest = sha256_of(folder / MANIFEST)
    copy = _already(there, manifest.site, folder.name, digest)
    wanted = expected_files(folder, manifest)
    faults: tuple[str, ...] = ()
    if copy is not None and not copy.verified:
        faults = _read_back(there, copy, wanted, say, cancelled)
    if copy is None or faults:  # what was left behind may be damaged where the set here is not
        say(f"copying {folder.name} to {there.shown}")
        copy = _upload(there, folder, manifest, digest, say, cancelled)
        failpoint("offbox:copied")
        faults = _read_back(there, copy, wanted, say, cancelled)
    facts = {"offbox_snapshot": copy.id, "offbox_repository": there.shown, "offbox_verified": "no"}
    if faults:
        here = [finding.message for finding in check(folder, manifest) if finding.code is Code.FAILURE]
        return Copied((*there.open_rights(), offbox_findings.not_the_same(there, copy, faults, here)), facts)
    if not there.offbox.reread and not copy.verified:
        return Copied((*there.open_rights(), offbox_findings.not_read(there, copy)), facts)
    unmarked: tuple[Finding, ...] = ()
    if not copy.verified:
        failpoint("offbox:read-back")
        copy, unmarked = _mark(there, copy)
    facts = {**facts, "offbox_snapshot": copy.id, "offbox_verified": "yes"}
    return Copied((*there.open_rights(), *unmarked, offbox_findings.good(there, copy, folder, len(wanted))), facts)


def _read_back(
    there: Restic, copy: Copy, wanted: Mapping[str, str], say: Say, cancelled: Cancelled | None
) -> tuple[str, ...]:
    """What is wrong with the copy; nothing is found where nothing may be read back."""
    if not there.offbox.reread:
        return ()
    say(f"reading back copy {copy.short}")
    try:
        return differences(there, copy.id, wanted, cancelled)
    except RefusedError as error:
        if error.reason != "offbox-damaged":
            raise
        return error.details or (error.message,)


def _already(there: Restic, site: str, name: str, digest: str) -> Copy | None:
    """The copy of exactly this set, the verified one first."""
    same = [copy for copy in copies(there, site) if (copy.set_name, copy.manifest_sha256) == (name, digest)]
    return max(same, key=lambda copy: (copy.verified, copy.copied_at), default=None)


def _upload(
    there: Restic, folder: Path, manifest: Manifest, digest: str, say: Say, cancelled: Cancelled | None
) -> Copy:
    made = Copy(
        id="", set_name=folder.name, site=manifest.site, made_at=manifest.made_at, state=manifest.state,
        manifest_sha256=digest, verified=False, copied_at=datetime.now(UTC), original="",
    )  # fmt: skip

    def once() -> str:
        # every byte is read anew: what a folder looks like says nothing about what is in its files
        words = ("backup", "--json", "--force", "--host", manifest.site, "--tag", ",".join(made.marks), ".")
        with there.reading(*words, cwd=folder, cancelled=cancelled) as stream:
            return _narrate(stream, say)

    name = there.patiently(once)
    if not name:
        raise UpgraderError("restic does not say which copy it made.", reason="offbox-failed")
    return made._replace(id=name)


def _narrate(stream: IO[bytes], say: Say) -> str:
    """Tell how far it is; the new copy's name, which comes last."""
    said, name = 0, ""
    for line in stream:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            name = str(document.get("snapshot_id", name))
            done = int(float(document.get("percent_done") or 0) * 10)
            if said < done < 10:
                say(f"{done * 10} % copied")
                said = done
    return name


def _mark(there: Restic, copy: Copy) -> tuple[Copy, tuple[Finding, ...]]:
    """Note in the repository that the copy was read back; the note gives it a new name."""
    try:
        there.run("tag", "--add", VERIFIED, copy.id)
    except UpgraderError as error:  # somebody's lock, or a store that lets nothing be changed
        return copy, (offbox_findings.not_marked(there, copy, error),)
    name = copy.original or copy.id
    return next((one for one in copies(there) if one.verified and one.original.startswith(name)), copy), ()


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
    cut = False
    with there.reading("dump", "--no-cache", copy, "/", cancelled=cancelled) as stream:
        try:
            yield _members(stream)
        except (tarfile.TarError, EOFError):
            cut = True  # why, restic says when it has ended, and that is raised here
    if cut:
        raise RefusedError(f"Copy {copy[:8]} in {there.shown} ends in the middle.", reason="offbox-damaged")


def _members(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if not member.isdir():
                yield member.name.lstrip("/"), archive.extractfile(member) if member.isreg() else None


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
