"""What it takes to come back from a hop, service by service and data store by data store.

Three sources, best first: schema heads read from migrated databases; migration scripts counted between two releases'
source trees, for services without heads; what is recorded as irreversible. Where nothing is known, the schema counts
as changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from upgrader.graph.graph import ReleaseGraph
from upgrader.graph.schema import DatabaseHeads, Hop, Irreversible, SchemaChange
from upgrader.model import Way, WayBack

SCHEMAS = "databases"
"""Component of the irreversible entry that speaks of all schemas at once; here every database has its own row."""
OVN = "ovn"


def way_back(
    graph: ReleaseGraph,
    hop: Hop,
    enabled: Collection[str] | None = None,
    servers: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[WayBack, ...]:
    """One row for each database and data store the hop may touch; (service, database) is unique.

    `enabled`: names as `services_of` gives them; only those get a row. None: unknown (a paper plan), all get one.
    `servers`: component → (version that runs, version in the target's images), where they were observed. A store whose
    two versions are of one series needs no restore, whatever is recorded; one whose series differ does.
    `changes_schema` of a store says whether the hop changes what it keeps.
    """
    rows = [
        *_database_rows(graph, hop, enabled),
        *_recorded_rows(graph, hop, enabled),
        *_store_rows(graph, hop, enabled, servers or {}),
    ]
    return tuple(rows) + tuple(_unknown_rows(graph, hop, enabled, {row.service for row in rows}))


def _wanted(names: Collection[str], enabled: Collection[str] | None) -> bool:
    return enabled is None or any(name in enabled for name in names)


def _flag(enabled: Collection[str] | None) -> bool | None:
    return None if enabled is None else True


def _also(hop: Hop, service: str) -> str:
    """What is recorded about the same service's schema, as a second sentence."""
    return "".join(
        f". {entry.title}: {entry.restore_needs.rstrip('.')}"
        for entry in hop.irreversible
        if entry.component == service and entry.way is Way.RESTORE
    )


# ---------------------------------------------------------------- databases


def _database_rows(graph: ReleaseGraph, hop: Hop, enabled: Collection[str] | None) -> Iterator[WayBack]:
    for known in graph.databases:
        if not _wanted((known.service,), enabled):
            continue
        before, after = known.heads[hop.source], known.heads[hop.target]
        changes = sorted(before) != sorted(after)
        for name in known.names:
            yield WayBack(
                service=known.service,
                database=name,
                changes_schema=changes,
                heads_before=before,
                heads_after=after,
                way=Way.RESTORE if changes else Way.REDEPLOY,
                why=_heads_why(before, after) + (_also(hop, known.service) if changes else ""),
                enabled=_flag(enabled),
            )


def _heads_why(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    if sorted(before) == sorted(after):
        return "same schema in both releases"
    gone = [row for row in before if row not in after]
    new = [row for row in after if row not in before]
    return f"schema changes: {' + '.join(gone) or 'nothing'} → {' + '.join(new) or 'nothing'}"


def _recorded_rows(graph: ReleaseGraph, hop: Hop, enabled: Collection[str] | None) -> Iterator[WayBack]:
    for change in uncovered(graph, hop):
        if not _wanted((change.name,), enabled):
            continue
        changes = change.changes > 0
        yield WayBack(
            service=change.name,
            database=change.name,
            changes_schema=changes,
            way=Way.RESTORE if changes else Way.REDEPLOY,
            why=_scripts_why(change) + (_also(hop, change.name) if changes else ""),
            enabled=_flag(enabled),
        )


def uncovered(graph: ReleaseGraph, hop: Hop) -> tuple[SchemaChange, ...]:
    """Recorded schema changes of services of which no heads are known (nova's two databases are under `nova`)."""
    covered = _covered(graph.databases)
    return tuple(change for change in hop.schema_.services if change.name not in covered)


def _covered(databases: tuple[DatabaseHeads, ...]) -> set[str]:
    services = {known.service for known in databases}
    return services | {f"{service}-{kind}-db" for service in services for kind in ("api", "cell")}


def _scripts_why(change: SchemaChange) -> str:
    if not change.changes:
        return "no migration script between the two releases"
    names = ", ".join(revision.id for revision in change.revisions)
    count = "1 migration script" if change.changes == 1 else f"{change.changes} migration scripts"
    return f"{count} ({change.nature or 'nature not known'}): {names}"


def _unknown_rows(
    graph: ReleaseGraph, hop: Hop, enabled: Collection[str] | None, seen: Collection[str]
) -> Iterator[WayBack]:
    """Enabled services that run a schema task and of whose schema nothing is known."""
    tasks = graph.schema_tasks(hop.target)
    for service in dict.fromkeys(task.service for task in tasks if task.kind == "schema"):
        if service in seen or enabled is None or service not in enabled:
            continue
        yield WayBack(
            service=service,
            database=service,
            changes_schema=True,
            way=Way.RESTORE,
            why="nothing is recorded about its schema on this hop, so it counts as changed",
            enabled=True,
        )


# ---------------------------------------------------------------- data stores and the rest


def _store_rows(
    graph: ReleaseGraph, hop: Hop, enabled: Collection[str] | None, servers: Mapping[str, tuple[str, str]]
) -> Iterator[WayBack]:
    schemas = {known.service for known in graph.databases} | {change.name for change in uncovered(graph, hop)}
    stores = _stores(graph, hop)
    done: set[str] = set()
    for entry in hop.irreversible:
        if entry.component == SCHEMAS or (entry.component in schemas and entry.way is Way.RESTORE):
            continue
        done.add(entry.component)
        if _wanted(entry.services, enabled) or not entry.services:
            yield _entry_row(entry, enabled, servers.get(entry.component))
    for store in stores:
        if store not in done and _wanted((store,), enabled):
            yield _plain_row(graph, hop, store, enabled, servers.get(store))


def _stores(graph: ReleaseGraph, hop: Hop) -> tuple[str, ...]:
    tasks = graph.schema_tasks(hop.target)
    return tuple(dict.fromkeys(task.service for task in tasks if task.kind == "store"))


def _entry_row(entry: Irreversible, enabled: Collection[str] | None, seen: tuple[str, str] | None) -> WayBack:
    if seen and same_series(*seen):
        return _same_row(entry.component, seen, enabled)
    condition = "" if entry.services in ((), (entry.component,)) else f"where {entry.applies_if}: "
    return WayBack(
        service=entry.component,
        changes_schema=True,
        way=entry.way,
        why=f"{condition}{entry.title}; to go back: {entry.restore_needs.rstrip('.')}",
        enabled=_flag(enabled),
    )


def _plain_row(
    graph: ReleaseGraph, hop: Hop, store: str, enabled: Collection[str] | None, seen: tuple[str, str] | None
) -> WayBack:
    if seen and same_series(*seen):
        return _same_row(store, seen, enabled)
    moved = [change for change in hop.components if change.name.startswith("ovs_ovn")] if store == OVN else []
    if not moved and not seen:
        why = "its data directory keeps its format on this hop as far as recorded"
        return WayBack(service=store, changes_schema=False, way=Way.REDEPLOY, why=why, enabled=_flag(enabled))
    if moved:
        fact = next((fact.fact for fact in graph.way_back_facts if fact.id == "ovn-schema"), "")
        why = f"{'; '.join(f'{change.name}: {change.before} → {change.after}' for change in moved)}. {fact}"
    else:
        why = f"server {' → '.join(seen or ())}: an older server may not read what a newer one wrote"
    return WayBack(service=store, changes_schema=True, way=Way.RESTORE, why=why, enabled=_flag(enabled))


def _same_row(component: str, seen: tuple[str, str], enabled: Collection[str] | None) -> WayBack:
    why = f"the same server series before and after ({seen[0]} and {seen[1]} were observed)"
    return WayBack(service=component, changes_schema=False, way=Way.REDEPLOY, why=why, enabled=_flag(enabled))


def same_series(before: str, after: str) -> bool:
    """Whether two server versions are of one series: equal major and minor number. False when a number is missing.

    MariaDB puts `5.5.5-` in front of its version where it greets a client.
    """
    numbers = [re.match(r"(?:5\.5\.5-)?\D*(\d+)\.(\d+)", version) for version in (before, after)]
    return all(numbers) and len({match.groups() for match in numbers if match}) == 1
