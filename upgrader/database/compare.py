"""Compare a restored copy with what its set says of it: heads, rows of every table, content, definitions.

Content, by format of the dump:
- mariadb-dump: the copy is dumped again with the same options, and the text of every table's rows has to be that of
  the set's dump, byte for byte (SHA-256). Where it is not, because rows come in another order (a table without a
  key) or another minor version writes its lines otherwise, the sum of the digests of all rows decides, in which no
  order is.
- mydumper: the copy is dumped again by the same program, and the sum of the digests of all rows has to be the one
  that was taken from the set's own files.
- mariabackup: there is no text. Every page was read and its checksum verified, and every index compared with its
  table (CHECK TABLE … EXTENDED); rows are counted, and the heads are those noted when the copy was made.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upgrader.database import manifest as parts
from upgrader.database import questions
from upgrader.database.contents import MYDUMPER, read_contents
from upgrader.database.dump_split import pieces
from upgrader.database.load_client import must_have_space
from upgrader.database.load_tables import Loaded
from upgrader.database.manifest import Manifest
from upgrader.database.questions import databases, identifier, row_counts
from upgrader.database.throwaway import Server
from upgrader.database.unpacked import DumpDamaged, opened, widen
from upgrader.errors import EnvironmentMissingError, UpgraderError
from upgrader.model import Code, Finding

HEADS, ROWS, CONTENT, DEFINITIONS = "proof-heads", "proof-rows", "proof-content", "proof-definitions"
_NAMED = 5
"""Tables named in a message; the rest is counted."""
_DUMP = ("--single-transaction", "--quick", "--routines", "--triggers", "--events", "--hex-blob")
"""As the set's own dump was made (take.sh)."""
_LIMIT_SECONDS = 6 * 3600
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


@dataclass
class Compared:
    """What was seen of the copy, and what is wrong with it."""

    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    how: str = ""


def compare(server: Server, folder: Path, manifest: Manifest, loaded: Loaded | None) -> Compared:
    """Look at the whole copy. Differences are failures by table; raises only when the looking itself is impossible."""
    schemas = databases(server)
    seen = Compared(questions.heads(server, schemas), row_counts(server, schemas, seconds=_LIMIT_SECONDS))
    seen.findings += head_findings(manifest, seen.heads)
    seen.findings += row_findings(manifest, seen.rows)
    if manifest.dump_format == "mariabackup":
        seen.how = "every page and index checked (CHECK TABLE EXTENDED)"
        seen.findings += _checked_tables(server, seen.rows)
    elif manifest.dump_format == MYDUMPER:
        seen.how = "dumped again with mydumper, digests of all rows compared"
        seen.findings += _against_mydumper(server, folder, manifest, schemas)
    else:
        seen.how = "dumped again with mariadb-dump, the text of every table compared"
        seen.findings += _against_dump(server, folder, manifest, loaded, schemas)
    return seen


# ---------------------------------------------------------------- judging, for any kind of copy


def _finding(identifier: str, code: Code, message: str) -> Finding:
    return Finding(id=identifier, code=code, message=message)


def _names(found: Sequence[str]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def head_findings(manifest: Manifest, seen: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Every database is at the heads that the set says it was dumped at."""
    bad = []
    for database, heads in manifest.heads:
        now = tuple(sorted(seen.get(database, ())))
        if now != tuple(sorted(heads)):
            was, is_now = " + ".join(heads) or "no head", " + ".join(now) or "no head"
            bad.append(_finding(HEADS, Code.FAILURE, f"{database} is at {is_now} in the copy, the set says {was}"))
    words = f"heads of {len(manifest.heads)} databases are those of the set"
    return bad or [_finding(HEADS, Code.SUCCESS, words)]


def row_findings(manifest: Manifest, seen: Mapping[str, int]) -> list[Finding]:
    """Every table of the dump is there with as many rows; what was counted beside the dump may differ a little."""
    exact = {table.name: table.rows for table in manifest.tables}
    if manifest.counted == "dump":
        exact = dict(manifest.rows) | exact
    lost = sorted({*exact, *dict(manifest.rows)} - set(seen))
    wrong = [f"{name} ({seen[name]} instead of {count})" for name, count in sorted(exact.items())
             if name in seen and seen[name] != count]  # fmt: skip
    found = []
    if lost:
        found.append(_finding(ROWS, Code.FAILURE, f"tables are not in the copy: {_names(lost)}"))
    if wrong:
        found.append(_finding(ROWS, Code.FAILURE, f"rows differ from the dump: {_names(wrong)}"))
    if not seen:
        found.append(_finding(ROWS, Code.FAILURE, "the copy holds no table"))
    asked = [name for name, count in manifest.rows if name not in exact and name in seen and seen[name] != count]
    if asked and not found:
        words = f"rows were written between counting and dumping: {_names(asked)}"
        found.append(_finding(ROWS, Code.WARNING, words))
    return found or [_finding(ROWS, Code.SUCCESS, f"{sum(seen.values())} rows in {len(seen)} tables, counted")]


def digest_findings(wanted: Mapping[str, str], seen: Mapping[str, str], how: str) -> list[Finding]:
    """Every table's content has the digest it has in the set."""
    wrong = sorted(name for name, digest in wanted.items() if seen.get(name) != digest)
    more = sorted(set(seen) - set(wanted))
    if wrong or more:
        words = [f"content differs from the dump: {_names(wrong)}"] if wrong else []
        words += [f"tables that are not in the dump: {_names(more)}"] if more else []
        return [_finding(CONTENT, Code.FAILURE, "; ".join(words))]
    return [_finding(CONTENT, Code.SUCCESS, f"content of {len(wanted)} tables is that of the dump: {how}")]


def _definition_findings(
    manifest: Manifest, server: Server, wanted: Mapping[str, str], seen: Mapping[str, str]
) -> list[Finding]:
    wrong = sorted(name for name, text in wanted.items() if _lines(seen.get(name, "")) != _lines(text))
    if not wrong:
        return [_finding(DEFINITIONS, Code.SUCCESS, f"definitions of {len(wanted)} tables are those of the dump")]
    words = f"definitions differ from the dump: {_names(wrong)}"
    if server.programs.version not in manifest.server_version:
        words += f" (written by {manifest.server_version}, read by {server.programs.version})"
        return [_finding(DEFINITIONS, Code.WARNING, words)]
    return [_finding(DEFINITIONS, Code.FAILURE, words)]


def _lines(statement: str) -> list[str]:
    """Columns, keys and settings of a table, whatever order its keys were made in."""
    return sorted(line.strip().rstrip(",;") for line in _COUNTER.sub("", statement).splitlines())


# ---------------------------------------------------------------- mariadb-dump


@dataclass
class _Again:
    """What a second dump says of each table."""

    texts: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)


def _against_dump(
    server: Server, folder: Path, manifest: Manifest, loaded: Loaded | None, schemas: Sequence[str]
) -> list[Finding]:
    first = loaded or Loaded(0, 0, 0, 0)
    again = _dumped_again(server, schemas)
    findings = _definition_findings(manifest, server, first.definitions, again.definitions)
    differing = sorted(name for name, text in first.texts.items() if again.texts.get(name) != text)
    wanted = {table.name: table.digest for table in manifest.tables if table.digest}
    if differing:
        if not wanted:
            part = manifest.part(parts.DATABASES)
            own = read_contents("mariadb-dump", [folder / entry.path for entry in part.files] if part else [])
            wanted = {name: table.digest for name, table in own.tables.items()}
        seen = _digests(server, [name for name in differing if name in again.texts])
        equal = {name for name in differing if name in seen and seen[name] == wanted.get(name)}
        first_texts = {name: again.texts[name] if name in equal else text for name, text in first.texts.items()}
    else:
        first_texts = dict(first.texts)
    how = "byte for byte" if not differing else f"byte for byte, {len(differing)} by the digests of their rows"
    return findings + digest_findings(first_texts, again.texts, how)


def dump_program(server: Server) -> str:
    """mariadb-dump beside the client. Raises EnvironmentMissingError."""
    beside = Path(server.programs["mariadb"]).parent
    found = shutil.which("mariadb-dump", path=str(beside)) or shutil.which("mariadb-dump")
    if found is None:
        raise EnvironmentMissingError(
            "mariadb-dump is not installed: a copy cannot be compared with its dump.",
            cloud="Nothing was changed.",
            next_command="apt-get install --no-install-recommends mariadb-client",
            reason="mariadb-missing",
        )
    return found


def _command(server: Server, *words: str) -> list[str]:
    options = ("--no-defaults", f"--socket={server.socket}", "--user=root", "--default-character-set=utf8mb4")
    return [dump_program(server), *options, "--max-allowed-packet=1G", *_DUMP, *words]


def _dumped_again(server: Server, schemas: Sequence[str]) -> _Again:
    """Dump every schema once more and keep digests alone; two at a time."""
    found = _Again()
    waiting = list(schemas)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while waiting and not errors:
                _one_again(server, waiting.pop(), found)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def _one_again(server: Server, schema: str, found: _Again) -> None:
    process = subprocess.Popen(
        _command(server, "--databases", schema),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1024 * 1024,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None  # noqa: S101
    widen(process.stdout)
    ended = False
    try:
        text = hashlib.sha256()
        name = ""
        for piece in pieces(process.stdout):
            if piece.kind == "table":
                name, text = f"{schema}.{piece.name}", hashlib.sha256()
                found.definitions[name] = piece.text.decode(errors="replace")
                found.texts[name] = text.hexdigest()
            elif piece.kind == "rows" and name:
                text.update(piece.text)
                found.texts[name] = text.hexdigest()
            ended = piece.kind == "end"
    finally:
        process.kill()
        words = process.stderr.read().decode(errors="replace").strip()
        process.stdout.close()
        process.stderr.close()
        process.wait()
    if not ended:
        raise UpgraderError(
            f"The copy could not be dumped again: {schema}: {words or 'the dump has no end'}.", reason="redump"
        )


def _digests(server: Server, names: Sequence[str]) -> dict[str, str]:
    """Digests of all rows of some tables of the copy, in which no order is; needs space for one table at a time."""
    found = {}
    for name in names:
        schema, _, table = name.partition(".")
        must_have_space(server.folder)
        file = server.folder / f"{schema}.sql"
        with file.open("wb") as out:
            subprocess.run(_command(server, schema, table), stdout=out, check=True, timeout=_LIMIT_SECONDS)
        found[name] = read_contents("mariadb-dump", [file]).tables[name].digest
        file.unlink()
    return found


# ---------------------------------------------------------------- mydumper


def _against_mydumper(server: Server, folder: Path, manifest: Manifest, schemas: Sequence[str]) -> list[Finding]:
    part = manifest.part(parts.DATABASES)
    own = [folder / entry.path for entry in part.files] if part else []
    wanted = {table.name: table.digest for table in manifest.tables if table.digest}
    if not wanted:
        wanted = {name: table.digest for name, table in read_contents("mydumper", own).tables.items()}
    out = server.folder / "again"
    mydumped(server, out, schemas)
    try:
        files = sorted(out.iterdir())
        again = read_contents("mydumper", files)
        findings = _definition_findings(manifest, server, _schema_files(own), _schema_files(files))
    except DumpDamaged as damage:
        raise UpgraderError(f"The copy could not be dumped again: {damage}.", reason="redump") from None
    finally:
        shutil.rmtree(out, ignore_errors=True)
    seen = {name: table.digest for name, table in again.tables.items()}
    return findings + digest_findings(wanted, seen, "the digests of all rows")


def mydumped(server: Server, out: Path, schemas: Sequence[str]) -> None:
    """Dump the copy with mydumper. Raises EnvironmentMissingError without the program, UpgraderError when it fails."""
    program = shutil.which("mydumper")
    if program is None:
        raise EnvironmentMissingError(
            "mydumper is not installed: a copy of its dump cannot be compared with it.",
            cloud="Nothing was changed.",
            next_command="apt-get install --no-install-recommends mydumper",
            reason="mydumper-missing",
        )
    must_have_space(server.folder)
    words = [
        program, "--defaults-file=/dev/null", f"--socket={server.socket}", "--user=root", f"--outputdir={out}",
        "--threads=2", "--rows=250000", "--compress", "--triggers", "--events", "--routines", "--trx-consistency-only",
        f"--regex=^({'|'.join(map(re.escape, schemas))})\\.",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, timeout=_LIMIT_SECONDS)
    bad = [line for line in (done.stdout + done.stderr).splitlines() if "CRITICAL" in line or "Error" in line]
    if done.returncode or bad:
        said = bad[0] if bad else f"mydumper ended with {done.returncode}"
        raise UpgraderError(f"The copy could not be dumped again: {said}.", reason="redump")


def _schema_files(files: Iterable[Path]) -> dict[str, str]:
    """Table → its definition; a view has a file that says so, and its stand-in is none."""
    files = list(files)
    views = {path.name.partition("-schema-view.sql")[0] for path in files if "-schema-view.sql" in path.name}
    found = {}
    for path in files:
        name, marked, _ = path.name.partition("-schema.sql")
        if marked and name not in views:
            with opened(path, fast=True) as stream:
                made = [piece.text for piece in pieces(stream) if piece.kind == "table"]
            found[name] = made[0].decode(errors="replace") if made else ""
    return found


# ---------------------------------------------------------------- mariabackup


def _checked_tables(server: Server, tables: Iterable[str]) -> list[Finding]:
    names = sorted(tables)
    if not names:
        return []
    text = ", ".join(identifier(*name.split(".", 1)) for name in names)
    rows = server.sql(f"CHECK TABLE {text} EXTENDED;", seconds=_LIMIT_SECONDS)
    bad = sorted({f"{row[0]} ({row[3]})" for row in rows if len(row) > 3 and row[2] != "note" and row[3] != "OK"})
    if bad:
        return [_finding(CONTENT, Code.FAILURE, f"tables are damaged: {_names(bad)}")]
    words = f"every page and every index of {len(names)} tables is sound; a physical copy has no text to compare"
    return [_finding(CONTENT, Code.SUCCESS, words)]
