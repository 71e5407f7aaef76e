"""A backup set: one folder, one manifest, parts with checksums. Says by name what is missing or damaged.

Owns the layout and the manifest; copies nothing from hosts. A set is `in-progress` until it is finished, then
`unverified` or `incomplete`; `proved` is for a set that was restored somewhere, which is a later step's word, and
`expired` is worked out whenever somebody asks. Everything in a set is readable by its owner alone: it holds password
hashes, keys and the site's secrets.

    <set>/manifest.json
    <set>/database/grants.sql.zst           accounts of the services, whatever the format; .gz where a host has no zstd
    <set>/database/<schema>.sql.zst         format `mariadb-dump`: one schema in a file, `CREATE DATABASE` included
    <set>/database/mydumper/*               format `mydumper`: one flat folder as that program writes it, for myloader
    <set>/database/mariabackup.xbs.gz       format `mariabackup`: the stream (mbstream) that kolla-ansible makes
    <set>/keys/<host>.fernet-keys.tar, <host>.credential-keys.tar
    <set>/ovn/OVN_Northbound.db.gz, OVN_Southbound.db.gz
    <set>/rabbitmq/definitions.json.gz
    <set>/toolchain/lock.txt, toolchain.json
    <set>/configuration.tar, inventory.tar, passwords.tar
    <set>/images.json, token.json, proof.json

Sets of schema version 1 have no table list, no format (theirs is `mariadb-dump` with gzip) and none of the parts OVN,
definitions and toolchain; they stay readable and restorable.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
OVN, DEFINITIONS, TOOLCHAIN = "ovn", "definitions", "toolchain"

DumpFormat = Literal["mariadb-dump", "mydumper", "mariabackup"]
State = Literal["in-progress", "incomplete", "unverified", "proved"]
StateNow = Literal["in-progress", "incomplete", "unverified", "proved", "expired"]

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


class TableContent(Value):
    """One table as the dump holds it: read from the dump's own text, so it is of the dump's own moment."""

    name: str
    """`database.table`."""
    rows: int
    digest: str = ""
    """Sum of the SHA-256 of every row's text, modulo 2**256: no order of rows is in it. The text is that of the
    program that wrote the dump, so it compares with a dump of a restored copy by the same program alone."""


class ProofSummary(Value):
    """Where and how the set was restored; the whole story is in `proof.json`."""

    proved_at: str
    server: str
    """Version of the server it was restored into."""
    seconds: int = 0
    tables: int = 0
    rows: int = 0
    file_sha256: str = ""
    """Of `proof.json`."""


class Manifest(Value):
    """What a set holds and what it was taken from."""

    schema_version: Literal[1, 2] = 2
    kind: Literal["backup"] = "backup"
    state: State = "in-progress"
    site: str
    release: str
    plan: str = ""
    """Hash of the plan the set was taken for."""
    hop: str = ""
    made_at: str
    finished_at: str = ""
    method: Literal["logical", "mariabackup"] = "logical"
    dump_format: DumpFormat = "mariadb-dump"
    server_version: str = ""
    journal_head: str = ""
    """Hash of the journal's last event when the set was begun; the journal in turn keeps the manifest's digest."""
    needs: tuple[str, ...] = ()
    """Parts that have to be there besides those that every set has, because of what runs in the cloud; sorted."""
    heads: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(database, heads) at the time of the dump, sorted."""
    rows: tuple[tuple[str, int], ...] = ()
    """(`database.table`, rows) of the API tables, sorted; of which moment, `counted` says."""
    counted: Literal["dump", "asked"] = "asked"
    """`dump`: counted in the dump itself. `asked`: the server was asked just before, which may differ by rows that
    were written meanwhile."""
    tables: tuple[TableContent, ...] = ()
    """Every table of the dump, sorted; empty where it could not be read from it (mariabackup, version 1)."""
    parts: tuple[Part, ...] = ()
    proof: ProofSummary | None = None

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)

    def state_now(self, now: datetime, max_age: timedelta | None = None, last_write: str = "") -> StateNow:
        """The state as it is at `now`: a finished set expires by age, and by what was written to the databases since.

        `last_write`: UTC time at which this tool last began to write to the cloud's databases; empty: never.
        """
        if self.state not in ("unverified", "proved"):
            return self.state
        try:
            made = datetime.fromisoformat(self.made_at)
            too_old = max_age is not None and now - made > max_age
            written_since = bool(last_write) and datetime.fromisoformat(last_write) >= made
        except (ValueError, TypeError):
            return "expired"
        return "expired" if too_old or written_since else self.state

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for part in self.parts for entry in part.files)


def required_parts(method: str) -> tuple[str, ...]:
    """Parts without which no set can take a cloud back. Credential keys are not among them: Kolla makes none."""
    databases = (DATABASES, GRANTS) if method == "logical" else (MARIABACKUP,)
    return (*databases, FERNET_KEYS, CONFIGURATION, INVENTORY, PASSWORDS, IMAGES)


def missing_parts(manifest: Manifest) -> tuple[str, ...]:
    """Names of the parts this set ought to have and has not, in a fixed order."""
    wanted = dict.fromkeys((*required_parts(manifest.method), *manifest.needs))
    return tuple(name for name in wanted if manifest.part(name) is None)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def manifest_sha256(folder: Path) -> str:
    """Digest of the set's manifest as it lies on the disk: what the journal keeps of the set."""
    return sha256_of(folder / MANIFEST)


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
        failpoint = f"backup.{name}"
        durable.failpoint(f"{failpoint}.arrived")
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
        durable.failpoint(f"{failpoint}.recorded")
        return part

    def demand(self, *names: str) -> None:
        """Parts this cloud's sets have to have besides the usual ones; a set without them is `incomplete`."""
        self._change(needs=tuple(sorted({*self.manifest.needs, *names})))

    def describe(self, dump_format: DumpFormat) -> None:
        """How the databases are dumped, as soon as that is known."""
        self._change(dump_format=dump_format, method="mariabackup" if dump_format == "mariabackup" else "logical")

    def note(
        self,
        *,
        server_version: str,
        heads: Mapping[str, Sequence[str]],
        rows: Mapping[str, int],
        tables: Iterable[TableContent] = (),
        counted: Literal["dump", "asked"] = "asked",
    ) -> None:
        """What the databases were like when they were dumped: a restore is compared with it."""
        self._change(
            server_version=server_version,
            heads=tuple(sorted((name, tuple(sorted(values))) for name, values in heads.items())),
            rows=tuple(sorted(rows.items())),
            tables=tuple(sorted(tables, key=lambda table: table.name)),
            counted=counted,
        )

    def finish(self) -> tuple[Finding, ...]:
        """Close the set after checking every byte of it; failures leave it `incomplete` and name each part."""
        durable.failpoint("backup.finish")
        findings = check(self.folder, self.manifest)
        bad = any(finding.code is Code.FAILURE for finding in findings)
        self._change(state="incomplete" if bad else "unverified", finished_at=now(), proof=None)
        durable.failpoint("backup.finished")
        return findings

    def proved(self, proof: ProofSummary) -> None:
        """The set was restored and compared. Raises UpgraderError for a set that is not whole: it cannot have been."""
        if self.manifest.state not in ("unverified", "proved"):
            raise UpgraderError(f"Backup set {self.folder.name} is {self.manifest.state}.", reason="backup-not-whole")
        self._change(state="proved", proof=proof)

    def disproved(self) -> None:
        """A proof failed: what was proved before is no longer believed."""
        if self.manifest.state == "proved":
            self._change(state="unverified", proof=None)

    def state_now(self, now: datetime, max_age: timedelta | None = None, last_write: str = "") -> StateNow:
        """See `Manifest.state_now`."""
        return self.manifest.state_now(now, max_age, last_write)

    def _change(self, **values: object) -> None:
        self.manifest = self.manifest.model_copy(update=values)
        self._write()

    def _write(self) -> None:
        durable.write_json(self.folder / MANIFEST, self.manifest.document())


def _sync(path: Path) -> None:
    """The files were written by Ansible and tar; they must survive a loss of power like everything we record."""
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

    `names` are the parts that must be there; None: those the manifest's method and the cloud require.
    """
    missing = missing_parts(manifest) if names is None else tuple(name for name in names if manifest.part(name) is None)
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


def lost_files(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Files that are gone or have another size, by a look at the names alone: quick, and no proof of anything."""
    lost = []
    for part in manifest.parts:
        for entry in part.files:
            try:
                right = (folder / entry.path).stat().st_size == entry.bytes
            except OSError:
                right = False
            if not right:
                lost.append(entry.path)
    return tuple(lost)


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
