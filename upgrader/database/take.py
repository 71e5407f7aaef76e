"""Take a backup set's parts from the hosts: dump, accounts, Keystone's keys, a token, image digests. One play.

Owns which host is asked for what and what counts as taken; a part that could not be taken is named and left out,
never written half. The hosts are not changed.
"""

from __future__ import annotations

import base64
import binascii
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.manifest import BackupSet, sha256_of
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown, work_folder
from upgrader.facts.server import galera_facts, schema_heads
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.keystone import ANSWER as TOKEN_ANSWER
from upgrader.probes.keystone import PROBES, token_findings
from upgrader.runner.base import Cancelled, EventSink, PlayResult, Runner

DUMP = "Answer of the dump"
IMAGES = "Look at the images"
NONE = "upgrader_none"
_PLAYBOOK = Path(__file__).parent / "take.yml"


def take_parts(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    backup_set: BackupSet,
    facts: CloudFacts,
    *,
    databases: bool = True,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Finding, ...]:
    """Take what comes from the hosts and record it in the set; findings name every part that could not be taken.

    `databases=False` where kolla-ansible's own mariabackup takes them. Which server is dumped follows from
    `facts`: one that is Synced in a Primary component. The play is canceled between tasks.
    """
    servers = database_hosts(facts)
    keystone = group_hosts_seen(facts, "keystone")
    images = images_by_host(facts)
    for name in ("database", "keys"):
        durable.make_dir(backup_set.folder / name, exist_ok=True)
    findings: list[Finding] = []
    if databases and not servers:
        findings.append(_missing(parts.DATABASES, "no database server is Synced in a Primary component"))
    play = own_play(
        site,
        toolchain,
        "take-backup",
        _PLAYBOOK,
        (),
        values=(
            ("upgrader_database_host", servers[0] if servers else NONE),
            ("upgrader_dump_wanted", databases),
            ("upgrader_keystone_hosts", ",".join(keystone) or NONE),
            ("upgrader_token_host", keystone[0] if keystone and servers else NONE),
            ("upgrader_image_hosts", ",".join(images) or NONE),
            ("upgrader_images", {host: list(ids) for host, ids in images.items()}),
            ("upgrader_work", work_folder(site, "dump")),
            ("upgrader_set", str(backup_set.folder)),
            ("upgrader_probes", str(PROBES)),
        ),
        collect=(DUMP, IMAGES, TOKEN_ANSWER),
    )
    result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    if databases and servers:
        findings.extend(_databases(backup_set, servers[0], result))
    findings.extend(_keys(backup_set, keystone, result))
    findings.extend(_token(backup_set, result))
    findings.extend(_images(backup_set, images, result))
    return tuple(findings)


def images_by_host(facts: CloudFacts) -> dict[str, tuple[str, ...]]:
    """Every image in use, each asked of one host that has it; hosts in order, image ids sorted."""
    asked: dict[str, set[str]] = {}
    known: set[str] = set()
    for host in facts.hosts:
        for container in host.containers:
            if container.image_id and container.image_id not in known:
                known.add(container.image_id)
                asked.setdefault(host.name, set()).add(container.image_id)
    return {host: tuple(sorted(ids)) for host, ids in sorted(asked.items())}


def _missing(part: str, why: str) -> Finding:
    return Finding(id=f"backup-{part}", code=Code.FAILURE, message=f"backup part {part!r} could not be taken: {why}")


def _why(result: PlayResult, host: str) -> str:
    for trouble in (*result.failed, *result.unreachable):
        if trouble.host == host:
            return f"{host}, task {trouble.task!r}: {trouble.message or 'failed'}"
    return result.message


def _databases(backup_set: BackupSet, host: str, result: PlayResult) -> list[Finding]:
    said = shown(result, DUMP, host)
    found = sections(str(said.get("stdout", "")))
    arrived = backup_set.folder / "database" / "dump.tar"
    if str(said.get("rc")) != "0" or not arrived.is_file():
        why = "; ".join(f"{what}: {words}" for what, words in found.failed.items()) or str(said.get("stderr", ""))
        arrived.unlink(missing_ok=True)
        return [_missing(parts.DATABASES, f"{host}: {why.strip()}" if why.strip() else _why(result, host))]
    sums = dict(line.split("\t", 1) for line in found.get("files") if "\t" in line)
    try:
        files = _unpack(arrived, sums)
    except (tarfile.TarError, OSError, ValueError) as error:
        return [_missing(parts.DATABASES, f"what came from {host} is damaged: {error}")]
    finally:
        arrived.unlink(missing_ok=True)
    _note(backup_set, found)
    grants = [path for path in files if path.name == "grants.sql.gz"]
    schemas = [path for path in files if path not in grants]
    backup_set.record(parts.DATABASES, schemas, {"host": host, "schemas": str(len(schemas))})
    backup_set.record(parts.GRANTS, grants, {"host": host})
    return []


def _unpack(arrived: Path, sums: Mapping[str, str]) -> list[Path]:
    """The dump's files beside it. Raises ValueError for a name that was not announced or content that differs."""
    files = []
    with tarfile.open(arrived) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if stream is None or member.name not in sums or "/" in member.name:
                raise ValueError(f"unexpected member {member.name!r}")
            target = arrived.parent / member.name
            with target.open("wb") as out:
                while chunk := stream.read(1024 * 1024):
                    out.write(chunk)
            target.chmod(0o600)
            if sha256_of(target) != sums[member.name]:
                raise ValueError(f"{member.name} does not have the checksum it had on its host")
            files.append(target)
    if {path.name for path in files} != set(sums):
        raise ValueError("files are missing")
    return files


def _note(backup_set: BackupSet, found: Sections) -> None:
    rows = {}
    for line in found.get("rows"):
        columns = line.split("\t")
        if len(columns) == 3 and columns[2].isdigit():
            rows[f"{columns[0]}.{columns[1]}"] = int(columns[2])
    backup_set.note(
        server_version=galera_facts(found.get("galera")).server_version,
        heads={row.database: row.heads for row in schema_heads(found.get("heads"))},
        rows=rows,
    )


def _keys(backup_set: BackupSet, hosts: tuple[str, ...], result: PlayResult) -> list[Finding]:
    """Both key folders of every Keystone host; the Fernet keys must be there, the credential keys seldom are."""
    folder = backup_set.folder / "keys"
    kept: dict[str, list[Path]] = {parts.FERNET_KEYS: [], parts.CREDENTIAL_KEYS: []}
    without: dict[str, str] = {}
    for host in hosts:
        answer = folder / f"{host}.answer"
        found = sections(answer.read_text() if answer.is_file() else "")
        answer.unlink(missing_ok=True)
        for name, files in kept.items():
            packed = "".join(found.get(name))
            if packed:
                try:
                    files.append(_key_tar(folder / f"{host}.{name}.tar", packed))
                    continue
                except (binascii.Error, tarfile.TarError, ValueError) as error:
                    found.failed[name] = f"unreadable answer: {error}"
            if name == parts.FERNET_KEYS:
                without[host] = found.failed.get(name) or _why(result, host)
    if without or not hosts:
        told = "; ".join(f"{host}: {why}" for host, why in without.items()) or "no host runs Keystone"
        return [_missing(parts.FERNET_KEYS, told)]
    backup_set.record(parts.FERNET_KEYS, kept[parts.FERNET_KEYS], {"hosts": ", ".join(hosts)})
    if kept[parts.CREDENTIAL_KEYS]:
        backup_set.record(parts.CREDENTIAL_KEYS, kept[parts.CREDENTIAL_KEYS])
    return []


def _key_tar(target: Path, packed: str) -> Path:
    """Raises ValueError for an archive without a single key."""
    durable.write_atomic(target, base64.b64decode(packed, validate=True))
    with tarfile.open(target) as tar:
        if not any(member.isfile() and member.size for member in tar):
            target.unlink()
            raise ValueError("it holds no key")
    return target


def _token(backup_set: BackupSet, result: PlayResult) -> list[Finding]:
    """A token from before the upgrade: verifying that it still works shows that the keys survived."""
    findings = list(token_findings(result, "issue"))
    path = backup_set.folder / "token.json"
    if any(finding.code is Code.FAILURE for finding in findings):
        return findings
    kept = durable.read_json(path).document or {}
    if not kept.get("token"):
        path.unlink(missing_ok=True)
        return [*findings, _missing(parts.TOKEN, "what was written of it is not whole")]
    backup_set.record(parts.TOKEN, [path])
    return findings


def _images(backup_set: BackupSet, asked: Mapping[str, tuple[str, ...]], result: PlayResult) -> list[Finding]:
    rows: dict[str, dict[str, Any]] = {}
    for answer in result.collected.get(IMAGES, {}).values():
        for line in str(answer.get("stdout", "")).splitlines():
            image, _, described = line.strip().partition("\t")
            if described.startswith("{"):
                row = json.loads(described)
                rows[_digest(image)] = {key: row.get(key) for key in ("tags", "digests")}
    lost = sorted({image for ids in asked.values() for image in ids} - rows.keys())
    if lost or not asked:
        return [
            _missing(
                parts.IMAGES,
                f"{len(lost)} images were not described, the first is {lost[0]}" if lost else "no image is in use",
            )
        ]
    path = backup_set.folder / "images.json"
    durable.write_json(path, {"images": {image: rows[image] for image in sorted(rows)}})
    backup_set.record(parts.IMAGES, [path], {"images": str(len(rows))})
    return []


def _digest(image: str) -> str:
    return image if image.startswith("sha256:") else f"sha256:{image}"
