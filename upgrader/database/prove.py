"""Prove a set: restore it into a throwaway server of the same MariaDB series, compare it, try its keys.

Only a set that was proved is a restore point. Owns what belongs to a proof, its document `proof.json` and the set's
state; the cloud is not touched, and a set changes in nothing but these two. Killed anywhere, the set is what it was
before, and the next proof removes what this one left.

The sandbox's databases are emulated: its dumps are not loaded by a real server but by the sandbox's own engine, in a
copy of its own, and compared the same way. The evidence says so.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from upgrader import durable
from upgrader.config import Site
from upgrader.database import manifest as parts
from upgrader.database.compare import Compared, compare, digest_findings, head_findings, row_findings
from upgrader.database.contents import read_contents
from upgrader.database.key_proof import credential_findings, key_findings, repositories
from upgrader.database.load import copied
from upgrader.database.manifest import BackupSet, Manifest, ProofSummary, must_be_whole, now
from upgrader.database.questions import databases
from upgrader.database.throwaway import Server
from upgrader.database.unpacked import DumpDamaged
from upgrader.durable import failpoint
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.model import Code, Finding
from upgrader.value import Value

FILE = "proof.json"
PROOFS = "proofs"
"""Folder below the site's state in which sets are restored."""
SANDBOX_PROOF = "upgrader.sandbox.copies"
"""Program that loads a set into a copy of the sandbox's own database engine."""
_SANDBOX_SECONDS = 600
_CREDENTIALS = 500
Say = Callable[[str], None]


class Proof(Value):
    """What restoring a set showed."""

    schema_version: Literal[1] = 1
    kind: Literal["proof"] = "proof"
    set: str
    manifest_made_at: str
    proved_at: str
    server: str
    """Version of the server it was restored into; `sandbox` for the sandbox's own engine."""
    how: str
    """How content was compared."""
    seconds: int
    heads: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def proved(self) -> bool:
        return not any(finding.code is Code.FAILURE for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.code is Code.FAILURE)


def prove(
    folder: Path,
    parent: Path,
    *,
    programs_dir: Path | None = None,
    site: Site | None = None,
    workers: int = 0,
    say: Say = lambda _line: None,
) -> Proof:
    """Restore the set in `folder` below `parent`, compare everything, and record the result in the set.

    `site` tells whether the set is a sandbox's, and where MariaDB's programs are when `programs_dir` does not.
    A proof with failures leaves the set `unverified`, and takes `proved` away from one that had it. Raises
    UpgraderError when the set is not whole or its dump cannot be loaded; EnvironmentMissingError when MariaDB is
    missing or of another series, or space runs out: then the set keeps the state it had.
    """
    began = time.monotonic()
    backup_set = BackupSet.open(folder)
    try:
        manifest = must_be_whole(folder)
        failpoint("prove.begun")
        seen, server = (
            _sandboxed(folder, manifest, say)
            if _is_sandbox(site)
            else _restored(
                folder, parent, manifest, programs_dir or (site.mariadb_programs if site else None), workers, say
            )
        )
    except EnvironmentMissingError:
        raise
    except UpgraderError:
        backup_set.disproved()
        raise
    failpoint("prove.compared")
    proof = Proof(
        set=folder.name,
        manifest_made_at=manifest.made_at,
        proved_at=now(),
        server=server,
        how=seen.how,
        seconds=round(time.monotonic() - began),
        heads=tuple(sorted(seen.heads.items())),
        rows=tuple(sorted(seen.rows.items())),
        findings=tuple(seen.findings),
    )
    _record(backup_set, proof)
    return proof


def _record(backup_set: BackupSet, proof: Proof) -> None:
    """First the document, then the state that names it: a set is never proved by a document that is not there."""
    if not proof.proved:
        backup_set.disproved()
    text = json.dumps(proof.document(), indent=1, sort_keys=True) + "\n"
    durable.write_atomic(backup_set.folder / FILE, text)
    failpoint("prove.written")
    if proof.proved:
        backup_set.proved(
            ProofSummary(
                proved_at=proof.proved_at,
                server=proof.server,
                seconds=proof.seconds,
                tables=len(proof.rows),
                rows=sum(count for _, count in proof.rows),
                file_sha256=hashlib.sha256(text.encode()).hexdigest(),
            )
        )
        failpoint("prove.proved")


def _restored(
    folder: Path, parent: Path, manifest: Manifest, programs_dir: Path | None, workers: int, say: Say
) -> tuple[Compared, str]:
    say("restoring the set into a throwaway MariaDB")
    with copied(folder, parent, manifest, programs_dir=programs_dir, workers=workers) as copy:
        failpoint("prove.loaded")
        if copy.loaded is not None:
            say(f"{copy.loaded.tables} tables loaded in {copy.loaded.seconds:.0f} s; comparing")
        seen = compare(copy.server, folder, manifest, copy.loaded)
        say("trying the saved keys")
        seen.findings += key_findings(folder, manifest)
        seen.findings += _credentials(copy.server, folder, manifest)
        return seen, copy.server.programs.version


def _credentials(server: Server, folder: Path, manifest: Manifest) -> tuple[Finding, ...]:
    """Nothing to say of a copy without Keystone, or of one whose credentials are older than their encryption."""
    wanted = (
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'keystone' AND table_name = 'credential'"
    )
    there = server.sql(f"{wanted} AND column_name IN ('encrypted_blob', 'key_hash');")
    if there != [["2"]] or "keystone" not in databases(server):
        return ()
    stored = "FROM keystone.credential WHERE encrypted_blob IS NOT NULL AND encrypted_blob <> ''"
    total = int(server.sql(f"SELECT COUNT(*) {stored};")[0][0])
    rows = server.sql(f"SELECT id, key_hash, encrypted_blob {stored} ORDER BY id LIMIT {_CREDENTIALS};")
    return credential_findings(rows, repositories(folder, manifest, parts.CREDENTIAL_KEYS), total=total)


# ---------------------------------------------------------------- the sandbox


def _is_sandbox(site: Site | None) -> bool:
    return site is not None and site.sandbox is not None and (site.sandbox / "sandbox.json").is_file()


def _sandboxed(folder: Path, manifest: Manifest, say: Say) -> tuple[Compared, str]:
    say("restoring the set into a copy of the sandbox's own database engine")
    done = subprocess.run(
        [sys.executable, "-P", "-m", SANDBOX_PROOF, str(folder)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_SANDBOX_SECONDS,
    )  # fmt: skip
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise UpgraderError(
            f"The sandbox's engine refused the dump: {words[0]}.",
            cloud="The cloud was not touched; the set stays as it was.",
            reason="load-refused",
        )
    failpoint("prove.loaded")
    return _judged(folder, manifest, json.loads(done.stdout)), "sandbox"


def _judged(folder: Path, manifest: Manifest, said: Mapping[str, Any]) -> Compared:
    heads = {name: tuple(found) for name, found in said["heads"].items()}
    rows = {name: int(count) for name, count in said["rows"].items()}
    seen = Compared(heads, rows, how="by the sandbox's own engine: dumped again, digests of all rows compared")
    wanted = {table.name: table.digest for table in manifest.tables if table.digest}
    if not wanted:
        part = manifest.part(parts.DATABASES)
        try:
            own = read_contents("mariadb-dump", [folder / entry.path for entry in part.files] if part else [])
        except DumpDamaged as damage:
            raise UpgraderError(f"{damage}.", cloud="The cloud was not touched.", reason="dump-damaged") from None
        wanted = {name: table.digest for name, table in own.tables.items()}
    seen.findings += head_findings(manifest, heads)
    seen.findings += row_findings(manifest, rows)
    seen.findings += digest_findings(wanted, said["digests"], "the digests of all rows, by the sandbox's own engine")
    shut, opened = said["token"]["shut"], said["token"]["opened"]
    if shut or not opened:
        words = f"the Fernet keys of {', '.join(shut) or 'no host'} do not open the token that was issued before"
        seen.findings.append(Finding(id="proof-token", code=Code.FAILURE, message=words))
    else:
        words = f"the token issued before is opened by the keys of {', '.join(opened)} (the sandbox's own form)"
        seen.findings.append(Finding(id="proof-token", code=Code.SUCCESS, message=words))
    return seen


def expires_at(manifest: Manifest, max_age_seconds: int) -> datetime:
    """When a set stops being a restore point by age alone."""
    made = datetime.fromisoformat(manifest.made_at)
    return datetime.fromtimestamp(made.timestamp() + max_age_seconds, UTC)
