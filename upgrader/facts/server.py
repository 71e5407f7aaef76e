"""What one database server said of itself (database.sh) → its Galera state, schema heads, settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from upgrader.facts.parse import Sections, pairs, sections
from upgrader.model import SchemaHead
from upgrader.observed import GaleraFacts

_QUESTIONS = ("galera", "heads", "keystone-endpoint")
"""What the server is asked about itself; other sections of the same output are others' answers."""
Structures = Mapping[str, frozenset[str]]
_NO_INDEX = 2**63
"""A server outside of a component tells 18446744073709551615 as its index, which is -1."""
_HARMLESS = {
    "READ_ONLY": ("OFF", "0"),
    "WSREP_DESYNC": ("OFF", "0"),
    "WSREP_ON": ("ON", "1"),
    "WSREP_REJECT_QUERIES": ("NONE",),
    "WSREP_OSU_METHOD": ("TOI",),
    "INNODB_FAST_SHUTDOWN": ("1",),
}
"""Variables that a role, a backup or a repair sets for a while, and what they are otherwise."""
_CONFIGURABLE = frozenset({"READ_ONLY", "INNODB_FAST_SHUTDOWN", "WSREP_OSU_METHOD"})
"""Of these, a value from the server's own configuration file is the operator's wish."""


@dataclass(frozen=True)
class DatabaseAnswer:
    """What one database server said. `error` names what it did not answer, `records` is what services keep there."""

    galera: GaleraFacts
    heads: tuple[SchemaHead, ...] | None
    error: str = ""
    said: Sections = field(default_factory=Sections)
    structure: Structures = field(default_factory=dict)
    """Database → tables and `table.column` that say something of migration scripts; empty when nobody said."""

    @property
    def healthy(self) -> bool:
        return self.galera.state == "Synced" and self.galera.status == "Primary"


def database_answer(text: str) -> DatabaseAnswer:
    """One server's answer from the output of database.sh."""
    found = sections(text)
    error = "; ".join(f"{what}: {words}" for what, words in found.failed.items() if what in _QUESTIONS)
    if not found.lines:
        error = error or "no answer"
    return DatabaseAnswer(
        galera=galera_facts(found.get("galera")),
        heads=schema_heads(found.get("heads")) if found.read("heads") else None,
        error=error,
        said=found,
        structure=structures(found.get("marks")),
    )


def structures(lines: Iterable[str]) -> Structures:
    """Rows of the question `marks`: database, and a table or `table.column` in it."""
    found: dict[str, set[str]] = {}
    for line in lines:
        database, _, item = line.partition("\t")
        found.setdefault(database, set()).add(item.strip())
    return {database: frozenset(items) for database, items in found.items()}


def galera_facts(lines: Iterable[str]) -> GaleraFacts:
    """`wsrep_*` status rows, the version, and `setting` rows: variable, value, where its value comes from."""
    lines = list(lines)
    values = pairs(line for line in lines if not line.startswith("setting\t"))
    settings = [parts for line in lines if len(parts := line.split("\t")) == 4 and parts[0] == "setting"]
    size = values.get("wsrep_cluster_size", "0")
    index = values.get("wsrep_local_index", "")
    return GaleraFacts(
        size=int(size) if size.isdecimal() else 0,
        flow_control_paused=_share(values.get("wsrep_flow_control_paused", "")),
        status=values.get("wsrep_cluster_status", ""),
        state=values.get("wsrep_local_state_comment", ""),
        ready=values.get("wsrep_ready", "").upper() == "ON",
        server_version=values.get("version", ""),
        local_index=int(index) if index.isdecimal() and int(index) < _NO_INDEX else None,
        lost_settings=tuple(sorted(filter(None, (_lost(*row[1:]) for row in settings)))) if settings else None,
    )


def schema_heads(lines: Iterable[str]) -> tuple[SchemaHead, ...]:
    """Version table rows by database. `migrate_version` counts only where alembic has nothing to say.

    Services that moved to alembic leave their old table behind (heat 2023.1 → 2023.2), so its row is history.
    An alembic table without rows gives no heads: a migration was interrupted before its first step ended.
    """
    alembic: dict[str, set[str]] = {}
    legacy: dict[str, set[str]] = {}
    for line in lines:
        parts = line.split("\t")
        if len(parts) < 2:
            continue
        database, table, value = parts[0], parts[1], parts[2].strip() if len(parts) > 2 else ""
        rows = (alembic if table == "alembic_version" else legacy).setdefault(database, set())
        if value:
            rows.add(value if table == "alembic_version" else f"migrate_version:{value}")
    merged = legacy | alembic
    for database, rows in alembic.items():
        if not rows and legacy.get(database):
            merged[database] = legacy[database]
    return tuple(SchemaHead(database=name, heads=tuple(sorted(rows))) for name, rows in sorted(merged.items()))


def _lost(variable: str, value: str, origin: str) -> str:
    """`variable=value` when it looks like what an interrupted role left behind; empty otherwise.

    The upgrade of the mariadb role sets wsrep_sst_method to rsync, both at run time and in the configuration file, and
    back to mariabackup at its end (openstack/kolla-ansible@21.3.0, 22.2.0: ansible/roles/mariadb/tasks/upgrade.yml;
    older roles leave it alone), so that rsync counts wherever it comes from.
    """
    name, source = variable.upper(), origin.upper()
    if source == "COMPILE-TIME":
        return ""
    if name == "WSREP_SST_METHOD":
        lost = value.lower() == "rsync"
    else:
        lost = name in _HARMLESS and value.upper() not in _HARMLESS[name]
        lost = lost and not (name in _CONFIGURABLE and source == "CONFIG")
    return f"{variable.lower()}={value}" if lost else ""


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
