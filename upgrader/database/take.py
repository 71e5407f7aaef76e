"""Take a backup set's parts from the hosts: databases, accounts, keys, a token, OVN, RabbitMQ, images. One play.

Owns which host is asked for what and what counts as taken; a part that could not be taken is named and left out,
never written half. The hosts are not changed.
"""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.manifest import BackupSet
from upgrader.database.take_databases import Asked, keep_databases
from upgrader.database.take_state import STATE, keep_state, state_by_host
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.facts.parse import sections
from upgrader.facts.plays import own_play, shown, work_folder
from upgrader.kolla.settings import site_settings
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.probes.keystone import ANSWER as TOKEN_ANSWER
from upgrader.probes.keystone import PROBES, token_findings
from upgrader.runner.base import Cancelled, EventSink, PlayResult, Runner

DUMP = "Answer of the dump"
IMAGES = "Look at the images"
NONE = "upgrader_none"
_PLAYBOOK = Path(__file__).parent / "take.yml"

Method = Literal["", "mydumper", "mariadb-dump", "mariabackup"]
"""How databases are taken; empty: they are only asked."""


def method_of(site: Site) -> tuple[Method, bool]:
    """(how to take the databases, whether mariadb-dump may take over when there is no way from this machine).

    `logical` means mydumper where it is installed here. A sandbox's database answers to its own engine alone.
    """
    wanted = site.backup_database
    if wanted == "logical":
        here = site.sandbox is None and shutil.which("mydumper") is not None
        return ("mydumper", True) if here else ("mariadb-dump", False)
    return ("mariabackup" if wanted == "mariabackup" else "mydumper" if wanted == "mydumper" else "mariadb-dump", False)


def switched_off(site: Site) -> Finding | None:
    """Why kolla-ansible would make no physical backup, where the site wants one and its files switch it off.

    The command then ends well and has done nothing (openstack/kolla-ansible@20.6.0: ansible/mariadb_backup.yml).
    """
    if site.backup_database != "mariabackup" or site_settings(site).flag("enable_mariabackup") is not False:
        return None
    return Finding(
        id="backup-switched-off",
        code=Code.FAILURE,
        message='[backup] database is "mariabackup", but enable_mariabackup is off in globals.yml: kolla-ansible makes '
        "no backup then, and says nothing",
        next='enable_mariabackup: "yes", then kolla-ansible reconfigure -t mariadb, which makes the account for it',
    )


def take_parts(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    backup_set: BackupSet,
    facts: CloudFacts,
    *,
    method: Method = "mariadb-dump",
    fall_back: bool = False,
    asked_ago: int = 0,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[Finding, ...]:
    """Take what comes from the hosts and record it in the set; findings name every part that could not be taken.

    `fall_back`: mariadb-dump takes over where there is no way for mydumper from this machine. With `mariabackup`,
    kolla-ansible made the backup, begun at most `asked_ago` seconds ago; it is fetched. Which server is dumped follows
    from `facts`: one that is Synced in a Primary component, and no other. The play is canceled between tasks.
    """
    servers = database_hosts(facts)
    keystone = group_hosts_seen(facts, "keystone")
    images = images_by_host(facts)
    state = state_by_host(facts, physical=method == "mariabackup")
    backup_set.demand(*(part for part in (parts.DEFINITIONS, parts.OVN) if part in needs_of(facts)))
    for name in ("database", "keys"):
        durable.make_dir(backup_set.folder / name, exist_ok=True)
    findings: list[Finding] = []
    if method and not servers:
        findings.append(_missing(parts.DATABASES, "no database server is Synced in a Primary component"))
    play = own_play(
        site,
        toolchain,
        "take-backup",
        _PLAYBOOK,
        (),
        values=(
            ("upgrader_database_host", servers[0] if servers else NONE),
            ("upgrader_database_address", site.backup_address),
            ("upgrader_method", method),
            ("upgrader_may_fall_back", fall_back),
            ("upgrader_zstd", shutil.which("zstd") is not None),
            ("upgrader_keystone_hosts", ",".join(keystone) or NONE),
            ("upgrader_token_host", keystone[0] if keystone and servers else NONE),
            ("upgrader_image_hosts", ",".join(images) or NONE),
            ("upgrader_images", {host: list(ids) for host, ids in images.items()}),
            ("upgrader_state_hosts", ",".join(state) or NONE),
            ("upgrader_state", {host: list(wanted) for host, wanted in state.items()}),
            ("upgrader_asked_at", round(time.time()) - asked_ago),
            ("upgrader_work", work_folder(site, "dump")),
            ("upgrader_state_work", work_folder(site, "state")),
            ("upgrader_set", str(backup_set.folder)),
            ("upgrader_probes", str(PROBES)),
        ),
        collect=(DUMP, IMAGES, TOKEN_ANSWER, STATE),
    )
    result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    durable.failpoint("backup.played")
    state_findings = keep_state(backup_set, state, result, emulated=site.sandbox is not None)
    if method and servers:
        asked = Asked(servers[0], method, shown(result, DUMP, servers[0]), _why(result, servers[0]))
        findings.extend(keep_databases(backup_set, asked, facts))
    findings.extend(state_findings)
    findings.extend(_keys(backup_set, keystone, result))
    findings.extend(_token(backup_set, result))
    findings.extend(_images(backup_set, images, result))
    return tuple(findings)


def needs_of(facts: CloudFacts) -> tuple[str, ...]:
    """Parts that this cloud has to have because of what runs there."""
    names = {container.name for host in facts.hosts for container in host.containers}
    needs = [parts.DEFINITIONS] if "rabbitmq" in names else []
    return (*needs, parts.OVN) if {"ovn_nb_db", "ovn_sb_db"} & names else tuple(needs)


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
