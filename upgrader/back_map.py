"""The way back service by service, as it is now: pure, from the plan, what was seen of the cloud, and what was written.

Owns two answers. What each service needs: its containers deployed again, its databases put back, or nothing leads
back. And whether putting back only what the hop changed would be sound, with the reason. Never looks at anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from upgrader.database.losses import Losses
from upgrader.decisions import Situation, Ways, converted, schema_changers, series_differ
from upgrader.model import HopPlan, Way, WayBack
from upgrader.value import Value

SEEN = frozenset({"nova", "placement", "neutron", "cinder", "glance"})
"""Services whose writes can be seen by their times. Keystone's assignments and projects have none, and everything
refers to Keystone; the others keep parts of what they know in tables without times."""
TOGETHER: Mapping[str, frozenset[str]] = {
    "nova": frozenset({"nova", "placement"}),
    "placement": frozenset({"nova", "placement"}),
}
"""Allocations in placement are kept by nova's instances and hosts: one of both older than the other is broken."""
RESTORE_CHANGED, RESTORE_ALL = "restore-only-changed", "restore-everything"
"""Named decisions in the journal about what a restore puts back; the last one counts."""
_RANK = {Way.NOTHING: 0, Way.REDEPLOY: 1, Way.RESTORE: 2, Way.FORWARD_ONLY: 3}


class ServiceWay(Value):
    """What one service needs to come back. `alone` None: the question does not arise."""

    service: str
    databases: tuple[str, ...] = ()
    way: Way
    why: str
    alone: bool | None = None
    """Putting back only its databases would be sound."""
    alone_why: str = ""


class BackMap(Value):
    """What taking the hop back means now."""

    source: str
    target: str
    best: Way
    services: tuple[ServiceWay, ...]
    reasons: tuple[str, ...]
    """Why the best way is the best one."""
    backup_set: str = ""
    backup_state: str = ""
    losses: Losses | None = None
    """None: nothing would be put back, or there is no set to compare with."""
    only_changed: bool = False
    """Putting back only the services that need it would be sound."""

    @property
    def changed(self) -> tuple[str, ...]:
        """Databases of the services that need theirs put back, with those that go with them."""
        need = {row.service for row in self.services if row.way is Way.RESTORE and row.databases}
        group = need.union(*(TOGETHER.get(name, frozenset()) for name in need)) if need else set()
        return tuple(sorted(name for row in self.services if row.service in group for name in row.databases))


def scope(taken: Iterable[tuple[str, str]]) -> str:
    """RESTORE_CHANGED or RESTORE_ALL, from what was accepted in the run, the newest last."""
    said = [name for name, _ in taken if name in (RESTORE_CHANGED, RESTORE_ALL)]
    return said[-1] if said else RESTORE_ALL


def changed_databases(hop: HopPlan) -> frozenset[str]:
    """Databases that are put back when only what the hop changes is: of services whose schema it changes, and of those
    that go with them."""
    need = {row.service for row in schema_changers(hop)}
    group = need.union(*(TOGETHER.get(name, frozenset()) for name in need)) if need else set()
    return frozenset(row.database for row in hop.way_back if row.database and row.service in group)


def back_map(situation: Situation, ways: Ways, found: Losses | None, *, backup_state: str = "") -> BackMap:
    """The map. `found` None: what was written since is not known."""
    rows = _services(situation)
    need = {row.service for row in rows if row.way is Way.RESTORE and row.databases}
    told = tuple(_with_alone(row, need, rows, found, whole=_only_whole(situation)) for row in rows)
    judged = [row.alone for row in told if row.service in need]
    best = ways.best
    gone: tuple[str, ...] = ()
    if situation.physical and found is not None and found.schemas_since:
        # statements leave alone what they do not name; a copy of everything does not
        gone = (f"schemas that are not in the backup go too: {', '.join(found.schemas_since)}",)
        found = found.model_copy(update={"schemas_since": ()})
    return BackMap(
        source=situation.hop.source,
        target=situation.hop.target,
        best=best,
        services=told,
        reasons=(*_reasons(ways), *gone),
        backup_set=situation.backup_set,
        backup_state=backup_state,
        losses=found,
        only_changed=bool(judged) and all(judged) and ways.restore,
    )


def _reasons(ways: Ways) -> tuple[str, ...]:
    """Why not merely redeploy, and what there is to say of the restore; why not at all where nothing is open."""
    if ways.redeploy:
        return ways.redeploy_reasons
    return (*ways.redeploy_reasons, *ways.restore_reasons[1 if ways.restore else 0 :])


def _services(situation: Situation) -> list[ServiceWay]:
    found: dict[str, ServiceWay] = {}
    for row in situation.hop.way_back:
        if row.enabled is False:
            continue
        way, why = _way(situation, row)
        before = found.get(row.service)
        databases = (*(before.databases if before else ()), *((row.database,) if row.database else ()))
        if before and _RANK[before.way] >= _RANK[way]:
            way, why = before.way, before.why
        found[row.service] = ServiceWay(service=row.service, databases=databases, way=way, why=why)
    return sorted(found.values(), key=lambda row: (-_RANK[row.way], row.service))


def _way(situation: Situation, row: WayBack) -> tuple[Way, str]:
    source = situation.hop.source
    if not situation.upgrade_began:
        return Way.REDEPLOY, f"nothing was upgraded: it still runs {source}"
    if not row.database:
        if row.way not in (Way.RESTORE, Way.FORWARD_ONLY):
            return row.way, row.why
        if row in converted(situation):
            return row.way, row.why
        return Way.REDEPLOY, "what it keeps was not converted"
    seen = situation.heads.get(row.database) if situation.heads is not None else None
    if seen is None:
        if not row.changes_schema:
            return Way.REDEPLOY, "the hop does not change its schema"
        return Way.RESTORE, f"the hop changes its schema, and the heads of {row.database} could not be read"
    if row.heads_before and tuple(sorted(seen)) != tuple(sorted(row.heads_before)):
        return Way.RESTORE, f"{row.database} is at {' + '.join(seen) or 'no head'}, which {source} does not know"
    if row.changes_schema and situation.ponr == "crossed":
        return (
            Way.RESTORE,
            f"a change of {row.database} began or may have begun, though its heads are still the old ones",
        )
    return Way.REDEPLOY, "its schema is the old release's"


def _only_whole(situation: Situation) -> str:
    """Why a restore is of all databases whatever was written; empty where it need not be."""
    if situation.physical:
        return "the set is a physical copy, which brings back every database at once"
    if series_differ(situation):
        return "the database servers are made anew in the old series, which empties all of them"
    return ""


def _with_alone(
    row: ServiceWay, need: set[str], rows: Sequence[ServiceWay], found: Losses | None, *, whole: str
) -> ServiceWay:
    if row.service not in need:
        return row
    sound, why = _alone(row, rows, found)
    if whole:
        sound, why = False, whole
    return row.model_copy(update={"alone": sound, "alone_why": why})


def _alone(row: ServiceWay, rows: Sequence[ServiceWay], found: Losses | None) -> tuple[bool, str]:
    group = TOGETHER.get(row.service, frozenset({row.service}))
    blind = sorted(group - SEEN)
    if blind:
        return False, f"not every write of {', '.join(blind)} leaves a time, so nobody can tell what refers to it"
    if found is None or found.error:
        return False, "it is not known what was written since the backup"
    databases = sorted({name for other in rows if other.service in group for name in other.databases})
    loud = [name for name in databases if name not in found.unchanged]
    if loud:
        return (
            False,
            f"{', '.join(loud)} was written to since the backup (or could not be read), and others refer to it",
        )
    return True, f"nothing was written to {', '.join(databases)} since the backup, so nothing refers to what would go"
