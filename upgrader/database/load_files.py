"""Which files of a mydumper folder hold what, and the statements in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from upgrader.database.unpacked import DumpDamaged


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
