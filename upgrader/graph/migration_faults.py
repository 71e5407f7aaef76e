"""Shape of `migration_faults.toml`: what is known to make a service's migration fail or mislead, and what mends it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from upgrader.graph.schema import Record, Shape, Sources, Text
from upgrader.value import AtLeast


class RowsQuery(Shape):
    """The rows that cause it. `needs`: `table` or `table.column` of the database without which it cannot be asked."""

    table: Text
    """`database.table`, as services call their databases."""
    select: Annotated[str, AtLeast(1)]
    needs: Annotated[tuple[Text, ...], AtLeast(1)]

    @property
    def database(self) -> str:
        return self.table.partition(".")[0]


class MigrationFault(Record):
    id: Text
    service: Text
    message: Text
    effect: Literal["fails", "misleads"]
    """The migration ends with an error; or it ends well and what was to be done is not done."""
    targets: Annotated[tuple[Text, ...], AtLeast(1)]
    """Releases whose programs do it."""
    words: tuple[Text, ...] = ()
    """Regular expressions; one of them fits a line that the failed command said."""
    left_undone: Text | None = None
    """Name of an online data migration that leaves rows behind."""
    heads_differ: bool = False
    """It shows when the heads are not those of the target afterwards."""
    after: tuple[RowsQuery, ...] = ()
    """Asked of the copy after the migration: what it shows is the fault where nothing else does."""
    rows: tuple[RowsQuery, ...] = ()
    """What causes it. Asked after a failure, and before the hop where `foreseen`."""
    foreseen: tuple[RowsQuery, ...] = ()
    """Asked before the hop: rows here mean that it will happen."""
    fix: Annotated[tuple[Text, ...], AtLeast(1)]

    def consistent(self) -> None:
        for pattern in self.words:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern}: {error}") from None
        if not (self.words or self.left_undone or self.heads_differ or self.after):
            raise ValueError("nothing says how it shows: words, left_undone, heads_differ or after")
        for query in (*self.after, *self.rows, *self.foreseen):
            if not query.select.lstrip().upper().startswith("SELECT "):
                raise ValueError(f"{query.table}: only SELECT is asked")


class Interrupted(Shape):
    """Errors of a server by which a second try finds what an interrupted script left."""

    code: int
    words: Text
    """Regular expression over the error's text; its group, if any, is the table, column or index."""
    means: Text

    def consistent(self) -> None:
        re.compile(self.words)


class MigrationFaults(Shape):
    source: Sources
    faults: tuple[MigrationFault, ...]
    interrupted: tuple[Interrupted, ...]
