"""What is kept outside of the schemas: OVN's databases, RabbitMQ's definitions, the stream of mariabackup.

Owns which host is asked for what, and where in the set a file belongs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from upgrader import durable
from upgrader.database import manifest as parts
from upgrader.database.manifest import BackupSet, sha256_of
from upgrader.database.take_databases import STREAM, keep_stream, missing
from upgrader.database.unpacked import DumpDamaged, opened
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import shown
from upgrader.model import CloudFacts, Finding
from upgrader.runner.base import PlayResult

STATE = "Answer about the state"
ARRIVED = "arrived"
NO_BACKUP = (
    "no database host has a backup as young as it should be in its volume (kolla-ansible makes one only where "
    "enable_mariabackup is on, and was when MariaDB was deployed)"
)
_OVN = {"nb": "OVN_Northbound.db.gz", "sb": "OVN_Southbound.db.gz"}
_DEFINITIONS = "definitions.json.gz"
_CHUNK = 1024 * 1024


def state_by_host(facts: CloudFacts, *, physical: bool = False) -> dict[str, tuple[str, ...]]:
    """Host → what it is asked for: every server of an OVN database (one is the leader), the first broker that runs."""
    wanted: dict[str, list[str]] = {}
    broker = False
    for host in facts.hosts:
        running = {container.name for container in host.containers if container.state == "running"}
        asked = [name for name in _OVN if f"ovn_{name}_db" in running]
        if "rabbitmq" in running and not broker:
            broker = True
            asked.append("definitions")
        if physical and "mariadb" in running:
            asked.append("physical")
        if asked:
            wanted[host.name] = asked
    return {host: tuple(asked) for host, asked in sorted(wanted.items())}


def keep_state(
    backup_set: BackupSet, asked: Mapping[str, tuple[str, ...]], result: PlayResult, *, emulated: bool = False
) -> list[Finding]:
    """Record what arrived; a finding for each part that the set needs and that did not, with what the hosts said."""
    heard: dict[str, Sections] = {}
    for host in asked:
        said = shown(result, STATE, host)
        heard[host] = sections(str(said.get("stdout", "")))
        if str(said.get("rc")) != "0":
            trouble = next((t.message for t in (*result.failed, *result.unreachable) if t.host == host), "")
            heard[host].failed["host"] = str(said.get("stderr", "")).strip() or trouble or result.message
    folder = backup_set.folder / ARRIVED
    findings: list[Finding] = []
    try:
        if any("physical" in words for words in asked.values()):
            findings += _physical(backup_set, heard, emulated=emulated)
        if parts.OVN in backup_set.manifest.needs:
            findings += _several(backup_set, parts.OVN, "ovn", _ovn_files(asked), heard)
        if parts.DEFINITIONS in backup_set.manifest.needs:
            findings += _several(backup_set, parts.DEFINITIONS, "rabbitmq", (_DEFINITIONS,), heard)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return findings


def _ovn_files(asked: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = {word for words in asked.values() for word in words}
    # both belong together; where one has no running server it is missing by name
    return tuple(_OVN.values()) if names & _OVN.keys() else ()


def _several(
    backup_set: BackupSet, part: str, kept_in: str, names: tuple[str, ...], heard: Mapping[str, Sections]
) -> list[Finding]:
    found: dict[str, tuple[str, Path]] = {}
    for name in names:
        for host, said in heard.items():
            path = _whole(backup_set.folder / ARRIVED / host / name, said)
            if path is not None:
                found.setdefault(name, (host, path))
    lost = [name for name in names if name not in found]
    if lost or not names:
        what = f"{', '.join(lost)}: " if lost else ""
        return [missing(part, f"{what}{_reasons(heard, part) or 'no host that runs it gave it'}")]
    durable.make_dir(backup_set.folder / kept_in, exist_ok=True)
    kept = []
    for name, (_, path) in found.items():
        kept.append(path.replace(backup_set.folder / kept_in / name))
    backup_set.record(part, kept, {"hosts": ", ".join(sorted({host for host, _ in found.values()}))})
    return []


def _whole(path: Path, said: Sections) -> Path | None:
    """The file if it arrived as it left and can be read to its end."""
    sums = dict(line.split("\t", 1) for line in said.get("files") if "\t" in line)
    if path.name not in sums or not path.is_file() or sha256_of(path) != sums[path.name].split("\t")[0]:
        return None
    try:
        with opened(path) as stream:
            while stream.read(_CHUNK):
                pass
    except DumpDamaged:
        return None
    return path


def _reasons(heard: Mapping[str, Sections], part: str) -> str:
    told = []
    for host, said in heard.items():
        told += [f"{host}: {why}" for what, why in said.failed.items() if what.startswith(part) or what == "host"]
    return "; ".join(told)


def _physical(backup_set: BackupSet, heard: Mapping[str, Sections], *, emulated: bool) -> list[Finding]:
    for host, said in heard.items():
        path = backup_set.folder / ARRIVED / host / STREAM
        sums = dict(line.split("\t", 1) for line in said.get("files") if "\t" in line)
        if STREAM not in sums or not path.is_file():
            continue
        if sha256_of(path) != sums[STREAM]:
            return [missing(parts.MARIABACKUP, f"{host}: it does not have the checksum it had on its host")]
        try:
            keep_stream(backup_set, path, {"host": host}, emulated=emulated)
        except (ValueError, DumpDamaged) as error:
            return [missing(parts.MARIABACKUP, f"{host}: {error}")]
        return []
    why = _reasons(heard, parts.MARIABACKUP) or NO_BACKUP
    return [missing(parts.MARIABACKUP, why)]
