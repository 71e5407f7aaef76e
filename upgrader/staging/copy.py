"""Production's databases on a staging cloud: services stopped, the backup set loaded, addresses taken out, started.

Owns what of a backup set goes to staging and what does not. Databases, accounts and Keystone's credential keys go:
rows are encrypted with the keys. Keystone's Fernet keys never go: a token made with them on staging would open
production. The configuration never goes: it is production's. Nothing is started again while one address of another
cloud is left in the data. May be done again after any interruption.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.configuration import save_configuration
from upgrader.database.manifest import BackupSet, Manifest, must_be_whole, read_manifest
from upgrader.database.restore import restore
from upgrader.database.services import database_users, switch
from upgrader.errors import RefusedError, UpgraderError
from upgrader.facts.heads import ReleaseNames
from upgrader.facts.observe import database_hosts, group_hosts_seen
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts, Code, Finding
from upgrader.runner.base import Cancelled, Runner

ANSWER = "Answer about the addresses"
PREFIX = "copy-of-"
"""Begins the names of sets made for staging, in staging's backup folder."""
_PLAYBOOK = Path(__file__).parent / "sanitise.yml"
_GO = (parts.DATABASES, parts.GRANTS)
REACHING_OUT = {
    "ironic": "the management controllers of production's machines, whose power it would switch",
    "designate": "the name servers that production's zones are written to",
    "magnum": "production's clusters, which it looks after",
    "manila": "production's share servers",
}
"""Databases whose services work on machines that no column of URLs names (ironic.nodes.driver_info,
designate.pool_target_options and the like), so that taking addresses out cannot keep staging from them."""
_ADDRESS = re.compile(r"^[A-Za-z0-9.:\[\]-]+$")


@dataclass(frozen=True, slots=True)
class Loading:
    """What a load works with: the staging site, what was seen of it, and how plays are run there."""

    staging: Site
    toolchain: Toolchain
    facts: CloudFacts
    names: ReleaseNames
    address: str
    """Staging's own, which addresses in the data are pointed to."""
    staying: tuple[str, ...]
    """Further names and addresses of staging that may stand in the data."""
    runner: Runner
    folder: Callable[[str], Path]
    """Folder for the next play, by its name."""
    cancelled: Cancelled | None = None


def load_copy(loading: Loading, set_folder: Path) -> tuple[Finding, ...]:
    """Put production's backup set on staging. Findings are failures where the databases are not as the set says.

    After a failure the services stay stopped, and nothing of the data can reach another cloud. Raises UpgraderError
    before anything is touched when the set is not whole or no server can be loaded, RefusedError when addresses of
    other machines remain.
    """
    if not _ADDRESS.match(loading.address):
        raise RefusedError(f"Staging's address {loading.address!r} is none.", reason="staging-address")
    made = set_for_staging(loading, set_folder)
    users = database_users(loading.facts, loading.names)
    _switch(loading, users, start=False)
    _ask(loading, "keep")
    found = restore(
        loading.staging, loading.toolchain, loading.runner, loading.folder("restore"), made, loading.facts,
        cancelled=loading.cancelled,
    )  # fmt: skip
    findings = [one for one in found if one.id != "restore-left"]
    if any(one.code is Code.FAILURE for one in findings):
        return tuple(findings)
    findings.append(_rewritten(_ask(loading, "rewrite")))
    _ask(loading, "drop")
    _switch(loading, users, start=True)
    shutil.rmtree(made, ignore_errors=True)
    return tuple(findings)


def must_be_proved(set_folder: Path) -> Manifest:
    """The manifest of a set that was restored somewhere already. Raises RefusedError for any other."""
    manifest = read_manifest(set_folder)
    if manifest.state != "proved":
        raise RefusedError(
            f"Backup set {set_folder.name} is {manifest.state}: only a set that was restored goes to staging.",
            cloud="Nothing was changed on staging.",
            next_command="upgrader backup --for-run",
            reason="backup-not-proved",
        )
    return manifest


def reaching_out(manifest: Manifest) -> tuple[str, ...]:
    """Databases of the set whose services would work on production's machines from staging, each with what on."""
    return tuple(f"{name}: {REACHING_OUT[name]}" for name, _ in manifest.heads if name in REACHING_OUT)


def set_for_staging(loading: Loading, set_folder: Path) -> Path:
    """A set of what goes to staging, with staging's own configuration, in staging's backup folder; an earlier one of
    the same name is replaced. Files of the dump are linked where both folders are on one file system."""
    manifest = must_be_whole(set_folder)
    folder = loading.staging.backup_dir / f"{PREFIX}{set_folder.name}"
    shutil.rmtree(folder, ignore_errors=True)
    durable.make_dir(folder.parent, exist_ok=True)
    made = BackupSet.begin(folder, _begun(manifest, loading.staging.name))
    for name in _GO:
        part = manifest.part(name)
        made.record(name, [_taken(set_folder, folder, entry.path) for entry in part.files] if part else ())
    made.record(parts.CREDENTIAL_KEYS, _keys(manifest, set_folder, folder, group_hosts_seen(loading.facts, "keystone")))
    made.record(parts.FERNET_KEYS, (), {"left out": "staging keeps its own"})
    made.record(parts.IMAGES, (), {"left out": "staging runs its own"})
    save_configuration(loading.staging, made)
    bad = [finding.message for finding in made.finish() if finding.code is Code.FAILURE]
    if bad:
        raise UpgraderError(
            f"The set for staging could not be made: {bad[0]}.", cloud="Nothing was changed on staging.", details=bad,
            reason="staging-set",
        )  # fmt: skip
    return folder


def _begun(manifest: Manifest, site: str) -> Manifest:
    """The set's manifest with what it says of the dump, and none of its parts."""
    return manifest.model_copy(
        update={"state": "in-progress", "site": site, "parts": (), "needs": (), "finished_at": "", "proof": None}
    )


def _taken(source: Path, target: Path, name: str) -> Path:
    file = target / name
    for folder in reversed(file.relative_to(target).parents[:-1]):
        durable.make_dir(target / folder, exist_ok=True)
    try:
        os.link(source / name, file)
    except OSError:
        shutil.copyfile(source / name, file)
    return file


def _keys(manifest: Manifest, source: Path, target: Path, hosts: Sequence[str]) -> list[Path]:
    """Production's credential keys, the same for every Keystone host of staging; none where production has none."""
    part = manifest.part(parts.CREDENTIAL_KEYS)
    if part is None or not part.files:
        return []
    data = (source / part.files[0].path).read_bytes()
    durable.make_dir(target / "keys", exist_ok=True)
    files = [target / "keys" / f"{host}.{parts.CREDENTIAL_KEYS}.tar" for host in hosts]
    for file in files:
        durable.write_atomic(file, data, mode=0o600)
    return files


def _switch(loading: Loading, users: dict[str, tuple[str, ...]], *, start: bool) -> None:
    if not users:
        return
    result = switch(
        loading.staging, loading.toolchain, loading.runner,
        loading.folder("start-services" if start else "stop-services"), users, start=start,
        cancelled=loading.cancelled,
    )  # fmt: skip
    if not result.verdict:
        what = "started" if start else "stopped"
        raise UpgraderError(
            f"Staging's services could not be {what}: {result.message}", cloud="Production was not touched.",
            reason="staging-services",
        )  # fmt: skip


def _ask(loading: Loading, word: str) -> Sections:
    host = database_hosts(loading.facts)[:1]
    if not host:
        raise UpgraderError(
            "No database server of staging is Synced in a Primary component.",
            cloud="Nothing was changed on staging.",
            reason="staging-database",
        )
    staying = "|".join(re.escape(name) for name in (loading.address, *loading.staying) if _ADDRESS.match(name))
    play = own_play(
        loading.staging,
        loading.toolchain,
        f"staging-{word}",
        _PLAYBOOK,
        (),
        values=(
            ("upgrader_database_host", host[0]),
            ("upgrader_word", word),
            ("upgrader_address", loading.address),
            # the statement's text is read by the server's parser first
            ("upgrader_staying", staying.replace("\\", "\\\\")),
        ),
        collect=(ANSWER,),
        expected=host,
    )
    result = loading.runner.run(play, loading.folder(f"staging-{word}"), cancelled=loading.cancelled)
    said = shown(result, ANSWER, host[0])
    found = sections(str(said.get("stdout", "")))
    if str(said.get("rc")) != "0":
        words = "; ".join(found.failed.values()) or str(said.get("stderr", "")).strip() or result.message
        raise UpgraderError(
            f"Staging's databases: {word} did not work on {host[0]}: {words}",
            cloud="Staging's services are stopped. Production was not touched.",
            reason="staging-addresses",
        )
    return found


def _rewritten(found: Sections) -> Finding:
    """How many rows were changed. Raises RefusedError when an address of another machine remains."""
    remaining = _counts(found.get("remaining"))
    if remaining:
        told = [f"{column}: {count} row{'' if count == 1 else 's'}" for column, count in remaining]
        raise RefusedError(
            f"Staging's databases still name other machines ({told[0]}), so its services stay stopped.",
            cloud="Staging's services are stopped. Production was not touched.",
            details=told,
            reason="not-sanitised",
        )
    changed = _counts(found.get("rewritten"))
    columns = ", ".join(column for column, _ in changed[:4])
    rows = sum(count for _, count in changed)
    message = f"{rows} addresses in {len(changed)} columns lead to staging now" + (f" ({columns})" if columns else "")
    return Finding(id="staging-addresses", code=Code.SUCCESS, message=message)


def _counts(lines: Sequence[str]) -> list[tuple[str, int]]:
    pairs = (line.rpartition("\t") for line in lines)
    return [(name, int(count)) for name, _, count in pairs if count.isdigit() and int(count)]
