"""Put a backup set back: schemas, accounts, Keystone's keys. The caller stops the services before, starts them after.

Owns what may be restored (a whole set, nothing else) and the proof afterwards: heads and row counts have to be
those of the dump. May be run again after any interruption: every schema is dropped and loaded anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from upgrader import durable
from upgrader.config import Site
from upgrader.database.manifest import Manifest, must_be_whole
from upgrader.database.staged import schema_files, stage_dump, stage_keys
from upgrader.database.take import NONE
from upgrader.errors import UpgraderError
from upgrader.facts.observe import database_hosts
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown, work_folder
from upgrader.facts.server import schema_heads
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.runner.base import Cancelled, EventSink, Play, PlayResult, Runner

LOAD = "Answer of the load"
KEYS = "Answer about the keys"
FULL = "disk-full"
_PLAYBOOK = Path(__file__).parent / "restore.yml"


def restore(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    set_folder: Path,
    facts: CloudFacts,
    *,
    only: Collection[str] | None = None,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Finding, ...]:
    """Load the set's dump through a Synced server and put the keys back on every Keystone host of the set.

    `only`: these schemas, and neither accounts nor keys. Raises UpgraderError before anything is touched when the
    set is not whole, is a physical copy (nothing of it is loaded: physical_copy.py), or no server can be loaded, and
    when the set cannot be made ready on this machine. Findings are failures where the cloud does not afterwards hold
    what the set says.
    """
    manifest = must_be_whole(set_folder)
    servers = database_hosts(facts)
    if manifest.method != "logical" or not servers:
        why = (
            "it is a physical copy, which is put in place"
            if servers
            else "no database server is Synced in a Primary component"
        )
        raise UpgraderError(
            f"Backup set {set_folder.name} cannot be restored: {why}.",
            cloud="No database was touched.",
            reason="cannot-restore",
        )
    with _staging(set_folder) as staging:
        dump, schemas = stage_dump(set_folder, manifest, staging, only)
        hosts = stage_keys(set_folder, manifest, staging) if only is None else ()
        play = _play(site, toolchain, staging, servers[0], hosts, dump)
        result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    return (*_loaded(manifest, schemas, only, servers[0], result), *_keys_back(hosts, result))


def restore_keys(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    set_folder: Path,
    *,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Finding, ...]:
    """Put the keys back on every Keystone host of the set, and nothing else. Raises as `restore` does."""
    manifest = must_be_whole(set_folder)
    with _staging(set_folder) as staging:
        hosts = stage_keys(set_folder, manifest, staging)
        play = _play(site, toolchain, staging, "", hosts)
        result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    return tuple(_keys_back(hosts, result))


@contextmanager
def _staging(set_folder: Path) -> Iterator[Path]:
    # beside the set, not in the attempt's folder: these are secrets, and one place of secrets is enough
    staging = set_folder / ".restoring"
    shutil.rmtree(staging, ignore_errors=True)
    durable.make_dir(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _play(
    site: Site, toolchain: Toolchain, staging: Path, server: str, hosts: tuple[str, ...], dump: Path | None = None
) -> Play:
    return own_play(
        site,
        toolchain,
        "restore",
        _PLAYBOOK,
        (),
        values=(
            ("upgrader_database_host", server or NONE),
            ("upgrader_keystone_hosts", ",".join(hosts) or NONE),
            ("upgrader_dump_file", str(dump or "")),
            ("upgrader_keys", str(staging)),
            ("upgrader_work", work_folder(site, "restore")),
        ),
        collect=(LOAD, KEYS),
        expected=(*((server,) if server else ()), *hosts),
    )


def _failure(identifier: str, message: str, host: str = "", evidence: str = "") -> Finding:
    return Finding(id=identifier, code=Code.FAILURE, message=message, host=host, evidence=evidence)


def _loaded(
    manifest: Manifest, schemas: tuple[str, ...], only: Collection[str] | None, host: str, result: PlayResult
) -> list[Finding]:
    said = shown(result, LOAD, host)
    found = sections(str(said.get("stdout", "")))
    loaded = [line.split("\t")[0] for line in found.get("loaded")]
    if str(said.get("rc")) != "0":
        return [_not_loaded(schemas, loaded, host, found, str(said.get("stderr", "")).strip() or _why(result, host))]
    wrong = differences(manifest, found, only)
    if wrong:
        return [_failure("restore-differs", line, host) for line in wrong]
    message = f"{len(loaded)} schemas loaded back from {manifest.made_at}; heads and row counts are those of the dump"
    findings = [Finding(id="restore-databases", code=Code.SUCCESS, message=message, host=host)]
    since = sorted(set(found.get("schemas")) - set(schema_files(manifest)))
    if since:
        findings.append(_left(since, host))
    return findings


def _why(result: PlayResult, host: str) -> str:
    for trouble in (*result.failed, *result.unreachable):
        if trouble.host == host and trouble.message:
            return f"task {trouble.task!r}: {trouble.message}"
    return result.message


def _not_loaded(schemas: tuple[str, ...], loaded: list[str], host: str, found: Sections, why: str) -> Finding:
    """What went wrong, and the databases' condition now, schema by schema."""
    words = "; ".join(f"{what}: {text}" for what, text in found.failed.items() if what != FULL) or why
    full = FULL in found.failed or "No space left" in words
    lead = f"the disk of {host} is full: " if full else ""
    broken = found.failed.get("databases", "").partition(":")[0]
    rest = [name for name in schemas if name not in (*loaded, broken)]
    began = "loaded" in found.lines
    condition = [
        f"loaded back: {', '.join(loaded) or 'none'}",
        *([f"in pieces: {broken}"] if broken in schemas else []),
        *([f"as they were: {', '.join(rest)}"] if rest else []),
    ]
    told = "; ".join(condition) if began else "no database was touched"
    room = f"make room in the database server's data folder and in /var/tmp of {host}, then: " if full else ""
    return Finding(
        id="restore-disk-full" if full else "restore-databases",
        code=Code.FAILURE,
        message=f"{host}: the databases were not restored: {lead}{words} ({told}; the services stay stopped)",
        host=host,
        evidence=told,
        next=f"{room}upgrader rollback",
    )


def _left(since: list[str], host: str) -> Finding:
    """Schemas that the set does not know are left alone: nothing of the old release reads them, and they may be the
    operator's own. But one that an interrupted upgrade began is met by the next upgrade as it is."""
    drop = " ".join(f"DROP DATABASE `{name}`;" for name in since)
    return Finding(
        id="restore-left",
        code=Code.WARNING,
        message=f"schemas that are not in the backup were left alone: {', '.join(since)}. The old release does "
        "not read them; where the upgrade made them, the next one finds them half made and can fail there",
        host=host,
        next=f"before the next upgrade, for those that it made: {drop}",
    )


def differences(manifest: Manifest, found: Sections, schemas: Collection[str] | None = None) -> list[str]:
    """Where the databases (all, or these `schemas`) now differ from what the manifest says of the dump, a line each."""
    now_heads = {row.database: row.heads for row in schema_heads(found.get("heads"))}
    lines = []
    for database, heads in manifest.heads:
        if schemas is not None and database not in schemas:
            continue
        seen = now_heads.get(database, ())
        if tuple(sorted(seen)) != tuple(sorted(heads)):
            was, is_now = " + ".join(heads), " + ".join(seen) or "no head"
            lines.append(f"database {database} is at {is_now} after the restore, the dump had {was}")
    columns = (line.split("\t") for line in found.get("rows"))
    now_rows = {f"{row[0]}.{row[1]}": row[2] for row in columns if len(row) == 3}
    for table, count in manifest.rows:
        if schemas is not None and table.partition(".")[0] not in schemas:
            continue
        if now_rows.get(table) != str(count):
            lines.append(f"{table} has {now_rows.get(table, 'no')} rows after the restore, at the dump it had {count}")
    return lines


def _keys_back(hosts: tuple[str, ...], result: PlayResult) -> list[Finding]:
    findings = []
    for host in hosts:
        said = shown(result, KEYS, host)
        if str(said.get("rc")) != "0":
            words = str(said.get("stderr", "")).strip() or result.message
            findings.append(_failure("restore-keys", f"{host}: Keystone's keys were not put back: {words}", host))
    if hosts and not findings:
        message = f"Keystone's keys are back on {', '.join(hosts)}"
        findings.append(Finding(id="restore-keys", code=Code.SUCCESS, message=message))
    return findings
