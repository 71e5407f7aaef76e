"""What came of dumping the databases, judged and recorded: the dump's files, accounts, heads, rows of every table.

Owns what counts as a dump: every file as it left its host, every table that was there, and heads that are the same
before, in and after it. Otherwise the part is missing, with the reason; nothing is recorded half.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upgrader.database import contents
from upgrader.database import manifest as parts
from upgrader.database.contents import Contents, head_differences, read_contents
from upgrader.database.manifest import BackupSet, DumpFormat, sha256_of
from upgrader.database.unpacked import DumpDamaged, opened
from upgrader.facts.parse import Sections, sections
from upgrader.facts.server import galera_facts, schema_heads
from upgrader.model import CloudFacts, Code, Finding

STREAM = "mariabackup.xbs.gz"
_STREAM_MAGIC = b"XBSTCK01"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Asked:
    """What the play says of the databases: the host, how they were to be taken, the answer, words for silence."""

    host: str
    method: str
    said: Mapping[str, Any]
    silence: str

    @property
    def dump_format(self) -> DumpFormat:
        """mydumper may have found no way; then mariadb-dump took over, or nothing was dumped."""
        if self.method == "mydumper":
            return "mydumper" if str(self.said.get("mydumper")) == "0" else "mariadb-dump"
        return "mariabackup" if self.method == "mariabackup" else "mariadb-dump"


class _Missing(Exception):  # noqa: N818 - a part that was not taken; becomes a finding
    pass


def keep_databases(backup_set: BackupSet, asked: Asked, facts: CloudFacts) -> list[Finding]:
    """Record databases and accounts, or say which part is missing and why."""
    folder = backup_set.folder / "database"
    arrived = folder / "dump.tar"
    found = sections(f"{asked.said.get('stdout', '')}\n{asked.said.get('after', '')}")
    part = parts.MARIABACKUP if asked.method == "mariabackup" else parts.DATABASES
    try:
        _must_have_answered(asked, found, arrived)
        grants, files = _arrived(folder, asked.dump_format, found)
        held = read_contents(asked.dump_format, files)
        _must_be_whole(asked.dump_format, found, held, facts)
    except (_Missing, DumpDamaged) as error:
        _clear(folder)
        return [missing(part, f"{asked.host}: {error}")]
    except (tarfile.TarError, ValueError) as error:
        _clear(folder)
        return [missing(part, f"what came from {asked.host} is damaged: {error}")]
    finally:
        arrived.unlink(missing_ok=True)
    _note(backup_set, asked.dump_format, found, held)
    if asked.dump_format != "mariabackup":
        schemas = {table.split("\t")[0] for table in found.get("tables")} | set(found.get("schemas"))
        backup_set.record(
            parts.DATABASES,
            files,
            {"host": asked.host, "schemas": str(len(schemas)), "tables": str(len(held.tables)), "rows": str(held.rows)},
        )
    backup_set.record(parts.GRANTS, grants, {"host": asked.host})
    return _took_over(asked)


def _took_over(asked: Asked) -> list[Finding]:
    """Said, because what one program could not do may stand in the way of more than a dump."""
    if asked.method == asked.dump_format or asked.method != "mydumper":
        return []
    words = f"{asked.host}: mydumper could not dump ({_words(asked.said.get('why'))}); mariadb-dump took over"
    return [Finding(id="backup-mydumper", code=Code.WARNING, message=words, host=asked.host)]


def missing(part: str, why: str) -> Finding:
    return Finding(id=f"backup-{part}", code=Code.FAILURE, message=f"backup part {part!r} could not be taken: {why}")


def _must_have_answered(asked: Asked, found: Sections, arrived: Path) -> None:
    said = asked.said
    mydumper = str(said.get("mydumper", ""))
    if asked.method == "mydumper" and mydumper not in ("0", "3", ""):
        raise _Missing(f"mydumper: {_words(said.get('why'))}")
    if asked.method == "mydumper" and mydumper == "3" and not any(".sql." in line for line in _schema_files(found)):
        raise _Missing(f"mydumper could not dump from this machine: {_words(said.get('why'))}")
    if str(said.get("rc")) != "0" or not arrived.is_file():
        failed = "; ".join(f"{what}: {words}" for what, words in found.failed.items())
        raise _Missing(failed or str(said.get("stderr", "")).strip() or asked.silence)
    if "heads-after" in found.failed:
        raise _Missing(f"the heads could not be read after the dump: {found.failed['heads-after']}")


def _words(text: object) -> str:
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _schema_files(found: Sections) -> list[str]:
    return [line for line in found.get("files") if not line.startswith(f"{contents.GRANTS}.")]


def _arrived(folder: Path, dump_format: DumpFormat, found: Sections) -> tuple[list[Path], list[Path]]:
    """(files of the accounts, files of the databases), unpacked and compared with what left the host."""
    sums = dict(line.split("\t", 1) for line in found.get("files") if "\t" in line)
    files = _unpack(folder / "dump.tar", sums)
    grants = [path for path in files if contents.schema_of(path) == contents.GRANTS]
    if dump_format == "mydumper":
        own = folder / contents.MYDUMPER
        return grants, sorted(path for path in own.iterdir() if path.is_file())
    return grants, [path for path in files if path not in grants]


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
                target.chmod(0o600)
                while chunk := stream.read(_CHUNK):
                    out.write(chunk)
            if sha256_of(target) != sums[member.name]:
                raise ValueError(f"{member.name} does not have the checksum it had on its host")
            files.append(target)
    if {path.name for path in files} != set(sums):
        raise ValueError("files are missing")
    return files


def _must_be_whole(dump_format: DumpFormat, found: Sections, held: Contents, facts: CloudFacts) -> None:
    """Every table is in the dump, and no migration ran beside it. Raises _Missing with the differences."""
    before = {row.database: row.heads for row in schema_heads(found.get("heads"))}
    after = {row.database: row.heads for row in schema_heads(found.get("heads-after"))}
    dumped: Mapping[str, Sequence[str]] = held.heads
    if dump_format == "mariabackup":
        # it was made between the look at the cloud and the questions of this play
        after = before
        before = {row.database: row.heads for row in facts.heads}
        dumped = after
    else:
        wanted = {".".join(line.split("\t")[:2]) for line in found.get("tables")}
        gone, more = sorted(wanted - held.tables.keys()), sorted(held.tables.keys() - wanted)
        if gone or more:
            words = [f"not dumped: {', '.join(gone[:3])}"] if gone else []
            words += [f"made meanwhile: {', '.join(more[:3])}"] if more else []
            raise _Missing(f"{len(gone) + len(more)} tables differ from those of the server: {'; '.join(words)}")
    moved = head_differences(before, dumped, after)
    if moved:
        raise _Missing(f"schema heads changed while it was taken, a migration ran: {'; '.join(moved)}")


def _note(backup_set: BackupSet, dump_format: DumpFormat, found: Sections, held: Contents) -> None:
    rows = {}
    for line in found.get("rows"):
        columns = line.split("\t")
        if len(columns) == 3 and columns[2].isdigit():
            name = f"{columns[0]}.{columns[1]}"
            rows[name] = held.tables[name].rows if name in held.tables else int(columns[2])
    backup_set.describe(dump_format)
    backup_set.note(
        server_version=galera_facts(found.get("galera")).server_version,
        heads={row.database: row.heads for row in schema_heads(found.get("heads"))},
        rows=rows,
        tables=held.tables.values(),
        counted="dump" if held.tables else "asked",
    )


def _clear(folder: Path) -> None:
    """What was not recorded is not kept: it would only take room and be taken for a dump."""
    shutil.rmtree(folder, ignore_errors=True)


def keep_stream(backup_set: BackupSet, arrived: Path, facts: Mapping[str, str], *, emulated: bool) -> None:
    """Record the physical backup that was fetched. Raises ValueError for one that is no whole stream.

    It is read to its end once: gzip says by its own checksum whether something is missing.
    """
    target = backup_set.folder / "database" / STREAM
    arrived.replace(target)
    with opened(target) as stream:
        first = stream.read(len(_STREAM_MAGIC))
        plain = len(first)
        while chunk := stream.read(_CHUNK):
            plain += len(chunk)
    if not emulated and first != _STREAM_MAGIC:
        target.unlink()
        raise ValueError("it is no stream of mariabackup")
    # so that a restore knows what room it needs before it stops anything
    backup_set.record(parts.MARIABACKUP, [target], {**facts, "plain_bytes": str(plain)})
