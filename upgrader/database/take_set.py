"""One whole backup set, from nothing to checked: what the stage `backup` and the verb `upgrader backup` both do.

Owns the order of the parts and what becomes of a set that fails: it is closed as `incomplete`, with its missing parts
named, and what was cut off stays `in-progress`; neither is ever used. The cloud is only read.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import BackupSet, Manifest, now
from upgrader.database.take import method_of, switched_off, take_parts
from upgrader.database.take_toolchain import save_toolchain
from upgrader.errors import EnvironmentMissingError, RefusedError
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.runner.base import Cancelled, Runner


@dataclass(frozen=True)
class Taking:
    """What taking a set needs of its surroundings, which are a stage's or a verb's."""

    site: Site
    toolchain: Toolchain
    runner: Runner
    play_folder: Callable[[str], Path]
    look: Callable[[], CloudFacts]
    """One observation of the cloud; raises where a host cannot be reached."""
    physical: Callable[[], None]
    """kolla-ansible's own mariadb-backup; raises where its verdict is not clean."""
    step: Callable[[str], AbstractContextManager[list[str]]]
    judge: Callable[[Sequence[Finding], str], None]
    """Keep findings; raise where one is a failure."""
    cancelled: Cancelled | None = None


def begin_set(
    site: Site, release: str, mark: str, *, plan: str = "", hop: str = "", journal_head: str = ""
) -> BackupSet:
    """A fresh set of this moment, `in-progress`. `mark` keeps two of one second apart.

    Raises EnvironmentMissingError where it cannot be made, RefusedError where kolla-ansible would back up nothing.
    """
    off = switched_off(site)
    if off is not None:
        raise RefusedError(f"{off.message}.", cloud="It was not asked.", next_command=off.next, reason=off.id)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = site.backup_dir / f"{release}-{stamp}-{mark[:8]}"
    with _room(folder):
        durable.make_dir(site.backup_dir, exist_ok=True)
        manifest = Manifest(
            site=site.name, release=release, plan=plan, hop=hop, journal_head=journal_head, made_at=now()
        )
        return BackupSet.begin(folder, manifest)


def take_set(taking: Taking, backup_set: BackupSet) -> None:
    """Fill the set and close it as `unverified`.

    Raises what `judge` raises when a part is missing (the set is `incomplete` then), and EnvironmentMissingError when
    this machine's disk is full (it stays `in-progress` then, or is `incomplete`).
    """
    site = taking.site
    method, fall_back = method_of(site)
    with _room(backup_set.folder):
        with taking.step("configuration, inventory, passwords") as evidence:
            save_configuration(site, backup_set)
            save_toolchain(taking.toolchain, backup_set)
            evidence.append("configuration folder, inventory, passwords and the toolchain's lock saved")
        # the look comes first: a physical backup is compared with the heads that were there before it
        facts: CloudFacts | None = None
        begun = time.monotonic()
        if method == "mariabackup":
            with taking.step("mariadb-backup by kolla-ansible") as evidence:
                facts = taking.look()
                begun = time.monotonic()
                taking.physical()
                evidence.append("full physical backup in the volume mariadb_backup")
        with taking.step("databases, accounts, keys, images") as evidence:
            facts = facts or taking.look()
            findings = take_parts(
                site,
                taking.toolchain,
                taking.runner,
                taking.play_folder("take-backup"),
                backup_set,
                facts,
                method=method,
                fall_back=fall_back,
                asked_ago=round(time.monotonic() - begun) + 1,
                cancelled=taking.cancelled,
            )
            _judge(taking, backup_set, findings)
            evidence.append(told(backup_set.manifest))
        with taking.step("check every part") as evidence:
            taking.judge(backup_set.finish(), "the backup is not complete")
            count, size = len(backup_set.manifest.parts), backup_set.manifest.bytes
            evidence.append(f"{count} parts, {size} bytes, checksums right: {backup_set.folder}")


def told(manifest: Manifest) -> str:
    """One line of what was dumped and how."""
    if manifest.dump_format == "mariabackup":
        return "physical backup fetched, heads noted"
    part = manifest.part(parts.DATABASES)
    schemas = dict(part.facts).get("schemas", "0") if part else "0"
    rows = sum(table.rows for table in manifest.tables)
    return f"{schemas} schemas dumped by {manifest.dump_format}: {len(manifest.tables)} tables, {rows} rows"


def _judge(taking: Taking, backup_set: BackupSet, findings: Sequence[Finding]) -> None:
    """A set with a part missing is closed before the failure goes on its way: it must not look like work under way."""
    if any(finding.code is Code.FAILURE for finding in findings):
        backup_set.finish()
    taking.judge(findings, "the backup is not complete")


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _refuse(error, folder)


def _refuse(error: OSError, folder: Path) -> NoReturn:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "No space left on this machine" if full else f"{error.strerror or error}"
    where = f" while {error.filename} was written" if error.filename else ""
    raise EnvironmentMissingError(
        f"{what}{where}; backup set {folder.name} is not whole.",
        cloud="It was only read, nothing in it was changed. The set is never used.",
        next_command=f"free space in {folder.parent}, then: upgrader backup" if full else "upgrader backup --list",
        reason="backup-no-space" if full else "backup-not-written",
    ) from None
