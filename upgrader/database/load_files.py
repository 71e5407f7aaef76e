"""Which files of a dump hold what, and their bytes uncompressed by a program beside this one."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from upgrader.database.contents import DumpDamaged
from upgrader.errors import EnvironmentMissingError

_PIPE_BYTES = 1024 * 1024
_PROGRAMS = {".zst": (("zstd", "-dcq"),), ".gz": (("igzip", "-dc"), ("pigz", "-dc"), ("gzip", "-dc"))}
_PACKAGES = {".zst": "zstd", ".gz": "gzip"}


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """The uncompressed bytes. Raises DumpDamaged when they were read to the end and the compression does not end right.

    Raises EnvironmentMissingError where the program for the file's suffix is missing.
    """
    if path.suffix not in _PROGRAMS:
        with path.open("rb") as plain:
            yield plain
        return
    process = subprocess.Popen(
        [*_program(path), "--", str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=_PIPE_BYTES,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - pipes were asked for
    widen(process.stdout)
    read_whole = False
    try:
        yield process.stdout
        read_whole = not process.stdout.read(1)
    finally:
        process.stdout.close()
        if not read_whole:
            process.kill()
        words = process.stderr.read().decode(errors="replace").strip()
        process.stderr.close()
        code = process.wait()
    if code:
        raise DumpDamaged(f"{path.name} is cut off or damaged: {words or f'exit code {code}'}")


def widen(stream: IO[bytes] | int) -> None:
    """Let the pipe hold more, so that its two ends wait less for each other; where that is not allowed, it does not."""
    with suppress(OSError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _program(path: Path) -> list[str]:
    for name, option in _PROGRAMS[path.suffix]:
        if found := shutil.which(name):
            return [found, option]
    package = _PACKAGES[path.suffix]
    raise EnvironmentMissingError(
        f"{path.name} is compressed, and {package} is not installed here.",
        cloud="Nothing was restored.",
        next_command=f"apt-get install --no-install-recommends {package}",
        reason=f"{package}-missing",
    )


@dataclass
class MydumperTable:
    schema: str
    name: str
    definition: Path
    rows: list[Path] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.rows)


@dataclass
class MydumperPlan:
    """`schemas`: (name, file that creates it); `tables`, the largest first; `last`: (schema, file) in order."""

    schemas: list[tuple[str, Path]]
    tables: list[MydumperTable]
    last: list[tuple[str, Path]]


def mydumper_plan(files: Iterable[Path]) -> MydumperPlan:
    """The files of a mydumper folder by what they hold. A view's stand-in is left out: the view itself comes last."""
    schemas: list[tuple[str, Path]] = []
    tables: dict[str, MydumperTable] = {}
    rows: list[tuple[str, Path]] = []
    views: list[tuple[str, Path]] = []
    others: list[tuple[str, Path]] = []
    for path in sorted(files):
        base, sql, _ = path.name.rpartition(".sql")
        schema, dot, rest = base.partition(".")
        if not sql:
            continue
        if not dot:
            name, what = base.removesuffix("-schema-create").removesuffix("-schema-post"), base
            (schemas if what.endswith("-schema-create") else others).append((name, path))
        elif rest.endswith("-schema-view"):
            views.append((schema, path))
        elif rest.endswith("-schema-triggers"):
            others.insert(0, (schema, path))
        elif rest.endswith("-schema"):
            name = rest.removesuffix("-schema")
            tables[f"{schema}.{name}"] = MydumperTable(schema, name, path)
        else:
            rows.append((base, path))
    for base, path in rows:
        head, _, number = base.rpartition(".")
        table = tables.get(base) or (tables.get(head) if number.isdigit() else None)
        if table is None:
            raise DumpDamaged(f"{path.name} holds rows of a table whose definition is missing")
        table.rows.append(path)
    for schema, path in views:
        tables.pop(f"{schema}.{path.name.partition('.')[2].rpartition('-schema-view')[0]}", None)
    ordered = sorted(tables.values(), key=lambda table: table.size, reverse=True)
    return MydumperPlan(schemas, ordered, [*others, *views])


def statements(text: bytes) -> Iterator[bytes]:
    """The statements of a file whose bodies may hold semicolons: one ends where a line ends with a semicolon.

    mydumper writes `; ` at the end of lines within a body for that very reason.
    """
    kept: list[bytes] = []
    for line in text.splitlines(keepends=True):
        kept.append(line)
        if line.rstrip(b"\n").endswith(b";"):
            yield b"".join(kept).rstrip().removesuffix(b";")
            kept.clear()
    if b"".join(kept).strip():
        yield b"".join(kept).strip()
