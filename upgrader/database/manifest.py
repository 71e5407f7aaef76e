"""A backup set: one folder, one manifest, parts with checksums. Says by name what is missing or damaged.

Owns the layout and the manifest; copies nothing from hosts. A set is `in-progress` until it is finished, then
`unverified` or `incomplete`; `proved` is for a set that was restored somewhere, which is a later step's word.
Everything in it is readable by its owner alone: it holds password hashes, keys and the site's secrets.

    <set>/manifest.json
    <set>/database/<schema>.sql.gz, grants.sql.gz
    <set>/keys/<host>.fernet-keys.tar, <host>.credential-keys.tar
    <set>/configuration.tar, inventory.tar, passwords.tar
    <set>/images.json, token.json
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from upgrader import durable
from upgrader.errors import ConfigError, UpgraderError
from upgrader.model import Code, Finding
from upgrader.value import Value

MANIFEST = "manifest.json"
DATABASES, GRANTS, MARIABACKUP = "databases", "grants", "mariabackup"
FERNET_KEYS, CREDENTIAL_KEYS, TOKEN = "fernet-keys", "credential-keys", "token"
CONFIGURATION, INVENTORY, PASSWORDS, IMAGES = "configuration", "inventory", "passwords", "images"

_CHUNK = 1024 * 1024


class FileEntry(Value):
    path: str
    """Relative to the set's folder."""
    bytes: int
    sha256: str


class Part(Value):
    name: str
    made_at: str
    files: tuple[FileEntry, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Small things worth knowing of the part, e.g. (`host`, `ctl1`); never a secret."""


class Manifest(Value):
    """What a set holds and what it was taken from."""

    schema_version: Literal[1] = 1
    kind: Literal["backup"] = "backup"
    state: Literal["in-progress", "incomplete", "unverified", "proved"] = "in-progress"
    site: str
    release: str
    plan: str = ""
    """Hash of the plan the set was taken for."""
    hop: str = ""
    made_at: str
    finished_at: str = ""
    method: Literal["logical", "mariabackup"] = "logical"
    server_version: str = ""
    heads: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(database, heads) at the time of the dump, sorted."""
    rows: tuple[tuple[str, int], ...] = ()
    """(`database.table`, rows) of the API tables at the time of the dump, sorted."""
    parts: tuple[Part, ...] = ()

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


def required_parts(method: str) -> tuple[str, ...]:
    """Parts without which a set cannot take a cloud back. Credential keys are not among them: Kolla makes none."""
    databases = (DATABASES, GRANTS) if method == "logical" else (MARIABACKUP,)
    return (*databases, FERNET_KEYS, CONFIGURATION, INVENTORY, PASSWORDS, IMAGES)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


class BackupSet:
    """A set's folder with its manifest. Every recorded part is durable before `record` returns."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @classmethod
    def begin(cls, folder: Path, manifest: Manifest) -> BackupSet:
        """A fresh set. Raises FileExistsError when the folder is there: sets are never overwritten."""
        durable.make_dir(folder)
        made = cls(folder, manifest)
        made._write()
        return made

    @classmethod
    def open(cls, folder: Path) -> BackupSet:
        """A set that exists. Raises ConfigError when its manifest is missing, torn or from a newer version."""
        return cls(folder, read_manifest(folder))

    def record(self, name: str, files: Iterable[Path], facts: Mapping[str, str] | None = None) -> Part:
        """Add a part, or replace the one of that name; its files must lie in the set and are made private."""
        entries = []
        for path in sorted(files):
            path.chmod(0o600)
            _sync(path)
            relative = path.relative_to(self.folder).as_posix()
            entries.append(FileEntry(path=relative, bytes=path.stat().st_size, sha256=sha256_of(path)))
        for folder in {path.parent for path in (self.folder / entry.path for entry in entries)}:
            durable.sync_dir(folder)
        part = Part(name=name, made_at=now(), files=tuple(entries), facts=tuple(sorted((facts or {}).items())))
        others = (known for known in self.manifest.parts if known.name != name)
        self.manifest = self.manifest.model_copy(
            update={"parts": tuple(sorted((*others, part), key=lambda known: known.name))}
        )
        self._write()
        return part

    def note(self, *, server_version: str, heads: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> None:
        """What the databases were like when they were dumped: a restore is compared with it."""
        self.manifest = self.manifest.model_copy(
            update={
                "server_version": server_version,
                "heads": tuple(sorted((name, tuple(sorted(values))) for name, values in heads.items())),
                "rows": tuple(sorted(rows.items())),
            }
        )
        self._write()

    def finish(self) -> tuple[Finding, ...]:
        """Close the set after checking every byte of it; failures leave it `incomplete` and name each part."""
        findings = check(self.folder, self.manifest)
        bad = any(finding.code is Code.FAILURE for finding in findings)
        self.manifest = self.manifest.model_copy(
            update={"state": "incomplete" if bad else "unverified", "finished_at": now()}
        )
        self._write()
        return findings

    def _write(self) -> None:
        durable.write_json(self.folder / MANIFEST, self.manifest.document())


def _sync(path: Path) -> None:
    """The files were written by Ansible and tar; they must survive a loss of power like everything we record."""
    import os

    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> Manifest:
    """Raises ConfigError when there is no whole manifest of this version."""
    reading = durable.read_json(folder / MANIFEST)
    if reading.state != "whole":
        how = "has no manifest" if reading.state == "missing" else "has a damaged manifest"
        raise ConfigError(f"Backup set {folder} {how}.", reason="backup-unreadable")
    try:
        # lax for JSON's lists and numbers only: the values' own rules still hold
        return Manifest.model_validate(reading.document, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"])
        raise ConfigError(
            f"The manifest of backup set {folder} is not understood: {where}: {first['msg']}.",
            reason="backup-unreadable",
        ) from None


def check(folder: Path, manifest: Manifest, names: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """Everything that is wrong with a set: missing parts by name, missing, torn or changed files, open rights.

    `names` are the parts that must be there; None: those the manifest's method requires.
    """
    wanted = tuple(names) if names is not None else required_parts(manifest.method)
    missing = (name for name in wanted if manifest.part(name) is None)
    findings = [
        _failure("backup-part-missing", f"backup part {name!r} is missing from {folder.name}") for name in missing
    ]
    for part in manifest.parts:
        for entry in part.files:
            findings.extend(_file_findings(folder, part, entry))
    if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        findings.append(
            Finding(
                id="backup-open",
                code=Code.WARNING,
                message=f"others can enter {folder}, which holds keys and password hashes",
                next=f"chmod 0700 {folder}",
            )
        )
    return tuple(findings)


def _file_findings(folder: Path, part: Part, entry: FileEntry) -> Iterable[Finding]:
    path = folder / entry.path
    what = f"backup part {part.name!r}: {entry.path}"
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            yield _failure("backup-damaged", f"{what} has {size} bytes instead of {entry.bytes}")
        elif sha256_of(path) != entry.sha256:
            yield _failure("backup-damaged", f"{what} has changed since it was taken")
    except FileNotFoundError:
        yield _failure("backup-damaged", f"{what} is gone")
    except OSError as error:
        yield _failure("backup-damaged", f"{what} cannot be read: {error.strerror}")


def _failure(identifier: str, message: str) -> Finding:
    return Finding(id=identifier, code=Code.FAILURE, message=message)


def must_be_whole(folder: Path) -> Manifest:
    """The manifest of a set that is fit to be restored. Raises UpgraderError naming every part that is not."""
    manifest = read_manifest(folder)
    findings = check(folder, manifest)
    bad = tuple(finding.message for finding in findings if finding.code is Code.FAILURE)
    if bad or manifest.state in {"in-progress", "incomplete"}:
        reasons = bad or (f"it is {manifest.state}",)
        raise UpgraderError(
            f"Backup set {folder.name} cannot be restored: {reasons[0]}.",
            cloud="No database was touched.",
            details=reasons,
            reason="backup-not-whole",
        )
    return manifest
