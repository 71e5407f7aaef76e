"""Put a backup set back: schemas, accounts, Keystone's keys. The caller stops the services before, starts them after.

Owns what may be restored (a whole set, nothing else) and the proof afterwards: heads and row counts have to be
those of the dump. May be run again after any interruption: every schema is dropped and loaded anew.
"""

from __future__ import annotations

import base64
import io
import shutil
import tarfile
from pathlib import Path

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.manifest import Manifest, must_be_whole
from upgrader.database.take import NONE
from upgrader.errors import UpgraderError
from upgrader.facts.observe import database_hosts
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown, work_folder
from upgrader.facts.server import schema_heads
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.runner.base import Cancelled, EventSink, PlayResult, Runner

LOAD = "Answer of the load"
KEYS = "Answer about the keys"
_PLAYBOOK = Path(__file__).parent / "restore.yml"


def restore(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    set_folder: Path,
    facts: CloudFacts,
    *,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Finding, ...]:
    """Load the set's dump through a Synced server and put the keys back on every Keystone host of the set.

    Raises UpgraderError before anything is touched when the set is not whole, was taken by mariabackup, or no
    server can be loaded. Findings are failures where the cloud does not afterwards hold what the set says.
    """
    manifest = must_be_whole(set_folder)
    servers = database_hosts(facts)
    if manifest.method != "logical" or not servers:
        why = "it was taken by mariabackup" if servers else "no database server is Synced in a Primary component"
        raise UpgraderError(
            f"Backup set {set_folder.name} cannot be restored: {why}.",
            cloud="No database was touched.",
            reason="cannot-restore",
        )
    # beside the set, not in the attempt's folder: these are secrets, and one place of secrets is enough
    staging = set_folder / ".restoring"
    shutil.rmtree(staging, ignore_errors=True)
    durable.make_dir(staging)
    try:
        dump, hosts = _stage(set_folder, manifest, staging)
        play = own_play(
            site,
            toolchain,
            "restore",
            _PLAYBOOK,
            (),
            values=(
                ("upgrader_database_host", servers[0]),
                ("upgrader_keystone_hosts", ",".join(hosts) or NONE),
                ("upgrader_dump_file", str(dump)),
                ("upgrader_keys", str(staging)),
                ("upgrader_work", work_folder(site, "restore")),
            ),
            collect=(LOAD, KEYS),
            expected=(servers[0], *hosts),
        )
        result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return (*_loaded(manifest, servers[0], result), *_keys_back(hosts, result))


def _stage(set_folder: Path, manifest: Manifest, staging: Path) -> tuple[Path, tuple[str, ...]]:
    """The dump as one file, and for every host its keys in text; the hosts that get keys."""
    dump = staging / "dump.tar"
    with tarfile.open(dump, "w") as tar:
        for name in (parts.DATABASES, parts.GRANTS):
            part = manifest.part(name)
            for entry in part.files if part else ():
                tar.add(set_folder / entry.path, arcname=Path(entry.path).name)
    packed: dict[str, list[bytes]] = {}
    for name in (parts.FERNET_KEYS, parts.CREDENTIAL_KEYS):
        part = manifest.part(name)
        for entry in part.files if part else ():
            host = Path(entry.path).name.removesuffix(f".{name}.tar")
            packed.setdefault(host, []).append((set_folder / entry.path).read_bytes())
    for host, tars in packed.items():
        durable.write_atomic(staging / f"{host}.b64", base64.b64encode(_joined(tars)))
    return dump, tuple(sorted(packed))


def _joined(tars: list[bytes]) -> bytes:
    """One tar with the members of all, owners and modes kept."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as joined:
        for data in tars:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    joined.addfile(member, tar.extractfile(member) if member.isfile() else None)
    return buffer.getvalue()


def _failure(identifier: str, message: str, host: str = "", evidence: str = "") -> Finding:
    return Finding(id=identifier, code=Code.FAILURE, message=message, host=host, evidence=evidence)


def _loaded(manifest: Manifest, host: str, result: PlayResult) -> list[Finding]:
    said = shown(result, LOAD, host)
    found = sections(str(said.get("stdout", "")))
    if str(said.get("rc")) != "0":
        words = "; ".join(f"{what}: {why}" for what, why in found.failed.items())
        words = words or str(said.get("stderr", "")).strip() or result.message
        return [_failure("restore-databases", f"{host}: the databases were not restored: {words}", host)]
    wrong = differences(manifest, found)
    if wrong:
        return [_failure("restore-differs", line, host) for line in wrong]
    loaded = len(found.get("loaded"))
    message = f"{loaded} schemas loaded back from {manifest.made_at}; heads and row counts are those of the dump"
    findings = [Finding(id="restore-databases", code=Code.SUCCESS, message=message, host=host)]
    since = sorted(set(found.get("schemas")) - {line.split("\t")[0] for line in found.get("loaded")})
    if since:
        words = f"schemas that are not in the backup were left alone: {', '.join(since)}"
        findings.append(Finding(id="restore-left", code=Code.WARNING, message=words, host=host))
    return findings


def differences(manifest: Manifest, found: Sections) -> list[str]:
    """Where the databases now differ from what the manifest says of the dump, one line each."""
    now_heads = {row.database: row.heads for row in schema_heads(found.get("heads"))}
    lines = []
    for database, heads in manifest.heads:
        seen = now_heads.get(database, ())
        if tuple(sorted(seen)) != tuple(sorted(heads)):
            was, is_now = " + ".join(heads), " + ".join(seen) or "no head"
            lines.append(f"database {database} is at {is_now} after the restore, the dump had {was}")
    columns = (line.split("\t") for line in found.get("rows"))
    now_rows = {f"{row[0]}.{row[1]}": row[2] for row in columns if len(row) == 3}
    for table, count in manifest.rows:
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
