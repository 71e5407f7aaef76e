"""Which ways are open after something went wrong: pure, from the plan, the journal and what was seen of the cloud.

Owns two answers: may the old release simply be deployed again, and may the databases be put back. Both come
with their reasons, because an operator at three in the morning has to believe them. Never looks at anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upgrader.model import HopPlan, Way, WayBack

MARIADB, BROKER = "mariadb", "rabbitmq"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known when the decision is due. `heads` None: they could not be read."""

    hop: HopPlan
    ponr: str
    """`no`, `possible` or `crossed`, as the journal holds it."""
    upgrade_began: bool
    """An upgrade attempt of this hop was launched at least once."""
    heads: Mapping[str, tuple[str, ...]] | None
    backup_set: str
    backup_complete: bool
    server_before: str = ""
    """Version of the database server when the backup was taken; empty when not known."""
    server_now: str = ""
    rebuildable: bool = False
    """Servers of the old series may be made anew for the set: it is text that a server of any series can load, or a
    physical copy with which a new one of its own series begins."""
    physical: bool = False
    """The set is a physical copy: it brings back everything, or nothing."""
    untouched: frozenset[str] = frozenset()
    """Services all of whose containers were seen on the old release: what they keep was not converted."""


@dataclass(frozen=True, slots=True)
class Ways:
    redeploy: bool
    restore: bool
    redeploy_reasons: tuple[str, ...]
    restore_reasons: tuple[str, ...]

    @property
    def best(self) -> Way:
        if self.redeploy:
            return Way.REDEPLOY
        return Way.RESTORE if self.restore else Way.FORWARD_ONLY


def schema_changers(hop: HopPlan) -> tuple[WayBack, ...]:
    """The services of this cloud whose schema the hop changes; one that may be enabled counts as enabled."""
    return tuple(row for row in hop.way_back if row.database and row.changes_schema and row.enabled is not False)


def data_stores(hop: HopPlan) -> tuple[WayBack, ...]:
    """Data stores whose files the new release's server may convert, so that the old one cannot open them."""
    return tuple(
        row
        for row in hop.way_back
        if not row.database and row.enabled is not False and row.way in (Way.RESTORE, Way.FORWARD_ONLY)
    )


def ways(situation: Situation) -> Ways:
    """The open ways back. Never says yes on a guess: what cannot be known counts against redeploying."""
    against = [*_schema_objections(situation), *_store_objections(situation)]
    if against:
        redeploy_reasons = tuple(against)
    elif not situation.upgrade_began:
        redeploy_reasons = ("no upgrade of this hop was ever started; every service still runs the old release",)
    elif not schema_changers(situation.hop):
        redeploy_reasons = ("no schema changes on this hop for the services of this cloud",)
    else:
        redeploy_reasons = ("no schema change had begun, and the heads are those of the old release",)
    restore, restore_reasons = _restore(situation)
    return Ways(not against, restore, redeploy_reasons, restore_reasons)


def _schema_objections(situation: Situation) -> list[str]:
    if not situation.upgrade_began:
        return []
    rows = [row for row in situation.hop.way_back if row.enabled is not False and row.database]
    heads = situation.heads
    objections = []
    for row in rows:
        seen = heads.get(row.database) if heads is not None else None
        if seen is not None and row.heads_before and tuple(sorted(seen)) != tuple(sorted(row.heads_before)):
            objections.append(
                f"{row.service}: database {row.database} is at {', '.join(seen)}, "
                f"{situation.hop.source} knows {', '.join(row.heads_before)}"
            )
    changers = schema_changers(situation.hop)
    if changers and situation.ponr == "crossed":
        names = ", ".join(row.service for row in changers)
        objections.append(f"a schema change of {names} began or may have begun, and such changes are not undone")
    elif changers and heads is None:
        objections.append("the schema heads could not be read, so nobody can tell whether a change began")
    return objections


def converted(situation: Situation) -> list[WayBack]:
    """Data stores that the new release's servers have opened, or may have."""
    if not situation.upgrade_began:
        return []
    return [
        row
        for row in data_stores(situation.hop)
        if row.service not in situation.untouched and not _same(situation, row)
    ]


def _same(situation: Situation, row: WayBack) -> bool:
    """MariaDB where the server that runs now is of the series that ran before: both read the same files."""
    before, now = _series(situation.server_before), _series(situation.server_now)
    return row.service == MARIADB and bool(before) and before == now


def _store_objections(situation: Situation) -> list[str]:
    found = []
    for row in converted(situation):
        silent = row.service == MARIADB and not situation.server_now
        found.append(f"{row.service}: {'the server does not answer, and ' if silent else ''}{row.why}")
    return found


def _series(version: str) -> str:
    """`10.11` of `10.11.19-MariaDB`: servers of one series read each other's files."""
    return ".".join(version.split("-", maxsplit=1)[0].split(".")[:2]) if version else ""


def series_differ(situation: Situation) -> bool:
    """The database server that answers now is of another series than the one the backup was taken from."""
    before = _series(situation.server_before)
    return bool(before) and _series(situation.server_now) not in ("", before)


def _restore(situation: Situation) -> tuple[bool, tuple[str, ...]]:
    if not situation.upgrade_began:
        return False, ("nothing was upgraded, so there is nothing to restore",)
    if not situation.backup_set:
        return False, ("no backup was taken on this hop",)
    if not situation.backup_complete:
        return False, (f"backup set {situation.backup_set} is not complete",)
    other = series_differ(situation)
    if other and not situation.rebuildable:
        return False, (
            f"the database server is now {situation.server_now}, it was {situation.server_before}: its files were "
            "converted, and the old server has to be built anew by hand before the dump can be loaded",
        )
    # a broker is made anew with the old release: it keeps nothing that the services do not declare again
    anew = [row for row in converted(situation) if row.service == BROKER and row.way is Way.RESTORE]
    by_hand = [row for row in converted(situation) if row.service != MARIADB and row not in anew]
    if by_hand:
        return False, tuple(
            f"{row.service}: putting the databases back is not enough, and this is not automated: {row.why}"
            for row in by_hand
        )
    told = [f"backup set {situation.backup_set} is complete"]
    if anew:
        told.append(f"{BROKER}: made anew with {situation.hop.source}; messages that wait in queues are lost")
    if situation.physical:
        told.append(
            "it is a physical copy: database servers are made anew everywhere and one begins with it, so that every "
            "database and account becomes what it was; the data of now are kept in a volume of their hosts"
        )
    elif other:
        told.append(
            f"the database server is now {situation.server_now}, it was {situation.server_before}: servers of the old "
            "series are made anew for the dump, and the newer ones' data are kept in a volume of their hosts"
        )
    return True, tuple(told)
