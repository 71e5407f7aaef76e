"""What putting a backup set back would lose: rows by table, and what was made, changed or deleted since, by name.

Owns the question (losses.sh) and what its answers mean. A table that could not be read is said to be unknown, never
to hold nothing new. Changes nothing anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from upgrader.config import Site
from upgrader.database.manifest import Manifest
from upgrader.facts.observe import database_hosts
from upgrader.facts.parse import Sections, sections
from upgrader.facts.plays import own_play, shown
from upgrader.kolla.toolchain import Toolchain
from upgrader.model import CloudFacts
from upgrader.runner.base import Cancelled, EventSink, Runner
from upgrader.value import Value

ANSWER = "Answer about what was written since"
_PLAYBOOK = Path(__file__).parent / "losses.yml"
_COLUMNS = 4

Fate = Literal["orphan", "ghost", "lost", "undone"]
"""orphan: goes on existing, and nothing knows it. ghost: is listed again, and is gone. lost: was only in the
databases. undone: is again as it was at the backup."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One question of losses.sh. `schema` has to be there for it to mean anything."""

    name: str
    schema: str
    fate: Fate


KINDS = (
    Kind("instances", "nova", "orphan"),
    Kind("volumes", "cinder", "orphan"),
    Kind("snapshots", "cinder", "orphan"),
    Kind("backups", "cinder", "orphan"),
    Kind("images", "glance", "orphan"),
    Kind("networks", "neutron", "orphan"),
    Kind("subnets", "neutron", "orphan"),
    Kind("ports", "neutron", "orphan"),
    Kind("routers", "neutron", "orphan"),
    Kind("floating-ips", "neutron", "orphan"),
    Kind("security-groups", "neutron", "orphan"),
    Kind("load-balancers", "octavia", "orphan"),
    Kind("stacks", "heat", "lost"),
    Kind("secrets", "barbican", "lost"),
    Kind("users", "keystone", "lost"),
    Kind("passwords", "keystone", "undone"),
    Kind("revocations", "keystone", "undone"),
    Kind("instances-deleted", "nova", "ghost"),
    Kind("volumes-deleted", "cinder", "ghost"),
    Kind("images-deleted", "glance", "ghost"),
    Kind("stacks-deleted", "heat", "ghost"),
    Kind("instances-changed", "nova", "undone"),
    Kind("volumes-changed", "cinder", "undone"),
    Kind("images-changed", "glance", "undone"),
    Kind("networking-changed", "neutron", "undone"),
    Kind("allocations", "placement", "undone"),
    Kind("allocations-changed", "placement", "undone"),
    Kind("instance-mappings", "nova_api", "undone"),
    Kind("flavors", "nova_api", "lost"),
    Kind("failed-instances", "nova_cell0", "lost"),
)


class Named(Value):
    id: str
    name: str = ""
    at: str = ""


class Since(Value):
    """What of one kind was made, changed or deleted since the backup. `count` None: unknown, `why` says why."""

    kind: str
    schema_name: str
    fate: Fate
    count: int | None
    first: tuple[Named, ...] = ()
    """The oldest few of them."""
    why: str = ""


class RowChange(Value):
    """A table whose number of rows differs, or is not known now."""

    table: str
    then: int
    now: int | None


class Losses(Value):
    """What would be lost by putting a set back now. Holds only what is not nothing."""

    since: str
    """UTC; when the set was begun."""
    rows: tuple[RowChange, ...] = ()
    created: tuple[Since, ...] = ()
    unchanged: tuple[str, ...] = ()
    """Schemas of which every question was answered, with nothing: as far as can be seen, nothing was written."""
    schemas_since: tuple[str, ...] = ()
    """Schemas that are there now and not in the set."""
    error: str = ""
    """Nothing could be asked at all."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be read, by name."""
        tables = tuple(change.table for change in self.rows if change.now is None)
        return (*tables, *(row.kind for row in self.created if row.count is None))


def losses(
    site: Site,
    toolchain: Toolchain,
    runner: Runner,
    folder: Path,
    manifest: Manifest,
    facts: CloudFacts,
    *,
    on_event: EventSink | None = None,
    cancelled: Cancelled | None = None,
) -> Losses:
    """Ask one server that is fit to answer. Never raises for a cloud that does not: that is what it says then."""
    since = server_time(manifest.made_at)
    servers = database_hosts(facts)
    if not servers or not since:
        why = (
            "no database server is Synced in a Primary component" if since else "the set does not say when it was taken"
        )
        return unknown(manifest, why)
    play = own_play(
        site,
        toolchain,
        "losses",
        _PLAYBOOK,
        servers[:1],
        values=(("upgrader_since", since),),
        collect=(ANSWER,),
        expected=servers[:1],
    )
    result = runner.run(play, folder, on_event=on_event, cancelled=cancelled)
    said = shown(result, ANSWER, servers[0])
    found = sections(str(said.get("stdout", "")))
    if not found.lines:
        words = str(said.get("stderr", "")).strip() or result.message or "no answer"
        return unknown(manifest, f"{servers[0]}: {words}")
    return read(manifest, found)


def server_time(at: str) -> str:
    """An ISO time of a manifest as a server writes UTC; empty for what is no time."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)", at)
    return f"{found[1]} {found[2]}" if found else ""


def unknown(manifest: Manifest, why: str) -> Losses:
    """Nothing is known, and that is said of every table."""
    rows = tuple(RowChange(table=table, then=then, now=None) for table, then in manifest.rows)
    return Losses(since=manifest.made_at, rows=rows, error=why)


def read(manifest: Manifest, found: Sections) -> Losses:
    """The answers against what the manifest says of the time of the backup."""
    columns = (line.split("\t") for line in found.get("rows"))
    now = {f"{row[0]}.{row[1]}": int(row[2]) for row in columns if len(row) == 3 and row[2].isdigit()}
    counted = found.read("rows")
    changes = [
        RowChange(table=table, then=then, now=now.get(table, 0 if _gone(table, found) else None))
        for table, then in manifest.rows
        if not counted or now.get(table) != then
    ]
    there = set(found.get("schemas")) if found.read("schemas") else None
    asked = [_since(kind, found) for kind in KINDS if there is None or kind.schema in there]
    created = [row for row in asked if row.count != 0]
    disturbed = {change.table.partition(".")[0] for change in changes} | {row.schema_name for row in created}
    quiet = {row.schema_name for row in asked} - disturbed
    kept = {database for database, _ in manifest.heads} | {table.partition(".")[0] for table, _ in manifest.rows}
    return Losses(
        since=manifest.made_at,
        rows=tuple(changes),
        created=tuple(created),
        unchanged=tuple(sorted(quiet)),
        schemas_since=tuple(sorted((there or set()) - kept - _dumped(manifest))),
    )


def _gone(table: str, found: Sections) -> bool:
    """Its whole schema is not there any more: then it is known to hold no row."""
    return found.read("rows") and found.read("schemas") and table.partition(".")[0] not in found.get("schemas")


def _dumped(manifest: Manifest) -> set[str]:
    part = manifest.part("databases")
    return {Path(entry.path).name.partition(".")[0] for entry in part.files} if part else set()


def _since(kind: Kind, found: Sections) -> Since:
    section = f"since-{kind.name}"
    words = found.failed.get(section, "" if section in found.lines else "it was not asked")
    lines = [line.split("\t") for line in found.get(section)]
    count = next((int(line[1]) for line in lines if line[0] == "count" and len(line) == 2 and line[1].isdigit()), None)
    if words or count is None:
        return _told(kind, None, why=words or "the answer is not whole")
    first = [
        Named(id=line[1], name=line[2], at=line[3]) for line in lines if line[0] == "row" and len(line) == _COLUMNS
    ]
    return _told(kind, count, tuple(first))


def _told(kind: Kind, count: int | None, first: tuple[Named, ...] = (), why: str = "") -> Since:
    return Since(kind=kind.name, schema_name=kind.schema, fate=kind.fate, count=count, first=first, why=why)
