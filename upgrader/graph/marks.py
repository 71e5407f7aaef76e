"""Shape of `schema_marks.toml`: tables by which a database is known, and what each migration script leaves in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from upgrader.graph.schema import Shape, Sources, Text
from upgrader.value import AtLeast


class RevisionMarks(Shape):
    """What shows that one script was run: `table`, `table.column` or `table/index`."""

    id: Text
    after: Annotated[tuple[Text, ...], AtLeast(1)]
    adds: tuple[Text, ...] = ()
    drops: tuple[Text, ...] = ()


class DatabaseMarks(Shape):
    database: Text
    tables: Annotated[tuple[Text, ...], AtLeast(1)]
    """All of them are in every database of this kind, in no other service's all of them."""
    revisions: tuple[RevisionMarks, ...]

    def consistent(self) -> None:
        seen: set[str] = set()
        for revision in self.revisions:
            if revision.id in seen:
                raise ValueError(f"{revision.id} is there twice")
            seen.add(revision.id)
            late = [row for row in revision.after if row in {later.id for later in self.revisions} - seen]
            if late:
                raise ValueError(f"{revision.id} stands before {late[0]}, which it follows")

    def applied(self, heads: Iterable[str]) -> frozenset[str]:
        """The scripts that must have been run for a database to have these rows, as far as they are known here."""
        by_id: Mapping[str, RevisionMarks] = {revision.id: revision for revision in self.revisions}
        found: set[str] = set()
        waiting = list(heads)
        while waiting:
            row = waiting.pop()
            if row in by_id and row not in found:
                found.add(row)
                waiting += by_id[row].after
        return frozenset(found)

    @property
    def items(self) -> frozenset[str]:
        """Everything of a structure that says something."""
        return frozenset(item for revision in self.revisions for item in (*revision.adds, *revision.drops))


class SchemaMarks(Shape):
    source: Sources
    databases: tuple[DatabaseMarks, ...]
